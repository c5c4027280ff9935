"""Background work of bulk puts; ``state/bulking`` has what an attempt does."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.schema.bulks import BULKS

BULKS_AT_ONCE: Final = 4
"""One that waits for the throughput of its table holds a place meanwhile."""
HOLD_MS: Final = 3_600_000
"""Longer than an attempt lasts (``bulking.ATTEMPT_MS``), whatever it waits for."""


@worklist(state.bulks.BULKING, concurrency_max=BULKS_AT_ONCE, hold_ms=HOLD_MS)
async def put_items(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Go on writing the items of the objects of a bucket into a table."""
    return await state.bulking.attempt(entry, facilities)


@timer(state.transfers.FORGET_BULK)
async def forget_bulk(tr: Transaction, due: Timer, _facilities: Facilities) -> None:
    """Forget a bulk put that was long enough told of."""
    state.transfers.forget(tr, BULKS, due.key)
