"""Items that were there before their table had a key of KMS: sealed in pieces while it is written.

Theory: from the transaction on that gives a table its key every write seals what it writes; the pieces
go over the items that were there, with their entries in indexes, and then over what the history has of
them. By then nothing plain comes to it any more, for all items are sealed. A piece changes no item and
tells no stream; how far they have come is kept with each, so that a restart goes on there. What the
stream was told before stays as it was until it leaves it with its age.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.errors import ResourceInUseException
from fogbank.services.dynamodb.rules import encryption as rules
from fogbank.services.dynamodb.rules import history as places
from fogbank.services.dynamodb.rules import indexes, items, sealing
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import (
    HISTORY,
    ITEMS,
    NO_VALUE,
    STREAMS,
    ItemRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.encryption import (
    SEALINGS,
    UPDATING,
    EncryptionRecord,
    SealingRecord,
)
from fogbank.services.dynamodb.state import (
    bodies,
    encryption,
    entries,
    history,
    rows,
    streams,
    tables,
)

SEALED_TABLES: Final = "dynamodb.sealed_tables"
"""The work list of tables whose older items are still to be sealed."""
_STREAMS_MAX: Final = 1_000
"""More than one name may have had within a day."""


async def change(
    tr: Transaction, table: TableRecord, read: TableRecord, sse: EncryptionRecord, now_ms: int
) -> TableRecord:
    """Return a table with what is to seal it from now on; the caller writes it.

    Args:
        tr: The transaction.
        table: The table, as this transaction read it.
        read: As it was when the key was made.
        sse: What was made then.
        now_ms: The time.

    Raises:
        ResourceInUseException: It was changed since, or moments of it are read which are not sealed.
    """
    if (table.id, table.sse) != (read.id, read.sse):
        raise ResourceInUseException("Server-Side Encryption is still being updated")
    if sse.status == UPDATING and await history.has_cuts(tr, table.id):
        raise ResourceInUseException("The resource which you are attempting to change is in use.")
    for _, stream in await STREAMS.list(tr, table.name, limit=_STREAMS_MAX):
        if stream.table_id == table.id:
            streams.put_stream(tr, msgspec.structs.replace(stream, sse=sse))
    changed = msgspec.structs.replace(table, sse=sse)
    tables.queue_retirement(tr, table, now_ms)
    if sse.kms_key:
        tables.queue(tr, tables.KEYED_TABLES, table, now_ms)
    if sse.status == UPDATING:
        SEALINGS.delete(tr, table.id)
        tables.queue(tr, SEALED_TABLES, table, now_ms)
    return changed


async def go_on(tr: Transaction, entry: WorkEntry, limit: int) -> bool:
    """Seal the next items of a table, or of its history; return whether that was all.

    Raises:
        Unavailable: The key cannot be used now.
    """
    found = await tables.find_queued_table(tr, entry)
    if found is None or found.sse is None or found.sse.status != UPDATING:
        SEALINGS.delete(tr, entry.id)
        return True
    table = encryption.served(tr, found)
    begun = await SEALINGS.find(tr, table.id) or SealingRecord()
    after = await (_seal_history if begun.in_history else _seal_items)(tr, table, begun, limit)
    if after is not None:
        SEALINGS.put(tr, after, table.id)
        return False
    SEALINGS.delete(tr, table.id)
    sse = rules.sealed_by_all(found.sse)
    tables.put_table(tr, msgspec.structs.replace(found, sse=sse))
    return True


async def _seal_items(
    tr: Transaction, table: TableRecord, begun: SealingRecord, limit: int
) -> SealingRecord | None:
    """Seal the next items with their entries; return where to go on."""
    found = await rows.list_items(tr, table, KeyRange(begun.next_key), limit=limit)
    prefix = rows.prefix_of(tr, ITEMS, table.id)
    for place, record in found:
        kept = await _sealed(tr, table, place, record)
        if kept is None:
            continue
        tr.put(prefix + place, encode(bodies.closed(kept)))
        for index, each in indexes.entries_of(table, place, kept):
            entries.put_entry(tr, table, index, place, each)
        await bodies.release(tr, record.body)
    if len(found) == limit:
        return SealingRecord(next_key=found[-1][0] + b"\0")
    return SealingRecord(in_history=True)


async def _seal_history(
    tr: Transaction, table: TableRecord, begun: SealingRecord, limit: int
) -> SealingRecord | None:
    """Seal what the next rows of the history have; return where to go on, or None at its end."""
    if not table.history_ms:
        return None
    prefix = history.history_prefix(tr, table)
    begin = prefix + begun.next_key
    found = await tr.range(begin, after_prefix(prefix), limit=limit)
    for key, raw in found:
        row = HISTORY.decode(raw)
        if row.before == NO_VALUE:
            continue
        record = await bodies.opened(tr, ITEMS.decode(bytes(row.before)))
        place = places.place_in(key[len(prefix) : -STAMP_BYTES])
        kept = await _sealed(tr, table, place, record)
        if kept is not None:
            before = msgspec.Raw(encode(bodies.closed(kept)))
            tr.put(key, encode(msgspec.structs.replace(row, before=before)))
            await bodies.release(tr, record.body)
    if len(found) < limit:
        return None
    return SealingRecord(in_history=True, next_key=found[-1][0][len(prefix) :] + b"\0")


async def _sealed(
    tr: Transaction, table: TableRecord, place: bytes, record: ItemRecord
) -> ItemRecord | None:
    """Return a record sealed with the key for new ones, its body placed; None: it is so already.

    Raises:
        Unheld: A blob is to be read or written first.
    """
    assert table.sse is not None, "there is a key to seal with"
    bodies.require_open(record)
    if sealing.is_current(table.sse, record.attributes):
        return None
    key = items.key_of_record(table, place, record)
    kept = items.kept_of(table, key, items.plain_of(table, record))
    return await bodies.placed(tr, table, kept)
