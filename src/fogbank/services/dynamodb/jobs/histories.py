"""Histories of tables, trimmed as they age."""

from __future__ import annotations

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs.tables import (
    HOLD_MS,
    ITEMS_PER_STEP,
    STEPS_PER_ATTEMPT,
    TABLES_AT_ONCE,
)


@worklist(state.history.KEPT_HISTORIES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def trim_history(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove what nobody needs of a table's history; done when the table keeps it no longer."""
    store = facilities.holding(Domain(*entry.domain))
    now_ms = facilities.clock.now_ms()

    async def step(tr: Transaction) -> int | None:
        return await state.trimming.trim(tr, entry, now_ms, ITEMS_PER_STEP)

    due_ms: int | None = now_ms
    for _ in range(STEPS_PER_ATTEMPT):
        due_ms = await store.transact(step)
        if due_ms is None:
            return Verdict()
        if due_ms > now_ms:
            break
    return Verdict(retry_at_ms=due_ms, uncounted=True)
