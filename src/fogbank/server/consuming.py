"""The loop of one kind of consumers: a task for each that is registered.

Rule: a task runs one step after another, and waits between them as long as a step says, until its
row is gone; who removes the row does not wait for it, so a step looks for itself whether it is still
wanted, in the transaction that moves its cursor. So many steps of a kind run at once as it allows.
"""

from __future__ import annotations

import asyncio
import logging

from fogbank.base.errors import Weather
from fogbank.contract.call import Facilities
from fogbank.contract.job import ConsumerKind, Memory
from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Store
from fogbank.server.hints import PAUSE_MS, POLL_MS, Hint

log = logging.getLogger("fogbank.jobs")


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
        await self._hint.wait(self._facilities.clock.now_ms() + POLL_MS)

    async def _consume(self, consumer: Consumer) -> None:
        """Run steps of one consumer as long as it is registered."""
        memory: Memory = {}
        clock = self._facilities.clock
        try:
            while consumer.id in self._registered:
                async with self._free:
                    due_ms = await self._step(consumer, memory)
                if due_ms > clock.now_ms():
                    await clock.sleep_until(due_ms)
                else:
                    await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)
        finally:
            self._tasks.discard(consumer.id)

    async def _step(self, consumer: Consumer, memory: Memory) -> int:
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
