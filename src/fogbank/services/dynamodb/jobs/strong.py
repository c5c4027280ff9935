"""Background work of strongly consistent global tables: the tables of their other regions.

The tables of other regions hold no items, so that nothing is copied: they are made, and a copy of the
definitions is kept in each, in transactions of several domains that may be done again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from fogbank.base.errors import ServiceError
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import backups, measures, strong
from fogbank.services.dynamodb.schema import ACTIVE, DELETING, TableRecord
from fogbank.services.dynamodb.schema.backups import BackupRecord

log = logging.getLogger("fogbank.dynamodb")

TABLES_AT_ONCE: Final = 2
HOLD_MS: Final = 60_000
_DIGEST_KEY_BYTES: Final = 16


@worklist(state.tables.STRONG_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def keep_strong(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Bring the replicas of a strongly consistent table in line with the one at home."""
    if await _Keeping(entry, facilities).run():
        return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


class _Keeping:
    """What a table at home asks for of its other replicas. Every step may be done again."""

    def __init__(self, entry: WorkEntry, facilities: Facilities) -> None:
        self._entry = entry
        self._facilities = facilities
        self._domain = Domain(*entry.domain)
        self._home = facilities.placement.store_of(self._domain)
        self._now_ms = facilities.clock.now_ms()

    def _store_in(self, region: str) -> Store:
        domain = state.groups.domain_in(self._domain, region)
        return self._facilities.placement.store_of(domain)

    async def _find(self) -> TableRecord | None:
        """Return the table at home, or None if it is no replica any more."""

        async def body(tr: Transaction) -> TableRecord | None:
            table = await state.tables.find_queued_table(tr, self._entry)
            return None if table is None or table.strong is None else table

        return await self._home.read(body)

    async def run(self) -> bool:
        """Take the next steps; return whether all is as the table at home says by now."""
        table = await self._find()
        if table is None:
            return True
        assert table.strong is not None, "only such were looked for"
        others = [each.region for each in strong.others_of(table.strong)]
        if strong.is_leaving(table):
            for region in others:
                await self._drop(table, region)
            end = partial(state.strong.end, table=table, now_ms=self._now_ms)
            await self._home.transact(end)
            return await self._find() is None
        if not strong.is_settled(table):
            status = ACTIVE if await self._are_made(table, others) else DELETING
            await self._home.transact(
                partial(state.strong.put_statuses, table=table, status=status)
            )
            return False
        for region in others:
            refresh = partial(state.strong.refresh_member, home=table)
            await self._store_in(region).transact(refresh)
        return await self._find() == table

    async def _drop(self, table: TableRecord, region: str) -> None:
        """Delete the table of another replica; of one that can be restored a backup stays."""
        store, known = self._store_in(region), table.strong
        assert known is not None, "it is one of several"
        member = await store.read(lambda tr: state.strong.find_member(tr, table.name, known))
        backup: BackupRecord | None = None
        if member is not None and member.recovery_ms:
            rows = self._facilities.ids.uuid()
            backup = backups.system_backup_of(member, rows, self._now_ms)
            there = state.groups.domain_in(self._domain, region)
            reader = (state.afar.BACKUP, table.name, backup.id)
            cuts = {state.backups.cut_name(backup): None}
            origin = await state.afar.take(
                self._facilities.placement, there, member, reader, cuts, self._now_ms
            )
            backup = backups.read_afar(backup, origin.home, origin.table)
        drop = partial(state.strong.drop_member, home=table, now_ms=self._now_ms, backup=backup)
        await store.transact(drop)

    async def _are_made(self, table: TableRecord, others: list[str]) -> bool:
        """Make the tables of the other replicas; return whether all could be made.

        AWS: what cannot be made leaves no trace (ack-api-quirks, DDB-TABLE-310, of replicas).
        """
        ids, value = self._facilities.ids, self._facilities.quotas.value
        for region in others:
            made = strong.member_of(
                table,
                region,
                table_id=ids.uuid(),
                digest_key=ids.random_bytes(_DIGEST_KEY_BYTES),
                now_ms=self._now_ms,
            )
            make = partial(
                state.strong.make_member,
                made=made,
                tables_max=value(quotas.TABLES),
                measure_at_ms=self._now_ms + measures.PERIOD_MS,
            )
            try:
                await self._store_in(region).transact(make)
            except ServiceError as error:
                log.warning("no replica of %s in %s: %s", table.name, region, error)
                return False
        return True
