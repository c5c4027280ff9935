"""Backups copied and expired, and tables restored."""

from __future__ import annotations

from functools import partial
from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs.tables import HOLD_MS, STEPS_PER_ATTEMPT, TABLES_AT_ONCE
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import AVAILABLE, TABLES, TableRecord
from fogbank.services.dynamodb.schema.backups import BackupRecord, RestoreRecord

ITEMS_PER_STEP: Final = 32
"""Items that are read in one step: 30 MB at most, of which a megabyte is written."""
IN_USE_MS: Final = 60_000
"""After so long an expired backup is looked at again from which a table is being restored."""


@worklist(state.backups.MADE_BACKUPS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def copy_backup(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Copy the items of a table, as they were when the backup was asked for; done when all are."""
    store, clock = facilities.holding(Domain(*entry.domain)), facilities.clock
    begun = await store.read(lambda tr: state.backups.find_queued(tr, entry))
    if begun is not None and begun.home:
        return await _copy_from_afar(entry, facilities, begun)

    async def step(tr: Transaction) -> bool:
        return await state.backups.copy_on(tr, entry, clock.now_ms(), ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(step):
            return Verdict()
    return Verdict(retry_at_ms=clock.now_ms(), uncounted=True)


async def _copy_from_afar(entry: WorkEntry, facilities: Facilities, begun: BackupRecord) -> Verdict:
    """Copy the items of a table that lie in another region."""
    store, now_ms = facilities.holding(Domain(*entry.domain)), facilities.clock.now_ms()
    home = state.groups.domain_in(Domain(*entry.domain), begun.home)
    origin, cut = TABLES.decode(begun.origin), state.backups.cut_name(begun)
    backup: BackupRecord | None = begun
    for _ in range(STEPS_PER_ATTEMPT):
        if backup is None or backup.status == AVAILABLE:
            await state.afar.release(facilities.placement, home, origin, cut, now_ms)
            return Verdict()
        keys = KeyRange(backup.next_place)
        piece = await state.afar.read(facilities, home, origin, cut, keys, ITEMS_PER_STEP)
        keep = partial(state.backups.keep_from_afar, entry=entry, before=backup, piece=piece)
        await store.transact(keep)
        backup = await store.read(lambda tr: state.backups.find_queued(tr, entry))
    return Verdict(retry_at_ms=now_ms, uncounted=True)


@worklist(state.restores.RESTORED_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def fill_table(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Write the items of a table that is being restored; done when it has all of them."""
    store, clock = facilities.holding(Domain(*entry.domain)), facilities.clock
    begun = await store.read(lambda tr: state.restores.find_filled(tr, entry))
    if begun is not None and begun[1].home:
        return await _fill_from_afar(entry, facilities, *begun)

    async def step(tr: Transaction) -> bool:
        return await state.restores.fill_on(tr, entry, clock, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(step):
            return Verdict()
    return Verdict(retry_at_ms=clock.now_ms(), uncounted=True)


async def _fill_from_afar(
    entry: WorkEntry, facilities: Facilities, target: TableRecord, begun: RestoreRecord
) -> Verdict:
    """Write the items of a table from a moment that is kept in another region."""
    store, clock = facilities.holding(Domain(*entry.domain)), facilities.clock
    home = state.groups.domain_in(Domain(*entry.domain), begun.home)
    origin, cut = TABLES.decode(begun.origin), state.restores.cut_name(target.id)
    restore = begun
    for _ in range(STEPS_PER_ATTEMPT):
        keys = KeyRange(restore.next_place)
        piece = await state.afar.read(facilities, home, origin, cut, keys, ITEMS_PER_STEP)
        fill = partial(
            state.restores.fill_from_afar, entry=entry, before=restore, piece=piece, clock=clock
        )
        await store.transact(fill)
        left = await store.read(lambda tr: state.restores.find_filled(tr, entry))
        if left is None:
            await state.afar.release(facilities.placement, home, origin, cut, clock.now_ms())
            return Verdict()
        restore = left[1]
    return Verdict(retry_at_ms=clock.now_ms(), uncounted=True)


@worklist(state.afar.LENT_CUTS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def take_back_cut(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Let a moment go that was lent to another region, once nobody reads it there."""
    now_ms = facilities.clock.now_ms()
    if await state.afar.ask_after(facilities.placement, entry, now_ms):
        return Verdict()
    return Verdict(retry_at_ms=now_ms + state.afar.LENT_MS, uncounted=True)


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
