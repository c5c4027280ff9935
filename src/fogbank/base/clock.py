"""Time as a parameter.

Rule: nobody reads a clock but through a ``Clock`` that was handed to them, so that a whole
cloud can be run on virtual time. This module holds the one reader of the machine's clock.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time and waits for it."""

    def now_ms(self) -> int:
        """Return the time in milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""
        ...

    async def sleep_until(self, when_ms: int) -> None:
        """Return once ``now_ms()`` has reached ``when_ms``; at once if it has."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the machine's time in milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)
    """Return the machine's monotonic time in seconds: no frame of ours stands between."""

    async def sleep_until(self, when_ms: int) -> None:
        """Sleep on the running event loop; steps of the wall clock are followed once a minute."""
        while (left_ms := when_ms - self.now_ms()) > 0:  # noqa: ASYNC110 (this is the wait)
            await asyncio.sleep(min(left_ms, 60_000) / 1000)
