"""Application Auto Scaling: capacities that follow what is consumed, and schedules.

Read ``rules/dimensions`` for what can be scaled, ``rules/tracking`` for when and to what, ``jobs`` for how it
is done; ``docs/services/application_autoscaling.md`` has what differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.facet import ResourceTags
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.application_autoscaling import quotas, schema
from fogbank.services.application_autoscaling.jobs import JOBS
from fogbank.services.application_autoscaling.operations import (
    activities,
    policies,
    scheduled_actions,
    tags,
    targets,
)
from fogbank.services.application_autoscaling.rules import access
from fogbank.services.application_autoscaling.state.targets import find_tags

SERVICE = Service(
    model="application-autoscaling",
    operations=(activities, policies, scheduled_actions, tags, targets),
    jobs=JOBS,
    tables=schema.TABLES,
    tags=ResourceTags(domain=access.find_target_domain, find=find_tags),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
