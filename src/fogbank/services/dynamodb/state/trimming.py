"""What nobody needs of histories any more, removed in pieces.

What is needed is what the window of recovery has, and what lies behind the oldest moment that is
read. A history that is kept no longer goes whole; one that begins anew lies elsewhere.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import history as rules
from fogbank.services.dynamodb.rules.history import Needed
from fogbank.services.dynamodb.schema import HISTORY, MARKS, TABLES, TRIMS, TableRecord, TrimRecord
from fogbank.services.dynamodb.state import bodies, history

_WALKS_PER_WINDOW: Final = 8
_WALK_MS_MIN: Final = 3_600_000
"""Between two walks over a history: what is too old may stay an eighth of the window longer."""


async def trim(tr: Transaction, entry: WorkEntry, now_ms: int, limit: int) -> int | None:
    """Look at the next rows of a history and remove those that nobody needs.

    Args:
        tr: The transaction.
        entry: What was queued.
        now_ms: The time.
        limit: Rows to look at.

    Returns:
        When to go on, which may be at once; None: never.
    """
    table_id, begun, *ended = entry.id.split("/")
    table = await TABLES.find(tr, entry.payload.decode())
    if table is None or table.id != table_id:
        TRIMS.delete(tr, entry.id)
        return None
    if table.history_ms != int(begun):
        TRIMS.delete(tr, entry.id)
        gone = msgspec.structs.replace(table, history_ms=int(begun))
        return now_ms if await _remove(tr, gone, limit) == limit else None
    if ended:
        return None
    needed = Needed(rules.needed_since_ms(table, now_ms), await history.oldest_moment(tr, table.id))
    if not await _walk_on(tr, table, needed, entry.id, limit):
        return now_ms
    TRIMS.delete(tr, entry.id)
    return now_ms + max(_WALK_MS_MIN, rules.window_ms(table) // _WALKS_PER_WINDOW)


async def _remove(tr: Transaction, table: TableRecord, limit: int) -> int:
    """Remove up to ``limit`` rows of a whole history, its marks last; return how many."""
    removed = 0
    for kind, prefix in (
        (HISTORY, history.history_prefix(tr, table)),
        (MARKS, history.marks_prefix(tr, table)),
    ):
        found = await tr.range(prefix, after_prefix(prefix), limit=limit - removed)
        for key, value in found:
            tr.delete(key)
            await bodies.release_of(tr, kind, value)
        removed += len(found)
    return removed


async def _walk_on(
    tr: Transaction, table: TableRecord, needed: Needed, walk: str, limit: int
) -> bool:
    """Remove what is not needed of the next rows of a history; return whether its end is reached.

    How far the walk has got is kept with it: one that a crash cuts short goes on there.
    """
    prefix = history.history_prefix(tr, table)
    begun = await TRIMS.find(tr, walk) or TrimRecord()
    found = await tr.range(prefix + begun.next_key, after_prefix(prefix), limit=limit)
    for key, value in found:
        if not needed.holds(HISTORY.decode(value).at_ms, key[-STAMP_BYTES:]):
            tr.delete(key)
            await bodies.release_of(tr, HISTORY, value)
    if len(found) == limit:
        TRIMS.put(tr, TrimRecord(next_key=found[-1][0][len(prefix) :] + b"\0"), walk)
        return False
    marks = history.marks_prefix(tr, table)
    end = after_prefix(marks)
    if needed.since_ms is not None:
        end = history.mark_of(tr, table, needed.since_ms)
    old = await tr.range(marks, end, limit=limit)
    for key, _ in old:
        tr.delete(key)
    return len(old) < limit
