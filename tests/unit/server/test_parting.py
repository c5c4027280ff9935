"""Who has drained answers the others until they have, and waits for nobody in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fogbank.base.errors import Unavailable
from fogbank.platform.link.port import Answer, Asked, ByteSource
from fogbank.server.parting import SIGNAL_MS, Parting
from fogbank.testing.clock import VirtualClock

UNTIL_MS = 11_000


class Wire:
    """The way to another process of the test."""

    def __init__(self) -> None:
        self.to: Parting | None = None

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        del stream
        if self.to is None:
            raise Unavailable("it is gone")
        return await self.to.handlers()[method](Asked(value))


def run(work: Callable[[VirtualClock, list[Parting], list[Wire]], Awaitable[None]]) -> None:
    async def pair() -> None:
        clock, wires = VirtualClock(), [Wire(), Wire()]
        pair = [Parting(n, {1 - n: wires[1 - n]}, clock) for n in range(2)]
        for wire, parting in zip(wires, pair, strict=True):
            wire.to = parting
        await work(clock, pair, wires)

    asyncio.run(asyncio.wait_for(pair(), 10))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_has_drained_stays_until_the_other_has() -> None:
    async def work(clock: VirtualClock, pair: list[Parting], _: list[Wire]) -> None:
        until_ms = clock.now_ms() + UNTIL_MS
        for each in pair:
            each.is_stopping = True
        first = asyncio.create_task(pair[0].leave(until_ms))
        await turns()
        clock.advance_to(until_ms - 1)
        await turns()
        assert not first.done()
        await pair[1].leave(until_ms)
        await first

    run(work)


def test_nobody_waits_for_a_process_that_is_gone() -> None:
    async def work(clock: VirtualClock, pair: list[Parting], wires: list[Wire]) -> None:
        wires[1].to = None
        began_ms = clock.now_ms()
        await pair[0].leave(began_ms + UNTIL_MS)
        assert clock.now_ms() == began_ms

    run(work)


def test_a_process_that_does_not_stop_is_waited_for_only_as_long_as_a_signal_takes() -> None:
    async def work(clock: VirtualClock, pair: list[Parting], _: list[Wire]) -> None:
        left = asyncio.create_task(pair[0].leave(clock.now_ms() + UNTIL_MS))
        await turns()
        assert not left.done()
        clock.advance_to(clock.now_ms() + SIGNAL_MS)
        await left

    run(work)


def test_a_process_that_drains_for_too_long_is_given_up() -> None:
    async def work(clock: VirtualClock, pair: list[Parting], _: list[Wire]) -> None:
        until_ms = clock.now_ms() + UNTIL_MS
        pair[1].is_stopping = True
        left = asyncio.create_task(pair[0].leave(until_ms))
        await turns()
        clock.advance_to(until_ms - 1)
        await turns()
        assert not left.done()
        clock.advance_to(until_ms)
        await left

    run(work)
