"""Simple Storage Service: buckets of objects, durable and verified.

Read ``schema`` for where things lie, ``state.bodies`` for how bytes come in and go out, and
``operations.objects`` for the story.
"""

from __future__ import annotations

from fogbank.contract.facet import OriginRules, ResourcePolicies, StoredKeys
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.platform.iam.keys import EXISTING_TAGS
from fogbank.services.s3 import quotas, schema
from fogbank.services.s3.events import EVENTS
from fogbank.services.s3.jobs import JOBS
from fogbank.services.s3.operations import (
    acls,
    buckets,
    copies,
    cors,
    defaults,
    encryption,
    lifecycle,
    listings,
    notifications,
    objects,
    payment,
    policies,
    public_access,
    removals,
    retention,
    tags,
    uploads,
    versions,
)
from fogbank.services.s3.state import standing
from fogbank.services.s3.state.cors import find_domain, find_rules

SERVICE = Service(
    model="s3",
    operations=(
        *(buckets, versions, objects, copies, removals, uploads, listings),
        *(notifications, cors, tags, encryption, retention, policies, public_access, acls),
        *(lifecycle, payment, defaults),
    ),
    jobs=JOBS,
    events=EVENTS,
    tables=schema.TABLES,
    policies=ResourcePolicies(
        domain=standing.find_domain, find=standing.find_standing, presumed=True
    ),
    stored_keys=StoredKeys(
        names=frozenset({EXISTING_TAGS}),
        domain=standing.find_domain,
        find=standing.find_stored_keys,
    ),
    origins=OriginRules(domain=find_domain, find=find_rules),
    access_denied="AccessDenied",
    body=BodyLimit(quotas.REQUEST_BYTES),
)
