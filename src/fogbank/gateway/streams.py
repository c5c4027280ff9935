"""One HTTP/2 stream: a request's body on its way in, and what is known of its reply.

Rule: what a body holds is what the client's window allowed, and the window opens again only as the
reader takes, so that a slow reader holds its client back and no other stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import Head
from fogbank.gateway.pace import Pace
from fogbank.wire.http import HttpRequest


class StreamFlow(Protocol):
    """What a body tells the connection that feeds it."""

    def body_wanted(self, stream: Stream) -> None:
        """Note that a reader waits: send 100 Continue if it is due."""
        ...

    def body_taken(self, stream: Stream, size: int) -> None:
        """Note that a reader has taken bytes: the client may send as many more."""
        ...


class Stream:
    """A request and its body; implements the ``stream`` of a request."""

    __slots__ = (
        "_chunks",
        "_error",
        "_flow",
        "_waiter",
        "continue_due",
        "ended",
        "flow_bytes",
        "head",
        "moved",
        "number",
        "pace",
        "request",
        "reserved",
        "since_ms",
        "size",
        "task",
        "window",
    )

    def __init__(self, flow: StreamFlow, number: int, head: Head, now_ms: int) -> None:
        self._flow = flow
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: ServiceError | None = None
        self.number = number
        self.head = head
        self.request: HttpRequest | None = None
        """Set once the handler may run."""
        self.task: asyncio.Task[None] | None = None
        self.window: asyncio.Future[None] | None = None
        """What the reply waits for when the client's window is closed."""
        self.moved = 0
        """Bytes that the client has sent of the body, or has let us send of the reply."""
        self.pace = Pace()
        self.size = 0
        """Bytes of the body that are buffered."""
        self.reserved = 0
        """Bytes that are counted for a body that is gathered."""
        self.ended = False
        """Whether the client has sent all of it."""
        self.continue_due = head.expects_continue
        self.since_ms = now_ms
        """When the stream began, or its client last did what it waits for."""

    @property
    def length(self) -> int | None:
        """Return the number of bytes the client promised, or None."""
        return self.head.length if "content-length" in self.head.headers else None

    @property
    def waiting(self) -> bool:
        """Return whether a reader waits for the client."""
        return self._waiter is not None

    def add(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._chunks.append(data)
        self.size += len(data)
        self.moved += len(data)
        self._wake()

    def end(self) -> None:
        """Note that all of the body has come."""
        self.ended = True
        self._wake()

    def fail(self, error: ServiceError) -> None:
        """Let the reader fail with the error, unless the body is complete."""
        if not self.ended:
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
            if self.ended:
                return b""
            if self._error is not None:
                raise self._error
            self._flow.body_wanted(self)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken = self._take(limit)
        self._flow.body_taken(self, len(taken))
        return taken

    def _take(self, limit: int) -> bytes:
        """Return what is buffered, at most ``limit`` bytes, in one piece."""
        pieces: list[bytes] = []
        left = limit
        while left and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > left:
                self._chunks.appendleft(chunk[left:])
                chunk = chunk[:left]
            pieces.append(chunk)
            left -= len(chunk)
        self.size -= limit - left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def gathered(self) -> bytes:
        """Return the whole body, which has ended."""
        assert self.ended
        return self._take(self.size) if self.size else b""

    def drop(self) -> int:
        """Forget what is buffered and return how many bytes that were."""
        dropped, self.size = self.size, 0
        self._chunks.clear()
        return dropped


STREAM_SLACK: Final = 100
"""Streams beyond the bound that are refused one by one; past them the connection is closed."""
