"""Large attributes of items: bodies that records refer to, opened when they are looked at.

Rule: whoever reads a record has its body with it if that lies in the store; one that is a blob stays
closed until its attributes are asked for. In a transaction that raises ``Unheld``, and a store that
holds blobs (``Call.store``, ``Facilities.holding``) runs the body again with it; outside,
``fetched_row`` and ``fetched_change`` read it.

Rule: every record that refers to a body is counted in the transaction that writes or removes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs.chunks import BodyRef
from fogbank.platform.blobs.held import Unheld
from fogbank.platform.blobs.port import BlobReader, BlobRef
from fogbank.platform.store.engine import StoredRows, Transaction
from fogbank.platform.store.records import Table
from fogbank.platform.store.tuples import pack
from fogbank.services.dynamodb.rules.indexes import IndexRow
from fogbank.services.dynamodb.schema import (
    BACKUP_ITEMS,
    CHANGES,
    HISTORY,
    ITEMS,
    NO_VALUE,
    ChangeRecord,
    ItemRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.bulks import BULK_LINES


async def opened(tr: Transaction, record: ItemRecord) -> ItemRecord:
    """Return a record with its attributes, unless they lie in a blob that is not held.

    Raises:
        Corrupt: The body is not there.
    """
    if record.body is None or is_open(record):
        return record
    body = await chunks.find(tr, record.body)
    return record if body is None else _with(record, body)


def _with(record: ItemRecord, body: bytes) -> ItemRecord:
    """Return a record with its body."""
    return msgspec.structs.replace(record, attributes=msgspec.Raw(body))


def require_open(record: ItemRecord | None) -> None:
    """Have a transaction run again with the blob of a record, if it has one.

    Raises:
        Unheld: It is not held yet.
    """
    if record is None or record.body is None or is_open(record):
        return
    assert record.body.blob is not None, "other bodies are read with their records"
    raise Unheld(BlobRef(*record.body.blob))


async def placed(tr: Transaction, table: TableRecord, record: ItemRecord) -> ItemRecord:
    """Count one reference more to the body of a record that is written; give it a place first.

    Raises:
        Unheld: It is to be a blob, which is written outside.
    """
    ref = record.body
    if ref is None:
        return record
    if ref.chunk or ref.blob is not None:
        await chunks.retain(tr, ref)
        return record
    ref = await chunks.place(tr, bytes(record.attributes), table.digest_key)
    return msgspec.structs.replace(record, body=ref)


def closed(record: ItemRecord) -> ItemRecord:
    """Return a record as it is stored: without the attributes that lie elsewhere."""
    if record.body is None:
        return record
    return msgspec.structs.replace(record, attributes=NO_VALUE)


def _of_item(raw: bytes) -> tuple[BodyRef | None, ...]:
    return (ITEMS.decode(raw).body,)


def _of_change(raw: bytes) -> tuple[BodyRef | None, ...]:
    change = CHANGES.decode(raw)
    return (change.old_body, change.new_body)


def _of_history(raw: bytes) -> tuple[BodyRef | None, ...]:
    before = HISTORY.decode(raw).before
    return () if before == NO_VALUE else _of_item(bytes(before))


def _of_line(raw: bytes) -> tuple[BodyRef | None, ...]:
    line = BULK_LINES.decode(raw)
    stored = (line.attempted, line.existing)
    return tuple(ITEMS.decode(bytes(each)).body for each in stored if each != NO_VALUE)


REFERRING: Final[dict[Table[Any], Callable[[bytes], tuple[BodyRef | None, ...]]]] = {
    ITEMS: _of_item,
    CHANGES: _of_change,
    HISTORY: _of_history,
    BACKUP_ITEMS: _of_item,
    BULK_LINES: _of_line,
}
"""Every kind of rows that refers to bodies, and to what a row of it refers."""


async def release_of(tr: Transaction, kind: Table[Any], raw: bytes) -> None:
    """Count references less: those of a row of some kind that is removed."""
    if kind in REFERRING:
        await release(tr, *REFERRING[kind](raw))


async def release(tr: Transaction, *refs: BodyRef | None) -> None:
    """Count references less: of records that are removed."""
    for ref in refs:
        if ref is not None:
            await chunks.release(tr, ref)


async def retain(tr: Transaction, *refs: BodyRef | None) -> None:
    """Count references more: of records that are written beside an item's own."""
    for ref in refs:
        if ref is not None:
            await chunks.retain(tr, ref)


async def opened_change(tr: Transaction, change: ChangeRecord) -> ChangeRecord:
    """Return a change with its images, unless they lie in blobs.

    Raises:
        Corrupt: A body is not there.
    """
    for name, ref in (("old", change.old_body), ("new", change.new_body)):
        body = None if ref is None else await chunks.find(tr, ref)
        if body is not None:
            change = msgspec.structs.replace(change, **{name: msgspec.Raw(body)})
    return change


# Outside of transactions: pages, which hold one blob at a time.


def is_open(row: ItemRecord | IndexRow) -> bool:
    """Return whether what was read of an item has its attributes with it."""
    record = row.base if isinstance(row, IndexRow) else row
    return record is None or record.body is None or record.attributes != NO_VALUE


async def fetched_row(blobs: BlobReader, row: ItemRecord | IndexRow) -> ItemRecord | IndexRow:
    """Return what was read of an item, which is not open, with its attributes.

    Raises:
        Corrupt: A blob is not there: the item was replaced meanwhile, or is damaged.
    """
    record = row.base if isinstance(row, IndexRow) else row
    assert record is not None, "what is not open is there"
    assert record.body is not None, "what is not open lies elsewhere"
    whole = _with(record, await _blob_of(blobs, record.body))
    return row._replace(base=whole) if isinstance(row, IndexRow) else whole


async def fetched_item(blobs: BlobReader, record: ItemRecord) -> ItemRecord:
    """Return a record that is not open, with its attributes; see ``fetched_row``."""
    found = await fetched_row(blobs, record)
    assert isinstance(found, ItemRecord), "it is what it was"
    return found


async def fetched_change(blobs: BlobReader, change: ChangeRecord) -> ChangeRecord:
    """Return a change with its images, wherever they lie.

    Raises:
        Corrupt: A blob is not there: the change was removed meanwhile, or is damaged.
    """
    for name, ref, raw in (
        ("old", change.old_body, change.old),
        ("new", change.new_body, change.new),
    ):
        if ref is not None and raw == NO_VALUE:
            body = msgspec.Raw(await _blob_of(blobs, ref))
            change = msgspec.structs.replace(change, **{name: body})
    return change


async def _blob_of(blobs: BlobReader, ref: BodyRef) -> bytes:
    """Return a body that is a blob."""
    assert ref.blob is not None, "other bodies are read with their records"
    return b"".join([part async for part in blobs.read(BlobRef(*ref.blob))])


def stored_record(stored: StoredRows, domain: bytes, record: ItemRecord) -> ItemRecord:
    """Return a record with its attributes, of a store at rest.

    Raises:
        Corrupt: The body is not there.
    """
    ref = record.body
    if ref is None:
        return record
    if ref.blob is not None:
        return _with(record, stored.blob(*ref.blob))
    raw = stored.get(domain + chunks.BODIES.subspace + pack(ref.chunk))
    if raw is None:
        raise Corrupt(f"the chunk {ref.chunk.hex()} is missing")
    return _with(record, chunks.BODIES.decode(raw).body)
