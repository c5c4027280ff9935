"""Objects: put, get, describe, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict, cast

from fogbank.base.errors import AccessDenied, Corrupt, ServiceError
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3 import quotas
from fogbank.services.s3.arns import bucket_arn
from fogbank.services.s3.errors import InvalidRequest, MalformedXML, NoSuchKey, NoSuchVersion
from fogbank.services.s3.events import Happening
from fogbank.services.s3.quotas import DELETE_KEYS_MAX, LIST_KEYS_MAX
from fogbank.services.s3.rules import access, conditions, multipart, unhonoured
from fogbank.services.s3.rules.checksums import (
    checksum_members,
    checksum_value,
    expected_of,
    kind_of,
)
from fogbank.services.s3.rules.metadata import (
    check_read_headers,
    headers_of,
    metadata_of,
    overrides_of,
)
from fogbank.services.s3.rules.names import check_key
from fogbank.services.s3.rules.notifications import CREATED_PUT, REMOVED_DELETE
from fogbank.services.s3.rules.ranges import Span, span_of
from fogbank.services.s3.rules.replies import STORAGE_CLASS, object_reply, quoted
from fogbank.services.s3.rules.sequencing import sequencer_of
from fogbank.services.s3.schema import BucketRecord, Checksum, ManifestPart, ObjectRecord
from fogbank.services.s3.state import bodies, buckets, notifications, objects
from fogbank.wire.http import BodyStream

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

READ_TRIES: Final = 3
"""How often a read looks at the record again because the blob was gone."""
DELETES_PER_TRANSACTION: Final = 50
Outcome = tuple["shapes.ObjectIdentifier", ServiceError | None]
"""An entry of DeleteObjects, and why it was not removed."""


@operation(access=access.put_object, domain=access.bucket_domain, unhonoured=unhonoured.PUT_OBJECT)
async def put_object(call: Call, request: shapes.PutObjectRequest) -> shapes.PutObjectOutput:
    """Store an object: nothing of it is visible until all of it is durable and verified."""
    key: str = request["Key"]
    check_key(key)
    headers, metadata = headers_of(request), metadata_of(request)
    expected = expected_of(request, call.http.headers)
    source: bytes | BodyStream = request.get("Body") or b""
    if bodies.is_long(source):
        await _check_before_body(call, request)
    body = await bodies.take(call.blobs, source, expected)
    now_ms = call.clock.now_ms()

    async def commit(tr: Transaction) -> ObjectRecord:
        bucket = await buckets.require_bucket(tr, call, request)
        current = await objects.find_object(tr, bucket, key)
        conditions.check_write(request, current)
        record = ObjectRecord(
            etag=body.etag,
            size=body.size,
            modified_ms=now_ms,
            sequencer=sequencer_of(now_ms, current),
            checksum=body.checksum,
            headers=headers,
            metadata=metadata,
            inline=body.inline is not None,
            blob=body.blob,
        )
        objects.attach(tr, body)
        await objects.put_object(tr, bucket, key, record, body.inline, replaces=current)
        happening = Happening(CREATED_PUT, key, record.sequencer, record.size, record.etag)
        await notifications.tell(tr, call, bucket, now_ms, happening)
        return record

    try:
        record = await call.store.transact(commit)
    except bodies.REFUSALS:
        await bodies.discard(call.blobs, body)
        raise
    return {"ETag": quoted(record.etag), **checksum_members(record.checksum)}


async def _check_before_body(call: Call, request: Request) -> None:
    """Refuse before the body is taken what would be refused after it, as things stand."""

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        if "IfMatch" in request or "IfNoneMatch" in request:
            current = await objects.find_object(tr, bucket, request["Key"])
            conditions.check_write(request, current)

    await call.store.read(body)


@operation(access=access.get_object, domain=access.bucket_domain, unhonoured=unhonoured.READ)
async def get_object(call: Call, request: shapes.GetObjectRequest) -> shapes.GetObjectOutput:
    """Return an object, a range of it, or one of its parts."""
    anonymous = call.principal.kind is PrincipalKind.ANONYMOUS
    overrides = overrides_of(request, anonymous=anonymous)
    for attempt in range(1, READ_TRIES + 1):
        opened = await _open(call, request)
        span, part = await _span(call, request, opened)
        reply: shapes.GetObjectOutput = {
            **object_reply(request, opened.record, span, part),
            **overrides,
        }
        if opened.content is not None:
            reply["Body"] = opened.content[span.begin : span.end]
            return reply
        pieces = objects.pieces_of(call.store, call.leaving, opened, span.begin, span.end)
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


@operation(access=access.get_object, domain=access.bucket_domain, unhonoured=unhonoured.READ)
async def head_object(call: Call, request: shapes.HeadObjectRequest) -> shapes.HeadObjectOutput:
    """Return what GetObject would say, without the bytes."""
    overrides = overrides_of(request, anonymous=call.principal.kind is PrincipalKind.ANONYMOUS)
    opened = await _open(call, request)
    span, part = await _span(call, request, opened)
    reply = {**object_reply(request, opened.record, span, part), **overrides}
    # GetObject's answer without its body is HeadObject's, which the types cannot know.
    return cast("shapes.HeadObjectOutput", reply)


async def _open(call: Call, request: Request) -> objects.Opened:
    """Return the object to read; its conditions hold.

    Raises:
        NoSuchKey: There is none, and the caller may know: it may list the bucket.
    """
    check_read_headers(call.http.headers)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> objects.Opened | None:
        bucket = await buckets.require_bucket(tr, call, request)
        record = await objects.find_object(tr, bucket, request["Key"])
        if record is None:
            return None
        conditions.check_read(request, record, now_ms)
        return await objects.open_object(tr, bucket, request["Key"], record)

    opened = await call.store.read(body)
    if opened is None:
        # AWS: who may not list the bucket is not told that a key does not exist (API Reference,
        # GetObject, "Permissions").
        await call.require("s3:ListBucket", bucket_arn(call.region, request["Bucket"]))
        raise NoSuchKey(Key=request["Key"])
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
    unhonoured=unhonoured.READ,
)
async def get_object_attributes(
    call: Call, request: shapes.GetObjectAttributesRequest
) -> shapes.GetObjectAttributesOutput:
    """Return the attributes of an object that the caller names."""
    opened = await _open(call, request)
    record, wanted = opened.record, frozenset(request["ObjectAttributes"])
    reply: shapes.GetObjectAttributesOutput = {"LastModified": record.modified_ms}
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


@operation(
    access=access.delete_object,
    domain=access.bucket_domain,
    unhonoured={**unhonoured.DELETE, **unhonoured.NULL_VERSION},
)
async def delete_object(
    call: Call, request: shapes.DeleteObjectRequest
) -> shapes.DeleteObjectOutput:
    """Remove an object; that there is none is no error."""
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        current = await objects.find_object(tr, bucket, request["Key"])
        conditions.check_delete(
            current,
            request.get("IfMatch"),
            request.get("IfMatchLastModifiedTime"),
            request.get("IfMatchSize"),
        )
        if current is not None:
            await _remove(tr, call, bucket, request["Key"], current, now_ms)

    await call.store.transact(body)
    return {}


async def _remove(
    tr: Transaction,
    call: Call,
    bucket: BucketRecord,
    key: str,
    current: ObjectRecord | None,
    now_ms: int,
) -> None:
    """Remove an object, if it is there, and tell of it."""
    if current is not None:
        await objects.remove_object(tr, bucket, key, current, now_ms)
    happening = Happening(REMOVED_DELETE, key, sequencer_of(now_ms, current))
    await notifications.tell(tr, call, bucket, now_ms, happening)


@operation(
    access=access.delete_objects,
    domain=access.bucket_domain,
    unhonoured=unhonoured.DELETE,
    body=BodyLimit(quotas.LONG_REQUEST_BYTES),
)
async def delete_objects(
    call: Call, request: shapes.DeleteObjectsRequest
) -> shapes.DeleteObjectsOutput:
    """Remove up to a thousand objects, each by itself, and say of each how it went."""
    entries = request["Delete"].get("Objects") or []
    if not 1 <= len(entries) <= DELETE_KEYS_MAX or any("Key" not in entry for entry in entries):
        raise MalformedXML

    refusals = [await _refusal(call, request, entry) for entry in entries]
    await _check_bucket(call, request, refusals)
    outcomes: list[Outcome] = []
    for at in range(0, len(entries), DELETES_PER_TRANSACTION):
        end = at + DELETES_PER_TRANSACTION
        piece = zip(entries[at:end], refusals[at:end], strict=True)
        outcomes += await _delete_some(call, request, list(piece))
    return _delete_reply(outcomes, quiet=bool(request["Delete"].get("Quiet")))


async def _refusal(
    call: Call, request: Request, entry: shapes.ObjectIdentifier
) -> ServiceError | None:
    """Return why the caller may not remove an object, or None if it may."""
    version = entry.get("VersionId")
    alone = {"Bucket": request["Bucket"], **entry}
    if "ETag" in entry:
        alone["IfMatch"] = entry["ETag"]
    [needed] = access.delete_object(call.scope, alone)
    try:
        await call.require(*needed)
    except ServiceError as error:
        if error.code != AccessDenied.code:
            raise
        return error
    return None if version in (None, "null") else NoSuchVersion()


async def _check_bucket(call: Call, request: Request, refusals: list[ServiceError | None]) -> None:
    """Refuse a bucket that is not there or another's; who may remove nothing hears only that."""

    async def check(tr: Transaction) -> None:
        await buckets.require_bucket(tr, call, request)

    try:
        await call.store.read(check)
    except ServiceError as error:
        if None not in refusals:
            raise AccessDenied("Access Denied") from error
        raise


async def _delete_some(call: Call, request: Request, piece: list[Outcome]) -> list[Outcome]:
    """Remove some objects in one transaction; what is refused leaves the others alone."""
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> list[Outcome]:
        bucket = await buckets.require_bucket(tr, call, request)
        return [
            (entry, refused or await _delete_one(tr, call, bucket, entry, now_ms))
            for entry, refused in piece
        ]

    return await call.store.transact(body)


async def _delete_one(
    tr: Transaction, call: Call, bucket: BucketRecord, entry: shapes.ObjectIdentifier, now_ms: int
) -> ServiceError | None:
    """Remove one object; return why not, if not."""
    current = await objects.find_object(tr, bucket, entry["Key"])
    try:
        conditions.check_delete(
            current, entry.get("ETag"), entry.get("LastModifiedTime"), entry.get("Size")
        )
    except ServiceError as error:
        return error
    # AWS: DeleteObjects tells even of keys that are not there (LocalStack, delete_objects).
    await _remove(tr, call, bucket, entry["Key"], current, now_ms)
    return None


class _Named(TypedDict, total=False):
    """What DeleteObjects says of every object."""

    Key: str
    VersionId: str


def _delete_reply(outcomes: list[Outcome], *, quiet: bool) -> shapes.DeleteObjectsOutput:
    """Return the reply of DeleteObjects: what was removed, unless quiet, and what was not."""
    deleted: list[shapes.DeletedObject] = []
    errors: list[shapes.Error] = []
    for entry, error in outcomes:
        named: _Named = {"Key": entry["Key"]}
        if "VersionId" in entry:
            named["VersionId"] = entry["VersionId"]
        if error is not None:
            errors.append({**named, "Code": error.code, "Message": error.message})
        elif not quiet:
            deleted.append({**named})
    reply: shapes.DeleteObjectsOutput = {}
    if deleted:
        reply["Deleted"] = deleted
    if errors:
        reply["Errors"] = errors
    return reply
