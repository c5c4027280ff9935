"""Whoever works for long gives way: what that is, and how often it happens."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fogbank.contract.call import Call, Pace


def test_who_gives_way_lets_everyone_else_run_once() -> None:
    async def work() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        task = asyncio.ensure_future(other())
        order.append("before")
        await Call.give_way(cast("Call", None))
        order.append("behind")
        await task
        return order

    assert asyncio.run(work()) == ["before", "other", "behind"]


def test_a_pace_gives_way_each_time_that_so_much_was_done() -> None:
    class Counting:
        turns = 0

        async def give_way(self) -> None:
            self.turns += 1

    async def work() -> list[int]:
        call: Any = Counting()
        pace, found = Pace(call, 100), list[int]()
        for size in (40, 59, 1, 99, 500, 10):
            await pace.did(size)
            found.append(call.turns)
        return found

    assert asyncio.run(work()) == [0, 0, 1, 1, 2, 2]
