"""Operations on key policies: each key has one, named default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, operation
from fogbank.platform.iam.bound import with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms.rules import access, names, policies
from fogbank.services.kms.state import keys, putting
from fogbank.services.kms.state.permitted import change, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def put_key_policy(call: Call, request: shapes.PutKeyPolicyRequest) -> Wire:
    """Replace a key's policy, unless the caller could not do so again."""
    policies.check_name(request.get("PolicyName"))
    context = access.bypass_keys(request)
    found = await permitted(call, request["KeyId"], context)
    bypass = request.get("BypassPolicyLockoutSafetyCheck", False)
    policy = await putting.policy_of(call, found.arn, request["Policy"], context, bypass=bypass)

    async def body(tr: Transaction) -> None:
        key = await keys.require_key(tr, found.name, found.key.id)
        after = msgspec.structs.replace(key, policy=policy.document, bound=policy.bound)
        keys.put_key(tr, after)

    await change(call, found.name.account, body)
    return {}


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def get_key_policy(
    call: Call, request: shapes.GetKeyPolicyRequest
) -> shapes.GetKeyPolicyResponse:
    """Return a key's policy; whom it names and who is gone goes by the unique id."""
    _, key = await permitted(call, request["KeyId"])
    policies.check_name(request.get("PolicyName"))
    document = with_ids(key.policy, await gone(call.facilities.placement, key.bound))
    return {"Policy": document, "PolicyName": policies.NAME}


@operation(
    access=access.in_operation,
    domain=names.domain_by("KeyId"),
    unhonoured={"Limit": ANY, "Marker": ANY},
)
async def list_key_policies(
    call: Call, request: shapes.ListKeyPoliciesRequest
) -> shapes.ListKeyPoliciesResponse:
    """Return the names of a key's policies: there is one."""
    await permitted(call, request["KeyId"])
    return {"PolicyNames": [policies.NAME], "Truncated": False}
