"""The budget of a step: nothing may hold the event loop for longer.

A step is one call of the loop into our code: a callback, one run of a task up to where it waits,
what is done with bytes that came. While it runs nobody else is served. So every step is timed, two
readings of a clock each; one that passes the budget is counted, and told of with the request that it
worked for.

Rule: there is a line at once, then at most one every ``LINE_PERIOD_S``, which says how many there
were since. Steps before the process is ready are its own affair.

Theory: asyncio's debug mode times steps as well, and costs a multiple of what it finds. Here the
loop's methods that take callbacks are bound to ``Steps.run`` once, in C where uvloop is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, cast

import uvloop

from fogbank.platform.metering.current import IN_WORK, LAST
from fogbank.platform.metering.exposition import Family
from fogbank.platform.metering.meters import Histogram

BUDGET_S: Final = 0.005
LINE_PERIOD_S: Final = 60.0
_log: Final = logging.getLogger("fogbank.loop")
Run = Callable[..., None]


class Steps:
    """Times the steps of one loop.

    Args:
        monotonic: The time in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.holds = Histogram()
        """The steps that passed the budget."""
        self._is_begun = False
        self._line_at: float | None = None
        self._since = 0
        self._longest_s = 0.0
        self.run: Final = self._runner(monotonic)
        """Runs a callback as one step."""

    def begin(self) -> None:
        """Count from now on."""
        self._is_begun = True

    def _runner(self, monotonic: Callable[[], float]) -> Run:
        """Return what runs callbacks: a function of few words, for it runs with every one."""

        def run(callback: Callable[..., object], *arguments: Any) -> None:
            began = monotonic()
            try:
                callback(*arguments)
            finally:
                if monotonic() - began > BUDGET_S:
                    self._passed(callback, began, monotonic())

        return run

    def _passed(self, callback: Callable[..., object], began: float, ended: float) -> None:
        """Note a step that passed its budget."""
        if not self._is_begun:
            return
        took_s = ended - began
        self.holds.add(int(took_s * 1_000_000))
        if self._line_at is not None and ended < self._line_at + LINE_PERIOD_S:
            self._since += 1
            self._longest_s = max(self._longest_s, took_s)
            return
        self._line_at = ended
        self._tell(callback, took_s, began)
        self._since, self._longest_s = 0, 0.0

    def _tell(self, callback: Callable[..., object], took_s: float, began: float) -> None:
        """Write a line that says what ran, within the call that it ran for."""
        last = LAST.call
        was = None
        if IN_WORK.get() is None and last is not None and last.ended >= began:
            was = IN_WORK.set(last)
        since = ""
        if self._since:
            longest_ms = self._longest_s * 1_000
            since = f"; {self._since} others since such a line, the longest {longest_ms:.1f} ms"
        _log.warning(
            "a step held the loop for %.1f ms, its budget is %.0f ms: %s%s",
            took_s * 1_000,
            BUDGET_S * 1_000,
            name_of(callback),
            since,
        )
        if was is not None:
            IN_WORK.reset(was)

    def families(self) -> Iterator[Family]:
        """Yield the figures."""
        meaning = "Steps that held the event loop for longer than 5 ms."
        yield Family("fogbank_loop_holds_seconds", "histogram", meaning, [({}, self.holds)])


def name_of(callback: Callable[..., object]) -> str:
    """Return what a callback is called in our code: of a step of a task, its coroutine."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        task = cast("asyncio.Task[object]", owner)
        return getattr(task.get_coro(), "__qualname__", None) or repr(task.get_coro())
    return getattr(callback, "__qualname__", None) or repr(callback)


class _Watched:
    """A protocol whose bytes are taken in steps."""

    __slots__ = (
        "_data_received",
        "_run",
        "connection_lost",
        "connection_made",
        "eof_received",
        "inner",
        "pause_writing",
        "resume_writing",
    )

    def __init__(self, inner: asyncio.Protocol, run: Run) -> None:
        self.inner = inner
        self._run = run
        self._data_received = inner.data_received
        self.connection_made = inner.connection_made
        self.connection_lost = inner.connection_lost
        self.eof_received = inner.eof_received
        self.pause_writing = inner.pause_writing
        self.resume_writing = inner.resume_writing

    def data_received(self, data: bytes) -> None:
        """Take bytes that came."""
        self._run(self._data_received, data)


class WatchedLoop(uvloop.Loop):
    """uvloop's loop, with every step timed.

    Args:
        steps: Times them.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._run = run = steps.run
        # The task's own C code looks these two up for every step; a partial saves it a frame.
        vars(self).update(
            call_soon=partial(super().call_soon, run),
            call_soon_threadsafe=partial(super().call_soon_threadsafe, run),
        )

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        """Call back later; ``call_at`` comes here too."""
        return super().call_later(delay, self._run, callback, *args, context=context)

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        """Call back when there is something to read."""
        super().add_reader(fd, self._run, callback, *args)

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        """Call back when something can be written."""
        super().add_writer(fd, self._run, callback, *args)

    async def create_server(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """Listen."""
        return await super().create_server(self._watching(protocol_factory), *args, **kwargs)

    async def create_unix_server(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """Listen on a Unix socket."""
        return await super().create_unix_server(self._watching(protocol_factory), *args, **kwargs)

    async def create_unix_connection(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """Connect to a Unix socket."""
        transport, protocol = await super().create_unix_connection(
            self._watching(protocol_factory), *args, **kwargs
        )
        return transport, protocol.inner if isinstance(protocol, _Watched) else protocol

    def _watching(self, factory: Callable[[], Any]) -> Callable[[], Any]:
        """Return what makes protocols whose bytes are taken in steps."""

        def made() -> Any:
            protocol = factory()
            return (
                _Watched(protocol, self._run)
                if isinstance(protocol, asyncio.Protocol)
                else protocol
            )

        return made
