"""Frames: what one tick of a process has to say to another, as one piece of a byte stream.

Rule: a frame is four bytes of length and a MessagePack array of messages; everything said within
one turn of the event loop leaves in one frame, so that the cost of a system call is shared.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import msgspec

from fogbank.platform.link.port import BUFFER_BYTES_MAX, FRAME_BYTES_MAX

CALL: Final = 0
"""(id, CALL, method, value, the length of the stream that follows: None: none, -1: not known)"""
ANSWER: Final = 1
"""(id, ANSWER, value, whether a stream follows)"""
ERROR: Final = 2
"""(id, ERROR, error): of the call, or of a stream that was begun."""
CANCEL: Final = 3
"""(id, CANCEL): the caller has given up; also on a stream that it will not read."""
PIECE: Final = 4
"""(id, PIECE, bytes, trailers): of the stream of call or answer; empty, with trailers, at its end."""
MORE: Final = 5
"""(id, MORE, bytes): how many more bytes of the stream the other side will take."""
BROKEN: Final = 6
"""(id, BROKEN, error): the stream of the call ends in an error."""
ORDER: Final = 7
"""(id, ORDER, value): what the caller shall do with the stream of its call instead of sending it."""
DONE: Final = 8
"""(id, DONE, value): what came of that; it ends the stream."""

Message = tuple[Any, ...]
_LENGTH_BYTES: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


class FrameProtocol(asyncio.Protocol):
    """A socket that speaks in frames; what messages mean is its subclass's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        self._said: list[Message] = []
        self._room: asyncio.Future[None] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take up the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everybody know who waits."""
        del exc
        self.lost = True
        self.resume_writing()

    def pause_writing(self) -> None:
        """Hold callers back: the other process does not keep up."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let callers go on."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def room(self) -> None:
        """Return when the socket takes more."""
        while self._room is not None:
            await asyncio.shield(self._room)

    def close(self) -> None:
        """Send what was said and close."""
        if self._transport is not None and not self.lost:
            self._flush()
            self._transport.close()

    def say(self, *message: Any) -> None:
        """Send a message with what else is said in this turn of the loop."""
        if not self._said:
            self._loop.call_soon(self._flush)
        self._said.append(message)

    def _flush(self) -> None:
        said, self._said = self._said, []
        if not said or self._transport is None or self.lost:
            return
        frame = _encode(said)
        assert len(frame) <= FRAME_BYTES_MAX, f"a frame of {len(frame)} bytes"
        if len(frame) <= BUFFER_BYTES_MAX:
            self._transport.write(len(frame).to_bytes(_LENGTH_BYTES) + frame)
        else:
            self._transport.write(len(frame).to_bytes(_LENGTH_BYTES))
            self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        rest = self._rest
        rest += data
        at, size = 0, len(rest)
        while size - at >= _LENGTH_BYTES:
            length = int.from_bytes(rest[at : at + _LENGTH_BYTES])
            if length > FRAME_BYTES_MAX:
                self._break(f"a frame of {length} bytes")
                return
            end = at + _LENGTH_BYTES + length
            if end > size:
                break
            with memoryview(rest) as view, view[at + _LENGTH_BYTES : end] as frame:
                messages: list[list[Any]] = _decode(frame)
            at = end
            for message in messages:
                self.heard(message)
        del rest[:at]

    def _break(self, reason: str) -> None:
        """End a connection that does not speak in frames."""
        assert self._transport is not None
        self._transport.abort()
        raise ValueError(reason)

    def heard(self, message: list[Any]) -> None:
        """Act on a message."""
        raise NotImplementedError
