"""What wakes the loops of the job driver, and what it knows of a work list between two looks.

Rule: a hint may be late, doubled or lost, so it only ever brings forward what time would do. Theory:
a list has a part in each partition of the store, and most commits touch one; reading the first entry
of every part at each of them would cost more than the work, so a part is read again only once
something was committed there, and what was read last stands until then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from fogbank.base.clock import Clock
from fogbank.platform.store.keyspace import PARTITIONS

PAUSE_MS: Final = 1_000
"""How long a loop waits after a bug before it goes on."""
POLL_MS: Final = 60_000
"""How long a loop trusts that no hint was lost, unless told otherwise."""


class Hint:
    """A wake-up that remembers: from watches of the store, from ends of attempts, from tests.

    Args:
        clock: The time.
        group: Owns the one task that sleeps; a hint does not end its sleep, for what wakes a loop
            often would then pay for a sleep each time. A loop may thus wake too early.
        trusted_ms: How long the loop may trust that no hint was lost.
    """

    def __init__(self, clock: Clock, group: asyncio.TaskGroup, trusted_ms: int = POLL_MS) -> None:
        self.trusted_ms = trusted_ms
        self._clock = clock
        self._group = group
        self._event = asyncio.Event()
        self._sleep: asyncio.Task[None] | None = None
        self._sleeps_until_ms = 0

    def give(self) -> None:
        """Wake the loop, or let its next wait return at once."""
        self._event.set()

    async def wait(self, until_ms: int) -> None:
        """Return at a hint, and not later than at a time."""
        if not self._event.is_set() and self._clock.now_ms() < until_ms:
            if self._sleep is None or self._sleep.done() or until_ms < self._sleeps_until_ms:
                self._begin_sleep(until_ms)
            await self._event.wait()
        self._event.clear()

    def end(self) -> None:
        """Wake nobody any more."""
        if self._sleep is not None:
            self._sleep.cancel()

    def _begin_sleep(self, until_ms: int) -> None:
        """Have the loop woken at a time."""
        if self._sleep is not None:
            self._sleep.cancel()
        self._sleeps_until_ms = until_ms
        self._sleep = self._group.create_task(self._wake_at(until_ms), name="wake-up")

    async def _wake_at(self, until_ms: int) -> None:
        """Wake the loop at a time."""
        await self._clock.sleep_until(until_ms)
        self._event.set()


class Heads(Hint):
    """When the next entry of each part of one work list is visible, as far as is known."""

    def __init__(self, clock: Clock, group: asyncio.TaskGroup, trusted_ms: int = POLL_MS) -> None:
        super().__init__(clock, group, trusted_ms)
        self._visible_ms: dict[int, int] = {}
        self._unknown: set[int] = set()
        self._trusted_until_ms = 0

    def give(self) -> None:
        """Wake the loop and have it look at every part."""
        self._unknown.update(range(PARTITIONS))
        super().give()

    def touch(self, partition: int) -> None:
        """Wake the loop and have it look at one part, in which something was committed."""
        self._unknown.add(partition)
        super().give()

    def go_on(self) -> None:
        """Wake the loop: what it left it may do now."""
        super().give()

    def take_unknown(self) -> list[int]:
        """Return the parts to look at; what is committed from now on makes them unknown again."""
        now_ms = self._clock.now_ms()
        if now_ms >= self._trusted_until_ms:
            self._unknown.update(range(PARTITIONS))
            self._trusted_until_ms = now_ms + self.trusted_ms
        self._unknown.update(part for part, at_ms in self._visible_ms.items() if at_ms <= now_ms)
        unknown, self._unknown = sorted(self._unknown), set()
        for partition in unknown:
            self._visible_ms.pop(partition, None)
        return unknown

    def know(self, partition: int, visible_ms: int) -> None:
        """Note when an entry of a part is visible that was not yet when it was looked at."""
        known_ms = self._visible_ms.get(partition, visible_ms)
        self._visible_ms[partition] = min(known_ms, visible_ms)

    def next_ms(self) -> int:
        """Return when the next entry is visible, or when to look at every part again."""
        return min([self._trusted_until_ms, *self._visible_ms.values()])


class Slots:
    """How many attempts of a list may run at once, and of each of its groups.

    Theory: a group may have as many as are free besides: one alone has half of them, ten have a tenth
    each, and a group that comes finds some free (dynamic thresholds: Choudhury and Hahne, 1998).
    Entries that are in no group share all of them.
    """

    def __init__(self, count: int, heads: Heads) -> None:
        self.free = count
        self._heads = heads
        self._taken: Counter[bytes] = Counter()
        self._wanting: set[int] = set()

    def share(self, group: bytes) -> int:
        """Return how many more of a group may run now."""
        if not group:
            return self.free
        return max(0, (self.free - self._taken[group] + 1) // 2)

    def want(self, partition: int) -> None:
        """Note that entries of a part wait for slots."""
        self._wanting.add(partition)

    def take(self, group: bytes) -> None:
        """Use one slot."""
        assert self.free > 0, "an attempt without a slot"
        self.free -= 1
        self._taken[group] += 1

    def give(self, group: bytes) -> None:
        """Free one slot, and have those looked at who wait for one."""
        self.free += 1
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]
        for partition in self._wanting:
            self._heads.touch(partition)
        self._wanting.clear()
        if self.free == 1:
            self._heads.go_on()
