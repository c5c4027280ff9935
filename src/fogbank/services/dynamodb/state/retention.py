"""How streams age: shards roll over, and records, shards and closed streams go with time."""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.schema import StreamRecord
from fogbank.services.dynamodb.state import changes, streams

SHARDS_PER_STEP: Final = 200
TRIM_PERIOD_MS: Final = 60_000
"""A stream is not trimmed more often, though each of its records is due at its own time."""


class Ages(NamedTuple):
    """What decides how old is too old."""

    now_ms: int
    shard_ms: int
    """How old an open shard may become."""
    retention_ms: int
    """How long a record is kept, and a stream once it is closed."""


async def keep_stream(
    tr: Transaction, stream: StreamRecord, ages: Ages, rows_max: int
) -> int | None:
    """Do one step of what a stream's age asks for.

    Args:
        tr: The transaction.
        stream: The stream, as it has read it.
        ages: The time, and what it means.
        rows_max: How many rows a step removes at most.

    Returns:
        When the next step is due, which may be at once; None: the stream is gone.
    """
    now_ms, until_ms = ages.now_ms, ages.now_ms - ages.retention_ms
    removed, oldest_ms = await changes.trim(tr, stream, until_ms, rows_max)
    if removed == rows_max:
        return now_ms
    if stream.closed_ms and stream.closed_ms <= until_ms:
        gone = await streams.remove_stream(tr, stream, SHARDS_PER_STEP)
        return None if gone else now_ms
    due_ms = await _roll_over(tr, stream, ages)
    await streams.remove_shards(tr, stream, until_ms, SHARDS_PER_STEP)
    if oldest_ms is None:
        return due_ms
    return min(due_ms, max(oldest_ms + ages.retention_ms, now_ms + TRIM_PERIOD_MS))


async def _roll_over(tr: Transaction, stream: StreamRecord, ages: Ages) -> int:
    """Roll the open shard over if it is old enough; return when to look again."""
    found = await streams.find_open_shard(tr, stream)
    if found is None:
        return stream.closed_ms + ages.retention_ms
    start, shard = found
    if shard.opened_ms + ages.shard_ms > ages.now_ms:
        return shard.opened_ms + ages.shard_ms
    streams.roll_over(tr, stream, start, ages.now_ms)
    return ages.now_ms + ages.shard_ms
