"""The job driver: runs reconcilers, timers, work lists and the bus, and survives their bugs.

Every loop is woken by a hint from the store and by time alike, so a lost hint costs a delay and
never work; so does weather, such as a full disk that refuses a claim. Here, in the bus and in
``gateway/dispatch`` alone is a bug caught: it costs one step, is logged, and is tried again after a
pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from fogbank.base.errors import Weather
from fogbank.contract.call import Facilities
from fogbank.contract.job import (
    ConsumerKind,
    Job,
    Progress,
    Reconciler,
    Rest,
    ScheduleKind,
    TimerKind,
    WorkList,
)
from fogbank.contract.quota import Quota
from fogbank.platform.bus.reader import BusReader
from fogbank.platform.scheduler import schedules
from fogbank.platform.scheduler.timers import Timer, decode_timer, timer_key
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Domain, Store, Transaction
from fogbank.platform.store.keyspace import (
    CONSUMERS,
    OUTBOX,
    PARTITIONS,
    TIMERS,
    system_prefix,
)
from fogbank.server.consuming import ConsumerLoop
from fogbank.server.hints import PAUSE_MS, POLL_MS, Heads, Hint
from fogbank.server.lists import ListLoop

log = logging.getLogger("fogbank.jobs")

THROTTLED_MS: Final = 500
TIMERS_BATCH: Final = 64

Turn = Callable[[], Awaitable[None]]
"""One round of a loop."""


class Driver:
    """Runs all background work of one store process in one task group."""

    def __init__(
        self,
        facilities: Facilities,
        jobs: Sequence[Job],
        bus: Sequence[BusReader],
        holder: str,
        trusted_ms: int = POLL_MS,
    ) -> None:
        self._facilities = facilities
        self._reconcilers = [job for job in jobs if isinstance(job, Reconciler)]
        self._schedules = {job.kind: job for job in jobs if isinstance(job, ScheduleKind)}
        kinds = [job for job in jobs if isinstance(job, TimerKind)]
        self._kinds = {job.kind: job for job in (*kinds, TimerKind(schedules.TIMER, self._ring))}
        self._lists = [job for job in jobs if isinstance(job, WorkList)]
        self._consumers = [job for job in jobs if isinstance(job, ConsumerKind)]
        self._bus = bus
        self._holder = holder
        self._trusted_ms = trusted_ms
        self._running = 0
        self._hints: list[Hint] = []
        self._loops: list[ListLoop | ConsumerLoop] = []

    @property
    def running(self) -> int:
        """Return how many steps and attempts are under way."""
        return self._running + sum(loop.running for loop in self._loops)

    async def run(self) -> None:
        """Run everything until cancelled."""
        async with asyncio.TaskGroup() as group:
            for job in self._reconcilers:
                group.create_task(self._reconcile(job, group), name=job.name)
            for store in self._facilities.placement.system_stores():
                group.create_task(self._run_timers(store, group), name="timers")
                for work in self._lists:
                    heads = Heads(self._facilities.clock, group, self._trusted_ms)
                    loop = ListLoop(self._facilities, store, work, heads, self._holder, group)
                    self._loops.append(loop)
                    self._hints.append(loop.heads)
                    group.create_task(self._repeat(work.name, loop.turn), name=work.name)
                for kind in self._consumers:
                    hint = self._hint(group, store, CONSUMERS)
                    consuming = ConsumerLoop(self._facilities, store, kind, hint, group)
                    self._loops.append(consuming)
                    group.create_task(self._repeat(kind.name, consuming.turn), name=kind.name)
            for reader in self._bus:
                group.create_task(self._run_bus(reader, group), name="bus")

    def wake(self) -> None:
        """Hint every loop at once, as time or a commit would: nothing may come of it twice."""
        for hint in self._hints:
            hint.give()

    def _hint(self, group: asyncio.TaskGroup, store: Store, subspace: int) -> Hint:
        """Return a hint that commits to a system subspace give."""
        hint = self._new_hint(group)
        self._watch(group, store, subspace, hint)
        return hint

    def _new_hint(self, group: asyncio.TaskGroup) -> Hint:
        """Return a hint that ``wake`` gives too."""
        hint = Hint(self._facilities.clock, group, self._trusted_ms)
        self._hints.append(hint)
        return hint

    def _watch(self, group: asyncio.TaskGroup, store: Store, subspace: int, hint: Hint) -> None:
        """Let commits to a system subspace give a hint."""
        watch = store.watch(SYSTEM_PREFIX + bytes((subspace,)))
        group.create_task(self._follow(watch, hint), name=f"watch {subspace}")

    async def _follow(self, watch: AsyncIterator[None], hint: Hint) -> None:
        """Pass hints of the store on."""
        async for _ in watch:
            hint.give()

    async def _pause(self) -> None:
        """Wait after a bug."""
        now = self._facilities.clock.now_ms()
        await self._facilities.clock.sleep_until(now + PAUSE_MS)

    async def _reconcile(self, job: Reconciler, group: asyncio.TaskGroup) -> None:
        """Step one reconciler for ever."""
        hint = self._new_hint(group)
        if job.signal is not None:
            for store in self._facilities.placement.system_stores():
                self._watch(group, store, job.signal, hint)
        if job.wakened is not None:
            job.wakened(self._facilities, hint.give)
        while True:
            began_ms = self._facilities.clock.now_ms()
            progress = await self._step(job)
            if progress is Progress.DONE:
                return
            if progress is Progress.BUSY:
                await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)
                continue
            period = job.period_ms
            if isinstance(period, Quota):
                period = self._facilities.quotas.value(period)
            if isinstance(progress, Rest):
                await hint.wait(progress.until_ms)
                await self._facilities.clock.sleep_until(began_ms + period)
                continue
            wait_ms = THROTTLED_MS if progress is Progress.THROTTLED else period
            await hint.wait(self._facilities.clock.now_ms() + wait_ms)

    async def _step(self, job: Reconciler) -> Progress | Rest:
        """Run one step; a bug or weather costs a pause."""
        self._running += 1
        try:
            return await job.step(self._facilities)
        except Weather as error:
            log.warning("%s waits: %s", job.name, error)
        except Exception:
            log.exception("%s failed", job.name)
        finally:
            self._running -= 1
        return Progress.THROTTLED

    async def _repeat(self, name: str, turn: Turn) -> None:
        """Take turns of a loop for ever; weather in one costs a pause, and never the process."""
        while True:
            try:
                await turn()
            except Weather as error:
                log.warning("%s waits: %s", name, error)
                await self._pause()

    async def _run_bus(self, reader: BusReader, group: asyncio.TaskGroup) -> None:
        """Deliver the outbox for ever."""
        hint = self._hint(group, reader.store, OUTBOX)

        async def turn() -> None:
            self._running += 1
            try:
                looked = await reader.step()
            finally:
                self._running -= 1
            if looked:
                return
            now = self._facilities.clock.now_ms()
            next_ms = await reader.next_try_ms()
            await hint.wait(min(now + self._trusted_ms, next_ms or now + self._trusted_ms))

        await self._repeat("the bus", turn)

    async def _run_timers(self, store: Store, group: asyncio.TaskGroup) -> None:
        """Run due timers of one store for ever, the earliest first."""
        hint = self._hint(group, store, TIMERS)

        async def turn() -> None:
            timers = await self._next_timers(store)
            now = self._facilities.clock.now_ms()
            due = [timer for timer in timers if timer.due_ms <= now][:TIMERS_BATCH]
            if not due:
                next_ms = min((timer.due_ms for timer in timers), default=now + self._trusted_ms)
                await hint.wait(min(next_ms, now + self._trusted_ms))
            for timer in due:
                await self._wake(timer)

        await self._repeat("timers", turn)

    async def _next_timers(self, store: Store) -> list[Timer]:
        """Return the first timers of every partition."""

        async def body(tr: Transaction) -> list[Timer]:
            found: list[Timer] = []
            for partition in range(PARTITIONS):
                prefix = system_prefix(TIMERS, partition)
                rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=TIMERS_BATCH)
                found += [decode_timer(value) for _, value in rows]
            return sorted(found, key=lambda timer: timer.due_ms)

        return await store.read(body)

    async def _ring(self, tr: Transaction, timer: Timer, facilities: Facilities) -> None:
        """Let a schedule's service do what is due, and set the timer of the next occurrence."""
        occurrence = await schedules.take_due(
            tr, timer, facilities.timers, facilities.clock.now_ms()
        )
        if occurrence is not None:
            await self._schedules[occurrence.schedule.kind].ring(tr, occurrence, facilities)

    async def _wake(self, timer: Timer) -> None:
        """Run one timer in the transaction that removes it."""
        key = timer_key(timer)

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is None:
                return
            tr.delete(key)
            await self._kinds[timer.kind].wake(tr, timer, self._facilities)

        self._running += 1
        try:
            await self._facilities.placement.store_of(Domain(*timer.domain)).transact(body)
        except Weather as error:
            log.warning("timer %s waits: %s", timer.kind, error)
            await self._pause()
        except Exception:
            log.exception("timer %s failed", timer.kind)
            await self._pause()
        finally:
            self._running -= 1
