"""The line of those who wait for room: first come, first served, as far as there is room.

Theory: whoever waits is let on by whoever makes room, with the environment already taken in the
books, so that nobody can slip in between. Who cannot go on yet does not hold up those behind who can
do with less. A caller who goes away at the moment of its turn gives its environment back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled
from fogbank.platform.runtime.functions import Target
from fogbank.platform.runtime.pool import Environment, Key, key_of

WAITING_MAX: Final = 4_096


class _Waiter(NamedTuple):
    """A caller who waits for room."""

    target: Target
    admitted: asyncio.Future[Environment]


class Line:
    """Callers who wait for an environment.

    Args:
        admit: Takes an environment for a target, or answers None.
        give_back: Takes one back that nobody wants any more.
        clock: The time.
        tasks: Owns the alarms of those who lose patience.
    """

    def __init__(
        self,
        admit: Callable[[Target], Environment | None],
        give_back: Callable[[Environment], None],
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._admit = admit
        self._give_back = give_back
        self._clock = clock
        self._tasks = tasks
        self._waiting: deque[_Waiter] = deque()

    async def enter(self, target: Target, patience_ms: int) -> Environment:
        """Return an environment at once, or when there is room; those who wait go first.

        Raises:
            Throttled: There was no room in time.
        """
        impatient = patience_ms <= 0 or len(self._waiting) >= WAITING_MAX
        if impatient or not self._waiting:
            environment = self._admit(target)
            if environment is not None:
                return environment
            if impatient:
                raise Throttled("Rate Exceeded.")
        return await self._wait(target, patience_ms)

    async def _wait(self, target: Target, patience_ms: int) -> Environment:
        """Wait in line."""
        admitted: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiter(target, admitted))
        self.advance()
        deadline_ms = self._clock.now_ms() + patience_ms
        alarm = self._tasks.create_task(self._lose_patience(admitted, deadline_ms))
        try:
            return await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled() and admitted.exception() is None:
                self._give_back(admitted.result())
            raise
        finally:
            alarm.cancel()

    async def _lose_patience(self, admitted: asyncio.Future[Environment], deadline_ms: int) -> None:
        """Tell a waiting caller that there was no room in time."""
        await self._clock.sleep_until(deadline_ms)
        if not admitted.done():
            admitted.set_exception(Throttled("Rate Exceeded."))

    def advance(self) -> None:
        """Let everyone go on for whom there is room, the first come first."""
        still: deque[_Waiter] = deque()
        refused: set[Key] = set()
        while self._waiting:
            waiter = self._waiting.popleft()
            if waiter.admitted.done():
                continue
            key = key_of(waiter.target)
            environment = None if key in refused else self._admit(waiter.target)
            if environment is None:
                refused.add(key)
                still.append(waiter)
            else:
                waiter.admitted.set_result(environment)
        self._waiting = still

    def close(self, error: Throttled) -> None:
        """Send everyone away."""
        for waiter in self._waiting:
            if not waiter.admitted.done():
                waiter.admitted.set_exception(error)
        self._waiting.clear()
