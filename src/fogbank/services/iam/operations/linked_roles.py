"""Service-linked roles: made for a service, which alone may take them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.linked import LINKED_ROLES, PATH, LinkedRole
from fogbank.platform.identity.records import RoleRecord
from fogbank.platform.store.engine import Transaction
from fogbank.services.iam import rules, state
from fogbank.services.iam.arns import entity_arn
from fogbank.services.iam.errors import InvalidInput
from fogbank.services.iam.quotas import UNIQUE_ID_CHARACTERS

if TYPE_CHECKING:
    from fogbank.wire.shapes import iam as shapes


def _access(scope: Scope, request: Request) -> list[Access]:
    """Return the access of making a role: it is named, as policies that AWS recommends name it."""
    service = request["AWSServiceName"]
    known = LINKED_ROLES.get(service)
    name = known.name if known is not None else "AWSServiceRole"
    arn = entity_arn(scope, "role", f"{PATH}{service}/", name)
    return [Access("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})]


def _require_built(request: Request) -> LinkedRole:
    """Return the role of the service that a request names."""
    service = request["AWSServiceName"]
    found = LINKED_ROLES.get(service)
    if found is None:
        raise NotBuilt(f"fogbank has not built the service-linked role of {service}")
    if request.get("CustomSuffix"):
        raise InvalidInput(f"Custom suffix is not allowed for {service}")
    return found


@operation(access=_access)
async def create_service_linked_role(
    call: Call, request: shapes.CreateServiceLinkedRoleRequest
) -> shapes.CreateServiceLinkedRoleResponse:
    """Create the role of a service, with the policy that AWS publishes for it."""
    linked = _require_built(request)
    role = RoleRecord(
        name=linked.name,
        path=linked.path,
        unique_id=rules.UNIQUE_ID_PREFIXES["role"] + call.ids.base32(UNIQUE_ID_CHARACTERS),
        created_ms=call.clock.now_ms(),
        trust=linked.trust,
        description=request.get("Description", ""),
    )

    async def body(tr: Transaction) -> None:
        if await state.find(tr, "role", role.name) is not None:
            # AWS: in these words, also to who asks for the very role that stands.
            raise InvalidInput(
                f"Service role name {role.name} has been taken in this account, please try a"
                " different suffix."
            )
        state.attach(tr, "role", role, linked.policy_arn(call.scope.partition))

    await call.identity.change(call.account, body)
    return {"Role": rules.role_view(call.scope, role, role.trust, details=False)}
