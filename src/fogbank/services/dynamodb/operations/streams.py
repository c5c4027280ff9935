"""Operations on streams: the API of DynamoDB Streams, a service of its own to clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.action import Access
from fogbank.contract.call import Call, Pace
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import changes, owners, shards, streams
from fogbank.services.dynamodb.rules.changes import ChangePage
from fogbank.services.dynamodb.rules.shards import Iterator, Shard
from fogbank.services.dynamodb.rules.streams import StreamName
from fogbank.services.dynamodb.schema import ChangeRecord, StreamRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodbstreams as shapes


@operation(access=lambda _scope, _request: [Access("dynamodb:ListStreams", "*")])
async def list_streams(call: Call, request: shapes.ListStreamsInput) -> shapes.ListStreamsOutput:
    """Return the streams of a table or of all tables, those of deleted ones among them."""
    limit = streams.require_limit(request, quotas.LIST_STREAMS_PAGE)
    given: str | None = request.get("ExclusiveStartStreamArn")
    after = None if given is None else streams.stream_name_of(call.scope, given)
    table: str | None = request.get("TableName")

    async def body(tr: Transaction) -> list[StreamRecord]:
        return await state.streams.list_streams(tr, table, after, limit + 1)

    found = await call.store.read(body)
    shown = [streams.summary_of(call.scope, stream) for stream in found[:limit]]
    reply: shapes.ListStreamsOutput = {"Streams": shown}
    if len(found) > limit:
        reply["LastEvaluatedStreamArn"] = streams.arn_of(call.scope, found[limit - 1])
    return reply


@operation(access=streams.on_stream("DescribeStream"), domain=owners.of_stream)
async def describe_stream(
    call: Call, request: shapes.DescribeStreamInput
) -> shapes.DescribeStreamOutput:
    """Return what a stream is, with a page of its shards."""
    owner = owners.owner_scope(call.scope, call.domain)
    name = streams.stream_name_of(owner, request["StreamArn"])
    limit = streams.require_limit(request, quotas.DESCRIBE_STREAM_PAGE)
    begin = shards.begin_of(request)
    parent = shards.parent_of(request)

    async def body(tr: Transaction) -> tuple[StreamRecord, list[Shard]]:
        stream = await state.streams.require_stream(tr, call, name)
        if begin is None:
            return stream, []
        return stream, await state.streams.list_shards(tr, stream, begin, limit + 1)

    stream, found = await call.store.read(body)
    last = shards.shard_id(found[limit - 1].start) if len(found) > limit else ""
    shown = [
        shards.description_of(shard)
        for shard in found[:limit]
        if parent is None or shard.parent == parent
    ]
    return {"StreamDescription": streams.description_of(owner, stream, shown, last)}


@operation(access=streams.on_stream("GetShardIterator"), domain=owners.of_stream)
async def get_shard_iterator(
    call: Call, request: shapes.GetShardIteratorInput
) -> shapes.GetShardIteratorOutput:
    """Return where to begin to read a shard."""
    now_ms = call.clock.now_ms()
    owner = owners.owner_scope(call.scope, call.domain)
    name = streams.stream_name_of(owner, request["StreamArn"])
    shards.require_type(request, now_ms)
    start = shards.require_start(request["ShardId"])

    async def body(tr: Transaction) -> tuple[StreamRecord, Shard, int]:
        stream = await state.streams.require_stream(tr, call, name)
        shard = await state.streams.find_shard(tr, stream, start)
        if shard is None:
            raise shards.shard_not_found(request["ShardId"])
        return stream, shard, await state.changes.latest_place(tr, stream, shard)

    stream, shard, latest = await call.store.read(body)
    iterator = shards.begun_iterator(request, stream, shard, latest, now_ms)
    return {"ShardIterator": shards.text_of(iterator)}


@operation(access=streams.on_iterator, domain=owners.of_iterator, reply=quotas.STREAM_PAGE_BYTES)
async def get_records(call: Call, request: shapes.GetRecordsInput) -> shapes.GetRecordsOutput:
    """Return the next records of a shard, and where to read on; nowhere, if it has ended."""
    now_ms = call.clock.now_ms()
    limit = streams.require_limit(request, quotas.GET_RECORDS_PAGE)
    iterator = shards.iterator_of(request["ShardIterator"], now_ms)
    owner = owners.owner_scope(call.scope, call.domain)
    name = streams.stream_name_of(owner, iterator.arn)
    page = ChangePage(iterator, limit, call.limit(quotas.STREAM_PAGE_BYTES))
    stream, ended = await _read_page(call, name, page)
    records: list[shapes.Record] = []
    pace = Pace(call, quotas.STEP_BYTES)
    for place, change in page.changes:
        whole = await state.bodies.fetched_change(call.blobs, change)
        records.append(changes.record_of(call.region, stream, place, whole))
        await pace.did(change.size)
    reply: shapes.GetRecordsOutput = {"Records": records}
    if not ended:
        reply["NextShardIterator"] = shards.text_of(page.iterator._replace(issued_ms=now_ms))
    return reply


async def _read_page(call: Call, name: StreamName, page: ChangePage) -> tuple[StreamRecord, bool]:
    """Read a page, step by step, until it is full or there is no more; return whether all ended."""
    while True:
        stream, shard, found, done = await _read_step(call, name, page.iterator, page.rows_next)
        for place, change in found:
            page.add(place, change)
        if page.full or done:
            return stream, done and not page.full and shard.end is not None
        await call.give_way()


async def _read_step(
    call: Call, name: StreamName, iterator: Iterator, limit: int
) -> tuple[StreamRecord, Shard, list[tuple[int, ChangeRecord]], bool]:
    """Read the next rows of a shard, with the shard as it is by then."""

    async def body(
        tr: Transaction,
    ) -> tuple[StreamRecord, Shard, list[tuple[int, ChangeRecord]], bool]:
        stream = await state.streams.require_readable(tr, call, name)
        if not iterator.horizon:
            shards.require_untrimmed(stream, iterator.after)
        shard = await state.streams.find_shard(tr, stream, iterator.shard)
        if shard is None:
            raise shards.trimmed()
        found, done = await state.changes.list_changes(tr, stream, shard, iterator.after, limit)
        return stream, shard, found, done

    return await call.store.read(body)
