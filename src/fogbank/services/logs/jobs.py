"""Background work: removing what was deleted and what is past its retention.

What readers may not see is hidden at once; here it is removed, a few rows at a time, so that a large
group holds up nobody. An attempt that a crash cuts short is made again and goes on where it was.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.logs import state
from fogbank.services.logs.schema import decode_dropped

STEPS_PER_ATTEMPT: Final = 500
HOLD_MS: Final = 60_000
AT_ONCE: Final = 2


@worklist(state.DROPPED, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def remove_dropped(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove what lay under a deleted group or stream; done when nothing is left."""
    store = facilities.placement.store_of(Domain(*entry.domain))
    dropped = decode_dropped(entry.payload)

    async def body(tr: Transaction) -> bool:
        return await state.remove_dropped(tr, dropped)

    for _ in range(STEPS_PER_ATTEMPT):
        if not await store.transact(body):
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@timer(state.EXPIRE)
async def expire(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Remove some events of a group that are past its retention, and set the next timer."""
    following = await state.expire(tr, due, facilities.clock.now_ms())
    if following is not None:
        facilities.timers.put(tr, following)


JOBS: Final = (remove_dropped, expire)
