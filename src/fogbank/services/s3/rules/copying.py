"""Where a copy reads from, and which copies make no sense.

Source: Amazon S3 API Reference, CopyObject and UploadPartCopy (``x-amz-copy-source``).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from fogbank.base.types import Request
from fogbank.services.s3.errors import InvalidArgument, InvalidRequest
from fogbank.services.s3.quotas import PUT_BYTES_MAX
from fogbank.services.s3.rules.versions import NULL, order_of

_CHANGES: Final = frozenset(("StorageClass", "ServerSideEncryption", "SSECustomerAlgorithm"))
"""Members that change an object that is copied onto itself."""
_RANGE: Final = re.compile(r"bytes=(\d{1,19})-(\d{1,19})")
_RANGE_FORM: Final = (
    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
    "are the zero-based offsets of the first and last bytes to copy"
)


class CopySource(NamedTuple):
    """The object that a copy reads."""

    bucket: str
    key: str
    version_id: str = ""


def copy_source_of(header: str) -> CopySource:
    """Return what ``x-amz-copy-source`` names: URL-encoded, with or without a leading slash.

    Raises:
        InvalidArgument: It does not name a bucket and a key, or the version cannot be one.
    """
    path, mark, query = header.partition("?versionId=")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not (slash and bucket and key):
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    version_id = unquote(query) if mark else ""
    if version_id not in ("", NULL):
        order_of(version_id)  # refuses what cannot be one
    return CopySource(bucket, key, version_id)


def copy_range_of(header: str | None, size: int) -> tuple[int, int]:
    """Return the half-open range of the source that UploadPartCopy takes.

    Raises:
        InvalidArgument: It is malformed or leaves the source.
        InvalidRequest: It begins behind the end of the source.
    """
    if header is None:
        return 0, size
    found = _RANGE.fullmatch(header)
    first, last = (int(found[1]), int(found[2])) if found else (1, 0)
    members = {"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": header}
    if first > last:
        raise InvalidArgument(_RANGE_FORM, **members)
    if first >= size:
        raise InvalidRequest("The specified copy range is invalid for the source object size")
    if last >= size:
        raise InvalidArgument(
            f"Range specified is not valid for source object of size: {size}", **members
        )
    return first, last + 1


def check_copy(request: Request, source: CopySource) -> None:
    """Refuse a copy of an object onto itself that would change nothing; an older version may be one."""
    onto_itself = source == (request["Bucket"], request["Key"], "")
    if (
        onto_itself
        and request.get("MetadataDirective") != "REPLACE"
        and _CHANGES.isdisjoint(request)
    ):
        # AWS: any storage class in the request makes the copy legal, even the object's own.
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's metadata, storage class, website redirect location or "
            "encryption attributes."
        )


def check_copy_size(size: int) -> None:
    """Refuse to copy more in one request than could be put in one."""
    if size > PUT_BYTES_MAX:
        raise InvalidRequest(
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {PUT_BYTES_MAX}"
        )
