"""How many stems wait: demand makes them, bounds hold, and what nobody asks for is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.stem import Kind, Stem
from fogbank.engines.sandbox.stems import FILL_AFTER_S, LOST_MAX, Limits, Stems

NODE = Kind("123456789012", "nodejs20.x", ("/usr/bin/node",), ("stem",), ())
USUAL = Limits(8, 400, 60.0)
JAVA = NODE._replace(runtime="java17")


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time is put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Fake:
    """A stem."""

    def __init__(self, kind: Kind, memory_mb: int) -> None:
        self.kind = kind
        self.memory_mb = memory_mb
        self.discarded = False

    def discard(self) -> None:
        self.discarded = True


class Nest:
    """Pools over a machine that makes fakes."""

    def __init__(self, tasks: asyncio.TaskGroup, limits: Limits) -> None:
        self.made: list[Fake] = []
        self.fails = False
        self.size_mb = 40
        self.gate: asyncio.Event | None = None
        self.stems = Stems(limits, cast("Callable[[Kind], Awaitable[Stem]]", self._make), tasks)

    async def _make(self, kind: Kind) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        stem = Fake(kind, self.size_mb)
        self.made.append(stem)
        if self.fails:
            raise Unavailable("no")
        return stem

    def take(self, kind: Kind = NODE) -> Fake | None:
        return cast("Fake | None", self.stems.take(kind))

    def lost(self, stem: Fake) -> None:
        self.stems.lost(cast("Stem", stem))

    @property
    def kept(self) -> list[Kind]:
        return [stem.kind for stem in self.made if not stem.discarded]


async def settled(seconds: float = 2 * FILL_AFTER_S) -> None:
    """Let time pass, and all that follows from it happen."""
    cast("Loop", asyncio.get_running_loop()).ahead += seconds
    for _ in range(20):
        await asyncio.sleep(0)


def run(story: Callable[[Nest], Awaitable[None]], limits: Limits = USUAL) -> None:
    async def whole() -> None:
        async with asyncio.TaskGroup() as tasks:
            nest = Nest(tasks, limits)
            await story(nest)
            nest.stems.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(whole())


def test_a_pool_starts_empty_and_what_is_asked_for_is_there_the_next_time() -> None:
    async def story(nest: Nest) -> None:
        await settled()
        assert nest.made == []
        assert nest.take() is None
        assert nest.made == []  # the start that found none goes first
        await settled()
        [stem] = nest.made
        assert nest.take(JAVA) is None
        assert nest.take() is stem
        await settled()
        assert sorted(s.kind.runtime for s in nest.made) == ["java17", "nodejs20.x", "nodejs20.x"]
        assert nest.stems.count == 2

    run(story)


def test_each_start_that_finds_none_lets_one_more_wait() -> None:
    async def story(nest: Nest) -> None:
        assert [nest.take() for _ in range(3)] == [None] * 3
        await settled()
        assert nest.stems.count == 3
        assert all(nest.take() for _ in range(3))
        assert nest.take() is None
        await settled()
        assert nest.stems.count == 4

    run(story)


@pytest.mark.parametrize(("limits", "most"), [(Limits(2, 400, 60), 2), (Limits(8, 100, 60), 2)])
def test_so_many_and_so_much_wait_at_most(limits: Limits, most: int) -> None:
    async def story(nest: Nest) -> None:
        for _ in range(5):
            nest.take()
        await settled()
        assert nest.stems.count == len(nest.made) == most
        await settled()
        assert len(nest.made) == most

    run(story, limits)


def test_without_room_none_is_made() -> None:
    async def story(nest: Nest) -> None:
        assert nest.take() is None
        await settled()
        assert nest.made == []

    run(story, Limits(0, 400, 60))
    run(story, Limits(8, 10, 60))


def test_what_was_asked_for_later_takes_the_room_of_what_was_asked_for_earlier() -> None:
    async def story(nest: Nest) -> None:
        nest.take(), nest.take()
        await settled()
        assert nest.kept == [NODE, NODE]
        nest.take(JAVA)
        await settled()
        assert nest.kept == [NODE, JAVA]
        assert nest.stems.count == 2
        assert nest.take() is nest.made[1]

    run(story, Limits(2, 400, 60))


def test_what_nobody_asks_for_is_given_back_and_the_pool_is_empty_again() -> None:
    async def story(nest: Nest) -> None:
        nest.take()
        await settled()
        await settled(30)
        nest.take(JAVA)
        await settled()
        await settled(31)
        assert nest.kept == [JAVA]
        await settled(60)
        assert nest.kept == []
        assert nest.stems.count == 0
        await settled(60)
        assert len(nest.made) == 2

    run(story)


def test_one_that_takes_long_to_be_made_waits_its_time() -> None:
    async def story(nest: Nest) -> None:
        nest.gate = asyncio.Event()
        nest.take()
        await settled()
        await settled(61)
        nest.gate.set()
        await settled()
        assert nest.stems.count == 1
        await settled(59)
        assert nest.stems.count == 1
        await settled(2)
        assert nest.stems.count == 0
        assert nest.kept == []

    run(story)


def test_one_that_ends_is_replaced_but_not_for_ever() -> None:
    async def story(nest: Nest) -> None:
        nest.take()
        await settled()
        nest.lost(nest.made[-1])
        assert nest.stems.count == 0
        await settled()
        assert nest.stems.count == 1
        nest.fails = True
        nest.lost(nest.made[-1])
        await settled()
        tried = len(nest.made)
        assert tried == 2 + LOST_MAX - 1
        await settled()
        assert len(nest.made) == tried
        nest.fails = False
        nest.take()  # somebody asks: it is tried once more
        await settled()
        assert nest.stems.count >= 1

    run(story)


def test_when_the_daemon_is_gone_its_stems_are_forgotten_and_the_demand_is_not() -> None:
    async def story(nest: Nest) -> None:
        nest.take()
        await settled()
        nest.stems.forget()
        assert nest.take() is None
        await settled()
        assert nest.stems.count == 2

    run(story)
