"""The redo log: one thread that makes groups of transactions durable, one sync per group.

Rule: a transaction is acknowledged after the write and the sync of its group returned, never
before, and an error of either ends the process: what the disk holds then is not known, and a second
sync may report success for pages that were dropped (the lesson of PostgreSQL's fsync of 2018).

The loop owns offsets and numbers; the thread gets finished orders through a queue that holds at
most one of them.
"""

from __future__ import annotations

import os
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple, NoReturn

from fogbank.engines.embedded.files import sync_folder, write_all
from fogbank.engines.embedded.segment import (
    first_offset,
    group_bytes,
    pack_group,
    segment_path,
)
from fogbank.platform.crypto.keys import Series
from fogbank.platform.metering.meters import Histogram

_STANDARD_ERROR: Final = 2
_EXIT_STATUS: Final = 74  # EX_IOERR of sysexits.h


def end_process(message: str) -> NoReturn:
    """Say why on the standard error, and end at once without any clean-up."""
    line = f"fogbank: {message}; nothing more can be acknowledged, the process ends\n"
    # The descriptor itself: a replaced or buffered stream may fail or hold the line back.
    os.write(_STANDARD_ERROR, line.encode())
    os._exit(_EXIT_STATUS)


class _Order(NamedTuple):
    """A group to make durable; with ``ready`` the log first moves on to that segment."""

    number: int
    offset: int
    first: int
    records: list[bytes]
    ready: str | None


class RedoLog:
    """Appends groups to the active segment.

    Args:
        folder: Where the segments lie.
        number: The active segment, which is there and empty.
        size: The size of every segment in bytes.
        loop: The loop on which ``durable`` is called.
        on_fatal: Called in the thread when the log failed; normally ends the process.
        series: What groups are sealed with, in the thread; None: they stay plain.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        size: int,
        loop: AbstractEventLoop,
        on_fatal: Callable[[str], None] = end_process,
        series: Series | None = None,
    ) -> None:
        self.number = number
        self.offset = first_offset(size)
        self.size = size
        self.write: Callable[[int, bytes, int], None] = write_all
        self.sync: Callable[[int], None] = os.fdatasync
        self.syncs = Histogram()
        """How long writing and syncing a group took; counted in the thread."""
        self.series = series
        """What the next groups are sealed with; replaced when the keys are rotated."""
        self._folder = folder
        self._loop = loop
        self._on_fatal = on_fatal
        self._on_durable: Callable[[], None] = lambda: None
        self._on_failed: Callable[[], None] = lambda: None
        self._ready: str | None = None
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._fd = os.open(segment_path(folder, number), os.O_RDWR | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="fogbank-log", daemon=True)

    def start(self, on_durable: Callable[[], None], on_failed: Callable[[], None]) -> None:
        """Start the thread; both are called on the loop, the first after every group."""
        self._on_durable, self._on_failed = on_durable, on_failed
        self._thread.start()

    @property
    def is_empty(self) -> bool:
        """Return whether the active segment holds no group."""
        return self.offset == first_offset(self.size)

    @property
    def fill(self) -> float:
        """Return which part of the active segment is used."""
        return self.offset / self.size

    def _group_bytes(self, record_bytes: int) -> int:
        """Return the room that a group of so many bytes takes."""
        return group_bytes(record_bytes, sealed=self.series is not None)

    def has_room(self, record_bytes: int) -> bool:
        """Return whether a group of so many bytes fits into the active segment."""
        return self.offset + self._group_bytes(record_bytes) <= self.size

    def append(self, first: int, records: list[bytes], record_bytes: int) -> None:
        """Order a group to be made durable; only when the one before is."""
        assert self.has_room(record_bytes)
        self._orders.put(_Order(self.number, self.offset, first, records, self._ready))
        self.offset += self._group_bytes(record_bytes)
        self._ready = None

    def rotate(self, ready: str) -> None:
        """Move on to the next segment, made out of a ready one; only when nothing is under way."""
        assert self._ready is None, "a segment is used before the next one is begun"
        self.number += 1
        self.offset = first_offset(self.size)
        self._ready = ready

    def _activate(self, order: _Order) -> None:
        """Give a ready segment its number, durably, and write to it from now on."""
        assert order.ready is not None
        path = segment_path(self._folder, order.number)
        (self._folder / order.ready).rename(path)
        sync_folder(self._folder)
        os.close(self._fd)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def _run(self) -> None:
        """Make one group after the other durable, until told to end."""
        while (order := self._orders.get()) is not None:
            try:
                if order.ready is not None:
                    self._activate(order)
                data = pack_group(order.first, order.records, order.offset, self.series)
                began_ns = time.monotonic_ns()
                self.write(self._fd, data, order.offset)
                self.sync(self._fd)
                self.syncs.add((time.monotonic_ns() - began_ns) // 1_000)
            except OSError as error:
                self._on_fatal(f"the log cannot be written: {error}")
                self._loop.call_soon_threadsafe(self._on_failed)
                break
            self._loop.call_soon_threadsafe(self._on_durable)
        os.close(self._fd)

    def close(self) -> None:
        """End the thread; blocks for at most one group."""
        if self._thread.ident is None:
            os.close(self._fd)
            return
        self._orders.put(None)
        self._thread.join()
