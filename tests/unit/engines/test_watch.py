"""Watchers of prefixes that commits hint."""

from __future__ import annotations

import asyncio

from fogbank.engines.watch import Watchers

MANY = 40
"""So many that their addresses are surely not in the order of their making."""


def test_watchers_of_a_prefix_wake_in_the_order_in_which_they_began() -> None:
    woken: list[int] = []

    async def wait(watchers: Watchers, number: int) -> None:
        await anext(watchers.add(b"k"))
        woken.append(number)

    async def run() -> None:
        watchers = Watchers()
        async with asyncio.TaskGroup() as group:
            for number in range(MANY):
                group.create_task(wait(watchers, number))
            await asyncio.sleep(0)
            watchers.committed([b"key"])

    asyncio.run(run())
    assert woken == list(range(MANY))
