"""The log of one environment on its way to its log stream: cut into events, batched, bounded.

Rule: a line is handed over within ``flush_ms`` of its arrival and is durable when ``flush``
returns; until then it lies in memory, and there never lies more than ``bytes_max`` or
``EVENTS_MAX``: what a function writes faster than it can be stored is dropped, and a line says how
much. A flush takes what lies there when it begins and no more, so that a function that floods its
log fills the disk with ``bytes_max`` in each ``flush_ms`` at most, and costs no more than that.

Theory: lines arrive as pieces of a byte stream, so an event ends at a newline, at the end of an
invocation, or at the largest size of an event. Times of one journal never go back, as
PutLogEvents wants it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather

log = logging.getLogger("fogbank.functions")

EVENT_OVERHEAD_BYTES: Final = 26
"""What PutLogEvents counts for every event beside its message."""
EVENT_BYTES_MAX: Final = (256 << 10) - EVENT_OVERHEAD_BYTES
BATCH_BYTES_MAX: Final = 1 << 20
BATCH_EVENTS_MAX: Final = 1_000
"""Of the 10,000 that PutLogEvents takes: between batches others have their turn."""
EVENTS_MAX: Final = 10_000
TAIL_BYTES: Final = 4 << 10
_ATTEMPTS_MAX: Final = 6
_BACKOFF_MS: Final = 250


class LogEvent(NamedTuple):
    """One event of a log stream."""

    timestamp_ms: int
    message: str


Ship = Callable[[Sequence[LogEvent]], Awaitable[None]]
"""Makes events durable, or raises ``Weather`` if that is worth another try."""


class Journal:
    """Gathers the lines of one environment and ships them in order.

    Args:
        ship: Where the events go.
        clock: The time of the events.
        tasks: Owns the flushes.
        flush_ms: How long a line may wait for others.
        bytes_max: How much may wait.
    """

    def __init__(
        self,
        ship: Ship,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        *,
        flush_ms: int = 100,
        bytes_max: int = BATCH_BYTES_MAX,
    ) -> None:
        self._ship = ship
        self._clock = clock
        self._tasks = tasks
        self._flush_ms = flush_ms
        self._bytes_max = bytes_max
        self._events: deque[LogEvent] = deque()
        self._bytes = 0
        self._dropped = 0
        self._full = False
        """Whether something was dropped and nothing has left since."""
        self._last_ms = 0
        self._rest = b""
        self._tail = bytearray()
        self._shipping = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the tail of an invocation; that of the first begins with the start's output."""
        self._tail.clear()

    def tail(self) -> bytes:
        """Return the last bytes that the invocation wrote."""
        return bytes(self._tail[-TAIL_BYTES:])

    def sink(self, _request_id: str, piece: bytes) -> None:
        """Take a piece of the function's output: the ``LogSink`` of its sandbox."""
        if self._full and b"\n" in piece:
            lines, _, self._rest = (self._rest + piece).rpartition(b"\n")
            self._drop(lines)
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for at, line in enumerate(lines):
            if self._full:
                self._drop(b"\n".join(lines[at:]))
                break
            # AWS's runtimes write a line break inside an event as a carriage return.
            self._write(line.removesuffix(b"\r").replace(b"\r", b"\n") + b"\n")
        while len(self._rest) > EVENT_BYTES_MAX:
            cut = _cut_of(self._rest)
            self._write(self._rest[:cut])
            self._rest = self._rest[cut:]

    def _drop(self, lines: bytes) -> None:
        """Count lines that there is no room for, without looking at each."""
        self._dropped += lines.count(b"\n") + 1
        self._note(lines[-TAIL_BYTES:] + b"\n")

    def _note(self, raw: bytes) -> None:
        """Keep the end of what was written, and see that something leaves soon."""
        self._tail += raw
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        if self._flusher is None:
            self._flusher = self._tasks.create_task(self._flush_soon())

    def line(self, message: str) -> None:
        """Add a line of the platform's, after what the function has written."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._write(rest)
        self._write(message.encode())

    def end(self) -> None:
        """End the last line of an invocation that wrote no newline."""
        if self._rest:
            self.line("")

    def _write(self, raw: bytes) -> None:
        """Add one event, or several if it is too large for one."""
        while len(raw) > EVENT_BYTES_MAX:
            cut = _cut_of(raw)
            self._write(raw[:cut])
            raw = raw[cut:]
        if not raw:
            return
        self._note(raw)
        size = len(raw) + EVENT_OVERHEAD_BYTES
        if self._bytes + size > self._bytes_max or len(self._events) >= EVENTS_MAX:
            self._dropped += 1
            self._full = True
        else:
            self._add(raw.decode(errors="replace"), size)

    def _add(self, message: str, size: int) -> None:
        """Add an event at the present time."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        self._events.append(LogEvent(self._last_ms, message))
        self._bytes += size

    def _take(self, left: int) -> list[LogEvent]:
        """Return the next batch of the first so many; it stays counted until it is durable."""
        batch: list[LogEvent] = []
        room = BATCH_BYTES_MAX
        while len(batch) < min(left, BATCH_EVENTS_MAX):
            room -= _size_of(self._events[0])
            if room < 0:
                break
            batch.append(self._events.popleft())
        return batch

    async def flush(self) -> None:
        """Return once everything written so far is durable.

        Raises:
            Weather: It could not be stored; it is kept for the next time.
        """
        async with self._shipping:
            if self._dropped:
                words = (
                    f"fogbank dropped {self._dropped} log lines: they came faster than they went\n"
                )
                self._dropped = 0
                self._add(words, len(words) + EVENT_OVERHEAD_BYTES)
            left = len(self._events)
            while batch := self._take(left):
                left -= len(batch)
                try:
                    await self._try(batch)
                except BaseException:
                    self._events.extendleft(reversed(batch))
                    raise
                self._bytes -= sum(map(_size_of, batch))
                self._full = False

    async def flush_together(self, every_ms: int) -> None:
        """Return once everything written so far is durable, together with what others wait for.

        Whoever comes within the same ``every_ms`` of the clock, to whatever journal, has it written at
        the same time: one batch a journal, and one group of the store for all of them. 0: at once.

        Raises:
            Weather: It could not be stored; it is kept for the next time.
        """
        if every_ms:
            now_ms = self._clock.now_ms()
            await self._clock.sleep_until(now_ms - now_ms % every_ms + every_ms)
        await self.flush()

    async def _try(self, batch: Sequence[LogEvent]) -> None:
        """Ship a batch; try again when the weather is bad, a few times."""
        for attempt in range(_ATTEMPTS_MAX):
            try:
                return await self._ship(batch)
            except Weather as error:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
                log.warning("log lines wait: %s", error)
            await self._clock.sleep_until(self._clock.now_ms() + (_BACKOFF_MS << attempt))
        raise AssertionError("the last attempt returned or raised")

    async def _flush_soon(self) -> None:
        """Ship what has gathered, a moment after its first line came.

        What an invocation's end has shipped meanwhile does not hurry the lines of the next one.
        """
        due_ms = self._clock.now_ms() + self._flush_ms
        while self._clock.now_ms() < due_ms:
            await self._clock.sleep_until(due_ms)
            if self._events and not self._dropped:
                due_ms = self._events[0].timestamp_ms + self._flush_ms
        self._flusher = None
        await self._flush_or_drop()

    async def _flush_or_drop(self) -> None:
        """Ship what there is; if that fails for good, forget it and say so."""
        try:
            await self.flush()
        except Weather as error:
            log.warning("%d log lines are lost: %s", len(self._events), error)
            self._dropped += len(self._events)
            self._events.clear()
            self._bytes = 0
            self._full = False

    async def close(self) -> None:
        """Ship the rest; nothing is written afterwards."""
        self.end()
        if self._flusher is not None:
            self._flusher.cancel()
        await self._flush_or_drop()


def _size_of(event: LogEvent) -> int:
    """Return what PutLogEvents counts for an event."""
    return len(event.message.encode()) + EVENT_OVERHEAD_BYTES


def _cut_of(raw: bytes) -> int:
    """Return where to cut an event that is too large, between two characters."""
    cut = EVENT_BYTES_MAX
    while cut > EVENT_BYTES_MAX - 4 and raw[cut] & 0xC0 == 0x80:  # noqa: PLR2004 (UTF-8)
        cut -= 1
    return cut
