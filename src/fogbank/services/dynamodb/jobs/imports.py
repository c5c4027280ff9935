"""Background work of imports from S3; ``state/importing`` has what an attempt does."""

from __future__ import annotations

from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict, timer, worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.schema.imports import IMPORTS

IMPORTS_AT_ONCE: Final = 2
HOLD_MS: Final = 3_600_000
"""Longer than an attempt lasts (``importing.ATTEMPT_MS``), whatever it waits for."""


@worklist(state.imports.IMPORTING, concurrency_max=IMPORTS_AT_ONCE, hold_ms=HOLD_MS)
async def import_table(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Go on reading the objects of a bucket into a new table."""
    return await state.importing.attempt(entry, facilities)


@timer(state.transfers.FORGET_IMPORT)
async def forget_import(tr: Transaction, due: Timer, _facilities: Facilities) -> None:
    """Forget an import that was long enough told of."""
    state.transfers.forget(tr, IMPORTS, due.key)
