from __future__ import annotations

import asyncio

from fogbank.testing.clock import START_MS, VirtualClock


def test_sleepers_wake_in_the_order_of_their_times_and_not_before() -> None:
    async def main() -> list[tuple[str, int]]:
        clock, woke = VirtualClock(), []

        async def sleeper(name: str, after_ms: int) -> None:
            await clock.sleep_until(START_MS + after_ms)
            woke.append((name, clock.now_ms() - START_MS))

        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 500))
            group.create_task(sleeper("early", 100))
            await asyncio.sleep(0)
            while clock.now_ms() < START_MS + 600:
                clock.advance_to(START_MS + 600)
                await asyncio.sleep(0)
        return woke

    assert asyncio.run(main()) == [("early", 100), ("late", 500)]


def test_a_cancelled_sleeper_does_not_hold_time_back() -> None:
    async def main() -> int:
        clock = VirtualClock()
        task = asyncio.ensure_future(clock.sleep_until(START_MS + 100))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        clock.advance_to(START_MS + 1_000)
        return clock.now_ms() - START_MS

    assert asyncio.run(main()) == 1_000
