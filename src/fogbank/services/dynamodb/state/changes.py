"""The changes that a stream keeps, in the order of their commits."""

from __future__ import annotations

import msgspec

from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import changes, shards, strong
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.shards import Shard
from fogbank.services.dynamodb.schema import (
    CHANGES,
    ChangeRecord,
    ItemRecord,
    StreamRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import bodies
from fogbank.services.dynamodb.state.streams import log_prefix, put_stream


def _prefix_of(tr: Transaction, stream: StreamRecord) -> bytes:
    return log_prefix(tr.domain.prefix, CHANGES.subspace, stream.table_id, stream.created_ms)


async def tell(  # noqa: PLR0913 (a change has these parts)
    tr: Transaction,
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    after: ItemRecord | None,
    *,
    at_ms: int,
    by: str,
) -> None:
    """Tell the streams of a table of a write: its own, and those of replicas without items.

    AWS: the records of all replicas "are identical", and their order is (Developer Guide, "How
    DynamoDB global tables work", "Streams", of strong consistency).
    """
    for told in (*((table,) if table.stream_view else ()), *strong.tellings(table)):
        change = changes.find_change(told, key, before, after, at_ms=at_ms, by=by)
        if change is None:
            return  # it changes nothing, whatever a stream is told
        await bodies.retain(tr, change.old_body, change.new_body)
        prefix = log_prefix(tr.domain.prefix, CHANGES.subspace, told.id, told.stream_ms)
        for row in changes.rows_of(change):
            tr.append(prefix, row)


async def _list_rows(
    tr: Transaction, prefix: bytes, begin: bytes, end: bytes, limit: int
) -> list[tuple[int, ChangeRecord]]:
    rows = await tr.range(prefix + begin, end, limit=limit)
    skip = len(prefix)
    return [(shards.place_of(key[skip:]), CHANGES.decode(value)) for key, value in rows]


async def list_changes(
    tr: Transaction, stream: StreamRecord, shard: Shard, after: int, limit: int
) -> tuple[list[tuple[int, ChangeRecord]], bool]:
    """Return the changes in the next ``limit`` rows of a shard, and whether these were its last.

    A change may take up to three rows; a limit below that may find none though there is one.
    """
    assert limit >= changes.ROWS_MIN, "a change is read whole"
    prefix = _prefix_of(tr, stream)
    end = after_prefix(prefix) if shard.end is None else prefix + shards.stamp_of(shard.end + 1)
    rows = await _list_rows(tr, prefix, shards.stamp_of(after + 1), end, limit)
    found = changes.changes_in(rows)
    if any(change.old_body or change.new_body for _, change in found):
        found = [(place, await bodies.opened_change(tr, change)) for place, change in found]
    return found, len(rows) < limit


async def latest_place(tr: Transaction, stream: StreamRecord, shard: Shard) -> int:
    """Return the place of the last row of a shard, or of its begin if it has none."""
    prefix = _prefix_of(tr, stream)
    begin = prefix + shards.stamp_of(shard.start)
    end = after_prefix(prefix) if shard.end is None else prefix + shards.stamp_of(shard.end + 1)
    rows = await tr.range(begin, end, limit=1, reverse=True)
    return shards.place_of(rows[0][0][len(prefix) :]) if rows else shard.start


async def trim(
    tr: Transaction, stream: StreamRecord, until_ms: int, limit: int
) -> tuple[int, int | None]:
    """Remove the first records of a stream, up to a time and up to ``limit`` rows.

    Returns:
        How many were removed, and the time of the oldest that was looked at and is kept; None if
        there was none.
    """
    prefix = _prefix_of(tr, stream)
    removed, last = 0, b""
    kept_ms: int | None = None
    for place, row in await _list_rows(tr, prefix, b"", after_prefix(prefix), limit):
        if row.at_ms > until_ms:
            kept_ms = row.at_ms
            break
        last = shards.stamp_of(place)
        tr.delete(prefix + last)
        await bodies.release(tr, row.old_body, row.new_body)
        removed += 1
    if removed:
        put_stream(tr, msgspec.structs.replace(stream, trimmed=last))
    return removed, kept_ms
