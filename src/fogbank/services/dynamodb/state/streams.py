"""Streams of tables and their shards: opened, rolled over, closed, and removed with age.

A stream lies at the name of its table and when it was made, so that it is found when the table is
gone. Its shards are a list of places to which ``append`` adds: a row's stamp is where a shard begins,
in the order of the commits that the stream's records have too. A write of an item need not know them.

The streams of the replicas of a strongly consistent table lie, each for itself, where its items do. What
the region of such a replica keeps of a stream is an outline: that it stands, where, and its policy.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec

from fogbank.contract.call import Call, Elsewhere
from fogbank.contract.facet import News
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import owners, shards
from fogbank.services.dynamodb.rules.resources import find_resource, within
from fogbank.services.dynamodb.rules.shards import Shard
from fogbank.services.dynamodb.rules.streams import StreamName, find_created_ms
from fogbank.services.dynamodb.schema import (
    CHANGES,
    REPLICA_STREAMS,
    SHARDS,
    STREAMS,
    ShardRecord,
    StreamRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.replicas import ReplicaStreamRecord
from fogbank.services.dynamodb.state import encryption, policies

KEPT_STREAMS: Final = "dynamodb.streams"
"""The work list of streams, each due when its shard rolls over or a record is too old."""
_STREAMS_REMEMBERED_MAX: Final = 1_024
_OF: Final = "/"
"""Stands between a region and the name of a table, in entries for streams of other regions."""


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
    if not table.stream_view:
        assert before is not None, "a new table has no stream to close"
        await close_stream(tr, before)
        return table
    return await open_stream(tr, table, table.id, "", due_ms)


async def open_stream(
    tr: Transaction, table: TableRecord, log: str, region: str, due_ms: int
) -> TableRecord:
    """Open a stream of the view that a table has; return the table with it.

    Args:
        tr: The transaction.
        table: The table.
        log: The id under which its records are to lie.
        region: That of the replica whose it is, if that is in another domain; else empty.
        due_ms: When it is to be looked at first.
    """
    now_ms = created_ms = await tr.now_ms()
    while await _find(tr, region, table.name, created_ms) is not None:
        created_ms += 1
    stream = StreamRecord(
        table=table.name,
        table_id=log,
        created_ms=created_ms,
        view=table.stream_view,
        partition=table.partition,
        sort=table.sort,
        sse=table.sse,
        region=region,
    )
    put_stream(tr, stream)
    tr.append(_shards_prefix(tr, stream), encode(ShardRecord(opened_ms=now_ms)))
    named = f"{region}{_OF}{table.name}" if region else table.name
    worklist.put(
        tr,
        WorkEntry(
            list=KEPT_STREAMS,
            id=f"{log}.{created_ms}",
            domain=tr.domain.name,
            payload=named.encode(),
            created_ms=created_ms,
            visible_ms=due_ms,
        ),
    )
    return msgspec.structs.replace(table, stream_ms=created_ms)


async def close_stream(tr: Transaction, table: TableRecord, region: str = "") -> None:
    """Close the stream of a table: nothing more comes, what it has can be read for its time.

    Args:
        tr: The transaction.
        table: The table.
        region: That of the replica whose it is, if that is in another domain.
    """
    stream = await _find(tr, region, table.name, table.stream_ms)
    assert stream is not None, "a stream that is open stands"
    now_ms = await tr.now_ms()
    put_stream(tr, msgspec.structs.replace(stream, closed_ms=now_ms))
    end = ShardRecord(opened_ms=now_ms, closes=True)
    tr.append(_shards_prefix(tr, stream), encode(end))


async def _find(tr: Transaction, region: str, table: str, created_ms: int) -> StreamRecord | None:
    """Return a stream of a table, or of its replica in another region; None: it does not stand."""
    if region:
        return await REPLICA_STREAMS.find(tr, region, table, created_ms)
    return await STREAMS.find(tr, table, created_ms)


def put_stream(tr: Transaction, stream: StreamRecord) -> None:
    """Write a stream that was changed."""
    if stream.region:
        REPLICA_STREAMS.put(tr, stream, stream.region, stream.table, stream.created_ms)
    else:
        STREAMS.put(tr, stream, stream.table, stream.created_ms)


async def lay_outline(
    tr: Transaction, member: TableRecord, told: ReplicaStreamRecord, home: str
) -> None:
    """Keep in the region of a replica that it has a stream, whose records lie at home.

    Args:
        tr: A transaction of that region.
        member: The table there.
        told: The stream, as it is known at home.
        home: The region where that is.
    """
    if not told.view or await STREAMS.find(tr, member.name, told.created_ms) is not None:
        return
    outline = StreamRecord(
        table=member.name,
        table_id=member.id,
        created_ms=told.created_ms,
        view=told.view,
        partition=member.partition,
        sort=member.sort,
        home=home,
    )
    put_stream(tr, outline)


def find_outlined(entry: WorkEntry) -> str:
    """Return the region that keeps an outline of the stream of a work entry; empty: none does."""
    region, found, _ = entry.payload.decode().partition(_OF)
    return region if found else ""


async def drop_outline(tr: Transaction, entry: WorkEntry) -> None:
    """Forget in the region of a replica a stream whose records are gone; harmless to repeat."""
    _, _, table = entry.payload.decode().partition(_OF)
    stream = await STREAMS.find(tr, table, entry.created_ms)
    if stream is not None and stream.home:
        STREAMS.delete(tr, stream.table, stream.created_ms)
        policies.drop_policy(tr, stream)


async def find_queued_stream(tr: Transaction, entry: WorkEntry) -> StreamRecord | None:
    """Return the stream of a work entry, or None if it has been removed."""
    region = find_outlined(entry)
    table = entry.payload.decode().removeprefix(f"{region}{_OF}")
    return await _find(tr, region, table, entry.created_ms)


async def require_stream(tr: Transaction, call: Call, name: StreamName) -> StreamRecord:
    """Return the stream that a request names, confirmed to be what the call was decided on.

    Raises:
        Elsewhere: Its records lie in another region's domain.
        ResourceNotFoundException: It does not stand.
    """
    stream = await _find(tr, call.region if call.moved else "", name.table, name.created_ms)
    if stream is None:
        raise name.not_found
    if stream.home:
        raise Elsewhere(owners.domain_of(tr.domain.name[1], stream.home))
    if not call.moved:
        policies.confirm(tr, call, stream, within(name.arn))
    return stream


async def require_readable(tr: Transaction, call: Call, name: StreamName) -> StreamRecord:
    """Return the stream that a request reads, with what seals its changes.

    Raises:
        AccessDeniedException: KMS does not let the caller use that.
        ValidationException: It cannot be used by anybody.
    """
    stream = await require_stream(tr, call, name)
    return stream if stream.sse is None else encryption.opened_stream(tr, call, stream)


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
    if stream.region:
        REPLICA_STREAMS.delete(tr, stream.region, stream.table, stream.created_ms)
    else:
        STREAMS.delete(tr, stream.table, stream.created_ms)
    policies.drop_policy(tr, stream)
    return True


async def _find_news(tr: Transaction, arn: str) -> tuple[bytes, ...]:
    """Return where a stream's records and shards are appended.

    Raises:
        Elsewhere: In another region's domain.
    """
    found = find_resource(arn)
    created_ms = None if found is None else find_created_ms(found.stream_label)
    if found is None or created_ms is None:
        return ()
    asked = "" if found.region == tr.domain.name[-1] else found.region
    stream = await _find(tr, asked, found.table, created_ms)
    if stream is None:
        return ()
    if stream.home:
        raise Elsewhere(owners.domain_of(found.account, stream.home))
    changes = log_prefix(tr.domain.prefix, CHANGES.subspace, stream.table_id, created_ms)
    return changes, _shards_prefix(tr, stream)


def _domain_of(arn: str) -> Domain | None:
    """Return the domain of a stream; None, of what is none."""
    found = find_resource(arn)
    return found.domain if found is not None and found.stream_label else None


NEWS: Final = News(domain=_domain_of, find=_find_news)
