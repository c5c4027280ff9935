"""The loop of one kind of consumers: a task for each that is registered.

Rule: a task runs one step after another, and waits between them as long as a step says, until its
row is gone; who removes the row does not wait for it, so a step looks for itself whether it is still
wanted, in the transaction that moves its cursor. So many steps of a kind run at once as it allows.

Theory: one that found nothing waits for commits where its kind says that there may be something for
it, and so costs nothing while nobody writes. Its watch is older than its step, so that what was
committed beside the step is not missed; a hint may be lost all the same, and it looks again by itself
after ``NET_MS``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from fogbank.base.errors import Weather
from fogbank.contract.call import Facilities
from fogbank.contract.job import ConsumerKind, Memory, Rest
from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Store
from fogbank.server.hints import PAUSE_MS, Hint

log = logging.getLogger("fogbank.jobs")
NET_MS: Final = 10_000
"""How long a consumer that is watched rests at most."""


class ConsumerLoop:
    """Runs the consumers of one kind of one store; a bug in a step costs that consumer a pause.

    Args:
        facilities: What steps may touch.
        store: Where the consumers are registered.
        kind: What a step does.
        hint: Given when one was registered or removed.
        group: Owns the tasks.
    """

    def __init__(
        self,
        facilities: Facilities,
        store: Store,
        kind: ConsumerKind,
        hint: Hint,
        group: asyncio.TaskGroup,
    ) -> None:
        self._facilities = facilities
        self._store = store
        self._kind = kind
        self._hint = hint
        self._group = group
        self._tasks: set[str] = set()
        self._registered: set[str] = set()
        self._free = asyncio.Semaphore(kind.steps_max)
        self.running = 0
        """How many steps are under way."""

    async def turn(self) -> None:
        """Begin a task for each consumer that has none, and wait for others."""
        self.running += 1
        try:
            found = await consumers.list_all(self._store, self._kind.name)
        finally:
            self.running -= 1
        self._registered = {consumer.id for consumer in found}
        for consumer in found:
            if consumer.id not in self._tasks:
                self._tasks.add(consumer.id)
                self._group.create_task(self._consume(consumer), name=self._kind.name)
        await self._hint.wait(self._facilities.clock.now_ms() + self._hint.trusted_ms)

    async def _consume(self, consumer: Consumer) -> None:
        """Run steps of one consumer as long as it is registered."""
        memory: Memory = {}
        try:
            async with self._watch(consumer) as hint:
                while consumer.id in self._registered:
                    async with self._free:
                        due = await self._step(consumer, memory)
                    await self._wait(due, hint)
        finally:
            self._tasks.discard(consumer.id)

    async def _wait(self, due: int | Rest, hint: Hint | None) -> None:
        """Wait until a consumer is to read on, or may have something to read."""
        clock = self._facilities.clock
        if isinstance(due, Rest):
            if hint is not None:
                net_ms = max(due.until_ms, clock.now_ms() + NET_MS)
                await hint.wait(net_ms)
                if due.gather_ms and clock.now_ms() < net_ms:
                    await clock.sleep_until(clock.now_ms() + due.gather_ms)
                return
            due = due.until_ms
        if due > clock.now_ms():
            await clock.sleep_until(due)
        else:
            await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)

    @asynccontextmanager
    async def _watch(self, consumer: Consumer) -> AsyncGenerator[Hint | None]:
        """Hint one consumer of commits, as long as it is read for; None: nothing can."""
        watches = await self._watches(consumer)
        if not watches:
            yield None
            return
        hint = Hint(self._facilities.clock, self._group, self._hint.trusted_ms)
        name = f"watch {self._kind.name}"
        tasks = [self._group.create_task(_follow(watch, hint), name=name) for watch in watches]
        try:
            yield hint
        finally:
            for task in tasks:
                task.cancel()
            hint.end()

    async def _watches(self, consumer: Consumer) -> Sequence[AsyncIterator[None]]:
        """Return what wakes one consumer that rests; nothing, where time alone does."""
        if self._kind.watched is None:
            return ()
        try:
            return await self._kind.watched(consumer, self._facilities)
        except Weather as error:
            log.warning("%s %s is not watched: %s", self._kind.name, consumer.id, error)
            return ()

    async def _step(self, consumer: Consumer, memory: Memory) -> int | Rest:
        """Run one step; a bug or weather costs a pause."""
        self.running += 1
        try:
            return await self._kind.step(consumer, self._facilities, memory)
        except Weather as error:
            log.warning("%s %s waits: %s", self._kind.name, consumer.id, error)
        except Exception:
            log.exception("%s %s failed", self._kind.name, consumer.id)
        finally:
            self.running -= 1
        return self._facilities.clock.now_ms() + PAUSE_MS


async def _follow(watch: AsyncIterator[None], hint: Hint) -> None:
    """Pass hints of the store on."""
    async for _ in watch:
        hint.give()
