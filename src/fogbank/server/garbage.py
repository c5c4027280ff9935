"""Cyclic garbage: collected while nobody waits, and at every so many MB that a process has grown.

Automatic collections are off once a process serves: a full one holds the loop for as long as it
takes to walk every container, in the middle of somebody's request. What was there at the start is
frozen, so that no collection walks it.

Rule: a full collection runs when a whole period brought no work and the one before it brought some.
Where the server never rests, one runs each time that the process's own memory has grown by
``growth_bytes`` beyond what it was after the last one, whoever waits. So garbage is bounded by that,
and a server at rest collects nothing.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from fogbank.base.clock import Clock
from fogbank.platform.metering.exposition import Family, counter
from fogbank.platform.metering.meters import Histogram

LOOK_MS: Final = 1_000
REST_MS: Final = 10_000
"""How long a process is left alone that had nothing to do and has nothing to collect."""
IDLE: Final = "idle"
GROWTH: Final = "growth"


class Collector(Protocol):
    """What collects: the module ``gc``."""

    def collect(self) -> int:
        """Collect everything; return how many objects could not be reached."""
        ...

    def freeze(self) -> None:
        """Leave what there is out of all later collections."""
        ...

    def disable(self) -> None:
        """End automatic collections."""
        ...


class Work(NamedTuple):
    """What a process has to do."""

    under_way: int
    """Requests and calls."""
    so_far: int
    """A number that grows with whatever comes."""


class Garbage:
    """Collects the garbage of one process.

    Args:
        clock: The time.
        memory_bytes: The process's own memory.
        work: What it has to do.
        growth_bytes: How far it may grow between two collections.
        collector: What collects.
    """

    def __init__(
        self,
        clock: Clock,
        memory_bytes: Callable[[], int],
        work: Callable[[], Work],
        growth_bytes: int,
        collector: Collector = gc,
    ) -> None:
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._work = work
        self._growth_bytes = growth_bytes
        self._collector = collector
        self._pause_ms = LOOK_MS
        self._level_bytes = 0
        """What the memory was after the last collection."""
        self._seen = self._collected = 0
        """What had come at the last look, and at the last collection."""
        self.pauses = Histogram()
        """How long collections held the loop."""
        self.runs: Counter[str] = Counter()
        """Collections, by what caused them."""
        self.found = 0
        """Objects that were collected."""

    def begin(self) -> None:
        """Freeze what there is, and end automatic collections."""
        self._collector.collect()
        self._collector.freeze()
        self._collector.disable()
        self._level_bytes = self._memory_bytes()
        self._seen = self._collected = self._work().so_far

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + self._pause_ms)
            self.look()

    def look(self) -> None:
        """Collect, if it is time to; look again soon unless there was nothing to do."""
        work = self._work()
        rests = not work.under_way and work.so_far == self._seen
        self._seen = work.so_far
        if self._memory_bytes() >= self._level_bytes + self._growth_bytes:
            self._collect(GROWTH)
        elif rests and work.so_far != self._collected:
            self._collect(IDLE)
        self._pause_ms = REST_MS if rests else LOOK_MS

    def _collect(self, cause: str) -> None:
        began = self._clock.monotonic()
        self.found += self._collector.collect()
        self.pauses.add(int((self._clock.monotonic() - began) * 1_000_000))
        self.runs[cause] += 1
        self._level_bytes = self._memory_bytes()
        self._collected = self._seen

    def families(self) -> Iterator[Family]:
        """Yield the figures."""
        yield Family(
            "fogbank_garbage_collections_total", "counter",
            "Full collections of garbage, by cause.",
            [({"cause": cause}, self.runs[cause]) for cause in (IDLE, GROWTH)],
        )  # fmt: skip
        yield counter("fogbank_garbage_objects_total", "Objects they collected.", self.found)
        meaning = "How long a collection of garbage held the event loop."
        yield Family("fogbank_garbage_pause_seconds", "histogram", meaning, [({}, self.pauses)])
