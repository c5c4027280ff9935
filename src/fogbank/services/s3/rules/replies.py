"""Records as the members of replies."""

from __future__ import annotations

from fogbank.base.arn import canonical_user_id
from fogbank.base.types import Wire
from fogbank.services.s3.rules.checksums import checksum_members, kind_of
from fogbank.services.s3.rules.listings import Row, encoded
from fogbank.services.s3.rules.metadata import header_members, metadata_member
from fogbank.services.s3.rules.ranges import Span
from fogbank.services.s3.schema import (
    OBJECTS,
    UPLOADS,
    BucketRecord,
    Checksum,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)

STORAGE_CLASS = "STANDARD"


def quoted(etag: str) -> str:
    """Return an entity tag as it stands in headers and documents."""
    return f'"{etag}"'


def object_reply(
    request: Wire, record: ObjectRecord, span: Span, part: tuple[int, Checksum] | None
) -> Wire:
    """Return what GetObject and HeadObject say of an object, but for the bytes.

    Args:
        request: It may ask for checksums (``ChecksumMode``).
        record: The object.
        span: The bytes that are meant.
        part: The number of parts and the checksum of the one asked for, of a multipart object.
    """
    reply: Wire = {
        "AcceptRanges": "bytes",
        "LastModified": record.modified_ms,
        "ContentLength": span.length,
        "ETag": quoted(record.etag),
        **header_members(record.headers),
    }
    if record.metadata:
        reply["Metadata"] = metadata_member(record.metadata)
    if span.partial:
        reply["ContentRange"] = span.content_range
    if part is not None:
        reply["PartsCount"] = part[0]
    if request.get("ChecksumMode") == "ENABLED":
        if part is not None:
            # The type is the object's, though the value is that of one part.
            reply |= checksum_members(part[1], kind=False)
            reply["ChecksumType"] = kind_of(record.checksum or part[1])
        elif span.length == record.size:
            reply |= checksum_members(record.checksum)
    return reply


def owner_of(account: str) -> Wire:
    """Return the owner of a bucket or object; AWS gives no DisplayName any more (2025)."""
    return {"ID": canonical_user_id(account)}


def listed_object(request: Wire, bucket: BucketRecord, row: Row, *, owner: bool) -> Wire:
    """Return one entry of a listing of objects."""
    record = OBJECTS.decode(row.value)
    entry: Wire = {
        "Key": encoded(request, row.key),
        "LastModified": record.modified_ms,
        "ETag": quoted(record.etag),
        "Size": record.size,
        "StorageClass": STORAGE_CLASS,
    }
    if record.checksum is not None:
        entry["ChecksumAlgorithm"] = [record.checksum.algorithm]
        entry["ChecksumType"] = kind_of(record.checksum)
    if owner:
        entry["Owner"] = owner_of(bucket.account)
    return entry


def listed_upload(request: Wire, bucket: BucketRecord, row: Row) -> Wire:
    """Return one entry of a listing of uploads."""
    record = UPLOADS.decode(row.value)
    return {
        "Key": encoded(request, row.key),
        "UploadId": row.upload_id,
        "Initiated": record.created_ms,
        **upload_people(bucket, record),
        **upload_checksum(record),
    }


def upload_people(bucket: BucketRecord, record: UploadRecord) -> Wire:
    """Return who owns and who began an upload, and its storage class."""
    return {
        "Owner": owner_of(bucket.account),
        "Initiator": {"ID": record.initiator_id, "DisplayName": record.initiator_arn},
        "StorageClass": STORAGE_CLASS,
    }


def upload_checksum(record: UploadRecord) -> Wire:
    """Return the checksum algorithm and type that an upload was created with."""
    if not record.algorithm:
        return {}
    kind = "COMPOSITE" if record.composite else "FULL_OBJECT"
    return {"ChecksumAlgorithm": record.algorithm, "ChecksumType": kind}


def listed_part(upload: UploadRecord, number: int, record: PartRecord) -> Wire:
    """Return one entry of a listing of parts."""
    entry: Wire = {
        "PartNumber": number,
        "LastModified": record.modified_ms,
        "ETag": quoted(record.etag),
        "Size": record.size,
    }
    if upload.algorithm:
        entry |= checksum_members(record.checksum, kind=False)
    return entry


def common_prefixes(request: Wire, prefixes: list[str]) -> list[Wire]:
    """Return the common prefixes of a listing."""
    return [{"Prefix": encoded(request, prefix)} for prefix in prefixes]
