"""Compressed bodies of requests: inflated within a bound, or refused.

Rule: only gzip, and only where a client of AWS compresses: operations with the
``requestcompression`` trait, and the protocols whose body is a message and never an object. The
signature is that of the compressed bytes, so a body is inflated after it was proved. An encoding
that is not ours stays where it is: with S3 it is a property of the object.

Source: Smithy, "requestCompression trait": the encoding is appended to ``Content-Encoding``.
"""

from __future__ import annotations

import zlib
from typing import Final

from fogbank.wire.errors import RequestEntityTooLarge, SerializationException
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import OperationModel

INFLATED_BYTES_MAX: Final = 16 << 20
"""The longest body that is made of a compressed one."""
MEMBERS_MAX: Final = 64
"""gzip's members of one body; each starts anew."""
_GZIP_WINDOW: Final = 31
_HEADER: Final = "content-encoding"
_MESSAGES: Final = frozenset({"json", "query", "ec2", "smithy-rpc-v2-cbor"})


def is_inflated(operation: OperationModel, protocol: str) -> bool:
    """Return whether a compressed body of this operation is a compressed message."""
    return protocol in _MESSAGES or "requestcompression" in operation.raw


def inflate(request: HttpRequest) -> None:
    """Replace a gzip body by what it holds, and take gzip off ``Content-Encoding``.

    Raises:
        SerializationException: The body is not gzip, or ends early.
        RequestEntityTooLarge: It holds more than ``INFLATED_BYTES_MAX``.
    """
    kept, _, last = request.headers.get(_HEADER, "").rpartition(",")
    if last.strip().lower() != "gzip":
        return
    request.body = _inflated(request.body)
    if kept.strip():
        request.headers[_HEADER] = kept.strip()
    else:
        del request.headers[_HEADER]


def _inflated(body: bytes) -> bytes:
    pieces: list[bytes] = []
    left = INFLATED_BYTES_MAX
    for _ in range(MEMBERS_MAX):
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            piece = member.decompress(body, left + 1)
        except zlib.error:
            raise SerializationException("The body is not gzip") from None
        if len(piece) > left:
            raise RequestEntityTooLarge("The request's body is too large once it is inflated")
        if not member.eof:
            raise SerializationException("The body ends in the middle of its gzip")
        pieces.append(piece)
        left -= len(piece)
        body = member.unused_data
        if not body:
            return b"".join(pieces)
    raise SerializationException("The body has too many gzip members")
