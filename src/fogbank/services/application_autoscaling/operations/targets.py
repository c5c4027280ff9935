"""Operations on scalable targets.

Registering one makes the service-linked role, if the account has none yet, and looks at the resource, both
in the caller's name: who may not see a table scales none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.application_autoscaling import arns, quotas
from fogbank.services.application_autoscaling.rules import access, pages, targets
from fogbank.services.application_autoscaling.rules.dimensions import (
    Dimension,
    dimension_of,
    place_of,
)
from fogbank.services.application_autoscaling.schema import Place, TargetRecord
from fogbank.services.application_autoscaling.state import actions as action_rows
from fogbank.services.application_autoscaling.state import orders
from fogbank.services.application_autoscaling.state import policies as policy_rows
from fogbank.services.application_autoscaling.state import targets as rows
from fogbank.services.application_autoscaling.state.permitted import require_permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

_NOT_THERE: Final = "ResourceNotFoundException"
_TAKEN: Final = "InvalidInput"


@operation(access=access.in_operation)
async def register_scalable_target(
    call: Call, request: shapes.RegisterScalableTargetRequest
) -> shapes.RegisterScalableTargetResponse:
    """Register something that can be scaled, or change between which bounds it is."""
    place = place_of(request)
    targets.require_role(request)
    seen = await call.store.read(lambda tr: rows.find(tr, place))
    asked = access.register(call.scope, place, request, seen)
    for each in (asked, *access.pass_role(call.scope, place, request)):
        await call.require(each.action, each.resource, each.context)
    now_ms, order_id = call.clock.now_ms(), call.ids.uuid()
    targets.registered(call.scope, place, request, seen, now_ms)
    dimension = dimension_of(place)
    await _ensure_role(call, dimension)
    capacity = await _capacity_of(call, dimension, place)
    limit = call.limit(quotas.TARGETS)

    async def body(tr: Transaction) -> TargetRecord:
        before = await rows.find(tr, place)
        target = targets.registered(call.scope, place, request, before, now_ms)
        if before is None:
            await rows.add(tr, target, limit)
        else:
            rows.put(tr, target)
        if capacity and targets.bounded(target, capacity) != capacity:
            orders.give_bounds(tr, target, order_id, now_ms)
        return target

    target = await call.store.transact(body)
    return {"ScalableTargetARN": arns.target_arn(call.region, call.account, target.id)}


async def _ensure_role(call: Call, dimension: Dimension) -> None:
    """Make the service-linked role, unless the account has it."""
    role = dimension.role
    if await call.identity.find_role(call.account, role.name) is not None:
        return
    try:
        await _ask(call, "iam", "CreateServiceLinkedRole", {"AWSServiceName": role.service})
    except ServiceError as error:
        # Another call has made it meanwhile.
        if error.code != _TAKEN:
            raise


async def _capacity_of(call: Call, dimension: Dimension, place: Place) -> int:
    """Return the capacity of a resource; 0: it has none that could be set.

    Raises:
        ValidationException: It is not there.
    """
    resource = place[1]
    asked = dimension.look(resource)
    try:
        reply = await _ask(call, dimension.service, asked.operation, asked.request)
    except ServiceError as error:
        if error.code == _NOT_THERE:
            raise dimension.missing(resource) from error
        raise
    capacity = dimension.capacity_in(resource, reply)
    if capacity is None:
        raise dimension.missing(resource)
    return capacity


async def _ask(call: Call, service: str, name: str, request: Wire) -> Wire:
    """Return the answer of another service to the caller."""
    return await call.calls.call(
        service, name, request, principal=call.principal, region=call.region, via=arns.SERVICE
    )


@operation()
async def describe_scalable_targets(
    call: Call, request: shapes.DescribeScalableTargetsRequest
) -> shapes.DescribeScalableTargetsResponse:
    """Return the targets of a namespace in order of resource and dimension, a page at a time."""
    resources: list[str] = request.get("ResourceIds", [])
    pages.require_dimension(request, resources)
    limit, after = pages.limit_of(request, quotas.PAGE), pages.after_of(request, (str, str))
    begin: tuple[str, str] | None = None if after is None else (after[0], after[1])

    async def body(tr: Transaction) -> list[TargetRecord]:
        if resources:
            return await _named(tr, request, resources)
        return await rows.list_all(tr, request["ServiceNamespace"], begin, limit + 1)

    found = await call.store.read(body)
    if resources:
        found = [each for each in found if begin is None or each.place[1:] > begin]
    reply: shapes.DescribeScalableTargetsResponse = {
        "ScalableTargets": [targets.described(call.scope, each) for each in found[:limit]]
    }
    if len(found) > limit:
        reply["NextToken"] = pages.token_of(*found[limit - 1].place[1:])
    return reply


async def _named(tr: Transaction, request: Request, resources: list[str]) -> list[TargetRecord]:
    """Return the targets of some resources, in order."""
    found: list[TargetRecord] = []
    for place in pages.places_of(request, resources):
        target = await rows.find(tr, place)
        found += [] if target is None else [target]
    return sorted(found, key=lambda each: each.place)


@operation(access=access.in_operation)
async def deregister_scalable_target(
    call: Call, request: shapes.DeregisterScalableTargetRequest
) -> shapes.DeregisterScalableTargetResponse:
    """Remove a target with its policies and its scheduled actions; its activities stay."""
    place = place_of(request)
    await require_permitted(call, place)

    async def body(tr: Transaction) -> None:
        target = await rows.find(tr, place)
        if target is None:
            raise targets.not_found(place)
        await action_rows.remove_all(tr, call.timers, place)
        await policy_rows.remove_all(tr, target)
        await rows.remove(tr, target)

    await call.store.transact(body)
    return {}
