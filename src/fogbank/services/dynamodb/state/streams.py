"""Streams of tables and their shards: opened, rolled over, closed, and removed with age.

A stream lies at the name of its table and when it was made, so that it is found when the table is
gone. Its shards are a list of places to which ``append`` adds: a row's stamp is where a shard begins,
in the order of the commits that the stream's records have too. A write of an item need not know them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec

from fogbank.contract.call import Call
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import shards
from fogbank.services.dynamodb.rules.resources import within
from fogbank.services.dynamodb.rules.shards import Shard
from fogbank.services.dynamodb.rules.streams import StreamName
from fogbank.services.dynamodb.schema import (
    SHARDS,
    STREAMS,
    ShardRecord,
    StreamRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import policies

KEPT_STREAMS: Final = "dynamodb.streams"
"""The work list of streams, each due when its shard rolls over or a record is too old."""
_STREAMS_REMEMBERED_MAX: Final = 1_024


@lru_cache(maxsize=_STREAMS_REMEMBERED_MAX)
def log_prefix(domain_prefix: bytes, subspace: bytes, table_id: str, created_ms: int) -> bytes:
    """Return what the keys of a stream's rows in a table of the store begin with."""
    place = bytes.fromhex(table_id.replace("-", "")) + created_ms.to_bytes(8)
    return domain_prefix + subspace + place


def _shards_prefix(tr: Transaction, stream: StreamRecord) -> bytes:
    return log_prefix(tr.domain.prefix, SHARDS.subspace, stream.table_id, stream.created_ms)


async def switch_stream(
    tr: Transaction, before: TableRecord | None, table: TableRecord, due_ms: int
) -> TableRecord:
    """Open or close the stream of a table whose ``stream_view`` is to change; return the table.

    Args:
        tr: The transaction that writes the table afterwards.
        before: The table as it was, or None if it is new.
        table: The table as it is to be; its view was changed.
        due_ms: When a stream that is opened is to be looked at first.
    """
    now_ms = await tr.now_ms()
    if not table.stream_view:
        assert before is not None, "a new table has no stream to close"
        await close_stream(tr, before)
        return table
    created_ms = now_ms
    while await STREAMS.find(tr, table.name, created_ms) is not None:
        created_ms += 1
    stream = StreamRecord(
        table=table.name,
        table_id=table.id,
        created_ms=created_ms,
        view=table.stream_view,
        partition=table.partition,
        sort=table.sort,
    )
    STREAMS.put(tr, stream, table.name, created_ms)
    tr.append(_shards_prefix(tr, stream), encode(ShardRecord(opened_ms=now_ms)))
    worklist.put(
        tr,
        WorkEntry(
            list=KEPT_STREAMS,
            id=f"{table.id}.{created_ms}",
            domain=tr.domain.name,
            payload=table.name.encode(),
            created_ms=created_ms,
            visible_ms=due_ms,
        ),
    )
    return msgspec.structs.replace(table, stream_ms=created_ms)


async def close_stream(tr: Transaction, table: TableRecord) -> None:
    """Close the stream of a table: nothing more comes, what it has can be read for its time."""
    stream = await STREAMS.find(tr, table.name, table.stream_ms)
    assert stream is not None, "a stream that is open stands"
    now_ms = await tr.now_ms()
    put_stream(tr, msgspec.structs.replace(stream, closed_ms=now_ms))
    end = ShardRecord(opened_ms=now_ms, closes=True)
    tr.append(_shards_prefix(tr, stream), encode(end))


def put_stream(tr: Transaction, stream: StreamRecord) -> None:
    """Write a stream that was changed."""
    STREAMS.put(tr, stream, stream.table, stream.created_ms)


async def find_queued_stream(tr: Transaction, entry: WorkEntry) -> StreamRecord | None:
    """Return the stream of a work entry, or None if it has been removed."""
    return await STREAMS.find(tr, entry.payload.decode(), entry.created_ms)


async def require_stream(tr: Transaction, call: Call, name: StreamName) -> StreamRecord:
    """Return the stream that a request names, confirmed to be what the call was decided on."""
    stream = await STREAMS.find(tr, name.table, name.created_ms)
    if stream is None:
        raise name.not_found
    policies.confirm(tr, call, stream, within(name.arn))
    return stream


async def list_streams(
    tr: Transaction, table: str | None, after: StreamName | None, limit: int
) -> list[StreamRecord]:
    """Return up to ``limit`` streams, of one table or of all, in order, those behind one."""
    if table is None:
        start = None if after is None else (after.table, after.created_ms)
        return [stream for _, stream in await STREAMS.list(tr, limit=limit, after=start)]
    start = None if after is None or after.table != table else (after.created_ms,)
    return [stream for _, stream in await STREAMS.list(tr, table, limit=limit, after=start)]


async def _list_rows(
    tr: Transaction, stream: StreamRecord, begin: int, limit: int
) -> list[tuple[int, ShardRecord]]:
    """Return up to ``limit`` begins of shards, from a place on."""
    prefix = _shards_prefix(tr, stream)
    rows = await tr.range(prefix + shards.stamp_of(begin), after_prefix(prefix), limit=limit)
    skip = len(prefix)
    return [(shards.place_of(key[skip:]), SHARDS.decode(value)) for key, value in rows]


def _shards_in(rows: list[tuple[int, ShardRecord]]) -> list[Shard]:
    """Return the shards that begin in some rows; that of the last row is taken to be open."""
    ends: list[int | None] = [*(place - 1 for place, _ in rows[1:]), None]
    return [
        Shard(place, end, shards.place_of(row.parent) if row.parent else None)
        for (place, row), end in zip(rows, ends, strict=False)
        if not row.closes
    ]


async def list_shards(tr: Transaction, stream: StreamRecord, begin: int, limit: int) -> list[Shard]:
    """Return up to ``limit`` shards in order, those that begin at a place or behind it."""
    rows = await _list_rows(tr, stream, begin, limit + 1)
    return _shards_in(rows)[:limit]


async def find_shard(tr: Transaction, stream: StreamRecord, start: int) -> Shard | None:
    """Return the shard that begins at a place, or None."""
    found = await list_shards(tr, stream, start, 1)
    return found[0] if found and found[0].start == start else None


async def find_open_shard(tr: Transaction, stream: StreamRecord) -> tuple[int, ShardRecord] | None:
    """Return where the last shard of a stream begins, or None if the stream is closed."""
    prefix = _shards_prefix(tr, stream)
    [(key, value)] = await tr.range(prefix, after_prefix(prefix), limit=1, reverse=True)
    row = SHARDS.decode(value)
    return None if row.closes else (shards.place_of(key[len(prefix) :]), row)


def roll_over(tr: Transaction, stream: StreamRecord, start: int, now_ms: int) -> None:
    """End the open shard, which begins at a place, and begin its child."""
    child = ShardRecord(opened_ms=now_ms, parent=shards.stamp_of(start))
    tr.append(_shards_prefix(tr, stream), encode(child))


async def remove_shards(tr: Transaction, stream: StreamRecord, until_ms: int, limit: int) -> None:
    """Remove up to ``limit`` shards that ended at a time or before it."""
    rows = await _list_rows(tr, stream, 0, limit + 1)
    for (place, _), (_, child) in pairwise(rows):
        if child.opened_ms > until_ms:
            return
        tr.delete(_shards_prefix(tr, stream) + shards.stamp_of(place))


async def remove_stream(tr: Transaction, stream: StreamRecord, limit: int) -> bool:
    """Remove up to ``limit`` shards of a stream without records, and it; return whether it is gone."""
    prefix = _shards_prefix(tr, stream)
    rows = await tr.range(prefix, after_prefix(prefix), limit=limit)
    for key, _ in rows:
        tr.delete(key)
    if len(rows) == limit:
        return False
    STREAMS.delete(tr, stream.table, stream.created_ms)
    policies.drop_policy(tr, stream)
    return True
