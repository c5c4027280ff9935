from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.server.test_driver import DOMAIN, Shared, while_driving

from fogbank.base.errors import Unavailable
from fogbank.contract.job import Memory, Rest, consumer
from fogbank.engines import watch
from fogbank.engines.watch import Watcher
from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Transaction
from fogbank.server.consuming import NET_MS
from fogbank.server.hints import POLL_MS

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


# Consumers that are watched.


def key_of(name: str) -> bytes:
    return DOMAIN.prefix + name.encode()


async def write(shared: Shared, name: str) -> None:
    async def body(tr: Transaction) -> None:
        tr.put(key_of(name), b"x")

    await shared.placement.store_of(DOMAIN).transact(body)


async def watching(each: Consumer, facilities: Any) -> list[Any]:
    return [facilities.placement.store_of(DOMAIN).watch(key_of(each.id))]


def resting(seen: list[int], *, firm: bool = False, watched: bool = True) -> Any:
    """Return a kind of consumers whose steps note when they ran, and rest for a second."""

    @consumer("reads", steps_max=2, watched=watching if watched else None)
    async def reads(_entry: Consumer, facilities: Any, memory: Memory) -> int | Rest:
        memory["steps"] = memory.get("steps", 0) + 1
        now_ms = facilities.clock.now_ms()
        seen.append(now_ms)
        return now_ms + SECOND_MS if firm else Rest(now_ms + SECOND_MS)

    return reads


def test_a_consumer_that_rests_is_woken_by_a_commit_where_it_is_watched_and_by_no_other() -> None:
    shared, seen = Shared(), list[int]()

    async def script(advance: Any) -> None:
        await register(shared, "a")
        await advance(1)
        assert len(seen) == 1
        await advance(NET_MS // 2)
        await write(shared, "b")
        await advance(1)
        assert len(seen) == 1, "it costs nothing while nobody writes"
        await write(shared, "a")
        await advance(1)
        assert len(seen) == 2

    asyncio.run(while_driving(shared, [resting(seen)], script))


def test_a_consumer_whose_hint_was_lost_looks_again_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, seen = Shared(), list[int]()

    def lost(_watcher: Watcher) -> None:
        """Tell nobody."""

    monkeypatch.setattr(Watcher, "hint", lost)

    async def script(advance: Any) -> None:
        await register(shared, "a")
        await advance(POLL_MS + 1)
        begun = len(seen)
        assert begun
        await write(shared, "a")
        await advance(NET_MS)
        assert len(seen) == begun + 1

    asyncio.run(while_driving(shared, [resting(seen)], script))


def test_what_is_committed_while_a_step_reads_is_not_missed() -> None:
    shared, seen = Shared(), list[int]()

    @consumer("reads", steps_max=1, watched=watching)
    async def reads(_entry: Consumer, facilities: Any, memory: Memory) -> int | Rest:
        seen.append(len(memory))
        if len(seen) == 1:
            await write(shared, "a")  # behind what it has read
        return Rest(facilities.clock.now_ms() + SECOND_MS)

    async def script(advance: Any) -> None:
        await register(shared, "a")
        await advance(1)
        assert len(seen) == 2

    asyncio.run(while_driving(shared, [reads], script))


def test_a_time_that_a_step_is_firm_about_is_kept_whatever_is_committed() -> None:
    """A pair that cannot reach its other does not try at every write."""
    shared, seen = Shared(), list[int]()

    async def script(advance: Any) -> None:
        await register(shared, "a")
        await advance(1)
        await write(shared, "a")
        await advance(SECOND_MS // 2)
        assert len(seen) == 1
        await advance(SECOND_MS)
        assert len(seen) == 2

    asyncio.run(while_driving(shared, [resting(seen, firm=True)], script))


@pytest.mark.parametrize("watchers_max", [None, 0])
def test_a_consumer_that_nothing_watches_looks_when_it_says(
    watchers_max: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store takes no more watchers: then time alone wakes it, as before."""
    shared, seen = Shared(), list[int]()
    kind = resting(seen, watched=watchers_max is not None)

    async def script(advance: Any) -> None:
        await advance(1)
        if watchers_max is not None:
            monkeypatch.setattr(watch, "WATCHERS_MAX", watchers_max)
        await register(shared, "a")
        await advance(POLL_MS + 3 * SECOND_MS)
        assert len(seen) >= 3
        assert {after - before for before, after in pairwise(seen)} == {SECOND_MS}

    asyncio.run(while_driving(shared, [kind], script))
