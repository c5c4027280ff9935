"""Backups copied and expired, and tables restored."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs.tables import HOLD_MS, STEPS_PER_ATTEMPT, TABLES_AT_ONCE

ITEMS_PER_STEP: Final = 32
"""Items that are read in one step: 30 MB at most, of which a megabyte is written."""
IN_USE_MS: Final = 60_000
"""After so long an expired backup is looked at again from which a table is being restored."""


@worklist(state.backups.MADE_BACKUPS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def copy_backup(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Copy the items of a table, as they were when the backup was asked for; done when all are."""
    store, clock = facilities.holding(Domain(*entry.domain)), facilities.clock

    async def step(tr: Transaction) -> bool:
        return await state.backups.copy_on(tr, entry, clock.now_ms(), ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(step):
            return Verdict()
    return Verdict(retry_at_ms=clock.now_ms(), uncounted=True)


@worklist(state.restores.RESTORED_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def fill_table(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Write the items of a table that is being restored; done when it has all of them."""
    store, clock = facilities.holding(Domain(*entry.domain)), facilities.clock

    async def step(tr: Transaction) -> bool:
        return await state.restores.fill_on(tr, entry, clock, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(step):
            return Verdict()
    return Verdict(retry_at_ms=clock.now_ms(), uncounted=True)


@worklist(state.backups.EXPIRING_BACKUPS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def expire_backup(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove a backup whose time has come, once nobody works on it."""
    store = facilities.holding(Domain(*entry.domain))
    now_ms = facilities.clock.now_ms()

    async def body(tr: Transaction) -> bool:
        return await state.backups.expire(tr, entry, now_ms)

    if await store.transact(body):
        return Verdict()
    return Verdict(retry_at_ms=now_ms + IN_USE_MS, uncounted=True)
