"""Blob rows: which blobs are referenced, how often, and which must be removed.

A blob has a row (size, checksums, references) in the one domain that refers to it, written in the
transaction that writes the reference. Beside it, the system subspace ``BLOB_WATERMARKS`` has an
entry by the blob's name for as long as its file should be there: sweep and check look there, since
a file does not know its domain. When the last reference goes, the row is removed and the removal of
the file is queued in the same transaction; the entry stays until the file is gone.

Rule: bytes first, reference second; reference away first, bytes second. A crash between leaves a
file too many, never a reference to nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import (
    DIRECTORY,
    STAMP_BYTES,
    Stamp,
    Store,
    Transaction,
)
from fogbank.platform.store.keyspace import (
    BLOB_DELETIONS,
    BLOB_WATERMARKS,
    PARTITIONS,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import Record, RecordDecoder, Table, encode

_ROWS_TABLE: Final = 0x01
_FILES: Final = 1
"""The first element of the entries of live files in their subspace."""
_DELETES_AT_ONCE_MAX: Final = 32


class BlobRow(Record, frozen=True, array_like=True, tag="platform.blob/1"):
    """What a domain knows of one of its blobs."""

    size: int
    references: int
    checksums: dict[str, str] = msgspec.field(default_factory=dict)
    """By algorithm, as the service that wrote the blob spells them."""


class BlobFile(Record, frozen=True, array_like=True, tag="platform.blob_file/1"):
    """That the file of a blob should be there."""

    size: int
    domain: bytes
    """The prefix of the domain that has the blob's row."""


class BlobDeletion(Record, frozen=True, array_like=True, tag="platform.blob_deletion/1"):
    """That the file of a blob must go."""

    incarnation: int
    number: int


ROWS: Final = Table("platform", _ROWS_TABLE, BlobRow)
decode_file: Final = RecordDecoder(BlobFile).decode
decode_deletion: Final = RecordDecoder(BlobDeletion).decode


def file_key(partition: int, ref: BlobRef) -> bytes:
    """Return the key of the entry that a blob's file should be there."""
    prefix = system_prefix(BLOB_WATERMARKS, partition)
    return prefix + tuples.pack(_FILES, ref.incarnation, ref.number)


def files_prefix(partition: int) -> bytes:
    """Return the prefix of the entries of one partition."""
    return system_prefix(BLOB_WATERMARKS, partition) + tuples.pack(_FILES)


def ref_of_file_key(key: bytes) -> BlobRef:
    """Return the blob whose entry lies at the key."""
    _files, incarnation, number = tuples.unpack(key[len(system_prefix(BLOB_WATERMARKS, 0)) :])
    if not isinstance(incarnation, int) or not isinstance(number, int):
        raise Corrupt(f"{key!r} names no blob")
    return BlobRef(incarnation, number)


def attach(
    tr: Transaction, ref: BlobRef, size: int, checksums: dict[str, str] | None = None
) -> None:
    """Give a blob that was just written its row, with one reference."""
    assert size >= 0
    row = BlobRow(size, 1, checksums or {})
    ROWS.put(tr, row, ref.incarnation, ref.number)
    expect_file(tr, ref, row)


def expect_file(tr: Transaction, ref: BlobRef, row: BlobRow) -> None:
    """Note that the file of a blob should be there, in the transaction that writes its row."""
    entry = BlobFile(row.size, tr.domain.prefix)
    tr.put(file_key(partition_of(tr.domain), ref), encode(entry))


def queue_deletion(tr: Transaction, ref: BlobRef) -> None:
    """Have the file of a blob removed, in the transaction that removes its row."""
    deletion = BlobDeletion(ref.incarnation, ref.number)
    tr.append(system_prefix(BLOB_DELETIONS, partition_of(tr.domain)), encode(deletion))


def ref_of_row_key(key: bytes) -> BlobRef:
    """Return the blob whose row lies at a key of a domain.

    Raises:
        Corrupt: It is no key of a row.
    """
    incarnation, number = tuples.unpack(key[len(DIRECTORY.prefix) + len(ROWS.subspace) :])
    if not isinstance(incarnation, int) or not isinstance(number, int):
        raise Corrupt(f"{key!r} names no blob")
    return BlobRef(incarnation, number)


async def find(tr: Transaction, ref: BlobRef) -> BlobRow | None:
    """Return the row of a blob of this domain, or None if nothing refers to it."""
    return await ROWS.find(tr, ref.incarnation, ref.number)


async def _require(tr: Transaction, ref: BlobRef) -> BlobRow:
    """Return the row of a blob; that it is missing is damage, not a client's mistake."""
    row = await find(tr, ref)
    if row is None:
        raise Corrupt(f"the blob {ref.incarnation}-{ref.number} has no row in {tr.domain!r}")
    assert row.references > 0, "a row without references is removed"
    return row


async def retain(tr: Transaction, ref: BlobRef) -> BlobRow:
    """Count one more reference, as a copy inside the domain does; return the row.

    Raises:
        Corrupt: The blob has no row in this domain.
    """
    row = await _require(tr, ref)
    row = BlobRow(row.size, row.references + 1, row.checksums)
    ROWS.put(tr, row, ref.incarnation, ref.number)
    return row


async def release(tr: Transaction, ref: BlobRef) -> None:
    """Count one reference less; with the last one the row goes and the file's removal is queued.

    Raises:
        Corrupt: The blob has no row in this domain.
    """
    row = await _require(tr, ref)
    if row.references > 1:
        row = BlobRow(row.size, row.references - 1, row.checksums)
        ROWS.put(tr, row, ref.incarnation, ref.number)
        return
    ROWS.delete(tr, ref.incarnation, ref.number)
    queue_deletion(tr, ref)


async def drain_deletions(
    store: Store, blobs: Blobs, limit: int, *, before: Stamp | None = None
) -> int:
    """Remove the files of up to ``limit`` queued deletions and return how many.

    Args:
        store: The system subspaces of the store whose domains the blobs belong to.
        blobs: Where the files lie.
        limit: The most to remove in this step.
        before: Only deletions committed before this stamp: the oldest live cut of the store, or a
            while ago, so that readers that saw the reference have opened the file.
    """
    done = 0
    for partition in range(PARTITIONS):
        if done >= limit:
            break
        done += await _drain_partition(store, blobs, partition, limit - done, before)
    return done


async def _drain_partition(
    store: Store, blobs: Blobs, partition: int, limit: int, before: Stamp | None
) -> int:
    """Remove the files of one partition's queued deletions, oldest first."""
    prefix = system_prefix(BLOB_DELETIONS, partition)
    done = 0
    while done < limit:
        page = await store.tail(prefix, None, min(_DELETES_AT_ONCE_MAX, limit - done))
        due = [(stamp, raw) for stamp, raw in page if before is None or stamp < before]
        if not due:
            break
        refs = [BlobRef(entry.incarnation, entry.number) for entry in _deletions(due)]
        # Together, so that the syncs of a folder are shared.
        async with asyncio.TaskGroup() as group:
            for ref in refs:
                group.create_task(blobs.delete(ref))
        await _forget(store, partition, [stamp for stamp, _raw in due], refs)
        done += len(due)
    return done


def _deletions(page: list[tuple[Stamp, bytes]]) -> list[BlobDeletion]:
    """Return the decoded entries of a page."""
    return [decode_deletion(raw) for _stamp, raw in page]


async def _forget(store: Store, partition: int, stamps: list[Stamp], refs: list[BlobRef]) -> None:
    """Remove queue entries and the entries of their files, which are gone."""
    prefix = system_prefix(BLOB_DELETIONS, partition)

    async def body(tr: Transaction) -> None:
        for stamp, ref in zip(stamps, refs, strict=True):
            tr.delete(prefix + stamp.pack())
            tr.delete(file_key(partition, ref))

    await store.transact(body)


def deletion_key_is(key: bytes) -> bool:
    """Return whether a key of the store is that of a queued deletion."""
    prefix = system_prefix(BLOB_DELETIONS, 0)
    return len(key) == len(prefix) + STAMP_BYTES and key[:2] == prefix[:2]


def file_key_is(key: bytes) -> bool:
    """Return whether a key of the store is that of a live file."""
    prefix = files_prefix(0)
    return key[:2] == prefix[:2] and key[3 : len(prefix)] == prefix[3:]
