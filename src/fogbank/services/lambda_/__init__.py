"""Lambda: functions from zip files, run in sandboxes, invoked now or from a durable queue.

Read ``schema`` for what is kept, ``operations/invocations`` and ``jobs`` for how events reach a
function; ``platform/runtime`` runs them. ``docs/services/lambda.md`` has what differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.event import Receiver
from fogbank.contract.facet import ResourcePolicies, ResourceTags, StoredKeys
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.lambda_ import quotas, schema, state
from fogbank.services.lambda_.jobs import JOBS
from fogbank.services.lambda_.operations import (
    accounts,
    functions,
    invocations,
    mappings,
    permissions,
    tags,
)
from fogbank.services.lambda_.rules import names

SERVICE = Service(
    model="lambda",
    operations=(tags, accounts, functions, invocations, mappings, permissions),
    jobs=JOBS,
    receivers=(
        Receiver(
            accepts=names.is_function_arn,
            domain=names.require_arn_domain,
            receive=state.receive,
        ),
    ),
    tables=schema.TABLES,
    policies=ResourcePolicies(
        domain=names.find_arn_domain, find=state.find_standing, additive=True
    ),
    tags=ResourceTags(domain=names.find_arn_domain, find=state.find_tags),
    stored_keys=StoredKeys(
        names=frozenset({"lambda:principal", "lambda:functionarn"}),
        domain=names.find_stored_domain,
        find=state.find_stored_keys,
    ),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
