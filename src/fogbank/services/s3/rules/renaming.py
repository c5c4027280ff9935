"""Renames of objects: what names the source, which may be, and when one is a repeat.

AWS renames in directory buckets only; here in every bucket that never had versions.

Source: Amazon S3 User Guide, "Renaming objects in directory buckets"; API Reference, RenameObject.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import unquote

import msgspec

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    NoSuchKey,
    PreconditionFailed,
)
from fogbank.services.s3.rules import conditions
from fogbank.services.s3.rules.names import check_key
from fogbank.services.s3.schema import BucketRecord, ObjectRecord

_TOKEN_CHARACTERS_MAX: Final = 64
_VISIBLE: Final = range(33, 127)
_GIVEN: Final = "ClientToken"
_HEADER: Final = "x-amz-rename-source-if-"
_FOR_SOURCE: Final = {
    "SourceIfMatch": "IfMatch",
    "SourceIfNoneMatch": "IfNoneMatch",
    "SourceIfModifiedSince": "IfModifiedSince",
    "SourceIfUnmodifiedSince": "IfUnmodifiedSince",
}
_TIMES: Final = ("DestinationIfModifiedSince", "DestinationIfUnmodifiedSince")


def source_of(request: Request) -> str:
    """Return the key of the object that is renamed.

    AWS: the header is a key, without its bucket (awslabs/mountpoint-s3, ``rename_object.rs``), and
    "will not succeed on objects that end with the slash (/) delimiter character".

    Raises:
        InvalidRequest: Source and destination are the same, or one ends with a slash.
        KeyTooLongError: One of them is too long.
    """
    source, key = unquote(request["RenameSource"]), request["Key"]
    for each in (source, key):
        check_key(each)
    if not source or source.endswith("/") or key.endswith("/"):
        raise InvalidRequest("Keys that end with a slash (/) cannot be renamed")
    if source == key:
        raise InvalidRequest("The source and the destination of a rename must differ")
    return source


def token_of(request: Request, account: str) -> str:
    """Return under what a rename is remembered that brings a token; empty: it brings none.

    Raises:
        InvalidArgument: It is no token.
    """
    token: str | None = request.get(_GIVEN)
    if token is None:
        return ""
    if not 1 <= len(token) <= _TOKEN_CHARACTERS_MAX or any(ord(c) not in _VISIBLE for c in token):
        raise InvalidArgument(
            "A client token has 1 to 64 visible ASCII characters",
            ArgumentName="x-amz-client-token",
            ArgumentValue=token,
        )
    return f"rename/{account}/{token}"


def digest_of(request: Request) -> bytes:
    """Return a digest of what a rename asks for, to recognise its repeats."""
    plain = sorted((name, str(value)) for name, value in request.items() if name != _GIVEN)
    return hashlib.sha256(msgspec.msgpack.encode(plain)).digest()


def check_bucket(bucket: BucketRecord) -> None:
    """Refuse renames where there are versions: a rename leaves none behind.

    Raises:
        NotBuilt: The bucket has versions, or had.
    """
    if bucket.versioning:
        raise NotBuilt("fogbank has not built s3:RenameObject in a bucket with versions")


def check_source(request: Request, key: str, source: ObjectRecord | None, now_ms: int) -> None:
    """Refuse a rename of what is not there, is bound to its name, or is another than was meant.

    Raises:
        NoSuchKey: There is no such object.
        NotBuilt: Its key is bound to its name.
        PreconditionFailed: A condition of the source does not hold.
    """
    if source is None:
        raise NoSuchKey(Key=key)
    if source.object_key is not None:
        raise NotBuilt("fogbank has not built s3:RenameObject of objects with keys of their own")
    asked = {name: request[given] for given, name in _FOR_SOURCE.items() if given in request}
    conditions.check_source(asked, source, now_ms, _HEADER)


def check_destination(request: Request, current: ObjectRecord | None, now_ms: int) -> None:
    """Refuse a rename whose conditions on what it replaces do not hold.

    AWS: by times the destination must exist ("if the destination exists and if it has been
    modified since").

    Raises:
        NoSuchKey: If-Match was given and there is no object.
        PreconditionFailed: The object is another, or one is there already.
    """
    asked = {
        "Key": request["Key"],
        **{
            name: request[given]
            for given, name in (
                ("DestinationIfMatch", "IfMatch"),
                ("DestinationIfNoneMatch", "IfNoneMatch"),
            )
            if given in request
        },
    }
    conditions.check_write(asked, current)
    since, until = (request.get(name) for name in _TIMES)
    if current is None:
        if since is not None:
            raise PreconditionFailed(Condition="If-Modified-Since")
        return
    times = {"IfModifiedSince": since, "IfUnmodifiedSince": until}
    conditions.check_source(times, current, now_ms, "If-")
