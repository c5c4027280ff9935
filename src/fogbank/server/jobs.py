"""Background work of the platform itself, beside what the services declare."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fogbank.base.clock import Clock
from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Reconciler, Rest, reconciler
from fogbank.engines.embedded.anew import Anew
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import Blobs
from fogbank.platform.blobs.scrub import Pace, Scrubber
from fogbank.platform.blobs.sweep import SettlingBlobs, Sweeper
from fogbank.platform.bus import deadletters, trace
from fogbank.platform.metering import points
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Placement, Store
from fogbank.platform.store.keyspace import BLOB_DELETIONS
from fogbank.server.config import EncryptionSettings, ScrubSettings, SweepSettings
from fogbank.server.driver import THROTTLED_MS

DELETIONS_BATCH: Final = 64
DELETIONS_PERIOD_MS: Final = 600_000
TOKENS_BATCH: Final = 256
TOKENS_PERIOD_MS: Final = 60_000
TRIM_PERIOD_MS: Final = 600_000
METRICS_PERIOD_MS: Final = 5_000
"""What was noted of metrics for so long is lost if the process dies."""
METRICS_SWEEP_MS: Final = 3_600_000
ANEW_PERIOD_MS: Final = 600_000
"""How often is looked whether there is a new data key; who rotates wakes the jobs."""
SCRUB_PERIOD_MS: Final = 21_600_000
"""How often, at least, is looked whether a round of the scrub is due."""


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


def _wakened(facilities: Facilities, wake: Callable[[], None]) -> None:
    """Have the writer of metrics woken when something is noted."""
    facilities.metrics.begun = wake


@reconciler(period_ms=METRICS_PERIOD_MS, wakened=_wakened)
async def write_metrics(facilities: Facilities) -> Rest:
    """Write what was noted of metrics since the last time."""
    await points.write(facilities.placement, facilities.metrics)
    return Rest(facilities.clock.now_ms() + METRICS_SWEEP_MS)


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
    write_metrics,
)


def scrubbing(
    settings: ScrubSettings, placement: Placement, blobs: Blobs, clock: Clock
) -> list[Reconciler]:
    """Return what scrubs the stores of this process; nothing, if the settings say so."""
    if settings.mb_per_s == 0:
        return []
    # A step that is not the last of a round is followed by the next after this pause.
    slice_bytes = (settings.mb_per_s << 20) * THROTTLED_MS // 1_000
    pace = Pace(max(slice_bytes, 1), settings.period_hours * 3_600_000)
    scrubbers = [Scrubber(store, blobs, clock, pace, _turn) for store in placement.system_stores()]

    async def step(_: Facilities) -> Progress:
        """Scrub a slice of every store."""
        goes_on = [await scrubber.step() for scrubber in scrubbers]
        return Progress.THROTTLED if any(goes_on) else Progress.IDLE

    return [Reconciler("platform.blobs.scrub", step, min(SCRUB_PERIOD_MS, pace.period_ms))]


def sealing_anew(settings: EncryptionSettings, anew: Anew) -> list[Reconciler]:
    """Return what seals with the newest data key what an older one sealed; nothing, if so set."""
    if settings.anew_mb_per_s == 0:
        return []
    slice_bytes = (settings.anew_mb_per_s << 20) * THROTTLED_MS // 1_000

    async def step(_: Facilities) -> Progress:
        """Seal a slice anew."""
        return Progress.THROTTLED if await anew.step(slice_bytes) else Progress.IDLE

    return [Reconciler("platform.store.anew", step, ANEW_PERIOD_MS)]


def sweeping(settings: SweepSettings, placement: Placement, blobs: SettlingBlobs) -> Reconciler:
    """Return what sweeps the blobs of this process: at its start, and once a period."""
    sweepers = [Sweeper(store, blobs) for store in placement.system_stores()]

    async def step(_: Facilities) -> Progress:
        """Sweep some names of every store."""
        goes_on = [await sweeper.step() for sweeper in sweepers]
        return Progress.THROTTLED if any(goes_on) else Progress.IDLE

    return Reconciler("platform.blobs.sweep", step, settings.period_minutes * 60_000)


def sweeping_metrics(placement: Placement) -> Reconciler:
    """Return what removes points of metrics that are past their time."""
    sweeps = [points.Sweep(placement, store) for store in placement.system_stores()]

    async def step(facilities: Facilities) -> Progress:
        """Look at some series of every store."""
        now_ms = facilities.clock.now_ms()
        goes_on = [await sweep.step(now_ms) for sweep in sweeps]
        return Progress.THROTTLED if any(goes_on) else Progress.IDLE

    return Reconciler("platform.metrics.sweep", step, METRICS_SWEEP_MS)


async def _turn() -> None:
    """Let the loop do one turn."""
    await asyncio.sleep(0)  # noqa: TID251 (no time passes)
