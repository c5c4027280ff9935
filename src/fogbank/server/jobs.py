"""Background work of the platform itself, beside what the services declare."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Reconciler, reconciler
from fogbank.platform.blobs import rows
from fogbank.platform.store import tokens
from fogbank.platform.store.keyspace import BLOB_DELETIONS

DELETIONS_BATCH: Final = 64
DELETIONS_PERIOD_MS: Final = 600_000
TOKENS_BATCH: Final = 256
TOKENS_PERIOD_MS: Final = 60_000


@reconciler(period_ms=DELETIONS_PERIOD_MS, signal=BLOB_DELETIONS)
async def delete_blobs(facilities: Facilities) -> Progress:
    """Delete blobs whose last reference is gone."""
    busy = False
    for store in facilities.placement.system_stores():
        deleted = await rows.drain_deletions(store, facilities.blobs, DELETIONS_BATCH)
        busy = busy or deleted == DELETIONS_BATCH
    return Progress.BUSY if busy else Progress.IDLE


@reconciler(period_ms=TOKENS_PERIOD_MS)
async def sweep_tokens(facilities: Facilities) -> Progress:
    """Remove the rows of tokens whose window is over."""
    busy = False
    for store in facilities.placement.system_stores():
        busy = await tokens.sweep(store, TOKENS_BATCH) == TOKENS_BATCH or busy
    return Progress.THROTTLED if busy else Progress.IDLE


PLATFORM_JOBS: Final[tuple[Reconciler, ...]] = (delete_blobs, sweep_tokens)
