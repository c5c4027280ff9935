"""STS: temporary credentials; nothing is stored, a session lives in its token."""

from __future__ import annotations

from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.platform.identity.records import iam_domain
from fogbank.services.sts import quotas
from fogbank.services.sts.operations import callers, sessions

SERVICE = Service(
    model="sts",
    operations=(sessions, callers),
    access_denied="AccessDenied",
    domain=lambda scope: iam_domain(scope.account),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
