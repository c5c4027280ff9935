"""Bodies of records that are written once and referred to by many.

A body of up to 16 KiB lies in whatever record has it. A larger one is a *chunk*: an immutable row
of its domain to which a base item, its index entries, stream and recovery records refer; one above
256 KiB is a blob, written before the transaction. Records hold a ``BodyRef`` and know no more. A
body that becomes a blob, or is looked for in one, needs a store that holds blobs (``held``).

A chunk is two rows: the body, and how many records refer to it, so that a further reference does
not write the body again. Whoever writes a record that refers to a body counts it (``place`` the
first, ``retain`` each further one), whoever removes such a record releases it, in the same
transaction; the last release removes the rows, or queues the blob's deletion.

Source: DESIGN section 6, point 13.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.held import Unheld, held_of
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table

INLINE_BYTES_MAX: Final = 16 << 10
CHUNK_BYTES_MAX: Final = 256 << 10
ID_BYTES: Final = 16


class BodyRef(msgspec.Struct, frozen=True, array_like=True):
    """Where a body lies, as part of the records that have it; one of the last three is set."""

    size: int
    inline: bytes = b""
    """The body itself; an empty body is here too."""
    chunk: bytes = b""
    """The id of a chunk of this domain."""
    blob: tuple[int, int] | None = None
    """The name of a blob of this domain."""


class ChunkBody(Record, frozen=True, array_like=True, tag="platform.chunk/1"):
    """The body of a chunk; never changed."""

    body: bytes


class ChunkCount(Record, frozen=True, array_like=True, tag="platform.chunk_count/1"):
    """How many records refer to a chunk."""

    references: int


BODIES: Final = Table("platform", 0x10, ChunkBody)
COUNTS: Final = Table("platform", 0x11, ChunkCount)


async def place(tr: Transaction, body: bytes, secret: bytes) -> BodyRef:
    """Write a body that is made within a transaction, with one reference more than it has.

    Args:
        tr: The transaction.
        body: The body; a small one stays in its record.
        secret: Whose bodies are told from each other by their digests: of equal ones one is kept.

    Raises:
        Unheld: It is to be a blob, which is written outside.
    """
    size = len(body)
    if size <= INLINE_BYTES_MAX:
        return BodyRef(size, inline=body)
    if size > CHUNK_BYTES_MAX:
        held = held_of(tr)
        name = None if held is None else held.refer(body)
        if name is None:
            raise Unheld(None, body)
        if await blob_rows.find(tr, name) is None:
            blob_rows.attach(tr, name, size)
        else:
            await blob_rows.retain(tr, name)
        return BodyRef(size, blob=(name.incarnation, name.number))
    chunk = blake2b(body, digest_size=ID_BYTES, key=secret).digest()
    count = await COUNTS.find(tr, chunk)
    if count is None:
        BODIES.put(tr, ChunkBody(body), chunk)
    COUNTS.put(tr, ChunkCount(1 if count is None else count.references + 1), chunk)
    return BodyRef(size, chunk=chunk)


async def _require_count(tr: Transaction, ref: BodyRef) -> int:
    """Return how many records refer to a chunk; that none does is damage."""
    count = await COUNTS.find(tr, ref.chunk)
    if count is None:
        raise Corrupt(f"the chunk {ref.chunk.hex()} has no count in {tr.domain!r}")
    assert count.references > 0, "a chunk without references is removed"
    return count.references


async def retain(tr: Transaction, ref: BodyRef) -> None:
    """Count one more record that refers to a body.

    Raises:
        Corrupt: The body is not there.
    """
    if ref.chunk:
        COUNTS.put(tr, ChunkCount(await _require_count(tr, ref) + 1), ref.chunk)
    elif ref.blob is not None:
        await blob_rows.retain(tr, BlobRef(*ref.blob))


async def release(tr: Transaction, ref: BodyRef) -> None:
    """Count one record less that refers to a body; with the last one it goes.

    Raises:
        Corrupt: The body is not there.
    """
    if ref.blob is not None:
        await blob_rows.release(tr, BlobRef(*ref.blob))
    if not ref.chunk:
        return
    references = await _require_count(tr, ref)
    if references > 1:
        COUNTS.put(tr, ChunkCount(references - 1), ref.chunk)
        return
    COUNTS.delete(tr, ref.chunk)
    BODIES.delete(tr, ref.chunk)


async def find(tr: Transaction, ref: BodyRef) -> bytes | None:
    """Return a body that lies in the store, or a blob that is held; None for another blob.

    Raises:
        Corrupt: The body is not there, or is not as long as its references say.
    """
    if ref.blob is not None:
        held = held_of(tr)
        body = None if held is None else held.body_of(BlobRef(*ref.blob))
        if body is None:
            return None
    elif not ref.chunk:
        body = ref.inline
    else:
        found = await BODIES.find(tr, ref.chunk)
        if found is None:
            raise Corrupt(f"the chunk {ref.chunk.hex()} is missing in {tr.domain!r}")
        body = found.body
    if len(body) != ref.size:
        raise Corrupt(f"a body has {len(body)} bytes; its record says {ref.size}")
    return body
