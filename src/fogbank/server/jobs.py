"""Background work of the platform itself, beside what the services declare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Reconciler, reconciler
from fogbank.platform.blobs import rows
from fogbank.platform.bus import deadletters, trace
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Store
from fogbank.platform.store.keyspace import BLOB_DELETIONS

DELETIONS_BATCH: Final = 64
DELETIONS_PERIOD_MS: Final = 600_000
TOKENS_BATCH: Final = 256
TOKENS_PERIOD_MS: Final = 60_000
TRIM_PERIOD_MS: Final = 600_000


@reconciler(period_ms=DELETIONS_PERIOD_MS, signal=BLOB_DELETIONS)
async def delete_blobs(facilities: Facilities) -> Progress:
    """Delete blobs whose last reference is gone."""
    busy = False
    for store in facilities.placement.system_stores():
        deleted = await rows.drain_deletions(
            store, facilities.blobs, DELETIONS_BATCH, before=store.oldest_cut()
        )
        busy = busy or deleted == DELETIONS_BATCH
    return Progress.BUSY if busy else Progress.IDLE


@reconciler(period_ms=TOKENS_PERIOD_MS)
async def sweep_tokens(facilities: Facilities) -> Progress:
    """Remove the rows of tokens whose window is over."""
    busy = False
    for store in facilities.placement.system_stores():
        busy = await tokens.sweep(store, TOKENS_BATCH) == TOKENS_BATCH or busy
    return Progress.THROTTLED if busy else Progress.IDLE


@reconciler(period_ms=TRIM_PERIOD_MS)
async def trim_traces(facilities: Facilities) -> Progress:
    """Remove steps of events' ways that are past their retention."""
    return await _trimmed(facilities, trace.trim)


@reconciler(period_ms=TRIM_PERIOD_MS)
async def trim_dead_letters(facilities: Facilities) -> Progress:
    """Remove dead letters that are too old or too many."""
    return await _trimmed(facilities, deadletters.trim)


async def _trimmed(
    facilities: Facilities, trim: Callable[[Store, int], Awaitable[int]]
) -> Progress:
    """Trim every store once; there may be more to do where something was removed."""
    now_ms = facilities.clock.now_ms()
    removed = [await trim(store, now_ms) for store in facilities.placement.system_stores()]
    return Progress.BUSY if any(removed) else Progress.IDLE


PLATFORM_JOBS: Final[tuple[Reconciler, ...]] = (
    delete_blobs,
    sweep_tokens,
    trim_traces,
    trim_dead_letters,
)
