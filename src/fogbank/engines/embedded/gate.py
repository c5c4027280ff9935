"""Back-pressure: how long a writer waits while a checkpoint runs, and when it is refused.

Theory: a full segment behind an unfinished checkpoint would stop all writers at once. So from half
a segment on, admission follows the checkpoint: a writer that finds the active segment filled to
``f`` goes on when the checkpoint is thought to have done the like share of its work, measured by
how long the last ones took; the last tenth of the segment is for those that run already, whose
commit could not be refused. Who would wait longer than ``WAIT_S``, or finds too many waiting
already, is refused: memory stays bounded under any load.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

from fogbank.base.errors import Throttled

WAIT_S: Final = 1.0
WAITERS_MAX: Final = 4_096
_FREE_FILL: Final = 0.5
_LAST_FILL: Final = 0.9
_FIRST_GUESS_S: Final = 0.5
_STEP_S: Final = 0.05
_STEP_MIN_S: Final = 0.001
_STALLED_S: Final = 0.01
_MEMORY: Final = 0.5
"""The weight of the newest checkpoint in the expected duration."""


class Gate:
    """Admits writers at the speed of the checkpoints.

    Args:
        loop: Its clock and its timers.
        fill: Returns which part of the active segment is used or spoken for, from 0 to over 1.
        is_stalled: Returns whether the log cannot go on for now.
    """

    __slots__ = ("_began", "_expected_s", "_fill", "_is_stalled", "_loop", "_waiting")

    def __init__(
        self,
        loop: AbstractEventLoop,
        fill: Callable[[], float],
        is_stalled: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._fill = fill
        self._is_stalled = is_stalled
        self._began: float | None = None
        self._expected_s = _FIRST_GUESS_S
        self._waiting = 0

    def checkpoint_began(self) -> None:
        """Note that a checkpoint runs from now on."""
        self._began = self._loop.time()

    def checkpoint_ended(self) -> float:
        """Note how long the checkpoint took; return it in seconds."""
        assert self._began is not None
        took = self._loop.time() - self._began
        self._expected_s += (took - self._expected_s) * _MEMORY
        self._began = None
        return took

    @property
    def expected_s(self) -> float:
        """Return how long a checkpoint is expected to take."""
        return self._expected_s

    def is_needed(self) -> bool:
        """Return whether a writer might have to wait now."""
        return self._is_stalled() or (self._began is not None and self._fill() > _FREE_FILL)

    def _delay_s(self) -> float:
        """Return how long a writer has to wait from now on, as far as can be told."""
        fill = self._fill()
        if self._is_stalled() or (self._began is not None and fill > _LAST_FILL):
            return _STALLED_S
        if self._began is None:
            return 0.0
        share = (fill - _FREE_FILL) / (_LAST_FILL - _FREE_FILL)
        return self._began + self._expected_s * share - self._loop.time()

    async def admit(self) -> None:
        """Return when the writer may go on.

        Raises:
            Throttled: It would wait too long, or too many wait already.
        """
        deadline = self._loop.time() + WAIT_S
        if self._waiting >= WAITERS_MAX:
            raise Throttled(f"{WAITERS_MAX} transactions wait for the disk already")
        self._waiting += 1
        try:
            while (delay := self._delay_s()) > 0:
                if self._loop.time() + delay > deadline:
                    raise Throttled("the disk does not keep up with the writers")
                await self._pause(min(max(delay, _STEP_MIN_S), _STEP_S))
        finally:
            self._waiting -= 1

    async def _pause(self, seconds: float) -> None:
        """Wait; a real time even in a simulation, because it is the disk that is waited for."""
        timer = self._loop.create_future()
        handle = self._loop.call_later(seconds, timer.set_result, None)
        try:
            await timer
        finally:
            handle.cancel()
