"""Objects: put, get, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from fogbank.base.errors import Conflict, Corrupt
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import (
    InvalidRequest,
)
from fogbank.services.s3.events import Happening
from fogbank.services.s3.quotas import LIST_KEYS_MAX
from fogbank.services.s3.rules import (
    access,
    acls,
    appending,
    conditions,
    encryption,
    multipart,
    retention,
    unhonoured,
)
from fogbank.services.s3.rules.checksums import (
    checksum_members,
    checksum_value,
    expected_of,
    kind_of,
)
from fogbank.services.s3.rules.encryption import Asked
from fogbank.services.s3.rules.metadata import (
    check_read_headers,
    headers_of,
    metadata_of,
    overrides_of,
)
from fogbank.services.s3.rules.names import check_key
from fogbank.services.s3.rules.notifications import CREATED_PUT
from fogbank.services.s3.rules.ranges import Span, span_of
from fogbank.services.s3.rules.replies import STORAGE_CLASS, absent, object_reply, quoted
from fogbank.services.s3.rules.tags import header_tags
from fogbank.services.s3.rules.versions import shown_id, written_id
from fogbank.services.s3.schema import BucketRecord, Checksum, ManifestPart, ObjectRecord
from fogbank.services.s3.state import appending as growing
from fogbank.services.s3.state import (
    bodies,
    buckets,
    locks,
    notifications,
    objects,
    references,
    versions,
    writing,
)
from fogbank.services.s3.state.bodies import Body
from fogbank.services.s3.state.lifecycle import ExpirationMember, expiration_member
from fogbank.services.s3.state.locks import Lock
from fogbank.services.s3.state.named import FurtherMembers, further_members
from fogbank.wire.http import BodyStream

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

READ_TRIES: Final = 3
"""How often a read looks at the record again because the blob was gone."""


@operation(access=access.put_object, domain=access.bucket_domain, unhonoured=unhonoured.WRITE)
async def put_object(call: Call, request: shapes.PutObjectRequest) -> shapes.PutObjectOutput:
    """Store an object, or let one grow: nothing is visible until all of it is durable and verified."""
    key: str = request["Key"]
    check_key(key)
    if acls.asks(request):
        await writing.check_list(call, request)
    asked = encryption.asked_of(request)
    for check in (metadata_of, header_tags):
        check(request)  # refused before the body is taken
    retention.asked_protection(request, call.clock.now_ms())  # likewise
    if "WriteOffsetBytes" in request:
        found = await growing.find_appendable(call, request)
        if found is not None:
            return await _append(call, request, asked, found)
    expected = expected_of(request, call.http.headers)
    source: bytes | BodyStream = request.get("Body") or b""
    lock: Lock | None = None
    if bodies.is_long(source) or asked.is_keyed:
        bucket = await _check_before_body(call, request)
        lock = await locks.lock_for(call, asked, bucket, key)
    keeping = bodies.ANYHOW if lock is None else lock.keeping()
    body = await bodies.take(call.blobs, source, expected, keeping)
    if lock is not None:
        return await _put(call, request, asked, body, lock)
    try:
        return await _put(call, request, asked, body, None)
    except _NeedsKeyError as needs:
        # The default of its bucket, which nobody looked at while the body was short.
        lock = await locks.lock_for(call, asked, needs.bucket, key)
        return await _put(call, request, asked, body, lock)


class _NeedsKeyError(Conflict):
    """The bucket wants a key for each of its objects."""

    def __init__(self, bucket: BucketRecord) -> None:
        super().__init__("the default encryption of the bucket was changed")
        self.bucket = bucket


async def _put(
    call: Call, request: Request, asked: Asked, taken: Body, lock: Lock | None
) -> shapes.PutObjectOutput:
    """Make a body that was taken an object.

    Args:
        call: Whose it is.
        request: Its request.
        asked: The encryption that it asks for.
        taken: The body.
        lock: How it was taken; None: as the store does by itself.

    Raises:
        _NeedsKeyError: It needs a key of its own by the bucket's default, and has none.
    """
    key: str = request["Key"]
    headers, metadata, tags = headers_of(request), metadata_of(request), header_tags(request)
    body = taken if lock is None else locks.locked(call, request, lock, taken)
    now_ms = call.clock.now_ms()

    async def commit(tr: Transaction) -> tuple[BucketRecord, ObjectRecord]:
        bucket = await buckets.require_bucket(tr, call, request)
        owned = writing.owned_of(call, request, bucket)
        under = lock or locks.find_plain(call, asked, bucket)
        if under is None:
            raise _NeedsKeyError(bucket)
        wanted = retention.asked_protection(request, now_ms)
        protection = retention.new_protection(wanted, bucket, now_ms)
        retention.check_digest(protection, call.http.headers)
        current = await objects.find_object(tr, bucket, key)
        conditions.check_write(request, current)
        appending.check_begin(request, bucket, current)
        place = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
        record = ObjectRecord(
            etag=body.etag,
            size=body.size,
            modified_ms=now_ms,
            sequencer=place.sequencer,
            checksum=body.checksum,
            headers=headers,
            metadata=metadata,
            inline=body.inline is not None,
            blob=body.blob,
            version_id=place.version_id,
            order=place.order,
            owner=owned.owner,
            acl=owned.acl,
            tags=tags,
            encryption=under.encryption,
            object_key=under.object_key,
            protection=protection,
        )
        references.attach(tr, body)
        await objects.put_object(tr, bucket, key, record, body.inline, replaces=current)
        shown = shown_id(bucket, record)
        happening = Happening(CREATED_PUT, key, record.sequencer, record.size, record.etag, shown)
        await notifications.tell(tr, call, bucket, now_ms, happening)
        return bucket, record

    try:
        bucket, record = await call.store.transact(commit)
    except bodies.REFUSALS:
        await bodies.discard(call.blobs, body)
        raise
    reply: shapes.PutObjectOutput = {"ETag": quoted(record.etag)}
    if version_id := written_id(record):
        reply["VersionId"] = version_id
    encrypted = encryption.write_members(record.encryption, record.object_key, request)
    expires = await expiration_member(call, bucket, key)
    return {**reply, **encrypted, **expires, **checksum_members(record.checksum)}


async def _append(
    call: Call, request: Request, asked: Asked, found: objects.Opened
) -> shapes.PutObjectOutput:
    """Let an object grow by the body of a request; its metadata stay what they are."""
    bucket, record = await growing.append(call, request, asked, found)
    reply: shapes.PutObjectOutput = {"ETag": quoted(record.etag), "Size": record.size}
    encrypted = encryption.write_members(record.encryption, record.object_key, request)
    expires = await expiration_member(call, bucket, request["Key"])
    return {**reply, **encrypted, **expires, **checksum_members(record.checksum)}


async def _check_before_body(call: Call, request: Request) -> BucketRecord:
    """Refuse before the body is taken what would be refused after it; return the bucket."""

    async def body(tr: Transaction) -> BucketRecord:
        bucket = await buckets.require_bucket(tr, call, request)
        writing.owned_of(call, request, bucket)
        if "IfMatch" in request or "IfNoneMatch" in request:
            current = await objects.find_object(tr, bucket, request["Key"])
            conditions.check_write(request, current)
        return bucket

    return await call.store.read(body)


@operation(access=access.get_object, domain=access.bucket_domain)
async def get_object(call: Call, request: shapes.GetObjectRequest) -> shapes.GetObjectOutput:
    """Return an object, a range of it, or one of its parts."""
    anonymous = call.principal.kind is PrincipalKind.ANONYMOUS
    overrides = overrides_of(request, anonymous=anonymous)
    customer_key = encryption.customer_key_of(request)
    for attempt in range(1, READ_TRIES + 1):
        opened = await locks.unlock(call, await _open(call, request), customer_key)
        span, part = await _span(call, request, opened)
        reply: shapes.GetObjectOutput = {
            **object_reply(request, opened.bucket, opened.record, (span, part)),
            **overrides,
            **await _further_members(call, request, opened),
        }
        if opened.content is not None:
            reply["Body"] = opened.content[span.begin : span.end]
            return reply
        blobs = call.blobs if opened.is_layered else call.leaving
        pieces = objects.pieces_of(call.store, blobs, opened, span.begin, span.end)
        try:
            body = await bodies.opened(pieces)
        except Corrupt:
            # Replaced between the look at the record and the opening of its blob, or damaged.
            if attempt == READ_TRIES or await _is_current(call, request, opened.record):
                raise
            continue
        reply["Body"] = body
        return reply
    raise AssertionError("the last attempt returns or raises")


async def _is_current(call: Call, request: Request, record: ObjectRecord) -> bool:
    """Return whether a record is still what lies at the key."""
    return (await _open(call, request)).record == record


@operation(access=access.get_object, domain=access.bucket_domain)
async def head_object(call: Call, request: shapes.HeadObjectRequest) -> shapes.HeadObjectOutput:
    """Return what GetObject would say, without the bytes."""
    overrides = overrides_of(request, anonymous=call.principal.kind is PrincipalKind.ANONYMOUS)
    customer_key = encryption.customer_key_of(request)
    # AWS: who asks for the checksum of an object with a KMS key must be allowed to use the key (API
    # Reference, HeadObject, x-amz-checksum-mode).
    reads = request.get("ChecksumMode") == "ENABLED"
    opened = await locks.unlock(call, await _open(call, request), customer_key, reads=reads)
    span, part = await _span(call, request, opened)
    reply = {
        **object_reply(request, opened.bucket, opened.record, (span, part)),
        **overrides,
        **await _further_members(call, request, opened),
    }
    # GetObject's answer without its body is HeadObject's, which the types cannot know.
    return cast("shapes.HeadObjectOutput", reply)


class _FurtherMembers(FurtherMembers, ExpirationMember):
    """What GetObject and HeadObject say beside what the record of an object says of its bytes."""


async def _further_members(call: Call, request: Request, opened: objects.Opened) -> _FurtherMembers:
    """Return what GetObject and HeadObject say of tags, locks and the time of an object's end."""
    members: _FurtherMembers = {**await further_members(call, request, opened.record)}
    if "VersionId" in request:
        return members  # AWS: versions that are named have no time of their end
    return {**members, **await expiration_member(call, opened.bucket, opened.key, opened.record)}


async def _open(call: Call, request: Request) -> objects.Opened:
    """Return the object or version to read; its conditions hold.

    Raises:
        NoSuchKey: There is none, and the caller may know: it may list the bucket.
        NoSuchVersion: There is no such version of it.
        MethodNotAllowed: The version is a delete marker, which has nothing to read.
    """
    check_read_headers(call.http.headers)
    now_ms = call.clock.now_ms()
    key, version_id = request["Key"], request.get("VersionId")

    async def body(tr: Transaction) -> objects.Opened | ObjectRecord | None:
        bucket = await buckets.require_bucket(tr, call, request)
        if version_id is None:
            record = await objects.find_object(tr, bucket, key)
            if record is None:
                return await versions.find_top(tr, bucket, key, None)
        else:
            record = await versions.find_version(tr, bucket, key, version_id)
            if record is None or record.delete_marker:
                return record
        conditions.check_read(request, record, now_ms)
        return await objects.open_object(tr, bucket, key, record)

    opened = await call.store.read(body)
    if not isinstance(opened, objects.Opened):
        # AWS: who may not list the bucket is not told that a key does not exist (API Reference,
        # GetObject, "Permissions").
        prefix = {"s3:prefix": key}
        await call.require("s3:ListBucket", bucket_arn(call.region, request["Bucket"]), prefix)
        raise absent(request, opened)
    return opened


async def _span(
    call: Call, request: Request, opened: objects.Opened
) -> tuple[Span, tuple[int, Checksum] | None]:
    """Return the bytes that are asked for; with a part number, the count and its checksum too."""
    number: int | None = request.get("PartNumber")
    record = opened.record
    if number is None:
        return span_of(request.get("Range"), record.size), None
    if "Range" in request:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    multipart.check_part_number(number)
    if not record.parts_count:
        if number > 1:
            raise multipart.no_such_part(number, 1)
        return Span(0, record.size, record.size, partial=record.size > 0), None
    begin, part = await _find_part(call, opened, number)
    span = Span(begin, begin + part.size, record.size, partial=part.size > 0)
    assert record.checksum is not None
    checksum = Checksum(record.checksum.algorithm, part.checksum)
    return span, (record.parts_count, checksum)


async def _find_part(call: Call, opened: objects.Opened, number: int) -> tuple[int, ManifestPart]:
    """Return where a part begins, and the part."""
    assert opened.manifest is not None
    offset = 0
    for index, chunk in enumerate(opened.manifest.chunks):
        parts = await objects.manifest_chunk(call.store, opened, index)
        if parts[-1].number < number:
            offset = chunk.bytes_end
            continue
        for part in parts:
            if part.number == number:
                return offset, part
            offset += part.size
    raise multipart.no_such_part(number, opened.record.parts_count)


@operation(
    access=access.get_object_attributes,
    domain=access.bucket_domain,
)
async def get_object_attributes(
    call: Call, request: shapes.GetObjectAttributesRequest
) -> shapes.GetObjectAttributesOutput:
    """Return the attributes of an object that the caller names."""
    customer_key = encryption.customer_key_of(request)
    wanted = frozenset(request["ObjectAttributes"])
    reads = "Checksum" in wanted
    opened = await locks.unlock(call, await _open(call, request), customer_key, reads=reads)
    record = opened.record
    reply: shapes.GetObjectAttributesOutput = {"LastModified": record.modified_ms}
    if shown := shown_id(opened.bucket, record):
        reply["VersionId"] = shown
    if "ETag" in wanted:
        reply["ETag"] = record.etag
    if "StorageClass" in wanted:
        reply["StorageClass"] = STORAGE_CLASS
    if "ObjectSize" in wanted:
        reply["ObjectSize"] = record.size
    if "Checksum" in wanted and record.checksum is not None:
        # AWS: without the "-<parts>" that the headers have (LocalStack's recorded answers).
        bare = Checksum(record.checksum.algorithm, record.checksum.value)
        reply["Checksum"] = {**checksum_value(bare), "ChecksumType": kind_of(record.checksum)}
    if "ObjectParts" in wanted and record.parts_count:
        reply["ObjectParts"] = await _object_parts(call, request, opened)
    return reply


async def _object_parts(
    call: Call, request: Request, opened: objects.Opened
) -> shapes.GetObjectAttributesParts:
    """Return a page of an object's parts."""
    record, manifest = opened.record, opened.manifest
    assert manifest is not None
    assert record.checksum is not None
    limit = min(request.get("MaxParts", LIST_KEYS_MAX), LIST_KEYS_MAX)
    marker: int = request.get("PartNumberMarker", 0)
    found: list[ManifestPart] = []
    for index in range(len(manifest.chunks)):
        parts = await objects.manifest_chunk(call.store, opened, index)
        found += [part for part in parts if part.number > marker]
        if len(found) > limit:
            break
    page = found[:limit]
    entries: list[shapes.ObjectPart] = []
    for part in page:
        entry: shapes.ObjectPart = {"PartNumber": part.number, "Size": part.size}
        if record.checksum.parts:
            checksum = Checksum(record.checksum.algorithm, part.checksum)
            entry = {**entry, **checksum_value(checksum)}
        entries.append(entry)
    return {
        "TotalPartsCount": record.parts_count,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit,
        "Parts": entries,
    }
