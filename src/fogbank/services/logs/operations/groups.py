"""Operations on log groups and on how long they keep their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.types import Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.logs import quotas, state
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.rules import access, positions, retention, views
from fogbank.services.logs.schema import GroupRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import logs as shapes

_ID_BYTES = 16


@operation(
    access=access.on_group("CreateLogGroup"),
    unhonoured={
        "kmsKeyId": None,
        "tags": None,
        "logGroupClass": views.STANDARD,
        "deletionProtectionEnabled": False,
    },
)
async def create_log_group(call: Call, request: shapes.CreateLogGroupRequest) -> Wire:
    """Create a group that keeps its events for ever."""
    group = GroupRecord(
        name=request["logGroupName"],
        id=call.ids.random_bytes(_ID_BYTES),
        created_ms=call.clock.now_ms(),
    )

    async def body(tr: Transaction) -> None:
        await state.create_group(tr, group)

    await call.store.transact(body)
    return {}


@operation(access=access.on_group("DeleteLogGroup"))
async def delete_log_group(call: Call, request: shapes.DeleteLogGroupRequest) -> Wire:
    """Delete a group; its streams and events are out of reach at once and removed in time."""
    work_id, now_ms = call.ids.uuid(), call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        await state.delete_group(tr, request["logGroupName"], work_id, now_ms)

    await call.store.transact(body)
    return {}


@operation(
    access=access.on_groups("DescribeLogGroups"),
    unhonoured={
        "accountIdentifiers": [],
        "includeLinkedAccounts": False,
        "logGroupIdentifiers": None,
    },
)
async def describe_log_groups(
    call: Call, request: shapes.DescribeLogGroupsRequest
) -> shapes.DescribeLogGroupsResponse:
    """List groups in order of name, a page at a time."""
    prefix: str = request.get("logGroupNamePrefix", "")
    pattern: str = request.get("logGroupNamePattern", "")
    if prefix and pattern:
        raise InvalidParameterException(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
        )
    limit: int = request.get("limit", quotas.DESCRIBE_PAGE)
    if request.get("logGroupClass", views.STANDARD) != views.STANDARD:
        return {"logGroups": []}
    token: str | None = request.get("nextToken")
    after = None if token is None else positions.name_of_token(token)

    async def body(tr: Transaction) -> tuple[list[GroupRecord], list[int]]:
        found = await state.list_groups(tr, prefix, after, limit + 1)
        sizes = [await state.stored_bytes(tr, group.id) for group in found[:limit]]
        return found, sizes

    found, sizes = await call.store.read(body)
    page = [
        views.group_view(call.scope, group, size)
        for group, size in zip(found, sizes, strict=False)
        if pattern in group.name
    ]
    reply: shapes.DescribeLogGroupsResponse = {"logGroups": page}
    if len(found) > limit:
        reply["nextToken"] = positions.name_token(found[limit - 1].name)
    return reply


@operation(access=access.on_group("PutRetentionPolicy"))
async def put_retention_policy(call: Call, request: shapes.PutRetentionPolicyRequest) -> Wire:
    """Set how many days a group keeps its events; older ones are gone at once for readers."""
    retention.check_days(request["retentionInDays"])
    await _change_retention(call, request["logGroupName"], request["retentionInDays"])
    return {}


@operation(access=access.on_group("DeleteRetentionPolicy"))
async def delete_retention_policy(call: Call, request: shapes.DeleteRetentionPolicyRequest) -> Wire:
    """Keep a group's events for ever."""
    await _change_retention(call, request["logGroupName"], 0)
    return {}


async def _change_retention(call: Call, name: str, days: int) -> None:
    """Write a group's retention and set the timer that removes what is past it."""
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        group = await state.require_group(tr, name)
        timer = state.put_retention(tr, group, days, now_ms)
        if timer is not None:
            call.timers.put(tr, timer)

    await call.store.transact(body)
