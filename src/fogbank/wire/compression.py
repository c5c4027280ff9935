"""Compressed bodies: of requests, inflated within a bound or refused; of replies, where they are asked for.

Rule: only where a client of AWS compresses: operations with the ``requestcompression`` trait, and
the protocols whose body is a message and never an object. The signature is that of the compressed
bytes, so a body is inflated after it was proved. An encoding that is not ours stays where it is:
with S3 it is a property of the object.

Source: Smithy, "requestCompression trait": the encoding is appended to ``Content-Encoding``; RFC
9110, sections 8.4.1 and 12.5.3; what DynamoDB does with headers that are none by those, from
ScyllaDB's test/alternator, whose tests run on AWS too (test_compressed_request.py and
test_compressed_response.py).
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from fogbank.wire.errors import (
    RequestEntityTooLarge,
    SerializationException,
    UnreadEncoding,
    error_class,
)
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel

INFLATED_BYTES_MAX: Final = 16 << 20
"""The longest body that is made of a compressed one."""
MEMBERS_MAX: Final = 64
"""gzip's members of one body; each starts anew."""
_WINDOWS: Final = {"gzip": 31, "deflate": 15}
"""What zlib calls the formats: 16 more than the window is gzip's, the window alone zlib's own."""
_LEVEL: Final = 6
_HEADER: Final = "content-encoding"
_CHECK: Final = "x-amz-crc32"
_MESSAGES: Final = frozenset({"json", "query", "ec2", "smithy-rpc-v2-cbor"})
_QUALITY: Final = re.compile(r"-?[0-9]*\.?[0-9]*")


def is_inflated(operation: OperationModel, protocol: str) -> bool:
    """Return whether a compressed body of this operation is a compressed message."""
    return protocol in _MESSAGES or "requestcompression" in operation.raw


def inflate(request: HttpRequest, refused_as: str = "") -> None:
    """Replace a compressed body by what it holds, and take its coding off ``Content-Encoding``.

    Args:
        request: A coding that is not known stays.
        refused_as: The code with which the service refuses codings that are not known, and bodies
            that are not of theirs; empty: it passes over the first.

    Raises:
        ServiceError: With that code, or a SerializationException: the body is not what it is said
            to be, or ends early.
        RequestEntityTooLarge: It holds more than ``INFLATED_BYTES_MAX``.
    """
    kept, _, last = request.headers.get(_HEADER, "").rpartition(",")
    coding = last.strip().lower()
    if coding not in _WINDOWS:
        if refused_as and coding not in {"", "identity"}:
            raise error_class(refused_as, UnreadEncoding)("Internal server error")
        return
    try:
        request.body = _inflated(request.body, coding)
    except SerializationException:
        if not refused_as:
            raise
        raise error_class(refused_as, UnreadEncoding)("Internal server error") from None
    if kept.strip():
        request.headers[_HEADER] = kept.strip()
    else:
        del request.headers[_HEADER]


def _inflated(body: bytes, coding: str) -> bytes:
    """Return what a body holds; gzip may have several members, zlib's format has one."""
    pieces: list[bytes] = []
    left = INFLATED_BYTES_MAX
    for _ in range(MEMBERS_MAX if coding == "gzip" else 1):
        member = zlib.decompressobj(_WINDOWS[coding])
        try:
            piece = member.decompress(body, left + 1)
        except zlib.error:
            raise _malformed(f"The body is not {coding}") from None
        if len(piece) > left:
            raise RequestEntityTooLarge("The request's body is too large once it is inflated")
        if not member.eof:
            raise _malformed(f"The body ends in the middle of its {coding}")
        pieces.append(piece)
        left -= len(piece)
        body = member.unused_data
        if not body:
            return b"".join(pieces)
    raise _malformed(f"The body goes on behind its {coding}")


def _malformed(message: str) -> SerializationException:
    return SerializationException(message)


def accepted_coding(header: str) -> str:
    """Return the coding that an ``Accept-Encoding`` prefers: gzip, deflate, or neither (empty).

    DynamoDB compresses wherever it may: ``identity`` counts for nothing. Of two codings that are
    wanted equally the first counts, and ``*``, which stands for gzip before deflate, last.
    """
    wanted: dict[str, float] = {}
    others = 0.0
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        quality = _quality_of(parameters)
        coding = name.strip()
        if coding == "*":
            others = max(others, quality)
        elif coding in _WINDOWS:
            wanted[coding] = max(wanted.get(coding, 0.0), quality)
    for coding in _WINDOWS:
        wanted.setdefault(coding, others)
    best = max(wanted, key=wanted.__getitem__)
    return best if wanted[best] > 0 else ""


def _quality_of(parameters: str) -> float:
    """Return how much a coding is wanted, up to 1, which is also what stands for no number.

    AWS: what counts is what stands behind the first ``q=``, of whatever name it is the end.
    """
    _, found, rest = parameters.partition("q=")
    number = rest.partition(";")[0].strip()
    if not found or not _QUALITY.fullmatch(number) or not number.strip("-."):
        return 1.0
    return min(float(number), 1.0)


def pack(reply: HttpReply, coding: str) -> HttpReply:
    """Return a reply with its body in a coding; a checksum is that of the bytes that are sent.

    AWS: the SDKs for Java check DynamoDB's ``x-amz-crc32`` on the compressed bytes (their
    ``calculateCrc32FromCompressedData``).
    """
    assert isinstance(reply.body, bytes), "a stream is not packed"
    packer = zlib.compressobj(_LEVEL, wbits=_WINDOWS[coding])
    body = packer.compress(reply.body) + packer.flush()
    headers = [
        (name, str(zlib.crc32(body)) if name.lower() == _CHECK else value)
        for name, value in reply.headers
    ]
    return HttpReply(reply.status, [*headers, ("Content-Encoding", coding)], body)
