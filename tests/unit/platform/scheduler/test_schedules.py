from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.scheduler import schedules
from fogbank.platform.scheduler.expressions import InvalidExpression
from fogbank.platform.scheduler.schedules import Occurrence, Schedule
from fogbank.platform.scheduler.timers import Timer, Timers, decode_timer, timer_key
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.keyspace import TIMERS

HOME = Domain("test", "1" * 12)
MINUTE_MS = 60_000


class World:
    """Schedules in a memory engine, and a hand that lets their timers ring."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.timers = Timers()
        self.rung: list[Occurrence] = []

    async def run(self, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return await self.engine.store_of(HOME).transact(body)

    async def put(self, now_ms: int, **given: Any) -> Schedule:
        schedule = Schedule(**{"id": "s", "kind": "k", "created_ms": now_ms, **given})

        async def body(tr: Transaction) -> Schedule:
            return await schedules.replace(tr, self.timers, schedule, now_ms)

        return await self.run(body)

    def waiting(self) -> list[Timer]:
        rows = self.engine.rows
        found = [decode_timer(rows[key]) for key in rows if key[:2] == bytes((1, TIMERS))]
        return sorted(found, key=lambda timer: timer.due_ms)

    async def ring(self, now_ms: int) -> Occurrence | None:
        """Let the first timer ring, as the driver does."""
        timer = self.waiting()[0]

        async def body(tr: Transaction) -> Occurrence | None:
            tr.delete(timer_key(timer))
            return await schedules.take_due(tr, timer, self.timers, now_ms)

        return await self.run(body)


def test_each_occurrence_rings_once_and_sets_the_next() -> None:
    async def main() -> None:
        world = World()
        await world.put(1_000, expression="rate(1 minute)", payload=b"p")
        times = []
        for _ in range(3):
            (timer,) = world.waiting()
            occurrence = await world.ring(timer.due_ms + 5)
            assert occurrence is not None
            assert (occurrence.schedule.payload, occurrence.missed, occurrence.last) == (
                b"p",
                False,
                False,
            )
            times.append(occurrence.scheduled_ms)
        assert times == [1_000, 61_000, 121_000]

    asyncio.run(main())


def test_a_disabled_schedule_sets_no_timer_and_rings_for_none() -> None:
    async def main() -> None:
        world = World()
        await world.put(1_000, expression="rate(1 minute)")
        (timer,) = world.waiting()
        disabled = await world.put(1_000, expression="rate(1 minute)", enabled=False)
        assert world.waiting() == []
        assert disabled.due_ms == timer.due_ms

        async def body(tr: Transaction) -> Occurrence | None:
            return await schedules.take_due(tr, timer, world.timers, 1_000)

        assert await world.run(body) is None

    asyncio.run(main())


def test_a_one_time_schedule_rings_once_and_says_that_it_was_the_last() -> None:
    async def main() -> None:
        world = World()
        await world.put(0, expression="at(1970-01-01T02:00:00)", zone="Europe/Berlin")
        (timer,) = world.waiting()
        assert timer.due_ms == 60 * MINUTE_MS  # an hour east of Greenwich
        occurrence = await world.ring(timer.due_ms)
        assert occurrence is not None
        assert occurrence.last is True
        assert world.waiting() == []

    asyncio.run(main())


def test_nothing_is_due_before_the_start_or_behind_the_end() -> None:
    async def main() -> None:
        world = World()
        await world.put(0, expression="rate(1 minute)", start_ms=90_000, end_ms=160_000)
        assert (await world.ring(90_000)).scheduled_ms == 90_000
        last = await world.ring(150_000)
        assert (last.scheduled_ms, last.last) == (150_000, True)
        assert world.waiting() == []
        made = await world.put(200_000, expression="rate(1 minute)", end_ms=100_000)
        assert (made.due_ms, world.waiting()) == (0, [])

    asyncio.run(main())


@pytest.mark.parametrize("days", [1, 400, 40_000])
@pytest.mark.parametrize(
    "expression", ["rate(7 minutes)", "cron(30 4 ? * MON *)", "cron(*/5 9 1 * ? *)"]
)
def test_what_was_missed_rings_once_for_the_newest(expression: str, days: int) -> None:
    """However long no server ran: the newest time that fell due, then the next."""

    async def main() -> None:
        world = World()
        made = await world.put(1_000, expression=expression)
        now_ms = made.due_ms + days * 86_400_000
        occurrence = await world.ring(now_ms)
        (timer,) = world.waiting()
        assert occurrence.scheduled_ms <= now_ms < timer.due_ms
        assert occurrence.missed is (occurrence.scheduled_ms != made.due_ms)
        assert schedules._next_ms(made, occurrence.scheduled_ms) == timer.due_ms

    asyncio.run(main())


def test_a_flexible_window_delays_by_a_part_of_it_and_names_the_scheduled_time() -> None:
    async def main() -> None:
        delays = set()
        for name in "abcde":
            world = World()
            made = await world.put(
                1_000, id=name, expression="rate(1 hour)", window_ms=15 * MINUTE_MS
            )
            (timer,) = world.waiting()
            assert 0 <= timer.due_ms - made.scheduled_ms < 15 * MINUTE_MS
            delays.add(timer.due_ms)
            occurrence = await world.ring(timer.due_ms)
            assert occurrence.scheduled_ms == 1_000
        assert len(delays) == 5

    asyncio.run(main())


def test_a_changed_or_removed_schedule_is_due_by_what_it_says_now() -> None:
    async def main() -> None:
        world = World()
        await world.put(0, expression="rate(1 hour)", start_ms=1_000)
        stale = world.waiting()[0]
        await world.put(0, expression="rate(2 hours)", start_ms=5_000)
        assert [timer.due_ms for timer in world.waiting()] == [5_000]

        async def ring_stale(tr: Transaction) -> Occurrence | None:
            return await schedules.take_due(tr, stale, world.timers, 9_000)

        assert await world.run(ring_stale) is None
        await world.put(0, expression="rate(2 hours)", enabled=False)
        assert world.waiting() == []

        async def gone(tr: Transaction) -> Schedule | None:
            await schedules.remove(tr, world.timers, "s")
            return await schedules.find(tr, "s")

        assert await world.run(gone) is None
        assert world.waiting() == []

    asyncio.run(main())


def test_what_is_no_expression_or_zone_is_never_stored() -> None:
    async def main() -> None:
        world = World()
        for given in (
            {"expression": "rate(1 minutes)"},
            {"expression": "rate(1 hour)", "zone": "X"},
        ):
            with pytest.raises(InvalidExpression):
                await world.put(0, **given)
        assert world.engine.rows == {}

    asyncio.run(main())
