"""Lambda: functions from zip files, run in sandboxes, invoked now or from a durable queue.

Read ``schema`` for what is kept, ``operations/invocations`` and ``jobs`` for how events reach a
function; ``platform/runtime`` runs them. ``docs/services/lambda.md`` has what differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.facet import ResourcePolicies, ResourceTags, StoredKeys
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.lambda_ import quotas, schema, state
from fogbank.services.lambda_.endpoints import CODE, FUNCTION_URL
from fogbank.services.lambda_.jobs import JOBS
from fogbank.services.lambda_.jobs.events import RECEIVER
from fogbank.services.lambda_.metrics import METRICS
from fogbank.services.lambda_.operations import (
    accounts,
    aliases,
    concurrency,
    events,
    functions,
    invocations,
    layers,
    mappings,
    permissions,
    runtimes,
    tags,
    urls,
    versions,
)
from fogbank.services.lambda_.rules import names

SERVICE = Service(
    model="lambda",
    operations=(
        *(tags, accounts, functions, versions, aliases),
        *(concurrency, events, invocations, layers, mappings, permissions, runtimes, urls),
    ),
    endpoints=(FUNCTION_URL, CODE),
    jobs=JOBS,
    receivers=(RECEIVER,),
    metrics=METRICS,
    tables=schema.TABLES,
    policies=ResourcePolicies(
        domain=names.find_arn_domain, find=state.policies.find_standing, additive=True
    ),
    tags=ResourceTags(domain=names.find_stored_domain, find=state.policies.find_tags),
    stored_keys=StoredKeys(
        names=frozenset({"lambda:principal", "lambda:functionarn"}),
        domain=names.find_stored_domain,
        find=state.policies.find_stored_keys,
    ),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
