"""Conditional requests: which conditions hold, and in which order they are asked.

Source: RFC 9110, section 13.2.2; Amazon S3 API Reference, GetObject, PutObject, CopyObject,
DeleteObject ("If-Match" and its kin); Amazon S3 User Guide, "Conditional requests".
"""

from __future__ import annotations

from fogbank.base.types import Request
from fogbank.services.s3.errors import NoSuchKey, NotModified, PreconditionFailed
from fogbank.services.s3.schema import ObjectRecord

_SECOND_MS = 1_000


def matches(etag: str, condition: str) -> bool:
    """Return whether an entity tag (without quotes) is one that the condition names."""
    return condition.strip() == "*" or etag in (
        tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")
    )


def _modified_since(record: ObjectRecord, when_ms: int | None) -> bool:
    """Return whether the object is newer than a time; dates of HTTP have whole seconds."""
    return when_ms is not None and record.modified_ms // _SECOND_MS > when_ms // _SECOND_MS


def _unmodified_since(record: ObjectRecord, when_ms: int | None, now_ms: int) -> bool:
    """Return whether the object is not newer than a time; one in the future says nothing."""
    if when_ms is None or when_ms > now_ms:
        return False
    return not _modified_since(record, when_ms)


def check_read(request: Request, record: ObjectRecord, now_ms: int) -> None:
    """Refuse a read whose conditions do not hold.

    Raises:
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold.
        NotModified: The client has this very object already.
    """
    if (condition := request.get("IfMatch")) is not None:
        # If-Match decides alone: If-Unmodified-Since beside it is not looked at.
        if not matches(record.etag, condition):
            raise PreconditionFailed(Condition="If-Match")
    elif _modified_since(record, request.get("IfUnmodifiedSince")):
        raise PreconditionFailed(Condition="If-Unmodified-Since")
    if (condition := request.get("IfNoneMatch")) is not None:
        if matches(record.etag, condition):
            raise _not_modified(record)
    elif _unmodified_since(record, request.get("IfModifiedSince"), now_ms):
        raise _not_modified(record)


def _not_modified(record: ObjectRecord) -> NotModified:
    """Return the error that tells a client to use its copy; it goes on saying which."""
    return NotModified(ETag=f'"{record.etag}"', LastModified=record.modified_ms)


def check_copy_source(request: Request, record: ObjectRecord, now_ms: int) -> None:
    """Refuse a copy whose conditions on the source do not hold; see ``check_source``."""
    asked = {
        "IfMatch": request.get("CopySourceIfMatch"),
        "IfNoneMatch": request.get("CopySourceIfNoneMatch"),
        "IfModifiedSince": request.get("CopySourceIfModifiedSince"),
        "IfUnmodifiedSince": request.get("CopySourceIfUnmodifiedSince"),
    }
    check_source(asked, record, now_ms, "x-amz-copy-source-If-")


def check_source(request: Request, record: ObjectRecord, now_ms: int, prefix: str) -> None:
    """Refuse to copy or to rename an object if the conditions on it do not hold.

    Args:
        request: The conditions, named as those of reads.
        record: The object.
        now_ms: The time.
        prefix: What errors put before the names of conditions.

    Raises:
        PreconditionFailed: One does not hold.
    """
    if (condition := request.get("IfMatch")) is not None:
        if not matches(record.etag, condition):
            raise PreconditionFailed(Condition=f"{prefix}Match")
    elif _modified_since(record, request.get("IfUnmodifiedSince")):
        raise PreconditionFailed(Condition=f"{prefix}Unmodified-Since")
    if (condition := request.get("IfNoneMatch")) is not None:
        if matches(record.etag, condition):
            raise PreconditionFailed(Condition=f"{prefix}None-Match")
    elif _unmodified_since(record, request.get("IfModifiedSince"), now_ms):
        raise PreconditionFailed(Condition=f"{prefix}Modified-Since")


def check_write(request: Request, current: ObjectRecord | None) -> None:
    """Refuse a write whose conditions on what it replaces do not hold.

    AWS takes an entity tag in If-Match and ``*`` in If-None-Match only; here both take both.

    Raises:
        NoSuchKey: If-Match was given and there is no object.
        PreconditionFailed: The object is another, or one is there already.
    """
    if (condition := request.get("IfMatch")) is not None:
        if current is None:
            raise NoSuchKey(Key=request["Key"])
        if not matches(current.etag, condition):
            raise PreconditionFailed(Condition="If-Match")
    condition = request.get("IfNoneMatch")
    if condition is not None and current is not None and matches(current.etag, condition):
        raise PreconditionFailed(Condition="If-None-Match")


def check_delete(
    current: ObjectRecord | None, etag: str | None, modified_ms: int | None, size: int | None
) -> None:
    """Refuse a removal whose conditions do not hold; there is nothing to refuse without an object.

    Raises:
        PreconditionFailed: The object is another.
    """
    if current is None:
        return
    if etag is not None and not matches(current.etag, etag):
        raise PreconditionFailed(Condition="If-Match")
    same_second = modified_ms is None or modified_ms // 1000 == current.modified_ms // 1000
    if not same_second:
        raise PreconditionFailed(Condition="x-amz-if-match-last-modified-time")
    if size is not None and size != current.size:
        raise PreconditionFailed(Condition="x-amz-if-match-size")
