"""Appends: which may be, and what an object that grew is known by.

AWS takes ``WriteOffsetBytes`` in directory buckets only; here every bucket does that never had versions.

Source: Amazon S3 User Guide, "Appending data to objects in directory buckets"; API Reference,
PutObject (``x-amz-write-offset-bytes``, and its errors).
"""

from __future__ import annotations

import hashlib
from typing import Final

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.services.s3.errors import (
    EncryptionTypeMismatch,
    EntityTooLarge,
    InvalidRequest,
    InvalidWriteOffset,
    TooManyParts,
)
from fogbank.services.s3.quotas import OBJECT_BYTES_MAX, PARTS_MAX
from fogbank.services.s3.rules.acls import asks
from fogbank.services.s3.rules.checksums import combined_of
from fogbank.services.s3.rules.encryption import Asked
from fogbank.services.s3.schema import BucketRecord, Checksum, ObjectRecord
from fogbank.wire.checksums import LINEAR

MEMBER: Final = "WriteOffsetBytes"
_OF_THE_WHOLE: Final = (
    *("Metadata", "Tagging", "ObjectLockMode"),
    *("ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"),
)
"""Members that an append cannot carry: what they say is said of the whole object."""


def check_append(request: Request, bucket: BucketRecord, current: ObjectRecord | None) -> None:
    """Refuse an append that does not begin where the object ends.

    Raises:
        NotBuilt: The bucket has versions, or had.
        InvalidRequest: The request says what an append cannot change.
        InvalidWriteOffset: The object ends elsewhere, or there is none.
    """
    if bucket.versioning:
        raise NotBuilt.member("s3", "PutObject", f"{MEMBER} (in a bucket with versions)")
    if current is not None and (asks(request) or not request.keys().isdisjoint(_OF_THE_WHOLE)):
        raise InvalidRequest(
            "Metadata, tags, access control lists and locks cannot be given with an append"
        )
    if request[MEMBER] != (0 if current is None else current.size):
        raise InvalidWriteOffset


def check_begin(request: Request, bucket: BucketRecord, current: ObjectRecord | None) -> None:
    """Refuse an append that begins an object where there is one by now; others are not asked.

    Raises:
        InvalidWriteOffset: There is.
    """
    if MEMBER not in request:
        return
    check_append(request, bucket, current)
    if current is not None:
        raise InvalidWriteOffset


def check_encryption(asked: Asked, record: ObjectRecord) -> None:
    """Refuse an append that asks for another encryption than the object has.

    Raises:
        EncryptionTypeMismatch: It does.
    """
    owner = "" if record.object_key is None else record.object_key.kms_key
    if asked.algorithm not in ("", record.encryption) or (
        asked.kms_key and not owner.endswith(asked.kms_key.rpartition("/")[2])
    ):
        raise EncryptionTypeMismatch


def check_size(record: ObjectRecord, more: int, parts: int) -> None:
    """Refuse an object that would be too large, or of too many parts.

    Raises:
        EntityTooLarge: It would be.
        TooManyParts: It has as many as there may be.
    """
    if record.size + more > OBJECT_BYTES_MAX:
        raise EntityTooLarge(ProposedSize=record.size + more, MaxSizeAllowed=OBJECT_BYTES_MAX)
    if parts >= PARTS_MAX:
        raise TooManyParts


def is_linear(checksum: Checksum | None) -> bool:
    """Return whether the checksum of a longer object follows from this one and that of the rest."""
    return checksum is not None and checksum.algorithm in LINEAR and not checksum.parts


def checksum_of(first: tuple[Checksum, int], rest: tuple[Checksum, int]) -> Checksum:
    """Return the checksum of a whole, given (checksum, size) of both its pieces."""
    algorithm = first[0].algorithm
    assert rest[0].algorithm == algorithm
    return combined_of(algorithm, [(piece.value, size) for piece, size in (first, rest)])


def etag_of(first: str, rest: str, parts: int) -> str:
    """Return the entity tag of an object that grew: as of one in parts, a digest of no bytes."""
    joined = f"{first}+{rest}".encode()
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{parts}"
