"""What operators are told of environments: what each does, as the books say, and what it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.platform.runtime.fakes import World, target

from fogbank.platform.runtime import standing
from fogbank.platform.runtime.port import Look


def test_an_environment_is_told_from_its_start_to_its_rest(tmp_path: Path) -> None:
    async def story() -> None:
        async with World(tmp_path) as world:
            starting = asyncio.Event()
            start = world.runtime.start

            async def slowly(*given: object) -> object:
                await starting.wait()
                return await start(*given)  # type: ignore[arg-type]

            world.runtime.start = slowly  # type: ignore[method-assign, assignment]
            world.runtime.gate = asyncio.Event()
            work = world.begin(target(memory_mb=256))
            await world.settle()
            (row,) = (await world.placement.standing()).environments
            assert (row.function, row.version, row.state) == ("f", "$LATEST", "starting")
            assert (row.pid, row.memory_mb, row.invocations) == (-1, 256, 1)
            starting.set()
            await world.started(1)
            world.runtime.sandboxes[0].seen = Look(7, 8 << 20, 90, frozen=True)
            await world.advance(1_500)
            (row,) = (await world.placement.standing()).environments
            assert (row.state, row.pid, row.memory_bytes) == ("busy", 7, 8 << 20)
            assert (row.processor_ms, row.age_ms, row.idle_ms) == (90, 1_500, 0)
            world.runtime.gate.set()
            await work
            await world.run(target(memory_mb=256))
            await world.advance(500)
            (row,) = (await world.placement.standing()).environments
            assert (row.state, row.idle_ms, row.invocations) == ("frozen", 500, 2)
            world.runtime.sandboxes[0].seen = Look(7, 8 << 20, 90, frozen=False)
            (row,) = (await world.placement.standing()).environments
            assert row.state == "idle"
            world.runtime.sandboxes[0].closed = True
            (row,) = (await world.placement.standing()).environments
            assert row.state == "ending"

    asyncio.run(story())


def test_those_that_work_are_told_of_first_where_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "SHOWN_MAX", 1)

    async def story() -> None:
        async with World(tmp_path) as world:
            await world.run(target("idle"))
            world.runtime.gate = asyncio.Event()
            work = world.begin(target("busy"))
            await world.started(2)
            found = await world.placement.standing()
            assert ([row.function for row in found.environments], found.count) == (["busy"], 2)
            world.runtime.gate.set()
            await work

    asyncio.run(story())
