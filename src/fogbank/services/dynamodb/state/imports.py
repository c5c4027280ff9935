"""Imports: their records, the work that waits on them, and what one piece of it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Conflict
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.errors import ImportNotFoundException, LimitExceededException
from fogbank.services.dynamodb.rules.admitting import Admitted
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    TABLES,
    TableRecord,
)
from fogbank.services.dynamodb.schema.imports import IMPORTS, IN_PROGRESS, ImportRecord
from fogbank.services.dynamodb.state import encryption, rows, tables, transfers, writing
from fogbank.services.dynamodb.state.entries import Limit

IMPORTING: Final = "dynamodb.imports"
"""The work list of imports that are under way."""
_WORD: Final = "import"
"""All of a domain are counted, so that they can be bounded."""


async def begin(tr: Transaction, record: ImportRecord, imports_max: int) -> None:
    """Write a new import and queue its work, unless too many are under way."""
    counts = await worklist.counts(tr, IMPORTING, _WORD)
    if counts.of_domain >= imports_max:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {imports_max} concurrent imports"
        )
    put(tr, record)
    entry = WorkEntry(
        list=IMPORTING,
        id=record.id,
        domain=tr.domain.name,
        payload=record.table.encode(),
        created_ms=record.started_ms,
        visible_ms=record.started_ms,
        word=_WORD,
    )
    worklist.put_counted(tr, entry, counts)


def put(tr: Transaction, record: ImportRecord) -> None:
    """Write an import that was changed."""
    IMPORTS.put(tr, record, *transfers.key_of(TransferName(record.table, record.id)))


async def find(tr: Transaction, name: TransferName) -> ImportRecord | None:
    """Return an import, or None if there is none or it is not told any more."""
    return await IMPORTS.find(tr, *transfers.key_of(name))


async def require(tr: Transaction, name: TransferName) -> ImportRecord:
    """Return the import that a request names by its ARN."""
    record = await find(tr, name)
    if record is None:
        raise ImportNotFoundException(f"Import not found: {name.id}")
    return record


async def write_piece(
    tr: Transaction,
    before: ImportRecord,
    after: ImportRecord,
    admitted: Sequence[Admitted],
    *,
    clock: Clock,
    limit: Limit,
) -> None:
    """Write some items, and how far the import has come with them.

    Args:
        tr: The transaction.
        before: The import as it is thought to be.
        after: What becomes of it.
        admitted: The items, in order: of several with one key the last remains.
        clock: Says when.
        limit: The value of a quota.

    Raises:
        Conflict: Another attempt has gone on with it.
    """
    table = encryption.served(tr, await require_filling(tr, before))
    for each in admitted:
        found = await rows.find_item(tr, table, each.key)
        await writing.write_item(tr, table, each.key, found, each.record, clock=clock, limit=limit)
    put(tr, after)


async def require_filling(tr: Transaction, before: ImportRecord) -> TableRecord:
    """Return the table that an import fills.

    Raises:
        Conflict: The import is not any more as it is thought to be.
    """
    found = await find(tr, TransferName(before.table, before.id))
    table = await TABLES.find(tr, before.table)
    if found != before or table is None or table.id != before.table_id:
        raise Conflict(f"another attempt goes on with the import {before.id}")
    return table


async def end(tr: Transaction, before: ImportRecord, after: ImportRecord, timers: Timers) -> None:
    """End an import: its table can be used, or is gone if nothing was ever read for it."""
    assert after.status != IN_PROGRESS
    table = await require_filling(tr, before)
    if after.failure_code and not after.counts.processed:
        await tables.drop_table(tr, table, after.ended_ms, is_read=False)
    else:
        tables.put_table(tr, msgspec.structs.replace(table, status=ACTIVE))
    put(tr, after)
    name = TransferName(after.table, after.id)
    key = transfers.key_of(name)
    transfers.forget_later(tr, timers, transfers.FORGET_IMPORT, key, after.ended_ms)
