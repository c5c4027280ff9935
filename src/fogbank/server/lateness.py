"""How late the event loop runs what is due.

Rule: while there is work it is measured every ``BUSY_MS``, so that seconds of load are enough for a
99th percentile; a loop at rest is hardly asked, for that is all it would do. Work that begins is
noticed when somebody says so, and at the next measurement.

Theory: uvloop's timers count whole milliseconds of the monotonic clock, from the last one that has
begun. So a timer is due a whole number of milliseconds after that one, which we know, and what comes
later is lateness: of the loop, or up to a millisecond of the kernel, which is asked to wait for whole
milliseconds too. It is never told too low.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from fogbank.platform.metering.exposition import Family
from fogbank.platform.metering.meters import FineHistogram
from fogbank.server.garbage import Work

BUSY_MS: Final = 10
REST_MS: Final = 10_000
_MS: Final = 1_000_000


class Timer(Protocol):
    """What is to be called back."""

    def cancel(self) -> object:
        """Call back no more."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]


class Lateness:
    """Measures one loop.

    Args:
        monotonic_ns: The time of the loop's timers, in nanoseconds.
        call_later: The loop's own.
        work: What the process has to do.
    """

    def __init__(
        self, monotonic_ns: Callable[[], int], call_later: CallLater, work: Callable[[], Work]
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._call_later = call_later
        self._work = work
        self._seen = -1
        """How much work had come at the last measurement."""
        self._due_ns = 0
        self._resting: Timer | None = None
        """The next measurement of a loop at rest."""
        self.found = FineHistogram()

    def begin(self) -> None:
        """Measure from now on, for as long as the loop runs."""
        work = self._work()
        rests = not work.under_way and work.so_far == self._seen
        self._seen = work.so_far
        timer = self._measure_in(REST_MS if rests else BUSY_MS)
        self._resting = timer if rests else None

    def rouse(self) -> None:
        """Measure often from now on, as work begins."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
            self._measure_in(BUSY_MS)

    def _measure_in(self, wait_ms: int) -> Timer:
        """Measure after so many milliseconds."""
        self._due_ns = (self._monotonic_ns() // _MS + wait_ms) * _MS
        return self._call_later(wait_ms / 1_000, self._run)

    def _run(self) -> None:
        """Count how late this is, and go on."""
        self.found.add(max(0, self._monotonic_ns() - self._due_ns) // 1_000)
        self.begin()

    def families(self) -> Iterator[Family]:
        """Yield the figures."""
        meaning = "How late the event loop ran what was due."
        yield Family("fogbank_loop_lateness_seconds", "histogram", meaning, [({}, self.found)])
