"""DynamoDB: tables of items under a partition key and, if wanted, a sort key.

``schema`` has what is kept, ``docs/services/dynamodb.md`` what differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.facet import ResourceTags, StoredKeys
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.dynamodb import quotas, schema, state
from fogbank.services.dynamodb.jobs import JOBS
from fogbank.services.dynamodb.metrics import METRICS
from fogbank.services.dynamodb.operations import (
    auto_scaling,
    backups,
    batches,
    bulks,
    exports,
    globaltables,
    imports,
    insights,
    items,
    policies,
    queries,
    sql,
    statements,
    tables,
    tags,
    transactions,
    ttl,
    vectors,
)
from fogbank.services.dynamodb.rules import access, resources

SERVICE = Service(
    model="dynamodb",
    operations=(
        *(auto_scaling, backups, batches, bulks, exports, globaltables, imports, insights, items),
        *(policies, queries, sql, statements, tables, tags, transactions, ttl, vectors),
    ),
    jobs=JOBS,
    metrics=METRICS,
    tables=schema.ALL_TABLES,
    agreement=state.agreement.damage_of,
    policies=state.policies.RESOURCE_POLICIES,
    tags=ResourceTags(domain=resources.find_domain, find=state.tags.find_tags),
    stored_keys=StoredKeys(
        names=frozenset({"dynamodb:leadingkeys", "dynamodb:fulltablescan"}),
        domain=access.find_table_domain,
        find=state.tables.find_leading_keys,
    ),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
