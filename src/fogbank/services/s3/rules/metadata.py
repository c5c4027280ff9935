"""What is stored beside the bytes of an object: system headers and user metadata.

Source: Amazon S3 User Guide, "Working with object metadata"; RFC 2047 for metadata that is not
ASCII, which S3 decodes when it comes and encodes when it leaves.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any, Final, TypedDict, cast

from fogbank.base.types import Request
from fogbank.services.s3.errors import InvalidArgument, InvalidRequest, MetadataTooLarge
from fogbank.services.s3.quotas import METADATA_BYTES_MAX
from fogbank.services.s3.schema import Headers

CONTENT_TYPE_DEFAULT: Final = "binary/octet-stream"
_CHUNKED: Final = "aws-chunked"
_ENCRYPTION: Final = "x-amz-server-side-encryption"
_MEMBERS: Final = {
    "content_type": "ContentType",
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
}
_OVERRIDES: Final = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_OVERRIDE_NAMES: Final = {
    "ResponseCacheControl": "response-cache-control",
    "ResponseContentDisposition": "response-content-disposition",
    "ResponseContentEncoding": "response-content-encoding",
    "ResponseContentLanguage": "response-content-language",
    "ResponseContentType": "response-content-type",
}


def headers_of(request: Request) -> Headers:
    """Return the system headers that the request gives an object."""
    values = {field: request.get(member) or "" for field, member in _MEMBERS.items()}
    values["content_type"] = values["content_type"] or CONTENT_TYPE_DEFAULT
    values["content_encoding"] = _without_chunked(values["content_encoding"])
    return Headers(**values, expires_ms=request.get("Expires"))


def _without_chunked(encoding: str) -> str:
    """Return a Content-Encoding without the framing of the request itself."""
    if _CHUNKED not in encoding:
        return encoding
    kept = [part.strip() for part in encoding.split(",") if part.strip() != _CHUNKED]
    return ", ".join(kept)


def metadata_of(request: Request) -> dict[str, str]:
    """Return the user metadata of the request: names in lower case, values decoded.

    Raises:
        MetadataTooLarge: Names and values together pass 2 KB.
    """
    given: dict[str, str] | None = request.get("Metadata")
    if not given:
        return {}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in given.items())
    if size > METADATA_BYTES_MAX:
        raise MetadataTooLarge(Size=size, MaxSizeAllowed=METADATA_BYTES_MAX)
    return {name.lower(): _decoded(value) for name, value in given.items()}


def _decoded(value: str) -> str:
    """Return a header value with its encoded words decoded."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):
        return value


def _encoded(value: str) -> str:
    """Return a value as one line of ASCII, with encoded words where it needs them."""
    if value.isascii() and value.isprintable():
        return value
    # AWS: one encoded word, in Base64 (User Guide, "Working with object metadata").
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


class HeaderMembers(TypedDict, total=False):
    """The members of a reply that are system headers."""

    CacheControl: str
    ContentDisposition: str
    ContentEncoding: str
    ContentLanguage: str
    ContentType: str
    Expires: int


def header_members(headers: Headers) -> HeaderMembers:
    """Return the members of a reply that give the system headers back."""
    reply: dict[str, Any] = {}
    for field, member in _MEMBERS.items():
        if value := getattr(headers, field):
            reply[member] = value
    if headers.expires_ms is not None:
        reply["Expires"] = headers.expires_ms
    return cast("HeaderMembers", reply)


def metadata_member(metadata: dict[str, str]) -> dict[str, str]:
    """Return the ``Metadata`` of a reply."""
    return {name: _encoded(value) for name, value in metadata.items()}


def check_read_headers(http_headers: Mapping[str, str]) -> None:
    """Refuse a read that names a server-side encryption: only writes choose one.

    Raises:
        InvalidArgument: It does.
    """
    if _ENCRYPTION in http_headers:
        raise InvalidArgument(
            f"{_ENCRYPTION} header is not supported for this operation.",
            ArgumentName=_ENCRYPTION,
            ArgumentValue=http_headers[_ENCRYPTION],
        )


def overrides_of(request: Request, *, anonymous: bool) -> HeaderMembers:
    """Return the members that the request's ``response-*`` parameters put into the reply.

    Raises:
        InvalidRequest: An anonymous caller asks for them.
        InvalidArgument: A value does not fit into a header.
    """
    if _OVERRIDES.keys().isdisjoint(request):
        return {}
    reply = {
        member: request[parameter]
        for parameter, member in _OVERRIDES.items()
        if request.get(parameter) is not None
    }
    if reply and anonymous:
        raise InvalidRequest(
            "Request specific response headers cannot be used for anonymous GET requests."
        )
    for parameter, name in _OVERRIDE_NAMES.items():
        value: str = request.get(parameter) or ""
        if any(ord(character) > 0xFF or character in "\r\n" for character in value):  # noqa: PLR2004 (the end of Latin-1)
            raise InvalidArgument(
                "Header value cannot be represented using ISO-8859-1.",
                ArgumentName=name,
                ArgumentValue=value,
            )
    return cast("HeaderMembers", reply)
