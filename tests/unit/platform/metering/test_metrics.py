"""Metrics: what is noted, added up minute by minute, and kept for a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.base.errors import Unavailable
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.metering import metrics as module
from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import Metrics, Series, by_series, step_of
from fogbank.platform.store.engine import SYSTEM, Domain
from fogbank.testing.clock import VirtualClock

HERE = Domain("lambda", "111122223333", "us-east-1")
ALL = Series("AWS/Lambda")
ONE = Series("AWS/Lambda", (("FunctionName", "f"),))
DAY_MS = 86_400_000


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = MemoryEngine(replay=True, clock=self.clock)
        self.metrics = Metrics(self.clock)

    def note(self, value: float = 1.0, name: str = "Invocations") -> None:
        self.metrics.board(HERE, ONE, ALL).note(name, value)

    async def write(self) -> int:
        return await points.write(self.engine, self.metrics)

    async def points(self, series: Series = ONE, period_ms: int = 60_000) -> list[Any]:
        async def body(tr: Any) -> list[Any]:
            until_ms = self.clock.now_ms() + 1
            return await points.list_points(tr, series, period_ms, 0, until_ms, 100)

        return await self.engine.store_of(HERE).read(body)

    async def sweep(self) -> None:
        sweep = points.Sweep(self.engine, self.engine.store_of(SYSTEM))
        while await sweep.step(self.clock.now_ms()):
            pass

    def rows(self) -> int:
        return len(self.engine.rows)


def counts(found: list[Any]) -> list[tuple[int, float, float, float]]:
    values = [each.values["Invocations"] for each in found]
    return [(each.count, each.total, each.least, each.most) for each in values]


def test_what_is_written_in_pieces_adds_up_in_every_series_and_period() -> None:
    async def story() -> None:
        world = World()
        for value in (3.0, 1.0):
            world.note(value)
        assert await world.write() == 2
        world.note(5.0)
        assert await world.write() == 2
        assert await world.write() == 0
        for series in (ONE, ALL):
            for period_ms, _ in points.PERIODS:
                found = await world.points(series, period_ms)
                assert counts(found) == [(3, 9.0, 1.0, 5.0)]
                assert found[0].at_ms % period_ms == 0

    asyncio.run(story())


def test_a_value_counts_in_the_minute_in_which_it_was_noted() -> None:
    async def story() -> None:
        world = World()
        world.note()
        before_ms = world.clock.now_ms()
        world.clock.advance_to(before_ms + 60_000)
        world.note()
        world.metrics.board(HERE, ONE, ALL, at_ms=before_ms).note("Invocations")
        await world.write()
        assert [each[0] for each in counts(await world.points())] == [2, 1]
        assert [each[0] for each in counts(await world.points(ALL, 3_600_000))] == [3]

    asyncio.run(story())


def test_what_the_store_does_not_take_waits_and_is_written_once() -> None:
    async def story() -> None:
        world = World()
        world.note()
        store = world.engine.store_of(HERE)

        class Failing:
            def store_of(self, _: Domain) -> Any:
                return self

            async def transact(self, _: Any) -> None:
                raise Unavailable("the disk is full")

        with pytest.raises(Unavailable):
            await points.write(Failing(), world.metrics)  # type: ignore[arg-type]
        world.note()
        await world.write()
        assert store is not None
        assert counts(await world.points()) == [(2, 2.0, 1.0, 1.0)]
        assert counts(await world.points(ALL)) == [(2, 2.0, 1.0, 1.0)]

    asyncio.run(story())


def test_points_go_when_their_time_is_over_and_the_series_with_the_last() -> None:
    async def story() -> None:
        world = World()
        world.note()
        await world.write()
        began_ms, seen = world.clock.now_ms(), []
        for days in (14, 16, 64, 456):
            world.clock.advance_to(began_ms + days * DAY_MS)
            await world.sweep()
            seen.append([len(await world.points(ONE, each)) for each, _ in points.PERIODS])
        assert seen == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
        assert world.rows() == 0

    asyncio.run(story())


def test_the_series_of_a_namespace_are_listed_with_the_names_that_were_noted() -> None:
    async def story() -> None:
        world = World()
        world.note()
        await world.write()
        world.note(name="Errors")
        world.metrics.board(HERE, Series("AWS/S3")).note("AllRequests")
        await world.write()
        found = await points.list_series(world.engine.store_of(SYSTEM), "AWS/Lambda")
        assert sorted((each.dimensions, each.names) for each in found) == [
            ((), ("Errors", "Invocations")),
            ((("FunctionName", "f"),), ("Errors", "Invocations")),
        ]
        assert {Domain(*each.domain) for each in found} == {HERE}

    asyncio.run(story())


def test_boards_that_wait_are_bounded_and_those_beyond_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BOARDS_MAX", 2)
    metrics = Metrics(VirtualClock())
    for name in "abc":
        metrics.board(HERE, Series(name)).note("x")
    assert (len(metrics), metrics.lost) == (2, 1)
    taken = metrics.take()
    for name in "de":
        metrics.board(HERE, Series(name)).note("x")
    metrics.put_back(taken)
    assert (len(metrics), metrics.lost) == (2, 3)


def test_a_percentile_is_told_within_a_twentieth_of_its_value() -> None:
    metrics = Metrics(VirtualClock())
    for value in range(1, 1_001):
        metrics.board(HERE, ONE).distribute("Duration", float(value))
    (_, _, _, board), *_ = by_series(metrics.take())
    kept = points._sum(None, board.values["Duration"])
    for part in (0.5, 0.9, 0.99, 1.0):
        found = points.quantile([kept], part)
        assert found is not None
        assert abs(found - part * 1_000) <= part * 50
    assert points.quantile([], 0.5) is None
    assert step_of(0) == module.ZERO
