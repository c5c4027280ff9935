"""The line of those who wait for room: functions take turns, each function's callers in order.

Theory: whoever waits is let on by whoever makes room, with the environment already taken in the
books, so that nobody can slip in between. Who cannot go on yet does not hold up those behind who can
do with less, and a function with many waiting callers has no more turns than one with few. A caller
who goes away at the moment of its turn gives its environment back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from fogbank.base.clock import Clock
from fogbank.base.errors import Throttled
from fogbank.platform.runtime.functions import Target
from fogbank.platform.runtime.pace import LOOK_MS, Pace
from fogbank.platform.runtime.pool import Environment, Key, key_of

WAITING_MAX: Final = 4_096


class _Waiter:
    """A caller who waits for room; none is like another."""

    __slots__ = ("admitted", "deadline_ms", "since_ms", "target")

    def __init__(self, target: Target, since_ms: int, patience_ms: int) -> None:
        self.target = target
        self.since_ms = since_ms
        self.deadline_ms = since_ms + patience_ms
        self.admitted: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()


class Line:
    """Callers who wait for an environment.

    Args:
        admit: Takes an environment for a target, or answers None.
        refusal: Says then why there is none.
        give_back: Takes one back that nobody wants any more.
        pace: How many of those who can wait may run.
        clock: The time.
        tasks: Owns what minds the time while somebody waits.
    """

    def __init__(
        self,
        admit: Callable[[Target], Environment | None],
        refusal: Callable[[Target], Throttled],
        give_back: Callable[[Environment], None],
        pace: Pace,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._admit = admit
        self._refusal = refusal
        self._give_back = give_back
        self._pace = pace
        self._clock = clock
        self._tasks = tasks
        self._waiting: dict[Key, deque[_Waiter]] = {}
        """In the order of their next turns."""
        self._count = 0
        self._minding: asyncio.Task[None] | None = None
        self._minded_ms = 0
        """When that looks next."""

    async def enter(self, target: Target, patience_ms: int) -> Environment:
        """Return an environment at once, or when there is room; those who wait go first.

        Raises:
            Throttled: There was no room in time.
        """
        if patience_ms <= 0 or self._count >= WAITING_MAX:
            environment = self._admit(target)
            if environment is None:
                raise self._refusal(target)
            return environment
        return await self._wait(target, patience_ms)

    async def _wait(self, target: Target, patience_ms: int) -> Environment:
        """Wait in line, if not for a moment only."""
        waiter = _Waiter(target, self._clock.now_ms(), patience_ms)
        key, admitted = key_of(target), waiter.admitted
        others = self._waiting.setdefault(key, deque())
        others.append(waiter)
        if len(others) == 1:  # otherwise who is before it waits for the same
            self.advance()
        if not admitted.done():
            self._mind(waiter.deadline_ms)
        self._count += 1
        try:
            return await admitted
        except asyncio.CancelledError:
            if not admitted.done() or admitted.cancelled():
                self._strike(key, waiter)
            elif admitted.exception() is None:
                self._give_back(admitted.result())
            raise
        finally:
            self._count -= 1

    def _strike(self, key: Key, waiter: _Waiter) -> None:
        """Take one who goes away out of the line."""
        others = self._waiting.get(key, deque())
        if waiter in others:
            others.remove(waiter)
            if not others:
                del self._waiting[key]

    def _mind(self, deadline_ms: int) -> None:
        """See that somebody who waits is let on, or told in time that there is no room."""
        if self._minding is not None and not self._minding.done():
            if deadline_ms >= self._minded_ms:
                return
            self._minding.cancel()
        self._minded_ms = deadline_ms
        self._minding = self._tasks.create_task(self._mind_all(), name="who waits for room")

    async def _mind_all(self) -> None:
        """Look at the time, and at what the processors do, while somebody waits."""
        self._pace.begin()
        while self._waiting:
            now_ms = self._clock.now_ms()
            deadlines = [each.deadline_ms for some in self._waiting.values() for each in some]
            looks = [now_ms + LOOK_MS] if self._pace.looks else []
            self._minded_ms = min([*deadlines, *looks])
            await self._clock.sleep_until(self._minded_ms)
            self._send_away(self._clock.now_ms())

    def _send_away(self, now_ms: int) -> None:
        """Send away who has lost patience; let on whom the processors have time for."""
        oldest_ms = now_ms
        for key, waiting in list(self._waiting.items()):
            oldest_ms = min(oldest_ms, waiting[0].since_ms)
            for waiter in [each for each in waiting if each.deadline_ms <= now_ms]:
                self._strike(key, waiter)
                if not waiter.admitted.done():
                    waiter.admitted.set_exception(self._refusal(waiter.target))
        self._pace.look(now_ms - oldest_ms)
        self.advance()

    def advance(self) -> None:
        """Let on whom there is room for: a turn for each function, then the next for each."""
        turns = deque(self._waiting)
        while turns and not self._pace.holds_back:
            key = turns.popleft()
            waiting = self._waiting.pop(key)
            while waiting and waiting[0].admitted.done():
                waiting.popleft()
            if not waiting:
                continue
            environment = self._admit(waiting[0].target)
            if environment is None:
                self._waiting[key] = waiting
                continue
            environment.queued = True
            self._pace.enter()
            waiting.popleft().admitted.set_result(environment)
            if waiting:
                self._waiting[key] = waiting
                turns.append(key)

    def leave(self, environment: Environment) -> None:
        """Count the end of an invocation."""
        if environment.queued:
            environment.queued = False
            self._pace.leave()

    def close(self, error: Throttled) -> None:
        """Send everyone away."""
        for waiting in self._waiting.values():
            for waiter in waiting:
                if not waiter.admitted.done():
                    waiter.admitted.set_exception(error)
        self._waiting.clear()
        if self._minding is not None:
            self._minding.cancel()
