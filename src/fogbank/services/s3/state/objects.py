"""Objects: the current version of each key, its body, and walks over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple, cast

import msgspec

from fogbank.base.errors import Unavailable
from fogbank.platform.blobs.port import BlobReader, BlobRef
from fogbank.platform.crypto.keys import SEALED_WITH_BYTES
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.rules.encryption import DSSE
from fogbank.services.s3.rules.listings import Row, Walk
from fogbank.services.s3.schema import (
    BODIES,
    BUCKET,
    MANIFEST_PARTS,
    OBJECTS,
    BodyRecord,
    BucketRecord,
    ManifestPart,
    ManifestPartsRecord,
    ManifestRecord,
    ObjectRecord,
)
from fogbank.services.s3.state import bodies, references, versions

ROWS_PER_READ: Final = 128
"""Rows that one transaction of a listing decodes: about a millisecond."""
SEEKS_PER_READ: Final = 8
_SEEK_ROWS: Final = 16


class Opened(NamedTuple):
    """An object and what is needed to read its bytes, as of one transaction."""

    bucket: BucketRecord
    key: str
    record: ObjectRecord
    content: bytes | None
    manifest: ManifestRecord | None
    lock: bytes | None = None
    """Its key in the clear, where it has one and that was asked for."""

    @property
    def is_layered(self) -> bool:
        """Return whether its blobs have a second layer, which only this process takes off."""
        return self.record.encryption == DSSE

    def __repr__(self) -> str:
        """Return nothing of the bytes and their key."""
        return f"Opened({self.bucket.name}/{self.key})"


async def find_object(tr: Transaction, bucket: BucketRecord, key: str) -> ObjectRecord | None:
    """Return the current version of an object, or None."""
    return await OBJECTS.find(tr, bucket.bucket_id, key)


async def open_object(
    tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord
) -> Opened:
    """Return an object with its small body or the index of its parts."""
    content = manifest = None
    if record.inline:
        body = await BODIES.find(tr, bucket.bucket_id, key, record.order)
        assert body is not None, "an inline object has its body"
        assert len(body.content) == _inline_bytes(record)
        content = body.content
    elif record.manifest:
        manifest = await references.require_manifest(tr, bucket, record)
    return Opened(bucket, key, record, content, manifest)


def _inline_bytes(record: ObjectRecord) -> int:
    """Return the length of a small body as it lies in its row."""
    return record.size + (0 if record.object_key is None else SEALED_WITH_BYTES)


def pieces_of(
    store: Store, blobs: BlobReader, opened: Opened, begin: int, end: int
) -> AsyncIterator[bytes]:
    """Yield the bytes of a half-open range of an object."""
    if opened.content is not None:
        return _once(opened.content[begin:end])
    if opened.record.blob is not None:
        return _blob_pieces(blobs, opened, opened.record.blob, begin, end)
    if opened.manifest is None:
        return _once(b"")
    return _manifest_pieces(store, blobs, opened, begin, end)


def _blob_pieces(
    blobs: BlobReader, opened: Opened, ref: BlobRef, begin: int, end: int
) -> AsyncIterator[bytes]:
    """Yield a range of a blob of an object."""
    if not opened.is_layered:
        return blobs.read(ref, begin, end, lock=opened.lock)
    assert opened.lock is not None, "an object is unlocked before it is read"
    return bodies.layered(blobs.read(ref, begin, end), opened.lock, ref, begin)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    """Yield bytes that are there already."""
    if content:
        yield content


async def _manifest_pieces(
    store: Store, blobs: BlobReader, opened: Opened, begin: int, end: int
) -> AsyncIterator[bytes]:
    """Yield a range of a multipart object, reading its index chunk by chunk."""
    assert opened.manifest is not None
    offset = 0
    for index, chunk in enumerate(opened.manifest.chunks):
        if chunk.bytes_end <= begin:
            offset = chunk.bytes_end
            continue
        if offset >= end:
            return
        for part in await manifest_chunk(store, opened, index):
            first, last = max(begin - offset, 0), min(end - offset, part.size)
            if part.blob is not None and first < last:
                async for piece in _blob_pieces(blobs, opened, part.blob, first, last):
                    yield piece
            offset += part.size


async def manifest_chunk(store: Store, opened: Opened, index: int) -> tuple[ManifestPart, ...]:
    """Return the parts of one chunk of an object's manifest.

    Raises:
        Unavailable: The object was removed so long ago that its parts are gone.
    """
    bucket_id, upload_id = opened.bucket.bucket_id, opened.record.manifest

    async def body(tr: Transaction) -> ManifestPartsRecord | None:
        return await MANIFEST_PARTS.find(tr, bucket_id, upload_id, index)

    found = await store.read(body)
    if found is None:
        raise Unavailable("the object was removed while it was being read")
    return found.parts


async def put_object(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    record: ObjectRecord,
    content: bytes | None,
    *,
    replaces: ObjectRecord | None,
) -> None:
    """Make a record the current version of a key, in place of what was there.

    With versioning what was there becomes a version that is not current; a ``null`` version takes
    the place of the one before it. The references of the new body (``attach``, ``share``) are the
    caller's.
    """
    assert record.inline == (content is not None)
    if bucket.versioning:
        await versions.make_way(tr, bucket, key, record, replaces)
    elif replaces is not None:
        await references.release(tr, bucket, replaces, record.modified_ms)
        if replaces.inline and not record.inline:
            BODIES.delete(tr, bucket.bucket_id, key, replaces.order)
    if record.owner and not bucket.foreign:
        BUCKET.put(tr, msgspec.structs.replace(bucket, foreign=True))
    if content is not None:
        put_content(tr, bucket, key, record, content)
    OBJECTS.put(tr, record, bucket.bucket_id, key)


def put_content(
    tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord, content: bytes
) -> None:
    """Write the small body of an object."""
    assert len(content) == _inline_bytes(record)
    BODIES.put(tr, BodyRecord(content), bucket.bucket_id, key, record.order)


async def remove_object(
    tr: Transaction, bucket: BucketRecord, key: str, record: ObjectRecord, now_ms: int
) -> None:
    """Remove the object of a bucket without versions and let go of its body."""
    assert not bucket.versioning
    await references.drop(tr, bucket, key, record, now_ms)
    OBJECTS.delete(tr, bucket.bucket_id, key)


async def walk_objects(store: Store, bucket: BucketRecord, walk: Walk) -> Walk:
    """Take a walk over the objects of a bucket to its end, in short reads."""

    def base(tr: Transaction) -> bytes:
        return OBJECTS.prefix(tr.domain, bucket.bucket_id)

    return await walk_rows(store, walk, base)


async def walk_rows(store: Store, walk: Walk, base: Callable[[Transaction], bytes]) -> Walk:
    """Take a walk over the rows (key[, upload id]) under a prefix, in short reads."""

    async def body(tr: Transaction, sofar: Walk) -> Walk:
        return await _walk_some(tr, base(tr), sofar.clone())

    while not walk.done:
        sofar = walk
        walk = await store.read(lambda tr, sofar=sofar: body(tr, sofar))
    return walk


async def _walk_some(tr: Transaction, base: bytes, walk: Walk) -> Walk:
    """Go on with a walk for about a millisecond."""
    end = tuples.after_prefix(base + tuples.text_prefix(walk.prefix) if walk.prefix else base)
    left = ROWS_PER_READ
    for _ in range(SEEKS_PER_READ):
        # Past a common prefix the next row may be in the next one: look at few at a time.
        limit = min(left, _SEEK_ROWS if walk.place.past else ROWS_PER_READ)
        found = await tr.range(_begin(base, walk), end, limit=limit)
        walk.feed(_rows(found, len(base)), last=len(found) < limit)
        left -= len(found)
        if walk.done or left <= 0:
            break
    return walk


def _begin(base: bytes, walk: Walk) -> bytes:
    """Return the first key that a walk has not seen."""
    first = base + tuples.text_prefix(walk.prefix) if walk.prefix else base
    place = walk.place
    if not place.after:
        return first
    if place.past:
        return max(first, tuples.after_prefix(base + tuples.text_prefix(place.after[0])))
    return max(first, tuples.after_prefix(base + tuples.pack(*place.after)))


def _rows(found: list[tuple[bytes, bytes]], skip: int) -> list[Row]:
    """Return stored rows as a listing takes them: their keys are names, or names and upload ids."""
    unpack = tuples.unpack
    names = [cast("tuple[str, ...]", unpack(key[skip:])) for key, _ in found]
    return [
        Row(name[0], name[1] if len(name) > 1 else "", value)
        for name, (_, value) in zip(names, found, strict=True)
    ]
