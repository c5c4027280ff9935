"""Versions of objects: their ids, their order, and what a bucket says of them.

Theory: every write of a key has a sequencer above all before it. The order of a version is that
number's negative, so that the newest lies first, and its id begins with the same number in base 62:
whoever names a version has said where it lies. A key of a bucket that never had versioning holds one
version, ``null``, of order 0, which stays the oldest when versioning is enabled.

Source: Amazon S3 User Guide, "Using versioning in S3 buckets", "Working with delete markers",
"Adding objects to versioning-suspended buckets"; API Reference, ListObjectVersions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from fogbank.services.s3.errors import IllegalVersioningConfigurationException, InvalidArgument
from fogbank.services.s3.rules.sequencing import sequencer_of
from fogbank.services.s3.schema import BucketRecord, ObjectRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

ENABLED: Final = "Enabled"
DISABLED: Final = "Disabled"
SUSPENDED: Final = "Suspended"
NULL: Final = "null"
"""The id of the version that was written without versioning."""
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final[Mapping[str, int]] = {digit: value for value, digit in enumerate(_DIGITS)}
_SEQUENCER_DIGITS: Final = 11
_ID_CHARACTERS: Final = 32
_SEQUENCER_MAX: Final = (1 << 63) - 1


class Placed(NamedTuple):
    """Where a new version of a key goes."""

    version_id: str
    """Empty is ``null``."""
    order: int
    sequencer: int


def placed(
    bucket: BucketRecord, top: ObjectRecord | None, now_ms: int, key: str, request_id: str
) -> Placed:
    """Return the place of a new version on top of the newest one.

    Args:
        bucket: Its versioning decides.
        top: The newest version or delete marker of the key, if there is one.
        now_ms: When it is written.
        key: The key.
        request_id: Who writes it: what is drawn in a transaction would not be the same twice.
    """
    sequencer = sequencer_of(now_ms, top)
    if not bucket.versioning:
        return Placed("", 0, sequencer)
    if bucket.versioning == SUSPENDED:
        return Placed("", -sequencer, sequencer)
    digest = hashlib.sha256(f"{request_id}/{key}".encode()).digest()
    tail = _base62(int.from_bytes(digest), _ID_CHARACTERS - _SEQUENCER_DIGITS)
    return Placed(_base62(sequencer, _SEQUENCER_DIGITS) + tail, -sequencer, sequencer)


def delete_marker(place: Placed, now_ms: int) -> ObjectRecord:
    """Return a new delete marker at a place."""
    return ObjectRecord(
        etag="",
        size=0,
        modified_ms=now_ms,
        sequencer=place.sequencer,
        version_id=place.version_id,
        order=place.order,
        delete_marker=True,
    )


def _base62(number: int, digits: int) -> str:
    """Return the last digits of a number."""
    found: list[str] = []
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        found.append(_DIGITS[digit])
    return "".join(reversed(found))


def order_of(version_id: str) -> int:
    """Return the order of the version that has an id (not ``null``).

    Raises:
        InvalidArgument: It cannot be one of ours.
    """
    sequencer = 0
    for digit in version_id[:_SEQUENCER_DIGITS]:
        sequencer = sequencer * len(_DIGITS) + _VALUES.get(digit, _SEQUENCER_MAX)
    if len(version_id) != _ID_CHARACTERS or sequencer > _SEQUENCER_MAX:
        raise invalid_id(version_id)
    return -sequencer


def invalid_id(version_id: str) -> InvalidArgument:
    """Return the error for an id that no version of the bucket can have."""
    return InvalidArgument(
        "Invalid version id specified", ArgumentName="versionId", ArgumentValue=version_id
    )


def shown_id(bucket: BucketRecord, record: ObjectRecord) -> str:
    """Return the version id that answers say of an object; nothing without versioning."""
    return (record.version_id or NULL) if bucket.versioning else ""


def written_id(record: ObjectRecord) -> str:
    """Return the version id that writing an object answers; nothing of a null version.

    AWS: PutObject says none while versioning is suspended (recorded by LocalStack,
    test_put_object_on_suspended_bucket; ceph/s3-tests asks it of CompleteMultipartUpload too),
    where CopyObject, reads and lists say ``null`` (``shown_id``).
    """
    return record.version_id


class VersionMember(TypedDict, total=False):
    """The member of an answer that names a version."""

    VersionId: str


def version_member(bucket: BucketRecord, record: ObjectRecord) -> VersionMember:
    """Return the member of an answer that names a version, if there is one to name."""
    version_id = shown_id(bucket, record)
    return {"VersionId": version_id} if version_id else {}


def versioning_of(configuration: shapes.VersioningConfiguration) -> str:
    """Return the state that a configuration asks for.

    Raises:
        IllegalVersioningConfigurationException: It does not say.
    """
    status: str | None = configuration.get("Status")
    if status not in (ENABLED, SUSPENDED):
        raise IllegalVersioningConfigurationException
    return status
