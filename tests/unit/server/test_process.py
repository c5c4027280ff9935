"""A store process opens store and sandboxes side by side, and closes what opened."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fogbank.server import process


class Opened:
    """Something that takes turns of the loop to open, then is there or fails, and is closed."""

    def __init__(self, world: World, name: str, turns: int) -> None:
        self.world, self.name, self.turns = world, name, turns

    async def open(self, *_: Any) -> Opened:
        for _turn in range(self.turns):
            await asyncio.sleep(0)
        if self.name in self.world.failing:
            raise OSError(self.name)
        self.world.happened.append(f"opened {self.name}")
        return self

    async def close(self) -> None:
        self.world.happened.append(f"closed {self.name}")


class World:
    """What opens and closes in place of store and sandboxes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *failing: str) -> None:
        self.failing = failing
        self.happened: list[str] = []
        monkeypatch.setattr(process, "_open_store", Opened(self, "store", 5).open)
        monkeypatch.setattr(process, "_open_sandboxes", Opened(self, "sandboxes", 2).open)

    async def serve(self, turns: int = 100) -> None:
        """Open both, and close them in order; be cancelled after some turns of the loop."""

        async def work() -> None:
            nothing: Any = None
            async with AsyncExitStack() as stack:
                await process._open_both(nothing, nothing, nothing, stack)
                self.happened.append("served")

        task = asyncio.ensure_future(work())
        for _turn in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await task


def test_what_opened_is_closed_in_reverse_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    asyncio.run(world.serve())
    opened = ["opened sandboxes", "opened store"]
    assert world.happened == [*opened, "served", "closed sandboxes", "closed store"]


@pytest.mark.parametrize(("fails", "other"), [("store", "sandboxes"), ("sandboxes", "store")])
def test_what_opened_is_closed_though_the_other_fails(
    monkeypatch: pytest.MonkeyPatch, fails: str, other: str
) -> None:
    world = World(monkeypatch, fails)
    with pytest.raises(OSError, match=fails):
        asyncio.run(world.serve())
    assert world.happened == [f"opened {other}", f"closed {other}"]


def test_a_start_that_is_broken_off_closes_what_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.serve(turns=5))
    assert world.happened == ["opened sandboxes", "closed sandboxes"]
