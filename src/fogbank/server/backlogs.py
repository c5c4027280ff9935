"""What waits in a store: how much, and for how long the oldest of it.

Rule: looking costs a bounded amount, whatever waits: ages are read from the heads of the queues,
entries are counted up to ``DEPTH_MAX``, in pages between which the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fogbank.platform.bus import reader
from fogbank.platform.scheduler import timers, worklist
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Store, Transaction
from fogbank.platform.store.keyspace import (
    BLOB_DELETIONS,
    DEAD_LETTERS,
    OUTBOX,
    OUTBOX_LATER,
    TIMERS,
    WORK,
)

BACKLOGS: Final = {
    "outbox": OUTBOX,
    "outbox_later": OUTBOX_LATER,
    "work": WORK,
    "timers": TIMERS,
    "dead_letters": DEAD_LETTERS,
    "blob_deletions": BLOB_DELETIONS,
}
DEPTH_MAX: Final = 10_000
"""Entries of a backlog that are counted; it may be deeper."""
DEPTH_PAGE: Final = 500


class Waiting(NamedTuple):
    """What waits in the stores of one process."""

    entries: Mapping[str, int]
    """By the names of ``BACKLOGS``."""
    ages_s: Mapping[str, float]
    """``outbox``: since the oldest fact was told; ``work``: since the oldest of the next pieces of
    work came; ``timers``: how late the first timer or schedule is. 0: nothing waits, or nothing is
    late."""


async def waiting_in(stores: Sequence[Store], now_ms: int) -> Waiting:
    """Return what waits in the system subspaces of some stores."""
    entries = dict.fromkeys(BACKLOGS, 0)
    began = {"outbox": now_ms, "work": now_ms, "timers": now_ms}
    for store in stores:
        for name, subspace in BACKLOGS.items():
            entries[name] += await _depth_of(store, subspace)
        found = {
            "outbox": await reader.oldest_ms(store),
            "work": await worklist.oldest_ms(store),
            "timers": await timers.earliest_ms(store),
        }
        for name, since_ms in found.items():
            began[name] = began[name] if since_ms is None else min(began[name], since_ms)
    return Waiting(entries, {name: age_s(at_ms, now_ms) for name, at_ms in began.items()})


def age_s(at_ms: int, now_ms: int) -> float:
    """Return the seconds since a time, none if it is still to come."""
    return max(0, now_ms - at_ms) / 1_000


async def _depth_of(store: Store, subspace: int) -> int:
    """Return how many entries a backlog has, up to ``DEPTH_MAX``."""
    begin = SYSTEM_PREFIX + bytes((subspace,))
    end, depth = tuples.after_prefix(begin), 0
    while depth < DEPTH_MAX:

        async def body(tr: Transaction, begin: bytes = begin) -> list[tuple[bytes, bytes]]:
            return await tr.range(begin, end, limit=DEPTH_PAGE)

        rows = await store.read(body)
        depth += len(rows)
        if len(rows) < DEPTH_PAGE:
            break
        begin = rows[-1][0] + b"\0"
        await asyncio.sleep(0)  # noqa: TID251 (no time passes; the loop turns)
    return depth
