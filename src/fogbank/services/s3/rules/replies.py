"""Records as the members of replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypedDict

from fogbank.base.errors import ServiceError
from fogbank.base.types import Request
from fogbank.services.s3.errors import MethodNotAllowed, NoSuchKey, NoSuchVersion
from fogbank.services.s3.rules.acls import ANONYMOUS, owner_id
from fogbank.services.s3.rules.checksums import checksum_members, checksum_value, kind_of
from fogbank.services.s3.rules.encryption import members_of
from fogbank.services.s3.rules.listings import Place, Row, encoded
from fogbank.services.s3.rules.metadata import header_members, metadata_member
from fogbank.services.s3.rules.ranges import Span
from fogbank.services.s3.rules.versions import NULL, shown_id
from fogbank.services.s3.schema import (
    ENFORCED,
    OBJECTS,
    UPLOADS,
    BucketRecord,
    Checksum,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

STORAGE_CLASS = "STANDARD"
Names = Mapping[str, str]
"""Canonical user ids to display names."""
NO_NAMES: Final[Names] = {}


def quoted(etag: str) -> str:
    """Return an entity tag as it stands in headers and documents."""
    return f'"{etag}"'


def object_reply(
    request: Request,
    bucket: BucketRecord,
    record: ObjectRecord,
    meant: tuple[Span, tuple[int, Checksum] | None],
) -> shapes.GetObjectOutput:
    """Return what GetObject and HeadObject say of an object, but for the bytes.

    Args:
        request: It may ask for checksums (``ChecksumMode``).
        bucket: Where it lies.
        record: The object.
        meant: The bytes; then the number of parts and the checksum of the one asked for, of a
            multipart object.
    """
    span, part = meant
    reply: shapes.GetObjectOutput = {
        "AcceptRanges": "bytes",
        "LastModified": record.modified_ms,
        "ContentLength": span.length,
        "ETag": quoted(record.etag),
        **header_members(record.headers),
        **members_of(record.encryption, record.object_key, request),
    }
    if bucket.versioning:
        reply["VersionId"] = shown_id(bucket, record)
    if record.metadata:
        reply["Metadata"] = metadata_member(record.metadata)
    if span.partial:
        reply["ContentRange"] = span.content_range
    if part is not None:
        reply["PartsCount"] = part[0]
    if request.get("ChecksumMode") == "ENABLED":
        if part is not None:
            # The type is the object's, though the value is that of one part.
            kind = kind_of(record.checksum or part[1])
            return {**reply, **checksum_value(part[1]), "ChecksumType": kind}
        if span.length == record.size:
            return {**reply, **checksum_members(record.checksum)}
    return reply


def owner_of(account: str, names: Names = NO_NAMES) -> shapes.Owner:
    """Return the owner of a bucket or object; AWS gives no DisplayName any more (2025).

    Args:
        account: Its account.
        names: The display names of canonical user ids, in deployments whose owners have some.
    """
    who = owner_id(account)
    return {"ID": who, "DisplayName": names[who]} if who in names else {"ID": who}


def absent(request: Request, marker: ObjectRecord | None) -> ServiceError:
    """Return why there is nothing to read; a delete marker in the way is told of in headers."""
    key, version_id = request["Key"], request.get("VersionId")
    error: ServiceError = NoSuchKey(Key=key)
    if version_id is not None and marker is None:
        return NoSuchVersion(Key=key, VersionId=version_id)
    if version_id is not None:
        error = MethodNotAllowed(Method="GET", ResourceType="DeleteMarker")
        error.headers["allow"] = "DELETE"
    if marker is not None:
        error.headers["x-amz-delete-marker"] = "true"
        error.headers["x-amz-version-id"] = marker.version_id or NULL
    return error


class Owners:
    """The owners of the objects of a bucket.

    Args:
        bucket: The bucket.
        names: The display names of canonical user ids, in deployments whose owners have some.
    """

    __slots__ = ("_bucket", "_known", "_names")

    def __init__(self, bucket: BucketRecord, names: Names = NO_NAMES) -> None:
        self._bucket = bucket
        self._names = names
        self._known: dict[str, shapes.Owner] = {}

    def of(self, record: ObjectRecord | UploadRecord) -> shapes.Owner:
        """Return the owner of an object, or of what an upload will be."""
        account = record.owner if self._bucket.ownership != ENFORCED else ""
        account = account or self._bucket.account
        known = self._known.get(account)
        if known is None:
            known = self._known[account] = owner_of(account, self._names)
        return known

    def initiator(self, record: UploadRecord) -> shapes.Initiator:
        """Return who began an upload.

        AWS: an account as an owner is shown, a user by its ARN (API Reference, Initiator).
        """
        arn = record.initiator_arn
        if arn and not arn.endswith(_ROOT):
            return {"ID": record.initiator_id, "DisplayName": arn}
        account = (record.initiator or self._bucket.account) if arn else ANONYMOUS
        return {**owner_of(account, self._names)}


def listed_objects(
    request: Request, rows: Sequence[Row], owners: Owners | None
) -> list[shapes.Object]:
    """Return the entries of a listing of objects; with their owners, if it asks for them."""
    decode = OBJECTS.decode
    names = [row.key for row in rows]
    if "EncodingType" in request:
        names = [encoded(request, name) for name in names]
    entries: list[shapes.Object] = []
    for name, row in zip(names, rows, strict=True):
        record = decode(row.value)
        entry: shapes.Object = {
            "Key": name,
            "LastModified": record.modified_ms,
            "ETag": f'"{record.etag}"',
            "Size": record.size,
            "StorageClass": STORAGE_CLASS,
        }
        checksum = record.checksum
        if checksum is not None:
            entry["ChecksumAlgorithm"] = [checksum.algorithm]
            entry["ChecksumType"] = kind_of(checksum)
        if owners is not None:
            entry["Owner"] = owners.of(record)
        entries.append(entry)
    return entries


def listed_id(row: Row) -> str:
    """Return the id of the version in a row of a listing of versions."""
    return OBJECTS.decode(row.value).version_id or NULL


def listed_versions(
    request: Request, owners: Owners, rows: Sequence[Row], begin: Place
) -> tuple[list[shapes.ObjectVersion], list[shapes.DeleteMarkerEntry]]:
    """Return the versions and the delete markers of a listing that began at a place."""
    shown: list[shapes.ObjectVersion] = []
    markers: list[shapes.DeleteMarkerEntry] = []
    # Behind a version of a key none that follows is the key's newest.
    key = begin.after[0] if len(begin.after) > 1 else None
    for row in rows:
        record, newest, key = OBJECTS.decode(row.value), row.key != key, row.key
        named: shapes.DeleteMarkerEntry = {
            "Key": encoded(request, row.key),
            "VersionId": record.version_id or NULL,
            "IsLatest": newest,
            "LastModified": record.modified_ms,
            "Owner": owners.of(record),
        }
        if record.delete_marker:
            markers.append(named)
        else:
            shown.append({**named, **_version_members(record)})
    return shown, markers


class _VersionMembers(TypedDict, total=False):
    """What a listing says of versions and not of markers."""

    ETag: str
    Size: int
    StorageClass: str
    ChecksumAlgorithm: list[str]
    ChecksumType: str


def _version_members(record: ObjectRecord) -> _VersionMembers:
    """Return what a listing says of a version and not of a marker."""
    members: _VersionMembers = {
        "ETag": quoted(record.etag),
        "Size": record.size,
        "StorageClass": STORAGE_CLASS,
    }
    if record.checksum is not None:
        members["ChecksumAlgorithm"] = [record.checksum.algorithm]
        members["ChecksumType"] = kind_of(record.checksum)
    return members


def listed_upload(request: Request, owners: Owners, row: Row) -> shapes.MultipartUpload:
    """Return one entry of a listing of uploads."""
    record = UPLOADS.decode(row.value)
    return {
        "Key": encoded(request, row.key),
        "UploadId": row.upload_id,
        "Initiated": record.created_ms,
        **upload_people(owners, record),
        **upload_checksum(record),
    }


class UploadPeople(TypedDict):
    """Who owns and who began an upload, and its storage class."""

    Owner: shapes.Owner
    Initiator: shapes.Initiator
    StorageClass: str


class UploadChecksum(TypedDict, total=False):
    """The checksum that an upload was created with."""

    ChecksumAlgorithm: str
    ChecksumType: str


_ROOT: Final = ":root"


def upload_people(owners: Owners, record: UploadRecord) -> UploadPeople:
    """Return who owns and who began an upload, and its storage class."""
    return {
        "Owner": owners.of(record),
        "Initiator": owners.initiator(record),
        "StorageClass": STORAGE_CLASS,
    }


def upload_checksum(record: UploadRecord) -> UploadChecksum:
    """Return the checksum algorithm and type that an upload was created with."""
    if not record.algorithm:
        return {}
    kind = "COMPOSITE" if record.composite else "FULL_OBJECT"
    return {"ChecksumAlgorithm": record.algorithm, "ChecksumType": kind}


def listed_part(upload: UploadRecord, number: int, record: PartRecord) -> shapes.Part:
    """Return one entry of a listing of parts."""
    entry: shapes.Part = {
        "PartNumber": number,
        "LastModified": record.modified_ms,
        "ETag": quoted(record.etag),
        "Size": record.size,
    }
    return {**entry, **checksum_value(record.checksum)} if upload.algorithm else entry


def common_prefixes(request: Request, prefixes: list[str]) -> list[shapes.CommonPrefix]:
    """Return the common prefixes of a listing."""
    return [{"Prefix": encoded(request, prefix)} for prefix in prefixes]
