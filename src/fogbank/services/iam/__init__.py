"""IAM: users, roles, groups and policies of an account; global, the same in every region."""

from __future__ import annotations

from fogbank.contract.facet import ResourceTags
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.platform.identity.records import TABLES, iam_domain
from fogbank.services.iam import quotas, state
from fogbank.services.iam.operations import (
    access_keys,
    attachments,
    boundaries,
    groups,
    inline,
    linked_roles,
    mfa_devices,
    policies,
    roles,
    tags,
    users,
)

SERVICE = Service(
    model="iam",
    operations=(
        *(users, access_keys, groups, roles, inline, policies, attachments, boundaries, tags),
        *(mfa_devices, linked_roles),
    ),
    tables=TABLES,
    tags=ResourceTags(domain=state.tagged_domain, find=state.find_tags),
    access_denied="AccessDenied",
    domain=lambda scope: iam_domain(scope.account),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
