"""CloudWatch Logs: groups of streams of events, kept in order of time.

Read ``schema`` for what is kept and ``operations/events`` for how it is found again;
``docs/services/logs.md`` has what differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.logs import quotas, schema
from fogbank.services.logs.jobs import JOBS
from fogbank.services.logs.operations import events, groups, streams

SERVICE = Service(
    model="logs",
    operations=(events, groups, streams),
    jobs=JOBS,
    tables=schema.TABLES,
    body=BodyLimit(quotas.REQUEST_BYTES),
)
