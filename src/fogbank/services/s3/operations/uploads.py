"""Multipart uploads: begin, upload parts, complete, abort, list."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import msgspec

from fogbank.base.errors import Conflict
from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import BodyLimit, operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.s3 import quotas
from fogbank.services.s3.errors import InvalidArgument, NoSuchUpload, PreconditionFailed
from fogbank.services.s3.events import Happening
from fogbank.services.s3.rules import (
    access,
    acls,
    conditions,
    encryption,
    multipart,
    replies,
    retention,
    unhonoured,
)
from fogbank.services.s3.rules.acls import ANONYMOUS
from fogbank.services.s3.rules.checksums import (
    DEFAULT,
    checksum_members,
    checksum_value,
    expected_of,
    upload_kind,
)
from fogbank.services.s3.rules.listings import (
    Place,
    Walk,
    check_encoding,
    encoded,
    limit_of,
    walk_from_marker,
)
from fogbank.services.s3.rules.metadata import headers_of, metadata_of
from fogbank.services.s3.rules.multipart import Assembled, Listed
from fogbank.services.s3.rules.names import bucket_url, check_key
from fogbank.services.s3.rules.notifications import CREATED_COMPLETE
from fogbank.services.s3.rules.tags import header_tags
from fogbank.services.s3.rules.versions import shown_id, written_id
from fogbank.services.s3.schema import (
    UPLOADS,
    BucketRecord,
    CompletedRecord,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)
from fogbank.services.s3.state import (
    bodies,
    buckets,
    locks,
    notifications,
    objects,
    people,
    uploads,
    versions,
    writing,
)
from fogbank.services.s3.state.lifecycle import expiration_member

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

UPLOAD_ID_CHARACTERS: Final = 52
COMPLETE_TRIES: Final = 5
"""How often completing starts anew because parts were uploaded meanwhile."""
_LOOP_PARTS_MAX: Final = 200
"""Up to so many parts are put together on the loop."""


class _Begun(NamedTuple):
    """An upload that this request has marked as being completed, or had completed before."""

    bucket: BucketRecord
    upload: UploadRecord | None
    completed: CompletedRecord | None


@operation(access=access.create_upload, domain=access.bucket_domain, unhonoured=unhonoured.WRITE)
async def create_multipart_upload(
    call: Call, request: shapes.CreateMultipartUploadRequest
) -> shapes.CreateMultipartUploadOutput:
    """Begin an upload in parts."""
    key: str = request["Key"]
    check_key(key)
    if acls.asks(request):
        await writing.check_list(call, request)
    algorithm, composite = upload_kind(request)
    asked = encryption.asked_of(request)
    lock = await locks.lock_for(call, asked, await _read_bucket(call, request), key)
    now_ms = call.clock.now_ms()
    # Ids begin with the time, so that the uploads of a key lie in the order they began.
    upload_id = f"{now_ms:012x}{call.ids.base62(UPLOAD_ID_CHARACTERS)}"
    record = UploadRecord(
        created_ms=now_ms,
        initiator_arn=call.principal.arn,
        initiator_id=call.principal.arn,
        headers=headers_of(request),
        metadata=metadata_of(request),
        algorithm=algorithm,
        composite=composite,
        tags=header_tags(request),
        encryption=lock.encryption,
        object_key=lock.object_key,
        protection=retention.asked_protection(request, now_ms),
    )

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        retention.new_protection(record.protection, bucket, now_ms)  # refuses what cannot be
        owned = writing.owned_of(call, request, bucket)
        initiator = "" if call.account == bucket.account else call.account or ANONYMOUS
        begun = msgspec.structs.replace(
            record, owner=owned.owner, acl=owned.acl, initiator=initiator
        )
        uploads.put_upload(tr, bucket, key, upload_id, begun)

    await call.store.transact(body)
    return {
        "Bucket": request["Bucket"],
        "Key": key,
        "UploadId": upload_id,
        **encryption.write_members(record.encryption, record.object_key, request),
        **replies.upload_checksum(record),
    }


@operation(access=access.put_part, domain=access.bucket_domain)
async def upload_part(call: Call, request: shapes.UploadPartRequest) -> shapes.UploadPartOutput:
    """Store a part of an upload, in place of an earlier one of its number."""
    number: int = request["PartNumber"]
    bucket, upload = await _read_upload(call, request)
    multipart.check_part_number(number)
    expected = expected_of(request, call.http.headers, upload.algorithm or DEFAULT)
    multipart.check_part_checksum(upload, expected.given)
    lock = await locks.lock_of_upload(call, bucket, request, upload.encryption, upload.object_key)
    source = request.get("Body") or b""
    taken = await bodies.take(call.blobs, source, expected, lock.keeping(inline=False))
    body = locks.locked(call, request, lock, taken)
    part = await uploads.keep_part(call, request, body)
    return {
        "ETag": replies.quoted(part.etag),
        **encryption.members_of(lock.encryption, lock.object_key, request),
        **checksum_value(body.given),
    }


async def _read_upload(call: Call, request: Request) -> tuple[BucketRecord, UploadRecord]:
    """Return the request's upload and its bucket."""

    async def body(tr: Transaction) -> tuple[BucketRecord, UploadRecord]:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.require_upload(tr, bucket, request["Key"], request["UploadId"])
        return bucket, upload

    return await call.store.read(body)


@operation(
    access=access.put_object,
    domain=access.bucket_domain,
    body=BodyLimit(quotas.LONG_REQUEST_BYTES),
)
async def complete_multipart_upload(
    call: Call, request: shapes.CompleteMultipartUploadRequest
) -> shapes.CompleteMultipartUploadOutput:
    """Make one object of the listed parts, without touching their bytes.

    Parts are read and put together outside of a transaction; the last transaction commits only if
    no part has come since, and otherwise the work starts anew.
    """
    listed = multipart.listed_parts(request)
    for attempt in range(1, COMPLETE_TRIES + 1):
        token = f"{call.request_id}/{attempt}"
        begun = await _begin(call, request, token)
        if begun.upload is None:
            return _repeated(call, request, begun, listed)
        parts = await uploads.all_parts(call.store, begun.bucket, request["UploadId"])
        assembled = await _assemble(request, begun.upload, listed, parts)
        multipart.check_completion(request, begun.upload, assembled)
        _check_customer_key(request, begun.upload)
        if begun.upload.algorithm:
            encryption.check_customer_completion(request, begun.upload.encryption)
        completed = await _commit(call, request, token, listed, assembled)
        if completed is not None:
            reply = _completed_reply(call, begun.bucket, completed)
            return {**reply, **await expiration_member(call, begun.bucket, request["Key"])}
    raise Conflict("parts are uploaded while the upload is being completed")


def _check_customer_key(request: Request, upload: UploadRecord) -> None:
    """Refuse a client's key that is not the upload's; what is no part needs none."""
    customer_key = encryption.customer_key_of(request)
    if customer_key is not None:
        encryption.check_customer_part(upload.encryption, upload.object_key, customer_key)


async def _begin(call: Call, request: Request, token: str) -> _Begun:
    """Mark an upload as being completed by this request."""
    key, upload_id = request["Key"], request["UploadId"]

    async def body(tr: Transaction) -> _Begun:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.find_upload(tr, bucket, key, upload_id)
        if upload is None:
            return _Begun(bucket, None, await uploads.find_completed(tr, bucket, upload_id))
        conditions.check_write(request, await objects.find_object(tr, bucket, key))
        uploads.mark_completing(tr, bucket, key, upload_id, upload, token)
        return _Begun(bucket, upload, None)

    return await call.store.transact(body)


def _repeated(
    call: Call, request: Request, begun: _Begun, listed: Sequence[Listed]
) -> shapes.CompleteMultipartUploadOutput:
    """Answer a repeated request as the first was.

    Raises:
        NoSuchUpload: It is no repeat of one that succeeded.
    """
    completed = begun.completed
    if (
        completed is None
        or completed.key != request["Key"]
        or completed.parts != multipart.digest_of(listed)
    ):
        raise NoSuchUpload(UploadId=request["UploadId"])
    return _completed_reply(call, begun.bucket, completed)


def _completed_reply(
    call: Call, bucket: BucketRecord, completed: CompletedRecord
) -> shapes.CompleteMultipartUploadOutput:
    """Return what completing an upload answers."""
    reply: shapes.CompleteMultipartUploadOutput = {
        "Location": f"{bucket_url(call.http, bucket.name, bucket.region)}/{quote(completed.key)}",
        "Bucket": bucket.name,
        "Key": completed.key,
        "ETag": replies.quoted(completed.etag),
    }
    if completed.version_id:
        reply["VersionId"] = completed.version_id
    if completed.encryption not in ("", encryption.CUSTOMER):
        # AWS: this reply says nothing of a client's key.
        reply["ServerSideEncryption"] = completed.encryption
    if completed.kms_key:
        reply["SSEKMSKeyId"] = completed.kms_key
    if completed.bucket_key:
        reply["BucketKeyEnabled"] = True
    return {**reply, **checksum_members(completed.checksum)}


async def _assemble(
    request: Request,
    upload: UploadRecord,
    listed: Sequence[Listed],
    parts: Mapping[int, PartRecord],
) -> Assembled:
    """Put the listed parts together, off the loop if they are many."""
    if len(parts) <= _LOOP_PARTS_MAX:
        return multipart.assemble(request["UploadId"], upload, listed, parts)
    return await asyncio.to_thread(multipart.assemble, request["UploadId"], upload, listed, parts)


async def _commit(
    call: Call, request: Request, token: str, listed: Sequence[Listed], assembled: Assembled
) -> CompletedRecord | None:
    """Make the object; return None if a part has come since the upload was marked."""
    key, upload_id = request["Key"], request["UploadId"]
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> CompletedRecord | None:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.require_upload(tr, bucket, key, upload_id)
        if upload.completing != token:
            return None
        current = await objects.find_object(tr, bucket, key)
        conditions.check_write(request, current)
        place = await versions.next_place(tr, bucket, key, current, now_ms, call.request_id)
        record = ObjectRecord(
            etag=assembled.etag,
            size=assembled.size,
            modified_ms=now_ms,
            sequencer=place.sequencer,
            checksum=assembled.checksum,
            headers=upload.headers,
            metadata=upload.metadata,
            manifest=upload_id,
            parts_count=len(assembled.parts),
            version_id=place.version_id,
            order=place.order,
            owner=upload.owner,
            acl=upload.acl,
            tags=upload.tags,
            encryption=upload.encryption,
            object_key=upload.object_key,
            protection=retention.new_protection(upload.protection, bucket, now_ms),
        )
        shown = shown_id(bucket, record)
        completed = CompletedRecord(
            key=key,
            etag=record.etag,
            checksum=record.checksum,
            parts=multipart.digest_of(listed),
            version_id=written_id(record),
            encryption=record.encryption,
            kms_key="" if record.object_key is None else record.object_key.kms_key,
            bucket_key=record.object_key is not None and bool(record.object_key.bucket_key),
        )
        uploads.put_manifest(tr, bucket, upload_id, assembled)
        uploads.complete_upload(
            tr, call.timers, bucket, upload_id, (completed, assembled.dropped), now_ms
        )
        await objects.put_object(tr, bucket, key, record, None, replaces=current)
        happening = Happening(
            CREATED_COMPLETE, key, record.sequencer, record.size, record.etag, shown
        )
        await notifications.tell(tr, call, bucket, now_ms, happening)
        return completed

    return await call.store.transact(body)


@operation(
    access=access.abort_multipart_upload,
    domain=access.bucket_domain,
)
async def abort_multipart_upload(
    call: Call, request: shapes.AbortMultipartUploadRequest
) -> shapes.AbortMultipartUploadOutput:
    """Give an upload up; its parts are removed in the background."""
    key, upload_id = request["Key"], request["UploadId"]
    initiated_ms: int | None = request.get("IfMatchInitiatedTime")
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> None:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.require_upload(tr, bucket, key, upload_id)
        if initiated_ms is not None and initiated_ms // 1000 != upload.created_ms // 1000:
            raise PreconditionFailed(Condition="x-amz-if-match-initiated-time")
        await uploads.close_upload(tr, bucket, key, upload_id, now_ms)

    await call.store.transact(body)
    return {}


@operation(
    access=access.list_parts,
    domain=access.bucket_domain,
)
async def list_parts(call: Call, request: shapes.ListPartsRequest) -> shapes.ListPartsOutput:
    """List the parts of an upload by number."""
    key, upload_id = request["Key"], request["UploadId"]
    limit = limit_of(request, "MaxParts", "max-parts")
    marker: int = request.get("PartNumberMarker") or 0

    async def body(
        tr: Transaction,
    ) -> tuple[BucketRecord, UploadRecord, list[tuple[int, PartRecord]]]:
        bucket = await buckets.require_bucket(tr, call, request)
        upload = await uploads.require_upload(tr, bucket, key, upload_id)
        page = await uploads.list_parts(tr, bucket.bucket_id, upload_id, marker, limit + 1)
        return bucket, upload, page

    bucket, upload, found = await call.store.read(body)
    _check_customer_key(request, upload)
    page = found[:limit]
    owners = await people.owners_of(call, bucket, (upload,))
    return {
        "Bucket": request["Bucket"],
        "Key": key,
        "UploadId": upload_id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1][0] if page else 0,
        "MaxParts": limit,
        "IsTruncated": bool(limit) and len(found) > limit,
        "Parts": [replies.listed_part(upload, number, part) for number, part in page],
        **replies.upload_people(owners, upload),
        **replies.upload_checksum(upload),
    }


@operation(
    access=access.on_bucket("s3:ListBucketMultipartUploads"),
    domain=access.bucket_domain,
)
async def list_multipart_uploads(
    call: Call, request: shapes.ListMultipartUploadsRequest
) -> shapes.ListMultipartUploadsOutput:
    """List the uploads under way by key, those of one key in the order they began."""
    check_encoding(request)
    limit = limit_of(request, "MaxUploads", "max-uploads")
    bucket = await _read_bucket(call, request)
    walk = await uploads.walk_uploads(call.store, bucket, _uploads_walk(request, limit))
    owners = await people.owners_of(call, bucket, (UPLOADS.decode(row.value) for row in walk.rows))
    reply: shapes.ListMultipartUploadsOutput = {
        "Bucket": request["Bucket"],
        "KeyMarker": encoded(request, request.get("KeyMarker") or ""),
        "UploadIdMarker": request.get("UploadIdMarker") or "",
        "Prefix": encoded(request, walk.prefix),
        "MaxUploads": limit,
        "IsTruncated": walk.truncated,
        "Uploads": [replies.listed_upload(request, owners, row) for row in walk.rows],
        "CommonPrefixes": replies.common_prefixes(request, walk.prefixes),
    }
    if delimiter := request.get("Delimiter"):
        reply["Delimiter"] = encoded(request, delimiter)
    if encoding := request.get("EncodingType"):
        reply["EncodingType"] = encoding
    if walk.truncated:
        after = walk.place.after
        reply["NextKeyMarker"] = encoded(request, after[0])
        reply["NextUploadIdMarker"] = after[1] if len(after) > 1 else ""
    return reply


async def _read_bucket(call: Call, request: Request) -> BucketRecord:
    """Return the request's bucket."""

    async def body(tr: Transaction) -> BucketRecord:
        return await buckets.require_bucket(tr, call, request)

    return await call.store.read(body)


def _uploads_walk(request: Request, limit: int) -> Walk:
    """Return the walk that the request asks for.

    Raises:
        InvalidArgument: The upload id of the marker cannot be one.
    """
    prefix, delimiter = request.get("Prefix") or "", request.get("Delimiter") or ""
    key, upload_id = request.get("KeyMarker") or "", request.get("UploadIdMarker") or ""
    if not (key and upload_id):
        return walk_from_marker(prefix, delimiter, limit, key)
    if not (upload_id.isascii() and upload_id.isalnum()):
        raise InvalidArgument(
            "Invalid uploadId marker",
            ArgumentName="upload-id-marker",
            ArgumentValue=upload_id,
        )
    return Walk(prefix, delimiter, limit, Place((key, upload_id)))
