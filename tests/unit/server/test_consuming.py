from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.server.test_driver import DOMAIN, Shared, while_driving

from fogbank.base.errors import Unavailable
from fogbank.contract.job import Memory, consumer
from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Transaction

SECOND_MS = 1_000


async def register(shared: Shared, *ids: str) -> None:
    async def body(tr: Transaction) -> None:
        for each in ids:
            consumers.put(tr, Consumer("reads", each, DOMAIN.name, each.encode()))

    await shared.placement.store_of(DOMAIN).transact(body)


async def remove(shared: Shared, name: str) -> None:
    async def body(tr: Transaction) -> None:
        consumers.remove(tr, "reads", name)

    await shared.placement.store_of(DOMAIN).transact(body)


def test_each_registered_consumer_is_stepped_when_it_says_until_it_is_removed() -> None:
    shared, seen = Shared(), list[str]()

    @consumer("reads", steps_max=2)
    async def reads(entry: Consumer, facilities: Any, memory: Memory) -> int:
        memory["steps"] = memory.get("steps", 0) + 1
        seen.append(f"{entry.id}{memory['steps']}")
        return facilities.clock.now_ms() + SECOND_MS

    async def script(advance: Any) -> None:
        await register(shared, "a")
        await advance(SECOND_MS + 1)
        assert seen == ["a1", "a2"]
        await register(shared, "b")
        await advance(SECOND_MS)
        assert sorted(seen[2:]) == ["a3", "b1", "b2"]
        await remove(shared, "a")
        seen.clear()
        await advance(2 * SECOND_MS)
        assert {each[0] for each in seen} == {"b"}
        await remove(shared, "b")
        await advance(2 * SECOND_MS)
        seen.clear()
        await register(shared, "b")
        await advance(1)
        assert seen == ["b1"]

    asyncio.run(while_driving(shared, [reads], script))


def test_a_step_that_fails_costs_its_consumer_a_pause_and_others_nothing() -> None:
    shared, seen = Shared(), list[str]()
    errors: list[Exception] = [RuntimeError("a bug"), Unavailable("weather")]

    @consumer("reads", steps_max=1)
    async def reads(entry: Consumer, facilities: Any, memory: Memory) -> int:
        seen.append(entry.id)
        if entry.id == "bad" and errors:
            raise errors.pop(0)
        return facilities.clock.now_ms() + 60 * SECOND_MS + len(memory)

    async def script(advance: Any) -> None:
        await register(shared, "bad", "good")
        await advance(10)
        assert sorted(seen) == ["bad", "good"]
        await advance(10 * SECOND_MS)
        assert sorted(seen) == ["bad", "bad", "bad", "good"]

    asyncio.run(while_driving(shared, [reads], script))


def test_no_more_steps_are_under_way_than_the_kind_allows() -> None:
    shared, running, most = Shared(), list[str](), list[int]()

    @consumer("reads", steps_max=3)
    async def reads(entry: Consumer, facilities: Any, memory: Memory) -> int:
        assert not memory
        running.append(entry.id)
        most.append(len(running))
        await facilities.clock.sleep_until(facilities.clock.now_ms() + 10)
        running.remove(entry.id)
        return facilities.clock.now_ms() + 60 * SECOND_MS

    async def script(advance: Any) -> None:
        await register(shared, *(str(number) for number in range(8)))
        await advance(100)
        assert (max(most), len(most)) == (3, 8)

    asyncio.run(while_driving(shared, [reads], script))


def test_more_consumers_than_a_page_has_are_found() -> None:
    shared = Shared()
    names = [f"{number:04}" for number in range(consumers.PAGE + 3)]
    asyncio.run(register(shared, *names))
    found = asyncio.run(consumers.list_all(shared.placement.system_stores()[0], "reads"))
    assert sorted(each.id for each in found) == names
