"""Copies of objects, and of ranges of objects into parts of an upload; renames, which copy nothing.

Theory: inside one bucket a copy is one more reference to the same bytes, counted in the transaction
that finds the source unchanged. Across buckets, and into parts, bytes are streamed. The copy of a
multipart object is an ordinary object with an MD5 entity tag, so its bytes are read once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fogbank.base.errors import Conflict
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.blobs.port import BlobReader
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import InvalidRequest, NoSuchKey, NoSuchVersion
from fogbank.services.s3.events import Happening
from fogbank.services.s3.rules import access, acls, conditions, encryption, retention, unhonoured
from fogbank.services.s3.rules.checksums import DEFAULT, Expected, checksum_members, checksum_value
from fogbank.services.s3.rules.copying import (
    CopySource,
    check_copy,
    check_copy_size,
    copy_range_of,
    copy_source_of,
)
from fogbank.services.s3.rules.logging import COPY_SOURCES, Deed, facts_of
from fogbank.services.s3.rules.metadata import headers_of, metadata_of
from fogbank.services.s3.rules.multipart import check_part_number
from fogbank.services.s3.rules.names import check_key
from fogbank.services.s3.rules.notifications import CREATED_COPY
from fogbank.services.s3.rules.replies import quoted
from fogbank.services.s3.rules.tags import header_tags
from fogbank.services.s3.rules.versions import Placed, shown_id
from fogbank.services.s3.schema import BucketRecord, Checksum, ObjectRecord, UploadRecord
from fogbank.services.s3.state import (
    bodies,
    buckets,
    locks,
    logs,
    metrics,
    notifications,
    objects,
    references,
    renaming,
    uploads,
    versions,
    writing,
)
from fogbank.services.s3.state.bodies import Body
from fogbank.services.s3.state.lifecycle import expiration_member
from fogbank.services.s3.state.locks import Lock

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

COPY_TRIES: Final = 3
"""How often a copy inside a bucket starts anew because its source was replaced meanwhile."""
_READ: Final = 200


class _Source(NamedTuple):
    """The object that a copy reads, and where it lies."""

    store: Store
    blobs: BlobReader
    opened: objects.Opened

    @property
    def shown_id(self) -> str:
        """Return what answers say of its version; empty without versioning."""
        return shown_id(self.opened.bucket, self.opened.record)


class _Copied(NamedTuple):
    """What the copy's record says of its bytes."""

    etag: str
    checksum: Checksum
    lock: Lock
    """How it is encrypted."""
    body: Body | None
    """Bytes taken in anew; None: those of the source."""


@operation(access=access.copy_object, domain=access.bucket_domain, unhonoured=unhonoured.COPY)
async def copy_object(call: Call, request: shapes.CopyObjectRequest) -> shapes.CopyObjectOutput:
    """Copy an object, with its metadata or with new metadata."""
    check_key(request["Key"])
    if acls.asks(request):
        await writing.check_list(call, request)
    named = copy_source_of(request["CopySource"])
    check_copy(request, named)
    asked = encryption.asked_of(request)
    replaces_tags = request.get("TaggingDirective") == "REPLACE"
    for _ in range(COPY_TRIES):
        source = await _open_source(call, request, named)
        check_copy_size(source.opened.record.size)
        if source.opened.record.tags and not replaces_tags:
            for needed in access.copied_tags(call.scope, request):
                await call.require(needed.action, needed.resource, needed.context)
        bucket = await _read_bucket(call, request)
        lock = await locks.lock_for(call, asked, bucket, request["Key"])
        made = await _copy(call, request, named, source, lock)
        if made is not None:
            reply = _reply(request, source, *made)
            return {**reply, **await expiration_member(call, bucket, request["Key"])}
    raise Conflict("the source of the copy changes all the time")


async def _read_bucket(call: Call, request: Request) -> BucketRecord:
    """Return the bucket that a copy goes to."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    return await call.store.read(body)


def _reply(
    request: Request, source: _Source, record: ObjectRecord, shown: str
) -> shapes.CopyObjectOutput:
    """Return what CopyObject answers, given the copy and the id of its version."""
    reply: shapes.CopyObjectOutput = {
        "CopyObjectResult": {
            "ETag": quoted(record.etag),
            "LastModified": record.modified_ms,
            **checksum_members(record.checksum),
        },
        **encryption.write_members(record.encryption, record.object_key, request),
    }
    if shown:
        reply["VersionId"] = shown
    if source.shown_id:
        reply["CopySourceVersionId"] = source.shown_id
    return reply


async def _copy(
    call: Call, request: Request, named: CopySource, source: _Source, lock: Lock
) -> tuple[ObjectRecord, str] | None:
    """Copy from an opened source.

    Returns:
        The new record and what is shown as its version id, or None if the source has changed.
    """
    within = named.bucket == request["Bucket"]
    copied = await _copied(call, request, source, lock, within=within)
    now_ms = call.clock.now_ms()

    async def commit(tr: Transaction) -> tuple[ObjectRecord, str] | None:
        bucket = await buckets.require_bucket(tr, call, request)
        owned = writing.owned_of(call, request, bucket)
        if within:
            origin = await _find_origin(tr, bucket, named)
            if origin != source.opened.record:
                return None
        current = await objects.find_object(tr, bucket, request["Key"])
        conditions.check_write(request, current)
        key = request["Key"]
        place = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
        asked = retention.asked_protection(request, now_ms)
        record = msgspec.structs.replace(
            _record_of(request, source.opened, copied, place, now_ms),
            protection=retention.new_protection(asked, bucket, now_ms),
            owner=owned.owner,
            acl=owned.acl,
        )
        content = source.opened.content if copied.body is None else copied.body.inline
        if copied.body is None:
            await references.share(tr, bucket, source.opened.record)
        else:
            references.attach(tr, copied.body)
        await objects.put_object(tr, bucket, key, record, content, replaces=current)
        shown = shown_id(bucket, record)
        happening = Happening(CREATED_COPY, key, record.sequencer, record.size, record.etag, shown)
        await notifications.tell(tr, call, bucket, now_ms, happening)
        return record, shown

    try:
        return await call.store.transact(commit)
    except bodies.REFUSALS:
        if copied.body is not None:
            await bodies.discard(call.blobs, copied.body)
        raise


async def _copied(
    call: Call, request: Request, source: _Source, lock: Lock, *, within: bool
) -> _Copied:
    """Return what the copy's bytes come to, taking them in anew where they cannot be shared."""
    record = source.opened.record
    assert record.checksum is not None
    algorithm: str = request.get("ChecksumAlgorithm") or record.checksum.algorithm
    same = algorithm == record.checksum.algorithm and not record.checksum.parts
    # Bytes are shared where the store's own keys open them; who has a key has it alone.
    shared = within and record.object_key is lock.object_key is None
    if shared and same and not record.parts_count:
        return _Copied(record.etag, record.checksum, lock, None)
    pieces = _pieces(source, 0, record.size)
    expected = Expected(algorithm)
    if shared:
        etag, checksum = await bodies.digest(pieces, expected)
        return _Copied(etag, checksum, lock, None)
    taken = await bodies.take_copy(call.blobs, pieces, expected, lock.keeping())
    body = locks.locked(call, request, lock, taken)
    return _Copied(body.etag, body.checksum, lock, body)


def _pieces(source: _Source, begin: int, end: int) -> AsyncIterator[bytes]:
    """Yield a range of the source's bytes."""
    return objects.pieces_of(source.store, source.blobs, source.opened, begin, end)


def _record_of(
    request: Request, opened: objects.Opened, copied: _Copied, place: Placed, now_ms: int
) -> ObjectRecord:
    """Return the record of the copy."""
    origin, body = opened.record, copied.body
    replace = request.get("MetadataDirective") == "REPLACE"
    tags = header_tags(request) if request.get("TaggingDirective") == "REPLACE" else origin.tags
    return ObjectRecord(
        etag=copied.etag,
        size=origin.size,
        modified_ms=now_ms,
        sequencer=place.sequencer,
        checksum=copied.checksum,
        headers=headers_of(request) if replace else origin.headers,
        metadata=metadata_of(request) if replace else origin.metadata,
        inline=origin.inline if body is None else body.inline is not None,
        blob=origin.blob if body is None else body.blob,
        manifest=origin.manifest if body is None else "",
        version_id=place.version_id,
        order=place.order,
        tags=tags,
        encryption=copied.lock.encryption,
        object_key=copied.lock.object_key,
    )


async def _find_origin(
    tr: Transaction, bucket: BucketRecord, named: CopySource
) -> ObjectRecord | None:
    """Return the object or version that a copy reads, or None."""
    if named.version_id:
        return await versions.find_version(tr, bucket, named.key, named.version_id)
    return await objects.find_object(tr, bucket, named.key)


async def _open_source(call: Call, request: Request, named: CopySource) -> _Source:
    """Return the source of a copy; its conditions hold.

    Raises:
        NoSuchKey: There is none, and the caller may know: it may list the bucket.
        NoSuchVersion: There is no such version of it.
        InvalidRequest: The version is a delete marker.
    """
    domain = access.domain_of(named.bucket)
    store = call.store_of(domain)
    expected_owner: str | None = request.get("ExpectedSourceBucketOwner")
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> objects.Opened | None:
        bucket = await buckets.require_named(tr, call, named.bucket, expected_owner)
        buckets.charge_requester(tr, call, request, bucket)
        record = await _find_origin(tr, bucket, named)
        if record is None:
            return None
        if record.delete_marker:
            raise InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by "
                "version id."
            )
        conditions.check_copy_source(request, record, now_ms)
        return await objects.open_object(tr, bucket, named.key, record)

    opened = await call.decided(lambda: store.read(body))
    if opened is None:
        prefix = {"s3:prefix": named.key}
        await call.require("s3:ListBucket", bucket_arn(call.region, named.bucket), prefix)
        if named.version_id:
            raise NoSuchVersion(Key=named.key, VersionId=named.version_id)
        raise NoSuchKey(Key=named.key)
    customer_key = encryption.source_key_of(request)
    opened = await locks.unlock(call, opened, customer_key)
    if opened.bucket.logs or (opened.bucket.metrics and call.operation == "CopyObject"):
        await _record(call, store, opened, named)
    return _Source(store, call.blobs_of(domain), opened)


async def _record(call: Call, store: Store, opened: objects.Opened, named: CopySource) -> None:
    """Keep a record of the reading that is part of a copy, in the log of the source's bucket.

    Where requests are measured it counts as one.
    """
    record = opened.record
    deed = Deed(
        COPY_SOURCES[call.operation],
        named.key,
        named.version_id or "",
        _READ,
        object_size=record.size,
        bytes_sent=record.size,
    )
    now_ms = call.scope.now_ms  # a copy that begins anew keeps the same record

    async def keep(tr: Transaction) -> None:
        bucket = await buckets.find_bucket(tr)
        if bucket is not None and bucket.bucket_id == opened.bucket.bucket_id and bucket.logs:
            await logs.keep_deeds(tr, call, bucket, (deed,), (now_ms, 0))

    if opened.bucket.logs:
        await store.transact(keep)
    if opened.bucket.metrics and call.operation == "CopyObject":
        await metrics.measure_source(store, facts_of(call, deed, now_ms), call.facilities)


@operation(
    access=access.copy_object,
    domain=access.bucket_domain,
)
async def upload_part_copy(
    call: Call, request: shapes.UploadPartCopyRequest
) -> shapes.UploadPartCopyOutput:
    """Copy an object, or a range of one, into a part of an upload."""
    number: int = request["PartNumber"]
    check_part_number(number)
    bucket, upload = await _read_upload(call, request)
    lock = await locks.lock_of_upload(call, bucket, request, upload.encryption, upload.object_key)
    source = await _open_source(call, request, copy_source_of(request["CopySource"]))
    begin, end = copy_range_of(request.get("CopySourceRange"), source.opened.record.size)
    check_copy_size(end - begin)
    expected = Expected(upload.algorithm or DEFAULT)
    pieces = _pieces(source, begin, end)
    taken = await bodies.take_copy(call.blobs, pieces, expected, lock.keeping(inline=False))
    body = locks.locked(call, request, lock, taken)
    part = await uploads.keep_part(call, request, body)
    result: shapes.CopyPartResult = {"ETag": quoted(part.etag), "LastModified": part.modified_ms}
    if upload.algorithm:
        result = {**result, **checksum_value(part.checksum)}
    reply: shapes.UploadPartCopyOutput = {
        "CopyPartResult": result,
        **encryption.members_of(lock.encryption, lock.object_key, request),
    }
    if source.shown_id:
        reply["CopySourceVersionId"] = source.shown_id
    return reply


async def _read_upload(call: Call, request: Request) -> tuple[BucketRecord, UploadRecord]:
    """Return the upload that the part belongs to, and its bucket."""

    async def body(tr: Transaction) -> tuple[BucketRecord, UploadRecord]:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.require_upload(tr, bucket, request["Key"], request["UploadId"])
        return bucket, upload

    return await call.store.read(body)


@operation(access=access.rename_object, domain=access.bucket_domain)
async def rename_object(
    call: Call, request: shapes.RenameObjectRequest
) -> shapes.RenameObjectOutput:
    """Give an object another key, at once and without touching its bytes."""
    await renaming.rename(call, request)
    return {}
