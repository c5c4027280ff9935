"""Appends: an object that grows, by a part that is put behind it.

Rule: nobody sees a piece of an append, and none goes over bytes that it did not see: the transaction
that makes it visible compares the whole record of the object with the one that was looked at.

Theory: bytes that lie are never copied to be longer. A body in a blob becomes the first part of a
manifest, as an upload in parts leaves one, and each append is one part more; their rows have numbers
above those of uploaded parts, so that a sweep of parts which an upload left out meets none of them.
Small bodies are the exception: as long as both lie in records they become one. An object that shares
its parts with a copy has its bytes written anew, once. Checksums that do not add up (digests, and
those of parts) give way to CRC-64/NVME, for which the bytes are read once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import Conflict
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.errors import TooManyParts
from fogbank.services.s3.events import Happening
from fogbank.services.s3.quotas import PARTS_MAX
from fogbank.services.s3.rules import appending, conditions, encryption
from fogbank.services.s3.rules.checksums import DEFAULT, Expected, expected_of
from fogbank.services.s3.rules.encryption import Asked
from fogbank.services.s3.rules.multipart import CHUNK_PARTS
from fogbank.services.s3.rules.notifications import CREATED_PUT
from fogbank.services.s3.schema import (
    MANIFEST_PARTS,
    MANIFESTS,
    OBJECTS,
    PARTS,
    BucketRecord,
    Checksum,
    ManifestChunk,
    ManifestPart,
    ManifestPartsRecord,
    ManifestRecord,
    ObjectRecord,
    PartRecord,
)
from fogbank.services.s3.state import (
    bodies,
    buckets,
    locks,
    notifications,
    objects,
    references,
    versions,
)
from fogbank.services.s3.state.bodies import Body
from fogbank.services.s3.state.locks import Lock
from fogbank.services.s3.state.objects import Opened

_MANIFEST_ID_CHARACTERS: Final = 52


class _Grown(NamedTuple):
    """What an append makes of an object, before it is visible."""

    etag: str
    checksum: Checksum
    base: Checksum
    """Of what there was, by the same algorithm."""
    whole: Body | None = None
    """All of it in one body, which takes the place of the one there was."""
    first: Body | None = None
    """What there was, written anew to be a part; None: it stays where it lies."""
    rest: Body | None = None
    """What is new, as a part."""


class _Place(NamedTuple):
    """Where an append becomes visible, and when."""

    key: str
    manifest_id: str
    """Of the manifest that an object gets which has none to extend."""
    now_ms: int


async def find_appendable(call: Call, request: Request) -> Opened | None:
    """Return the object that a request appends to; None: there is none, and it begins one.

    Raises:
        NotBuilt: The bucket has versions.
        InvalidWriteOffset: The object ends elsewhere.
        PreconditionFailed: A condition of the request does not hold.
    """

    async def body(tr: Transaction) -> Opened | None:
        bucket = await buckets.require_bucket(tr, call, request)
        record = await objects.find_object(tr, bucket, request["Key"])
        conditions.check_write(request, record)
        appending.check_append(request, bucket, record)
        if record is None:
            return None
        return await objects.open_object(tr, bucket, request["Key"], record)

    return await call.store.read(body)


async def append(
    call: Call, request: Request, asked: Asked, found: Opened
) -> tuple[BucketRecord, ObjectRecord]:
    """Put the body of a request behind an object; return its bucket and its record.

    Raises:
        EncryptionTypeMismatch: The request asks for another encryption than the object has.
        InvalidWriteOffset: The object has grown meanwhile.
        TooManyParts: It has as many parts as there may be.
        Conflict: It was replaced or copied meanwhile.
    """
    record = found.record
    appending.check_encryption(asked, record)
    opened = await locks.unlock(call, found, encryption.customer_key_of(request))
    lock = Lock(record.encryption, record.object_key, opened.lock)
    base = record.checksum
    if base is None or not appending.is_linear(base):
        _, base = await bodies.digest(_pieces(call, opened), Expected(DEFAULT))
    expected = expected_of(request, call.http.headers, base.algorithm)
    source = request.get("Body") or b""
    taken = [await bodies.take(call.blobs, source, expected, lock.keeping())]
    try:
        grown = await _grow(call, request, opened, lock, (base, taken))
        return await _commit(call, request, found, grown)
    except bodies.REFUSALS:
        for body in taken:
            await bodies.discard(call.blobs, body)
        raise


def _pieces(call: Call, opened: Opened) -> AsyncIterator[bytes]:
    """Yield all bytes of an object."""
    return objects.pieces_of(call.store, call.blobs, opened, 0, opened.record.size)


async def _grow(
    call: Call, request: Request, opened: Opened, lock: Lock, made: tuple[Checksum, list[Body]]
) -> _Grown:
    """Return what an object becomes, with all bytes durable where they will lie.

    Args:
        call: Whose append it is.
        request: Its request.
        opened: The object, unlocked.
        lock: How it is encrypted.
        made: Its checksum, and the bodies taken so far, to which those that are written are added:
            the first is what is put behind it.
    """
    base, taken = made
    record, rest = opened.record, taken[0]
    parts = _extended_parts(opened)
    appending.check_size(record, rest.size, parts)
    expected, keeping = Expected(base.algorithm), lock.keeping(inline=False)
    small = opened.content is not None and rest.inline is not None
    if small or not record.size:
        whole = rest
        if small:
            joined = (opened.content or b"") + (rest.inline or b"")
            whole = await bodies.take(call.blobs, joined, expected, lock.keeping())
            taken.append(whole)
        whole = locks.locked(call, request, lock, whole)
        return _Grown(whole.etag, whole.checksum, base, whole=whole)
    first: Body | None = None
    if opened.content is not None:
        first = await bodies.take(call.blobs, opened.content, expected, keeping)
    elif opened.manifest is not None and not parts:
        first = await bodies.take_copy(call.blobs, _pieces(call, opened), expected, keeping)
    if first is not None:
        taken.append(first)
    if rest.inline is not None:
        rest = await bodies.take(call.blobs, rest.inline, expected, keeping)
        taken.append(rest)
    checksum = appending.checksum_of((base, record.size), (rest.checksum, rest.size))
    masked = encryption.masked_etag(rest.etag, lock.key)
    etag = appending.etag_of(record.etag, masked, (parts or 1) + 1)
    return _Grown(etag, checksum, base, first=first, rest=rest)


def _extended_parts(opened: Opened) -> int:
    """Return how many parts an object has that another can be put behind; 0: it has none such.

    Those of a copy are not its own, and those of other checksums would not go with the object's.
    """
    record, manifest = opened.record, opened.manifest
    if manifest is None or manifest.references > 1 or not record.parts_count:
        return 0
    return manifest.chunks[-1].parts_end if appending.is_linear(record.checksum) else 0


async def _commit(
    call: Call, request: Request, found: Opened, grown: _Grown
) -> tuple[BucketRecord, ObjectRecord]:
    """Make an append visible, if its object is what it was."""
    key, now_ms = request["Key"], call.clock.now_ms()
    fresh = f"{now_ms:012x}{call.ids.base62(_MANIFEST_ID_CHARACTERS)}"
    place = _Place(key, fresh, now_ms)

    async def commit(tr: Transaction) -> tuple[BucketRecord, ObjectRecord]:
        bucket = await buckets.require_bucket(tr, call, request)
        current = await objects.find_object(tr, bucket, key)
        conditions.check_write(request, current)
        appending.check_append(request, bucket, current)
        if current is None or current != found.record:
            raise Conflict("the object was replaced while it was appended to")
        next_one = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
        record = msgspec.structs.replace(
            current,
            etag=grown.etag,
            modified_ms=now_ms,
            sequencer=next_one.sequencer,
            checksum=grown.checksum,
        )
        if grown.whole is not None:
            record = await _replace(tr, bucket, key, (current, record), grown.whole)
        else:
            record = await _extend(tr, bucket, place, (current, record), grown)
        happening = Happening(CREATED_PUT, key, record.sequencer, record.size, record.etag)
        await notifications.tell(tr, call, bucket, now_ms, happening)
        return bucket, record

    return await call.store.transact(commit)


async def _replace(
    tr: Transaction,
    bucket: BucketRecord,
    key: str,
    change: tuple[ObjectRecord, ObjectRecord],
    whole: Body,
) -> ObjectRecord:
    """Put an object with one body in the place of a smaller one; return its record.

    Args:
        tr: The transaction.
        bucket: Where the object is.
        key: Its key.
        change: Its record, and what that becomes but for the body.
        whole: The body.
    """
    current, record = change
    made = msgspec.structs.replace(
        record,
        size=whole.size,
        inline=whole.inline is not None,
        blob=whole.blob,
        manifest="",
        parts_count=0,
    )
    references.attach(tr, whole)
    await objects.put_object(tr, bucket, key, made, whole.inline, replaces=current)
    return made


async def _extend(
    tr: Transaction,
    bucket: BucketRecord,
    place: _Place,
    change: tuple[ObjectRecord, ObjectRecord],
    grown: _Grown,
) -> ObjectRecord:
    """Put a part behind an object, whose body becomes one if it is of none yet; see ``_replace``."""
    current, record = change
    rest = grown.rest
    assert rest is not None
    if current.manifest and grown.first is None:
        place = place._replace(manifest_id=current.manifest)
        manifest = await references.require_manifest(tr, bucket, current)
        if manifest.references > 1:
            raise Conflict("the object was copied while it was appended to")
    else:
        manifest = await _begin(tr, bucket, place, current, grown)
    manifest = await _add(tr, bucket, place, manifest, rest)
    MANIFESTS.put(tr, manifest, bucket.bucket_id, place.manifest_id)
    made = msgspec.structs.replace(
        record,
        size=current.size + rest.size,
        inline=False,
        blob=None,
        manifest=place.manifest_id,
        parts_count=manifest.chunks[-1].parts_end,
    )
    OBJECTS.put(tr, made, bucket.bucket_id, place.key)
    return made


async def _begin(
    tr: Transaction, bucket: BucketRecord, place: _Place, current: ObjectRecord, grown: _Grown
) -> ManifestRecord:
    """Make the body of an object the first part of a manifest, which takes its reference over."""
    blob = current.blob
    if grown.first is not None:
        blob = grown.first.blob
        references.attach(tr, grown.first)
        await references.drop(tr, bucket, place.key, current, place.now_ms)
    part = PartRecord(
        etag=current.etag,
        size=current.size,
        modified_ms=current.modified_ms,
        checksum=grown.base,
        blob=blob,
    )
    PARTS.put(tr, part, bucket.bucket_id, place.manifest_id, PARTS_MAX + 1)
    row = ManifestPartsRecord((ManifestPart(1, current.size, blob, grown.base.value),))
    MANIFEST_PARTS.put(tr, row, bucket.bucket_id, place.manifest_id, 0)
    return ManifestRecord(references=1, chunks=(ManifestChunk(1, current.size),))


async def _add(
    tr: Transaction, bucket: BucketRecord, place: _Place, manifest: ManifestRecord, rest: Body
) -> ManifestRecord:
    """Put one part behind those of a manifest; return it as it is then.

    Raises:
        TooManyParts: Numbers have run out.
    """
    *full, last = manifest.chunks
    before = full[-1].parts_end if full else 0
    row = await MANIFEST_PARTS.find(tr, bucket.bucket_id, place.manifest_id, len(full))
    assert row is not None, "a manifest has its rows"
    number = row.parts[-1].number + 1
    if number > PARTS_MAX:
        raise TooManyParts
    references.attach(tr, rest)
    part = PartRecord(
        etag=rest.etag,
        size=rest.size,
        modified_ms=place.now_ms,
        checksum=rest.checksum,
        blob=rest.blob,
    )
    above = PARTS_MAX + last.parts_end + 1
    PARTS.put(tr, part, bucket.bucket_id, place.manifest_id, above)
    entry = ManifestPart(number, rest.size, rest.blob, rest.checksum.value)
    end = ManifestChunk(last.parts_end + 1, last.bytes_end + rest.size)
    if last.parts_end - before < CHUNK_PARTS:
        index, parts, chunks = len(full), (*row.parts, entry), (*full, end)
    else:
        index, parts, chunks = len(full) + 1, (entry,), (*full, last, end)
    made = ManifestPartsRecord(parts)
    MANIFEST_PARTS.put(tr, made, bucket.bucket_id, place.manifest_id, index)
    return msgspec.structs.replace(manifest, chunks=chunks)
