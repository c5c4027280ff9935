"""The pools of stems: how many runtimes wait for functions, for whom, and for how long.

Rule: a pool starts empty and grows by one whenever a start finds it empty; all pools together hold so
many stems and so much memory at most (a kind that was used later takes from one that was used
earlier); what nobody used for a while is given back. A pool is never a limit: whoever finds none
starts at once. Theory: the demand of the last minutes is that of the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.stem import Kind, Stem

FILL_AFTER_S = 0.02
"""How long after a start a stem is made: the sandbox that was asked for goes first."""
LOST_MAX = 3
"""Stems of a kind that may fail or end by themselves, one after the other, before no more are made
until one was asked for again."""
_MEMORY_GUESSED_MB = 48
"""Of a stem of a kind of which none was measured yet."""


class Limits(NamedTuple):
    """How much may wait."""

    stems_max: int
    memory_mb: int
    idle_s: float


@dataclass(slots=True)
class Pool:
    """The stems of one kind."""

    wanted: int = 0
    lost: int = 0
    memory_mb: int = _MEMORY_GUESSED_MB
    used: float = 0.0
    """When one was last asked for, by the loop's clock."""
    making: bool = False
    filled: float = 0.0
    """When the last one was made."""
    waiting: deque[Stem] = field(default_factory=deque[Stem])


class Stems:
    """All pools of one engine."""

    def __init__(
        self, limits: Limits, make: Callable[[Kind], Awaitable[Stem]], tasks: asyncio.TaskGroup
    ) -> None:
        """Take the limits, what makes a stem (raising ``Unavailable``), and who owns our task."""
        self._limits = limits
        self._make = make
        self._tasks = tasks
        self._pools: dict[Kind, Pool] = {}
        self._filling: asyncio.Task[None] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """Return how many stems wait."""
        return sum(len(pool.waiting) for pool in self._pools.values())

    def take(self, kind: Kind) -> Stem | None:
        """Return a stem, which is the caller's from now on, or None; either way more are made."""
        if not self._limits.stems_max or self._closed:
            return None
        pool = self._pools.setdefault(kind, Pool())
        pool.used = asyncio.get_running_loop().time()
        if pool.lost >= LOST_MAX:
            pool.lost = LOST_MAX - 1
        found = pool.waiting.popleft() if pool.waiting else None
        if found is None:
            pool.wanted = min(pool.wanted + 1, self._limits.stems_max)
        self._fill_soon()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                self._limits.idle_s, self._give_back
            )
        return found

    def lost(self, stem: Stem) -> None:
        """Note that a stem has ended that nobody had taken."""
        pool = self._pools.get(stem.kind)
        if pool is not None and stem in pool.waiting:
            pool.waiting.remove(stem)
            pool.lost += 1
            self._fill_soon()

    def forget(self) -> None:
        """Note that every stem is gone, with the daemon; the demand stays."""
        for pool in self._pools.values():
            pool.waiting.clear()

    def close(self) -> None:
        """Make no more."""
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
        for timer in filter(None, (self._timer, self._due)):
            timer.cancel()

    def _fill_soon(self) -> None:
        if self._filling is None and self._due is None and not self._closed:
            self._due = asyncio.get_running_loop().call_later(FILL_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._due = None
        self._filling = self._tasks.create_task(self._fill())

    async def _fill(self) -> None:
        """Make what is lacking, one after the other."""
        try:
            while (kind := self._lacking()) is not None:
                pool = self._pools[kind]
                pool.making = True
                try:
                    stem = await self._make(kind)
                except Unavailable:
                    pool.lost += 1
                    continue
                finally:
                    pool.making = False
                pool.lost = 0
                pool.memory_mb = max(stem.memory_mb, 1)
                pool.waiting.append(stem)
                pool.filled = asyncio.get_running_loop().time()
        finally:
            self._filling = None

    def _lacking(self) -> Kind | None:
        """Return the kind of which one more is to be made, after making room for it."""
        by_use = sorted(self._pools.items(), key=lambda item: item[1].used, reverse=True)
        for kind, pool in by_use:
            if len(pool.waiting) < pool.wanted and pool.lost < LOST_MAX:
                return kind if self._make_room(pool) else None
        return None

    def _make_room(self, asking: Pool) -> bool:
        """Return whether one more stem of a pool may wait; older demand gives way to newer."""
        limits = self._limits
        earlier = sorted(self._pools.values(), key=lambda pool: pool.used)
        while True:
            held_mb = sum(len(pool.waiting) * pool.memory_mb for pool in earlier)
            fits = held_mb + asking.memory_mb <= limits.memory_mb
            if fits and self.count < limits.stems_max:
                return True
            victim = next((p for p in earlier if p.waiting and p.used < asking.used), None)
            if victim is None:
                return False
            victim.wanted = len(victim.waiting) - 1
            victim.waiting.popleft().discard()

    def _give_back(self) -> None:
        """End what waited for longer than it may without anybody asking for its kind."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for kind, pool in list(self._pools.items()):
            if pool.making:
                pool.filled = now  # as good as: what is made waits its time
            elif now - max(pool.used, pool.filled) >= self._limits.idle_s:
                del self._pools[kind]
                for stem in pool.waiting:
                    stem.discard()
        if self._pools:
            oldest = min(max(pool.used, pool.filled) for pool in self._pools.values())
            wait_s = max(oldest + self._limits.idle_s - now, 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._give_back)
