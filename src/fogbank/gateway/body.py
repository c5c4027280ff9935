"""A request's body on its way to an operation: checked, decoded, or gathered.

Rule: bytes may pass before all of them are known to be right, but the *end* of a body that is not
the one that was signed is refused, so that no write that waits for the end can commit. Bodies that
operations take as one value share a bound of memory; what does not fit is told to slow down.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final, Protocol

from fogbank.base.errors import ServiceError, Throttled
from fogbank.base.lane import Lane
from fogbank.platform.blobs.frames import filled
from fogbank.wire.chunked import ChunkedDecoder
from fogbank.wire.http import BodyStream, HttpRequest
from fogbank.wire.integrity import CHECKSUM_PREFIX

READ_BYTES: Final = 256 << 10
"""How much is asked of a stream at a time: a tenth of a millisecond of hashing."""
_NO_TRAILERS: Final[dict[str, str]] = {}


class XAmzContentSHA256Mismatch(ServiceError):
    """The body is not the one that was signed."""

    status = 400


class BytesBody:
    """A body that is whole already, read as a stream."""

    __slots__ = ("_at", "_content")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def length(self) -> int | None:
        """Return the number of bytes."""
        return len(self._content)

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes; empty bytes at the end."""
        begin = self._at
        self._at = begin + limit
        return self._content[begin : self._at]


class HashedBody:
    """A body whose SHA-256 was signed: its end is refused if it is not the one."""

    __slots__ = ("_body", "_digest", "_expected", "_hashing")

    def __init__(self, body: BodyStream, expected: str) -> None:
        self._body = body
        self._expected = expected
        self._digest = sha256()
        self._hashing: Lane[memoryview] | None = None
        """Hashes what was filled, beside what comes."""

    @property
    def length(self) -> int | None:
        """Return the number of bytes the client promised, or None when chunked."""
        return self._body.length

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            XAmzContentSHA256Mismatch: The end is reached and the digest is another.
        """
        assert self._hashing is None, "a body is read or filled"
        chunk = await self._body.read(limit)
        if chunk:
            # A read is at most READ_BYTES from the socket: a tenth of a millisecond of hashing.
            self._digest.update(chunk)
        else:
            self._check()
        return chunk

    async def fill(self, room: memoryview) -> int:
        """Fill the room, all of it but at the end, and hash it there; return how many bytes came.

        Raises:
            XAmzContentSHA256Mismatch: The end is reached and the digest is another.
        """
        size = await filled(self._body, room)
        if self._hashing is None:
            self._hashing = Lane(self._digest.update)
        if size:
            await self._hashing.put(room[:size])
        if size < len(room):
            await self._hashing.end()
            self._check()
        return size

    def _check(self) -> None:
        """Refuse a body that is not the one that was signed."""
        computed = self._digest.hexdigest()
        if not hmac.compare_digest(computed, self._expected):
            raise content_mismatch(self._expected, computed)


def content_mismatch(expected: str, computed: str) -> XAmzContentSHA256Mismatch:
    """Return S3's error for a body that is not the signed one."""
    return XAmzContentSHA256Mismatch(
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ClientComputedContentSHA256=expected,
        S3ComputedContentSHA256=computed,
    )


class DecodedBody:
    """A body in the coding ``aws-chunked``, decoded and checked as it is read."""

    __slots__ = ("_body", "_decoder", "_ended", "_left", "_length")

    def __init__(self, body: BodyStream, decoder: ChunkedDecoder, length: int) -> None:
        self._body = body
        self._decoder = decoder
        self._length = length
        self._left = b""
        self._ended = False

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be without the framing."""
        return self._length

    @property
    def trailers(self) -> dict[str, str]:
        """Return the trailing headers by lower-case name; complete at the end, empty before."""
        return self._decoder.trailers if self._ended else _NO_TRAILERS

    @property
    def checksums(self) -> dict[str, str]:
        """Return the trailing headers that are checksums, as ``trailers``."""
        found = self.trailers.items()
        return {name: text for name, text in found if name.startswith(CHECKSUM_PREFIX)}

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            ServiceError: A chunk is malformed or its signature does not hold, or the body is not
                as long as it was said to be.
        """
        while not self._left and not self._ended:
            raw = await self._body.read(READ_BYTES)
            if raw:
                self._left = self._decoder.feed(raw)
            else:
                self._decoder.finish()
                self._ended = True
        piece, self._left = self._left[:limit], self._left[limit:]
        return piece


class _Gathered:
    """A body that is being read."""

    __slots__ = ("digest", "held", "pieces", "size")

    def __init__(self) -> None:
        self.digest = sha256()
        self.pieces: list[bytes] = []
        self.size = 0
        self.held = 0
        """Bytes of room that are taken for it."""

    def add(self, piece: bytes) -> int:
        """Take a piece; return the size so far."""
        self.pieces.append(piece)
        self.digest.update(piece)
        self.size += len(piece)
        return self.size


class Allowed(Protocol):
    """How long one body may be."""

    @property
    def bytes_max(self) -> int:
        """Return the longest."""
        ...

    def refusal(self, size: int) -> ServiceError:
        """Return the error for a body of this size."""
        ...


class WholeBodies:
    """Reads streams that must be one value, within one bound for all of them.

    Args:
        all_bytes_max: Memory of all of them together.
    """

    __slots__ = ("_all_bytes_max", "bytes_held")

    def __init__(self, all_bytes_max: int) -> None:
        self._all_bytes_max = all_bytes_max
        self.bytes_held = 0

    async def take(self, request: HttpRequest, allowed: Allowed) -> str:
        """Make a request's stream its body; return the SHA-256 of it in hexadecimal.

        Whoever calls this calls ``release`` when the request is done.

        Raises:
            ServiceError: It is longer than is allowed.
            Throttled: There is no room for it now.
        """
        stream = request.stream
        assert stream is not None
        promised = stream.length
        gathered = _Gathered()
        try:
            self._hold(gathered, promised or 0, allowed)
            while piece := await stream.read(READ_BYTES):
                self._hold(gathered, gathered.add(piece), allowed)
        except BaseException:
            self.bytes_held -= gathered.held
            raise
        self.bytes_held -= gathered.held - gathered.size
        request.body = b"".join(gathered.pieces)
        request.taken = gathered.size
        request.stream = None
        if isinstance(stream, DecodedBody):
            # What is read whole has no end at which its trailers would be looked for.
            request.headers |= stream.checksums
        return gathered.digest.hexdigest()

    def _hold(self, gathered: _Gathered, size: int, allowed: Allowed) -> None:
        """Make room for a body of this size.

        Raises:
            ServiceError: It is longer than is allowed.
            Throttled: There is no room for it now.
        """
        more = max(0, size - gathered.held)
        if size > allowed.bytes_max:
            raise allowed.refusal(size)
        if self.bytes_held + more > self._all_bytes_max:
            raise Throttled("bodies that are read whole take too much memory")
        gathered.held += more
        self.bytes_held += more

    def release(self, request: HttpRequest) -> None:
        """Give back the room of a request's body, which may have become another by now."""
        self.bytes_held -= request.taken
        request.taken = 0
