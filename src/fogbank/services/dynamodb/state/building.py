"""Indexes on their way in and out: what lies under them is written or removed in pieces.

Theory: from the transaction on that adds an index, every write of an item keeps the item's entry;
the pieces go over the items that were there, in the order of their places, and write the entry of
each as it is then. Whichever of a write and a piece comes second finds the item as the first left
it, so the entry is right after either, and the last piece makes the index active. How far the
pieces have come is kept in the transaction of each, so that a restart goes on there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.rules import index_updates, indexes
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import (
    BUILDS,
    CREATING,
    TABLES,
    BuildRecord,
    IndexRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import encryption, entries, rows, tables

CHANGED_INDEXES: Final = "dynamodb.changed_indexes"
"""The work list of indexes that are being made or removed."""
_ID_PARTS: Final = 2


def begin(tr: Transaction, table: TableRecord, index: IndexRecord, now_ms: int) -> None:
    """Queue the making or the removal of an index of a table."""
    BUILDS.delete(tr, table.id, index.number)
    tables.queue(tr, CHANGED_INDEXES, table, now_ms, part=str(index.number))


async def _find_queued(tr: Transaction, entry: WorkEntry) -> tuple[TableRecord, IndexRecord] | None:
    """Return the index of a work entry with its table, or None if it needs nothing any more."""
    table_id, number = entry.id.split("/", _ID_PARTS - 1)
    table = await TABLES.find(tr, entry.payload.decode())
    if table is None or table.id != table_id:
        return None
    for index in index_updates.unsettled_indexes(table):
        if index.number == int(number):
            return table, index
    return None


async def go_on(tr: Transaction, entry: WorkEntry, limit: int) -> bool:
    """Write or remove the next entries of an index; return whether that was the last of them.

    Args:
        tr: The transaction.
        entry: What was queued.
        limit: Items or entries to look at.
    """
    queued = await _find_queued(tr, entry)
    if queued is None:
        return True
    table, index = queued
    step = _build if index.status == CREATING else _remove
    if not await step(tr, table, index, limit):
        return False
    BUILDS.delete(tr, table.id, index.number)
    settled = index_updates.settled_indexes(table, index)
    tables.put_table(tr, msgspec.structs.replace(table, indexes=settled))
    return True


async def _build(tr: Transaction, table: TableRecord, index: IndexRecord, limit: int) -> bool:
    """Write the entries of the next items; return whether these were the last."""
    table = encryption.served(tr, table)
    begun = await BUILDS.find(tr, table.id, index.number) or BuildRecord()
    found = await rows.list_items(tr, table, KeyRange(begun.next_place), limit=limit)
    for place, record in found:
        for of, entry in indexes.entries_of(table, place, record):
            if of.number == index.number:
                entries.put_entry(tr, table, index, place, entry)
    if len(found) < limit:
        return True
    BUILDS.put(tr, BuildRecord(next_place=found[-1][0] + b"\0"), table.id, index.number)
    return False


async def _remove(tr: Transaction, table: TableRecord, index: IndexRecord, limit: int) -> bool:
    """Remove the next entries; return whether these were the last."""
    return await entries.remove_entries(tr, table, index, limit) < limit
