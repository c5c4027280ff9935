"""Operations on the auto scaling of global tables.

What they read and write are the targets and policies of Application Auto Scaling in every region of the
table, in the caller's name: whoever may not change one there changes none here. Each place is one change;
a call that was cut short is made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.errors import LimitExceededException, ValidationException
from fogbank.services.dynamodb.rules import access, auto_scaling, names, replicas
from fogbank.services.dynamodb.rules.auto_scaling import Place, Scaled, Update
from fogbank.services.dynamodb.schema import TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_SERVICE: Final = "application-autoscaling"
_VIA: Final = "dynamodb"
_NOT_THERE: Final = "ObjectNotFoundException"
_OURS: Final = {each.code: each for each in (ValidationException, LimitExceededException)}
"""The errors of that service which this one has too."""


@operation(access=access.on_table("DescribeTableReplicaAutoScaling"))
async def describe_table_replica_auto_scaling(
    call: Call, request: shapes.DescribeTableReplicaAutoScalingInput
) -> shapes.DescribeTableReplicaAutoScalingOutput:
    """Return how the replicas of a global table are scaled."""
    table = await _require_global(call, names.table_name_of(call.scope, request))
    return {"TableAutoScalingDescription": await _described(call, table)}


@operation(access=access.on_table("UpdateTableReplicaAutoScaling"))
async def update_table_replica_auto_scaling(
    call: Call, request: shapes.UpdateTableReplicaAutoScalingInput
) -> shapes.UpdateTableReplicaAutoScalingOutput:
    """Change how the replicas of a global table are scaled."""
    table = await _require_global(call, names.table_name_of(call.scope, request))
    for update in auto_scaling.updates_of(table, request):
        await _apply(call, update)
    return {"TableAutoScalingDescription": await _described(call, table)}


async def _require_global(call: Call, name: str) -> TableRecord:
    """Return a table that has replicas, or refuse the call."""

    async def body(tr: Transaction) -> TableRecord:
        return await state.tables.require_named_table(tr, name)

    table = await call.store.read(body)
    auto_scaling.require_global(table)
    return table


async def _apply(call: Call, update: Update) -> None:
    """Bring about what is wanted of one place."""
    place = update.place
    if update.is_end:
        try:
            await _ask(call, place.region, "DeregisterScalableTarget", place.members)
        except ServiceError as error:
            if error.code != _NOT_THERE:
                raise
        return
    await _ask(call, place.region, "RegisterScalableTarget", update.registration())
    policy = update.policy()
    if policy is None:
        return
    for other in await _policies(call, place):
        if other["PolicyName"] != policy["PolicyName"]:
            gone = {**place.members, "PolicyName": other["PolicyName"]}
            await _ask(call, place.region, "DeleteScalingPolicy", gone)
    await _ask(call, place.region, "PutScalingPolicy", policy)


async def _policies(call: Call, place: Place) -> list[Wire]:
    """Return the policies of one place."""
    reply = await _ask(call, place.region, "DescribeScalingPolicies", place.members)
    found: list[Wire] = reply["ScalingPolicies"]
    return found


async def _described(call: Call, table: TableRecord) -> shapes.TableAutoScalingDescription:
    """Return how a table is scaled, replica by replica in the order of their regions."""
    told: list[shapes.ReplicaAutoScalingDescription] = []
    for replica in sorted(table.replicas, key=lambda each: each.region):
        scaled = await _scaled(call, table, replica.region)
        told.append(auto_scaling.replica_of(table, replica, scaled))
    return {
        "TableName": table.name,
        "TableStatus": replicas.status_of(table),
        "Replicas": told,
    }


async def _scaled(call: Call, table: TableRecord, region: str) -> Scaled:
    """Return what stands of the targets and policies of a table and its indexes in a region."""
    resources, most = auto_scaling.resources_of(table), auto_scaling.RESOURCES_MAX
    targets: dict[tuple[str, str], Wire] = {}
    policies: dict[tuple[str, str], list[Wire]] = {}
    for begin in range(0, len(resources), most // 2):
        # Each resource has two targets, and a page has room for so many.
        some = resources[begin : begin + most // 2]
        asked: Wire = {"ServiceNamespace": auto_scaling.NAMESPACE, "ResourceIds": some}
        reply = await _ask(call, region, "DescribeScalableTargets", asked)
        for target in reply["ScalableTargets"]:
            key = (target["ResourceId"], target["ScalableDimension"])
            targets[key] = target
            kind = auto_scaling.READ if ":Read" in key[1] else auto_scaling.WRITE
            policies[key] = await _policies(call, Place(region, key[0], kind))
    return Scaled(targets, policies)


async def _ask(call: Call, region: str, name: str, request: Wire) -> Wire:
    """Return the answer of Application Auto Scaling to the caller.

    Raises:
        ServiceError: In this service's words, where it has the error too.
    """
    try:
        return await call.calls.call(
            _SERVICE, name, request, principal=call.principal, region=region, via=_VIA
        )
    except ServiceError as error:
        ours = _OURS.get(error.code)
        if ours is None:
            raise
        raise ours(error.message) from error
