"""Simple Storage Service: buckets of objects, durable and verified.

Read ``schema`` for where things lie, ``state.bodies`` for bytes, ``operations.objects`` for the story.
"""

from __future__ import annotations

from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.s3 import metrics, quotas, schema
from fogbank.services.s3.events import EVENTS
from fogbank.services.s3.jobs import JOBS
from fogbank.services.s3.operations import (
    abac,
    acls,
    buckets,
    copies,
    cors,
    defaults,
    encryption,
    lifecycle,
    listings,
    logging,
    notifications,
    objects,
    payment,
    policies,
    public_access,
    removals,
    request_metrics,
    retention,
    tags,
    uploads,
    versions,
)
from fogbank.services.s3.state.cors import ORIGINS
from fogbank.services.s3.state.logs import REQUEST_LOGS
from fogbank.services.s3.state.points import ACCESS_POINTS
from fogbank.services.s3.state.standing import RESOURCE_POLICIES, RESOURCE_TAGS, STORED_KEYS

SERVICE = Service(
    model="s3",
    operations=(
        *(buckets, versions, objects, copies, removals, uploads, listings),
        *(notifications, cors, tags, encryption, retention, policies, public_access, acls),
        *(lifecycle, payment, logging, abac, request_metrics, defaults),
    ),
    jobs=JOBS,
    events=EVENTS,
    metrics=metrics.METRICS,
    tables=schema.TABLES,
    policies=RESOURCE_POLICIES,
    stored_keys=STORED_KEYS,
    tags=RESOURCE_TAGS,
    origins=ORIGINS,
    points=ACCESS_POINTS,
    logs=REQUEST_LOGS,
    access_denied="AccessDenied",
    body=BodyLimit(quotas.REQUEST_BYTES),
)
