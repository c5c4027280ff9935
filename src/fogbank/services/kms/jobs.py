"""Background work: keys that are due to be deleted, and keys that are due for new material.

Timers are durable and run in the transaction that removes them: what a crash cut short is done
after the restart, and once. New material is drawn outside, by an attempt that may be made again: it
changes a key only if that is still due.
"""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.kms.rules import materials
from fogbank.services.kms.rules.specs import SYMMETRIC
from fogbank.services.kms.state import keys

HOLD_MS: Final = 60_000
AT_ONCE: Final = 2


@timer(keys.DELETE)
async def delete(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Delete a key whose window is over, its material first."""
    following = await keys.delete_due(tr, due, facilities.clock.now_ms())
    if following is not None:
        facilities.timers.put(tr, following)


@timer(keys.ROTATE)
async def queue_rotation(tr: Transaction, due: Timer, facilities: Facilities) -> None:
    """Queue the change of a key's material."""
    await keys.queue_rotation(tr, due, facilities.clock.now_ms())


@worklist(keys.ROTATIONS, concurrency_max=AT_ONCE, hold_ms=HOLD_MS)
async def rotate(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Give a key new material, and set the timer for the next."""
    now_ms = facilities.clock.now_ms()
    material = materials.fresh(SYMMETRIC, facilities.ids.random_bytes, now_ms, materials.AUTOMATIC)

    async def body(tr: Transaction) -> None:
        following = await keys.rotate_due(tr, entry, material, now_ms)
        if following is not None:
            facilities.timers.put(tr, following)

    await facilities.placement.store_of(Domain(*entry.domain)).transact(body)
    return Verdict()


JOBS: Final = (delete, queue_rotation, rotate)
