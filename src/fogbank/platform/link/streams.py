"""Bytes that follow a call or an answer, with back-pressure by credit.

Rule: a reader grants its sender ``WINDOW_BYTES`` when it first reads, and as much as it has taken
from then on; so a stream that nobody reads costs nothing, and none holds more than its window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

from fogbank.platform.link.port import PIECE_BYTES_MAX, WINDOW_BYTES, ByteSource


class Credit:
    """What the other side will take; whoever sends waits for it."""

    __slots__ = ("_left", "_waiter")

    def __init__(self) -> None:
        self._left = 0
        self._waiter: asyncio.Future[None] | None = None

    def grant(self, size: int) -> None:
        """Let so many more bytes pass."""
        self._left += size
        self.wake()

    def wake(self) -> None:
        """Let the sender look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, is_over: Callable[[], bool]) -> bool:
        """Return True once something may be sent; False if there is no more need."""
        while self._left <= 0:
            if is_over():
                return False
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return not is_over()

    def spend(self, size: int) -> None:
        """Note what was sent."""
        self._left -= size


class Inflow:
    """The bytes that the other side sends, as they are read here.

    Args:
        length: How many there will be, if anybody knows.
        more: Tells the other side how many more bytes to send.
        leave: Tells the other side that nobody reads on.
        order: Tells the other side what to do with the bytes instead of sending them.
    """

    def __init__(
        self,
        length: int | None,
        more: Callable[[int], None],
        leave: Callable[[], None],
        order: Callable[[Any], None] | None = None,
    ) -> None:
        self._order = order
        self._outcome: Any = None
        self._length = length
        self._more = more
        self._leave = leave
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._granted = False
        self._take: Callable[[bytes], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.trailers: Mapping[str, str] = {}
        """What the sender said behind the last byte; complete at the end."""

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be, or None if nobody knows."""
        return self._length

    async def deliver(self, take: Callable[[bytes], None]) -> None:
        """Hand pieces over in the moment they come, in order with answers; return at the end."""
        self._take = take
        while piece := await self.read(PIECE_BYTES_MAX):
            take(piece)

    async def divert(self, order: Any) -> Any:
        """Have the other side do something with the bytes, none of which was read; its outcome.

        Raises:
            ServiceError, Weather: As the stream would have ended.
        """
        assert self._order is not None, "only the stream of a call is diverted"
        assert not self._granted, "a stream is read or diverted"
        self._granted = True
        self._order(order)
        if await self.read(1):
            raise AssertionError("a diverted stream brings no bytes")
        return self._outcome

    def done(self, outcome: Any) -> None:
        """Take what came of an order: the end of the stream."""
        self._outcome, self._ended = outcome, True
        self._wake()

    def add(self, piece: bytes, trailers: Mapping[str, str]) -> None:
        """Take a piece that came; an empty one is the end."""
        if piece and self._take is not None:
            self._take(piece)
            self._more(len(piece))
            return
        if piece:
            self._pieces.append(piece)
        else:
            self._ended, self.trailers = True, trailers
        self._wake()

    def fail(self, error: Exception) -> None:
        """End in an error, behind what came before."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end."""
        if not self._granted:
            self._granted = True
            self._more(WINDOW_BYTES)
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        if len(piece) > limit:
            self._pieces.appendleft(piece[limit:])
            piece = piece[:limit]
        if not self._ended:
            self._more(len(piece))
        return piece

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.read(PIECE_BYTES_MAX)
        if not piece:
            raise StopAsyncIteration
        return piece

    def leave(self) -> None:
        """Read no more."""
        if not self._ended:
            self._ended = True
            self._leave()
            self._wake()
        self._pieces.clear()

    async def aclose(self) -> None:
        """Read no more; for ``async for`` and its company."""
        self.leave()


Send = Callable[[bytes, Mapping[str, str]], None]


async def pump_source(
    source: ByteSource, credit: Credit, send: Send, is_over: Callable[[], bool]
) -> None:
    """Send the bytes of a source as the other side takes them, and their end."""
    while await credit.wait(is_over):
        piece = await source.read(PIECE_BYTES_MAX)
        if is_over():
            return
        credit.spend(len(piece))
        if not piece:
            send(b"", getattr(source, "trailers", None) or {})
            return
        send(piece, {})


async def pump_pieces(
    pieces: AsyncIterator[bytes],
    credit: Credit,
    send: Send,
    is_over: Callable[[], bool],
) -> None:
    """Send what an iterator yields as the other side takes it, and the end."""
    async for whole in pieces:
        for at in range(0, len(whole), PIECE_BYTES_MAX):
            if not await credit.wait(is_over):
                return
            piece = bytes(whole[at : at + PIECE_BYTES_MAX])
            credit.spend(len(piece))
            send(piece, {})
    send(b"", {})
