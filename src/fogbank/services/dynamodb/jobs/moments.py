"""Moments of tables that dead readers have kept, let go."""

from __future__ import annotations

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs.tables import HOLD_MS, TABLES_AT_ONCE
from fogbank.services.dynamodb.schema import TABLES


@worklist(state.moments.READ_CUTS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def release_moment(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Let a moment go that may not be read any more; mostly its reader has done so."""
    table, now_ms = TABLES.decode(entry.payload), facilities.clock.now_ms()

    async def body(tr: Transaction) -> None:
        await state.moments.release(tr, table, state.moments.reader_of(entry.id), now_ms)

    await facilities.placement.store_of(Domain(*entry.domain)).transact(body)
    return Verdict()
