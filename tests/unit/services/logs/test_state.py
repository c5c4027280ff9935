from __future__ import annotations

import asyncio
from typing import Any

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.store.engine import Domain
from fogbank.services.logs import state
from fogbank.services.logs.rules import batches
from fogbank.services.logs.schema import EVENTS, HOURS, GroupRecord, StreamRecord
from fogbank.testing.clock import START_MS

DOMAIN = Domain("logs", "111122223333", "us-east-1")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
GROUP = GroupRecord(name="g", id=b"g" * 16, created_ms=0)


class World:
    """A group of some streams in a memory engine."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)

    def run(self, body: Any) -> Any:
        return asyncio.run(self.engine.store_of(DOMAIN).transact(body))

    def put(self, name: str, *times: int) -> None:
        async def body(tr: Any) -> None:
            group = await state.find_group(tr, "g")
            if group is None:
                group = GROUP
                await state.create_group(tr, group)
            stream = StreamRecord(name=name, id=name.encode() * 16, created_ms=0)
            await state.create_stream(tr, group, stream)
            events = [{"timestamp": time_ms, "message": "m"} for time_ms in times]
            await state.append(
                tr, group, name, batches.rows_of(events, [27] * len(events), 0, lambda: b"")
            )

        self.run(body)

    def count(self, table: Any) -> int:
        return sum(key[len(DOMAIN.prefix) :].startswith(table.subspace) for key in self.engine.rows)

    def expire(self, timer: Timer, now_ms: int) -> tuple[Timer | None, int]:
        """Run an expiry as often as it wants to go on at once."""
        steps = 0
        while timer.due_ms <= now_ms:
            following = self.run(lambda tr, due=timer: state.expire(tr, due, now_ms))
            steps += 1
            if following is None:
                return None, steps
            timer = following
        return timer, steps


def test_events_are_removed_hour_by_hour_as_they_pass_their_retention() -> None:
    world = World()
    for name in ("a", "b"):
        world.put(name, *range(START_MS, START_MS + 3 * HOUR_MS, 60_000))
    timer = world.run(lambda tr: retained(tr, 1, START_MS))
    assert (world.count(EVENTS), world.count(HOURS)) == (360, 6)
    timer, _ = world.expire(timer, START_MS + DAY_MS)
    assert (world.count(EVENTS), world.count(HOURS)) == (360, 6)
    assert timer.due_ms == START_MS + DAY_MS + HOUR_MS
    timer, steps = world.expire(timer, timer.due_ms)
    assert (world.count(EVENTS), world.count(HOURS)) == (240, 4)
    assert steps > 6  # a few rows each
    timer, _ = world.expire(timer, START_MS + 10 * DAY_MS)
    assert (world.count(EVENTS), world.count(HOURS)) == (0, 0)
    assert timer.due_ms == START_MS + 10 * DAY_MS + HOUR_MS
    assert world.run(lambda tr: state.stored_bytes(tr, GROUP.id)) == 0


async def retained(tr: Any, days: int, now_ms: int) -> Timer | None:
    return state.put_retention(tr, await state.require_group(tr, "g"), days, now_ms)


def test_a_timer_that_is_no_longer_the_group_s_own_ends() -> None:
    world = World()
    world.put("a", START_MS)
    first = world.run(lambda tr: retained(tr, 1, START_MS))
    second = world.run(lambda tr: retained(tr, 3, START_MS + 5))
    assert world.expire(first, START_MS + DAY_MS * 9) == (None, 1)
    assert world.count(EVENTS) == 1
    assert world.run(lambda tr: retained(tr, 0, START_MS + 6)) is None
    assert world.expire(second, START_MS + DAY_MS * 9) == (None, 1)
    assert world.count(EVENTS) == 1
