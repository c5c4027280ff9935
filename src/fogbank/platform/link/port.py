"""The words of a link: what one process asks of another, and what may come of it.

Rule: a link carries plain values (what MessagePack knows) and streams of bytes, both ways, with
back-pressure, and errors as what they are. It promises nothing about a call whose link was lost
but that it happened at most once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from fogbank.base.errors import Unavailable

CALLS_MAX: Final = 8_192
"""Calls of one link under way at once; the next is told to slow down."""
FRAME_BYTES_MAX: Final = 128 << 20
"""The longest frame: the largest decoded request (code of a function) and its company."""
PIECE_BYTES_MAX: Final = 256 << 10
"""The longest piece of a stream."""
WINDOW_BYTES: Final = 1 << 20
"""What a stream may have under way before its sender waits for its reader."""
BUFFER_BYTES_MAX: Final = 4 << 20
"""What a socket may have unsent before callers wait."""


class LinkLost(Unavailable):
    """The link broke while a call was under way: it may have happened or not."""


class RemoteBugError(RuntimeError):
    """The other process met a bug, and logged it."""


class ByteSource(Protocol):
    """Bytes that are read with back-pressure, such as a request's body."""

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be, or None if nobody knows."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A source whose owner can do something with its bytes where they are."""

    async def obey(self, order: Any, is_over: Callable[[], bool]) -> Any:
        """Do what the other side asks with the bytes, which it will not read; return the outcome.

        Args:
            order: What it asks.
            is_over: Says whether nobody will hear the outcome: leave it, then, and leave nothing.

        Raises:
            ServiceError, Weather: The other side hears it as it would of a stream that breaks off.
        """
        ...


@runtime_checkable
class Diverted(ByteSource, Protocol):
    """A stream of the other side's, which that side can do something with itself."""

    @property
    def trailers(self) -> Mapping[str, str]:
        """Return what was said behind the last byte."""
        ...

    async def divert(self, order: Any) -> Any:
        """Have that done, instead of reading; return the outcome; see ``Keeping``."""
        ...


class Answer(NamedTuple):
    """What a call came to: a value, and bytes that follow it."""

    value: Any
    stream: AsyncIterator[bytes] | None = None


class Asked(NamedTuple):
    """What a handler is given."""

    value: Any
    stream: ByteSource | None = None


Handler = Callable[[Asked], Awaitable[Answer]]
Handlers = Mapping[str, Handler]


class Peer(Protocol):
    """Another process of this cloud."""

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        """Ask it something and return its answer.

        Args:
            method: What; the other side has a handler of this name.
            value: Plain values.
            stream: Bytes that follow; they are read as the other side reads them.

        Raises:
            ServiceError: As the handler raised it, under the same code.
            Weather: As the handler raised it.
            Unavailable: The process cannot be reached; nothing has happened.
            LinkLost: The link broke meanwhile.
            Throttled: Too much is under way.
            RemoteBugError: The handler met a bug.
        """
        ...


async def close_stream(stream: AsyncIterator[bytes]) -> None:
    """Let a stream's maker know now that nobody reads on, and not when it is collected."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
