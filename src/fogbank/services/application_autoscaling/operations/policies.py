"""Operations on scaling policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.errors import LimitExceededException
from fogbank.services.application_autoscaling.rules import access, policies
from fogbank.services.application_autoscaling.rules.dimensions import place_of
from fogbank.services.application_autoscaling.schema import (
    POLICIES,
    PolicyRecord,
    TargetRecord,
)
from fogbank.services.application_autoscaling.state import named
from fogbank.services.application_autoscaling.state import policies as rows
from fogbank.services.application_autoscaling.state import targets as target_rows
from fogbank.services.application_autoscaling.state.permitted import require_permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes


@operation(
    access=access.in_operation,
    unhonoured={
        "StepScalingPolicyConfiguration": None,
        "PredictiveScalingPolicyConfiguration": None,
    },
)
async def put_scaling_policy(
    call: Call, request: shapes.PutScalingPolicyRequest
) -> shapes.PutScalingPolicyResponse:
    """Create a policy that keeps a metric near a value, or change one."""
    place, name = place_of(request), request["PolicyName"]
    await require_permitted(call, place)
    now_ms, fresh_id = call.clock.now_ms(), call.ids.uuid()

    async def body(tr: Transaction) -> PolicyRecord:
        target = await target_rows.require_registered(tr, place)
        before = await rows.find(tr, place, name)
        policy = policies.put(request, place, before, now_ms)
        policies.require_one(policy, await rows.list_of(tr, place))
        if before is None:
            policy = msgspec.structs.replace(policy, id=fresh_id)
            _count_one(tr, target)
        rows.put(tr, place, policy)
        return policy

    policy = await call.store.transact(body)
    return {"PolicyARN": policies.arn_of(call.scope, place, policy), "Alarms": []}


def _count_one(tr: Transaction, target: TargetRecord) -> None:
    """Write that a target has one policy more, and have it watched from the first on."""
    if target.policies >= quotas.POLICIES_MAX:
        raise LimitExceededException(
            f"A scalable target may have {quotas.POLICIES_MAX} scaling policies"
        )
    target_rows.put(tr, msgspec.structs.replace(target, policies=target.policies + 1))
    rows.watch(tr, target)


@operation()
async def describe_scaling_policies(
    call: Call, request: shapes.DescribeScalingPoliciesRequest
) -> shapes.DescribeScalingPoliciesResponse:
    """Return the policies of a namespace by resource, dimension and name, a page at a time."""
    query = named.query_of(request, "PolicyNames", quotas.POLICIES_PAGE)
    page = await call.store.read(lambda tr: named.page_of(tr, POLICIES, query))
    reply: shapes.DescribeScalingPoliciesResponse = {
        "ScalingPolicies": [policies.described(call.scope, *row) for row in page.rows]
    }
    if page.token is not None:
        reply["NextToken"] = page.token
    return reply


@operation(access=access.in_operation)
async def delete_scaling_policy(
    call: Call, request: shapes.DeleteScalingPolicyRequest
) -> shapes.DeleteScalingPolicyResponse:
    """Remove a policy; what it has set stays."""
    place, name = place_of(request), request["PolicyName"]
    await require_permitted(call, place)

    async def body(tr: Transaction) -> None:
        target, policy = await target_rows.find(tr, place), await rows.find(tr, place, name)
        if target is None or policy is None:
            raise policies.not_found(place, name)
        rows.remove(tr, place, name)
        target_rows.put(tr, msgspec.structs.replace(target, policies=target.policies - 1))
        if target.policies == 1:
            rows.unwatch(tr, target)

    await call.store.transact(body)
    return {}
