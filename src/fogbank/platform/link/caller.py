"""The calling side of a link: calls under way, their answers and their streams.

Rule: a call that was given up is cancelled on the other side; a link that breaks fails everything
that is under way, at once. ``Line`` makes the link again for the next call, so that a process that
was restarted is found again without anybody's help.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled, Unavailable
from fogbank.platform.link import errors, frames
from fogbank.platform.link.frames import FrameProtocol
from fogbank.platform.link.port import CALLS_MAX, Answer, ByteSource, Keeping, LinkLost
from fogbank.platform.link.streams import Credit, Inflow, pump_source

CONNECT_WAIT_MS: Final = 2_000
"""How long a call waits for a process that is just being restarted."""
CONNECT_PAUSE_MS: Final = 25
_LOST: Final = "the other process ended while it was asked"
_UNKNOWN_LENGTH: Final = -1


class _Calling:
    """One call under way."""

    __slots__ = ("answer", "credit", "inflow", "order")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[Answer] = loop.create_future()
        self.credit: Credit | None = None
        self.inflow: Inflow | None = None
        self.order: Any = None
        """What the other side wants done with the stream."""


class Link(FrameProtocol):
    """One connection to another process, seen by who calls."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, _Calling] = {}
        self._numbers = itertools.count()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail everything that is under way."""
        super().connection_lost(exc)
        calls, self._calls = self._calls, {}
        for calling in calls.values():
            if calling.inflow is not None:
                calling.inflow.fail(LinkLost(_LOST))
            if not calling.answer.done():
                calling.answer.set_exception(LinkLost(_LOST))
            if calling.credit is not None:
                calling.credit.wake()

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        """Ask the other side something; see ``Peer.call``."""
        if self._room is not None:
            await self.room()
        if self.lost:
            raise Unavailable(_LOST)
        if len(self._calls) >= CALLS_MAX:
            raise Throttled(f"{CALLS_MAX} calls of another process are under way")
        number = next(self._numbers)
        calling = self._calls[number] = _Calling(self._loop)
        try:
            if stream is None:
                self.say(number, frames.CALL, method, value, None)
            else:
                calling.credit = Credit()
                length = _UNKNOWN_LENGTH if stream.length is None else stream.length
                self.say(number, frames.CALL, method, value, length)
                await self._pump(number, calling, stream)
            return await calling.answer
        except asyncio.CancelledError:
            self._give_up(number)
            raise
        finally:
            if calling.inflow is None:
                self._calls.pop(number, None)

    async def _pump(self, number: int, calling: _Calling, stream: ByteSource) -> None:
        """Send the stream of a call until it ends or the answer is there."""
        assert calling.credit is not None
        try:
            await pump_source(
                stream,
                calling.credit,
                lambda piece, trailers: self.say(number, frames.PIECE, piece, trailers),
                lambda: calling.answer.done() or calling.order is not None,
            )
            if calling.order is not None:
                assert isinstance(stream, Keeping), "an order is for those who said they keep"
                self.say(number, frames.DONE, await stream.obey(calling.order, calling.answer.done))
        except Exception as error:  # noqa: BLE001 (the other side decides what comes of it)
            self.say(number, frames.BROKEN, errors.value_of(error))

    def _give_up(self, number: int) -> None:
        """Tell the other side that nobody waits any more."""
        if self._calls.pop(number, None) is not None:
            self.say(number, frames.CANCEL)

    def heard(self, message: list[Any]) -> None:
        """Act on a message of the other side."""
        number: int = message[0]
        calling = self._calls.get(number)
        if calling is None:
            return  # given up meanwhile
        match message[1]:
            case frames.ANSWER:
                self._answered(number, calling, message[2], streams=message[3])
            case frames.ERROR:
                self._failed(number, calling, errors.error_of(message[2]))
            case frames.PIECE:
                assert calling.inflow is not None, "pieces follow an answer"
                calling.inflow.add(message[2], message[3])
                if not message[2]:
                    del self._calls[number]
            case frames.ORDER:
                assert calling.credit is not None, "an order is about a stream"
                calling.order = message[2]
                calling.credit.wake()
            case frames.MORE:
                if calling.credit is not None:
                    calling.credit.grant(message[2])
            case _:
                raise AssertionError(f"a message of kind {message[1]}")

    def _answered(self, number: int, calling: _Calling, value: Any, *, streams: bool) -> None:
        if calling.answer.done():
            return
        if streams:
            calling.inflow = Inflow(
                None,
                lambda size: self.say(number, frames.MORE, size),
                lambda: self._give_up(number),
            )
        calling.answer.set_result(Answer(value, calling.inflow))
        if calling.credit is not None:
            calling.credit.wake()

    def _failed(self, number: int, calling: _Calling, error: Exception) -> None:
        if calling.inflow is not None:
            calling.inflow.fail(error)
            del self._calls[number]
        elif not calling.answer.done():
            calling.answer.set_exception(error)
        if calling.credit is not None:
            calling.credit.wake()


Dial = Callable[[Callable[[], Link]], Awaitable[Link]]
"""Connects a new link to the other process; raises ``OSError`` while it does not listen."""


class Line:
    """The way to one process, whichever run of it is there.

    Args:
        dial: Connects.
        clock: What the waiting for a process is measured by.
    """

    def __init__(self, dial: Dial, clock: Clock) -> None:
        self._dial = dial
        self._clock = clock
        self._link: Link | None = None
        self._dialling: asyncio.Future[Link] | None = None

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        """Ask the process something; see ``Peer.call``."""
        link = self._link
        if link is None or link.lost:
            link = await self._linked()
        return await link.call(method, value, stream)

    async def _linked(self) -> Link:
        """Return a link that stands; several callers wait for one."""
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_future()
            mine = self._dialling
            try:
                self._link = await self._connect()
            except BaseException as error:
                self._dialling = None
                told = error if isinstance(error, Exception) else Unavailable(_LOST)
                mine.set_exception(told)
                mine.exception()  # seen, even if nobody else waits
                raise
            self._dialling = None
            mine.set_result(self._link)
            return self._link
        return await asyncio.shield(self._dialling)

    async def _connect(self) -> Link:
        """Connect, for as long as a restart may take.

        Raises:
            Unavailable: The process is not there.
        """
        until_ms = self._clock.monotonic() * 1000 + CONNECT_WAIT_MS
        while True:
            try:
                return await self._dial(Link)
            except OSError as error:
                if self._clock.monotonic() * 1000 >= until_ms:
                    raise Unavailable(
                        f"a process of this cloud cannot be reached: {error}"
                    ) from None
            await self._clock.sleep_until(self._clock.now_ms() + CONNECT_PAUSE_MS)

    def close(self) -> None:
        """Break the link."""
        if self._link is not None:
            self._link.close()


def dialling(path: str, directory: int = -1) -> Dial:
    """Return what connects to a Unix socket.

    Args:
        path: Its path, relative to the directory.
        directory: A descriptor of the directory: a path from the root may be longer than the
            108 bytes that an address of a Unix socket has.
    """
    address = path if directory < 0 else f"/proc/self/fd/{directory}/{path}"

    async def dial(make: Callable[[], Link]) -> Link:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(make, address)
        return link

    return dial
