"""The bytes of a request's body as they come off the socket.

Rule: no body is held whole because it is large. A ``SocketBody`` holds at most its high-water
mark plus one read of the socket; beyond that the socket is not read, and TCP tells the client.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import Refused

_CHUNK_LINE_BYTES_MAX: Final = 512
_TRAILER_BYTES_MAX: Final = 8 << 10
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class EntityTooLarge(ServiceError):
    """The body is larger than any operation takes."""

    status = 400


class RequestTimeout(ServiceError):
    """The client stopped sending its body."""

    status = 400


class Flow(Protocol):
    """What a body tells the connection that feeds it."""

    def body_wanted(self) -> None:
        """Note that a reader waits: send 100 Continue if it is due, read the socket."""
        ...

    def body_full(self) -> None:
        """Note that enough is buffered: leave the socket alone."""
        ...

    def body_came(self, size: int) -> None:
        """Note that bytes of the body came past the connection."""
        ...

    def body_ends(self, rest: bytes) -> None:
        """Go on behind the body, if it is complete."""
        ...


class Landing(Protocol):
    """Has the socket's bytes come straight into the room of a body."""

    def begin(self, body: SocketBody) -> bool:
        """Begin; return False if it is too late."""
        ...

    def end(self) -> None:
        """Let them come as ever; leave the socket alone until they are wanted."""
        ...


class Framing(Protocol):
    """Tells the bytes of a body from those of its framing and of the next request."""

    @property
    def done(self) -> bool:
        """Return whether the body is complete."""
        ...

    def feed(self, data: bytes, out: Callable[[bytes | memoryview], None]) -> bytes:
        """Pass the body's bytes to ``out``; return what lies after the body."""
        ...


class LengthFraming:
    """A body of a declared length."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def done(self) -> bool:
        """Return whether the body is complete."""
        return not self.left

    def feed(self, data: bytes, out: Callable[[bytes | memoryview], None]) -> bytes:
        """Pass on what belongs to the body; return the rest."""
        size = len(data)
        if size <= self.left:
            self.left -= size
            out(data)
            return b""
        view = memoryview(data)
        end, self.left = self.left, 0
        out(view[:end])
        return bytes(view[end:])


class ChunkedFraming:
    """The ``chunked`` transfer coding (RFC 9112, section 7.1).

    Extensions are skipped; trailers are read and dropped; both are bounded. Sizes are bare
    hexadecimal digits: what Python's ``int`` also takes (signs, underscores, ``0x``) is refused.
    """

    __slots__ = ("_buffer", "_left", "_limit", "_state", "done")

    _SIZE, _DATA, _DATA_END, _TRAILERS = range(4)

    def __init__(self, body_bytes_max: int) -> None:
        self._buffer = b""
        self._left = 0
        self._limit = body_bytes_max
        self._state = self._SIZE
        self.done = False

    def feed(self, data: bytes, out: Callable[[bytes | memoryview], None]) -> bytes:
        """Pass on the chunks' bytes; return what lies after the last chunk and its trailers.

        Raises:
            Refused: The coding is malformed or the body too large.
        """
        buffer = self._buffer + data if self._buffer else data
        view, at, end = memoryview(buffer), 0, len(buffer)
        while not self.done:
            if self._state == self._DATA:
                taken = min(self._left, end - at)
                if taken:
                    out(view[at : at + taken])
                    at, self._left = at + taken, self._left - taken
                if self._left:
                    break
                self._state = self._DATA_END
            stop = buffer.find(b"\r\n", at)
            if stop < 0:
                self._check_line(buffer, at, end)
                break
            self._line(buffer[at:stop])
            at = stop + 2
        self._buffer = b"" if self.done else buffer[at:]
        return buffer[at:] if self.done else b""

    def _check_line(self, buffer: bytes, at: int, end: int) -> None:
        limit = _TRAILER_BYTES_MAX if self._state == self._TRAILERS else _CHUNK_LINE_BYTES_MAX
        ill = end - at > limit or b"\n" in buffer[at:end]
        if ill or (self._state == self._DATA_END and buffer[at:end] not in (b"", b"\r")):
            raise Refused(400, "BadRequest", "The chunked body is malformed.")

    def _line(self, line: bytes) -> None:
        """Take one line of framing."""
        if self._state == self._DATA_END:
            if line:
                raise Refused(400, "BadRequest", "A chunk is longer than it says.")
            self._state = self._SIZE
        elif self._state == self._SIZE:
            matched = _CHUNK_SIZE.fullmatch(line) if len(line) <= _CHUNK_LINE_BYTES_MAX else None
            if matched is None:
                raise Refused(400, "BadRequest", "The size of a chunk is malformed.")
            self._left = int(matched[1], 16)
            self._limit -= self._left
            if self._limit < 0:
                raise Refused(413, "EntityTooLarge", "The body exceeds the maximum size.")
            self._state, self._left = (
                (self._DATA, self._left) if self._left else (self._TRAILERS, _TRAILER_BYTES_MAX)
            )
        elif line:
            self._left -= len(line) + 2
            if self._left < 0 or b"\n" in line:
                raise Refused(400, "BadRequest", "The trailers are malformed or too long.")
        else:
            self.done = True


class SocketBody:
    """A body as it arrives; one reader at a time."""

    __slots__ = (
        "_chunks",
        "_error",
        "_flow",
        "_high",
        "_length",
        "_room",
        "_waiter",
        "framing",
        "landing",
        "size",
        "total",
    )

    def __init__(self, flow: Flow, framing: Framing, length: int | None, high_bytes: int) -> None:
        self._flow = flow
        self._length = length
        self._high = high_bytes
        self._chunks: deque[bytes | memoryview] = deque()
        self._room: memoryview | None = None
        """What is left of the room that bytes come into without being copied."""
        self._waiter: asyncio.Future[None] | None = None
        self._error: ServiceError | None = None
        self.framing = framing
        self.landing: Landing | None = None
        """What has bytes come without being copied, where nothing stands between."""
        self.size = 0
        """Bytes that are buffered."""
        self.total = 0
        """Bytes that have come."""

    @property
    def length(self) -> int | None:
        """Return the number of bytes the client promised, or None when chunked."""
        return self._length

    @property
    def waiting(self) -> bool:
        """Return whether a reader waits for the client."""
        return self._waiter is not None

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the socket; return what lies after the body."""
        rest = self.framing.feed(data, self._take)
        if self.size >= self._high and not self.framing.done:
            self._flow.body_full()
        if self.size or self.framing.done:
            self._wake()
        return rest

    def _take(self, chunk: bytes | memoryview) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)
        self.total += len(chunk)

    def fail(self, error: ServiceError) -> None:
        """Let the reader fail with the error, unless the body is complete."""
        if not self.framing.done:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            RequestTimeout: The client stopped sending.
            IncompleteBody: The client broke off.
        """
        while not self._chunks:
            if self.framing.done:
                return b""
            if self._error is not None:
                raise self._error
            await self._more()
        chunk = self._next(limit)
        return chunk if isinstance(chunk, bytes) else bytes(chunk)

    async def fill(self, room: memoryview) -> int:
        """Fill the room, all of it but at the end; return how many bytes came.

        What comes while this waits goes from the socket into the room, where nothing stands between
        them: no coding of the body, no TLS.

        Raises:
            RequestTimeout: The client stopped sending.
            IncompleteBody: The client broke off.
        """
        at, size = 0, len(room)
        while at < size:
            if self._chunks:
                chunk = self._next(size - at)
                room[at : at + len(chunk)] = chunk
                at += len(chunk)
            elif self.framing.done:
                break
            elif self._error is not None:
                raise self._error
            else:
                at += await self._land(room[at:])
        return at

    async def _land(self, room: memoryview) -> int:
        """Wait for more; return how much of it came into the room."""
        landing = self.landing
        if landing is None or not landing.begin(self):
            await self._more()
            return 0
        assert isinstance(self.framing, LengthFraming), "only such a body comes as it is"
        room = self._room = room[: self.framing.left]
        try:
            await self._more()
        finally:
            left, self._room = len(self._room), None
            landing.end()
        return len(room) - left

    @property
    def room(self) -> memoryview:
        """Return where the next bytes of the socket shall be put."""
        assert self._room is not None, "somebody waits for what comes"
        return self._room

    def land(self, size: int) -> bool:
        """Note that so many bytes were put there; return whether more are to come there."""
        assert isinstance(self.framing, LengthFraming)
        assert self._room is not None, "somebody waits for what comes"
        self.framing.left -= size
        self.total += size
        self._room = self._room[size:]
        if self._room:
            return True
        self._wake()
        return False

    async def _more(self) -> None:
        """Return once something has come, or nothing more will."""
        self._flow.body_wanted()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _next(self, limit: int) -> bytes | memoryview:
        """Return the next bytes of those that are buffered."""
        chunk = self._chunks.popleft()
        if len(chunk) > limit:
            view = memoryview(chunk)
            self._chunks.appendleft(view[limit:])
            chunk = view[:limit]
        self.size -= len(chunk)
        return chunk

    def drop(self) -> int:
        """Forget what is buffered and return how many bytes that were."""
        dropped, self.size = self.size, 0
        self._chunks.clear()
        return dropped
