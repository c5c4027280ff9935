"""Virtual time: it stands still until someone moves it, and then nobody waits.

The idea is Trio's ``MockClock``: a test of a two-minute retry takes no time, and says exactly when
what happened.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where virtual time begins unless told otherwise."""


class VirtualClock:
    """A clock that a test moves; use it from one event loop."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._now_ms = start_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        """Return the virtual time."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return virtual seconds."""
        return self._now_ms / 1000

    async def sleep_until(self, when_ms: int) -> None:
        """Wait until a test has moved time this far."""
        if when_ms <= self._now_ms:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_ms, next(self._order), wake))
        await wake

    def next_ms(self) -> int | None:
        """Return when the next sleeper wakes, or None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance_to(self, when_ms: int) -> None:
        """Move time forward to the next sleeper or ``when_ms``, whichever comes first."""
        assert when_ms >= self._now_ms, "time does not go back"
        due_ms = self.next_ms()
        self._now_ms = when_ms if due_ms is None else min(when_ms, max(due_ms, self._now_ms))
        while (due_ms := self.next_ms()) is not None and due_ms <= self._now_ms:
            wake = heapq.heappop(self._sleepers)[2]
            wake.set_result(None)
