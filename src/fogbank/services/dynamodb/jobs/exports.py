"""Background work of exports to S3; ``state/exporting`` has what an attempt does."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.schema.exports import EXPORTS

EXPORTS_AT_ONCE: Final = 2
HOLD_MS: Final = 24 * 3_600_000
"""An attempt lasts as long as its export: what a dead server had claimed is free at its restart, and
two attempts at once could do no harm (``exports.add_file``)."""


@worklist(state.exports.EXPORTING, concurrency_max=EXPORTS_AT_ONCE, hold_ms=HOLD_MS)
async def export_table(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Go on writing what a table held into a bucket."""
    return await state.exporting.attempt(entry, facilities)


@timer(state.transfers.FORGET_EXPORT)
async def forget_export(tr: Transaction, due: Timer, _facilities: Facilities) -> None:
    """Forget an export that was long enough told of."""
    state.transfers.forget(tr, EXPORTS, due.key)
