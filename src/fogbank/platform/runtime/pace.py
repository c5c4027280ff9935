"""How many queued invocations run at once: as many as keep the processors busy, and no more.

Rule: it holds back only what waits in a durable queue; a caller who waits for an answer is never
held back. Theory: what computes gains nothing from more environments than there are processors, and
each costs a start, memory and page faults; what waits for something else needs many. Nobody can tell
the two apart beforehand, so the number grows while the processors have time left and shrinks while
they have not. Whoever has waited for ``PRESS_MS`` goes on whatever the processors do, so that
functions that wait much are not held up by others that compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

RUNNING_PER_PROCESSOR_MIN: Final = 2
"""One computes while the other waits for what it asked of the cloud."""
LOOK_MS: Final = 100
PRESS_MS: Final = 5_000
IDLE_SHARE: Final = 0.1
"""With more of the processors' time left, more may run."""
_GROWTH: Final = 4
"""The number grows and shrinks by a fourth of itself at each look."""


class ProcessorTimes(NamedTuple):
    """What the machine's processors have done so far, in any unit of time."""

    idle: int
    total: int


class Pace:
    """The number of queued invocations that may run.

    Args:
        read: What the processors have done; None: nothing is held back.
        running_min: So many may always run.
    """

    def __init__(self, read: Callable[[], ProcessorTimes] | None, running_min: int = 1) -> None:
        self._read = read
        self._running_min = running_min
        self._last = ProcessorTimes(0, 0)
        self.running_max = running_min
        self.running = 0
        """Queued invocations that run."""

    @property
    def looks(self) -> bool:
        """Return whether it goes by what the processors do."""
        return self._read is not None

    @property
    def holds_back(self) -> bool:
        """Return whether no further one may run now."""
        return self._read is not None and self.running >= self.running_max

    def enter(self) -> None:
        """Count one that begins."""
        self.running += 1

    def leave(self) -> None:
        """Count one that has ended."""
        self.running -= 1
        assert self.running >= 0, "what ends has begun"

    def begin(self) -> None:
        """Note what the processors have done before anybody waited."""
        if self._read is not None:
            self._last = self._read()

    def look(self, waited_ms: int) -> None:
        """Let more run, or fewer, by what the processors did since the last look.

        Args:
            waited_ms: How long whoever waits longest has done so.
        """
        if self._read is None:
            return
        before, self._last = self._last, self._read()
        step = max(1, self.running_max // _GROWTH)
        if self._last.idle - before.idle > IDLE_SHARE * (self._last.total - before.total):
            if self.holds_back:
                self.running_max += step
        elif waited_ms >= PRESS_MS:
            self.running_max = max(self.running_max, self.running) + 1
        else:
            self.running_max = max(self._running_min, self.running_max - step)
