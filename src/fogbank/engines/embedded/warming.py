"""First runs of bodies: once the rows' file outgrows memory, a thread meets the disk, not the loop.

A row that is not in memory is read from the disk in the middle of a body, and the loop with
everybody on it waits. So where the file is larger than ``above_bytes``, each body is first run in
one of ``THREADS_MAX`` threads, over a snapshot of the settled rows of its own; what it writes, what
it answers and what it raises is dropped. What it read is then in memory, and the body runs on the
loop as ever: serially, over the newest state. Only that run counts.

Rule: bodies may run more than once and touch their transaction and values only (DESIGN 6.3), so a
run more does nothing. It reads at most ``READS_MAX`` times: its snapshot may lie in the middle of a
checkpoint, where nothing that bodies rely on has to hold, the end of their loops neither.

Theory: what is newer than the settled rows lies in the overlay, in memory, and needs no warming; a
body that takes another way because of it reads from the disk itself, as before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

from fogbank.engines import bodies
from fogbank.engines.bodies import Row
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.checkpoint import ROWS
from fogbank.engines.embedded.layers import Layers, Span
from fogbank.engines.embedded.recover import Opened
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import Writes
from fogbank.engines.embedded.transaction import EmbeddedTransaction
from fogbank.platform.store.engine import Body, Domain

THREADS_MAX: Final = 4
READS_MAX: Final = 10_000
"""Rows and ranges."""
_log: Final = logging.getLogger("fogbank.store")
Begin = Callable[[Layers, Domain], EmbeddedTransaction]


class _EnoughError(Exception):
    """A first run reads on and on."""


class _Bounded(Layers):
    """A snapshot of the settled rows alone, for one run."""

    __slots__ = ("_left",)

    def __init__(self, env: rows.Environment, seals: RowSeals, now_ms: Callable[[], int]) -> None:
        super().__init__(env, seals, now_ms)
        self._left = READS_MAX

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _EnoughError

    def find_settled(self, key: bytes) -> bytes | None:
        """Return the value at the key."""
        self._count()
        return super().find_settled(key)

    def range(self, span: Span, own: Writes) -> tuple[list[Row], bool]:
        """Return the rows of a range."""
        self._count()
        return super().range(span, own)


class Warming:
    """Runs bodies for the first time, where that is needed.

    Args:
        env: The rows.
        seals: What opens them; not the loop's.
        now_ms: The store's time.
        file_bytes: How large their file is.
        above_bytes: How large it may be without first runs; None: as large as it likes.
        executor: Where bodies run; threads of its own unless given.
    """

    def __init__(
        self,
        env: rows.Environment,
        seals: RowSeals,
        now_ms: Callable[[], int],
        file_bytes: Callable[[], int],
        above_bytes: int | None,
        executor: Executor | None = None,
    ) -> None:
        self._env = env
        self._seals = seals
        self._now_ms = now_ms
        self._file_bytes = file_bytes
        self._above_bytes = above_bytes
        self._executor = executor or ThreadPoolExecutor(THREADS_MAX, "fogbank-warm")
        self._is_over = False
        self.is_on = False
        """Whether bodies must be run here first."""
        self.runs = 0
        """First runs so far."""
        self.measure()

    def measure(self) -> None:
        """Look whether the file has outgrown memory; it grows with checkpoints only."""
        was = self.is_on
        self.is_on = self._above_bytes is not None and self._file_bytes() > self._above_bytes
        if self.is_on and not was:
            _log.warning("the file of the rows outgrows memory: bodies are first run in a thread")

    async def first_run(self, body: Body[Any], begin: Begin, domain: Domain) -> None:
        """Return when the rows that a body reads are in memory; nothing else comes of it."""
        if self._is_over:
            return
        self.runs += 1
        await asyncio.wrap_future(self._executor.submit(self._run, body, begin, domain))

    def _run(self, body: Body[Any], begin: Begin, domain: Domain) -> None:
        """Run a body for what it reads; blocks."""
        layers = _Bounded(self._env, self._seals, self._now_ms)
        tr = begin(layers, domain)
        try:
            bodies.drive(body(tr))
        except Exception as error:  # noqa: BLE001 (next sentence)
            # Whatever is wrong with the body, the run that counts meets it too, and tells.
            _log.debug("a first run ended early: %r", error)
        finally:
            tr.close()
            layers.close()

    async def stop(self) -> None:
        """Run nothing more, and return when no thread reads."""
        self._is_over = True
        await asyncio.to_thread(self._executor.shutdown)


def warming_of(opened: Opened, now_ms: Callable[[], int], above_bytes: int | None) -> Warming:
    """Return what runs the bodies of an open store for the first time."""
    data = opened.root / ROWS / rows.DATA
    seals = RowSeals(opened.keys)
    return Warming(opened.env, seals, now_ms, lambda: data.stat().st_size, above_bytes)
