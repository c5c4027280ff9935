"""Operations on log streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.logs import quotas, state
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.rules import access, names, positions, views
from fogbank.services.logs.schema import GroupRecord, StreamRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import logs as shapes

_ID_BYTES = 16
_BY_TIME = "LastEventTime"


@operation(access=access.on_group("CreateLogStream"))
async def create_log_stream(call: Call, request: shapes.CreateLogStreamRequest) -> Wire:
    """Create an empty stream in a group."""
    names.check_stream_name(request["logStreamName"])
    stream = StreamRecord(
        name=request["logStreamName"],
        id=call.ids.random_bytes(_ID_BYTES),
        created_ms=call.clock.now_ms(),
    )

    async def body(tr: Transaction) -> None:
        group = await state.require_group(tr, request["logGroupName"])
        await state.create_stream(tr, group, stream)

    await call.store.transact(body)
    return {}


@operation(access=access.on_stream("DeleteLogStream"))
async def delete_log_stream(call: Call, request: shapes.DeleteLogStreamRequest) -> Wire:
    """Delete a stream; its events are out of reach at once and removed in time."""
    work_id, now_ms = call.ids.uuid(), call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        group = await state.require_group(tr, request["logGroupName"])
        await state.delete_stream(tr, group, request["logStreamName"], work_id, now_ms)

    await call.store.transact(body)
    return {}


@operation(access=access.on_group("DescribeLogStreams"))
async def describe_log_streams(
    call: Call, request: shapes.DescribeLogStreamsRequest
) -> shapes.DescribeLogStreamsResponse:
    """List the streams of a group in order of name or of their last events."""
    name = names.group_name_of(call.scope, request)
    limit: int = request.get("limit", quotas.DESCRIBE_PAGE)
    by_time = request.get("orderBy") == _BY_TIME
    if by_time and request.get("logStreamNamePrefix"):
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    find = _by_time if by_time else _by_name

    async def body(tr: Transaction) -> tuple[GroupRecord, list[StreamRecord]]:
        group = await state.require_group(tr, name)
        return group, await find(tr, group, request, limit + 1)

    group, found = await call.store.read(body)
    reply: shapes.DescribeLogStreamsResponse = {
        "logStreams": [views.stream_view(call.scope, group, stream) for stream in found[:limit]]
    }
    if len(found) > limit:
        last = found[limit - 1]
        text = json.dumps([last.last_event_ms, last.name]) if by_time else last.name
        reply["nextToken"] = positions.name_token(text)
    return reply


async def _by_name(
    tr: Transaction, group: GroupRecord, request: Request, limit: int
) -> list[StreamRecord]:
    """Return streams in order of name."""
    token: str | None = request.get("nextToken")
    after = None if token is None else positions.name_of_token(token)
    prefix: str = request.get("logStreamNamePrefix", "")
    reverse: bool = request.get("descending", False)
    return await state.list_streams(tr, group, prefix, after, limit, reverse=reverse)


async def _by_time(
    tr: Transaction, group: GroupRecord, request: Request, limit: int
) -> list[StreamRecord]:
    """Return streams in order of their last events."""
    after = None
    if (token := request.get("nextToken")) is not None:
        try:
            last_ms, name = json.loads(positions.name_of_token(token))
            after = (int(last_ms), str(name))
        except (ValueError, TypeError) as error:
            raise positions.invalid_token() from error
    reverse: bool = request.get("descending", False)
    return await state.list_recent(tr, group, after, limit, reverse=reverse)
