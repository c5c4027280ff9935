"""Frames of bodies on their way into the store, gathered in buffers that are used again.

Rule: a body is held in three frames at most, one that fills and two that are worked on, whatever
its length; a short one takes no more room than it has bytes.

Theory: a byte that comes from a socket is put where it stays: the kernel copies it into its frame,
and from there it is hashed, sealed and written. A buffer whose bytes somebody may still look at is
not written to again. That is not promised but seen: a ``bytearray`` with a view of it cannot change
its length (Python's buffer protocol), and so who keeps a view keeps the bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar, runtime_checkable

from fogbank.platform.blobs.port import FRAME_BYTES, ByteStream

T = TypeVar("T")


@runtime_checkable
class FillingStream(Protocol):
    """A stream that puts its bytes where they are wanted."""

    async def fill(self, room: memoryview) -> int:
        """Fill the room, all of it but at the end; return how many bytes came.

        The stream may look at them later, as long as it has a view of the room.
        """
        ...


async def frames_of(source: ByteStream) -> AsyncIterator[memoryview]:
    """Yield what a stream gives, gathered into frames; all but the last one are whole."""
    rooms = _Rooms(_room_bytes(source.length))
    while True:
        room = rooms.free()
        size = await filled(source, room)
        frame = room[:size]
        ended = size < len(room)
        del room
        if size:
            yield frame
        if ended:
            return
        del frame


def _room_bytes(length: int | None) -> int:
    """Return how much room a frame takes; of a short body one byte more, to see its end."""
    return FRAME_BYTES if length is None else min(FRAME_BYTES, length + 1)


async def filled(source: ByteStream, room: memoryview) -> int:
    """Fill room from a stream, all of it but at the end; return how many bytes came."""
    if isinstance(source, FillingStream):
        return await source.fill(room)
    at, size = 0, len(room)
    while at < size and (piece := await source.read(size - at)):
        room[at : at + len(piece)] = piece
        at += len(piece)
    return at


async def chained(head: list[T], rest: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the pieces at hand, letting go of each, then the rest."""
    while head:
        yield head.pop(0)
    async for piece in rest:
        yield piece


class _Rooms:
    """Buffers of one length."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffers: list[bytearray] = []

    def free(self) -> memoryview:
        """Return room that nobody looks at."""
        for buffer in self._buffers:
            if _is_free(buffer):
                return memoryview(buffer)
        self._buffers.append(bytearray(self._size))
        return memoryview(self._buffers[-1])


def _is_free(buffer: bytearray) -> bool:
    """Return whether there is no view of a buffer."""
    try:
        buffer.pop()
    except BufferError:
        return False
    buffer.append(0)  # its memory stays where it is
    return True
