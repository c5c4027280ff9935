"""Operations on the policies of tables and streams: for the account of the resource alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.iam.bound import with_ids
from fogbank.platform.identity.bound import gone
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules import policies
from fogbank.services.dynamodb.schema import PolicyRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=policies.on_own_resource(policies.PUT))
async def put_resource_policy(
    call: Call, request: shapes.PutResourcePolicyInput
) -> shapes.PutResourcePolicyOutput:
    """Give a table or a stream a policy; one that says the same as before changes nothing."""
    resource = policies.resource_of(call.scope, request)
    policies.raw_of(request["Policy"], of_stream=bool(resource.stream_label))
    policy = await state.policies.record_of(call, request["Policy"])
    if not request.get("ConfirmRemoveSelfResourceAccess"):
        await _check_lockout(call, request["ResourceArn"], policy)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> str:
        holder = await state.policies.require_holder(tr, resource)
        policies.require_revision(holder, resource.table, request)
        before = await state.policies.policy_of(tr, holder)
        if before is not None and policies.is_same(before.document, policy.document):
            return policies.revision_of(holder)
        return state.policies.put_policy(tr, holder, policy, now_ms)

    return {"RevisionId": await call.store.transact(body)}


async def _check_lockout(call: Call, arn: str, policy: PolicyRecord) -> None:
    """Refuse a policy that its caller could not replace, unless it says that it means that."""
    hanging = await call.identity.policies.of(call.principal)
    compiled = call.identity.policies.compiled(policy.document, "resource", policy.bound)
    policies.check_lockout(call.principal, hanging, compiled, arn, dict(call.access_context))


@operation(access=policies.on_own_resource("dynamodb:GetResourcePolicy"))
async def get_resource_policy(
    call: Call, request: shapes.GetResourcePolicyInput
) -> shapes.GetResourcePolicyOutput:
    """Return the policy of a table or stream; whom it names and who is gone goes by unique id."""
    resource = policies.resource_of(call.scope, request)

    async def body(tr: Transaction) -> tuple[PolicyRecord, str]:
        holder = await state.policies.require_holder(tr, resource)
        found = await state.policies.policy_of(tr, holder)
        if found is None:
            raise policies.not_found(request["ResourceArn"])
        return found, policies.revision_of(holder)

    found, revision = await call.store.read(body)
    shown = with_ids(found.document, await gone(call.facilities.placement, found.bound))
    return {"Policy": shown, "RevisionId": revision}


@operation(access=policies.on_own_resource(policies.DELETE))
async def delete_resource_policy(
    call: Call, request: shapes.DeleteResourcePolicyInput
) -> shapes.DeleteResourcePolicyOutput:
    """Take the policy of a table or stream away, whether it has one or not."""
    resource = policies.resource_of(call.scope, request)

    async def body(tr: Transaction) -> shapes.DeleteResourcePolicyOutput:
        holder = await state.policies.require_holder(tr, resource)
        policies.require_revision(holder, resource.table, request)
        if not holder.has_policy:
            return {}
        state.policies.delete_policy(tr, holder)
        return {"RevisionId": policies.revision_of(holder)}

    return await call.store.transact(body)
