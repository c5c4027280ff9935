from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.platform.bus.world import World, delivery

from fogbank.platform.bus.entry import AGE_MS_MAX
from fogbank.platform.store.engine import Domain


def test_each_entry_is_delivered_once_and_leaves_with_its_effect() -> None:
    async def main() -> None:
        world = World()
        await world.emit("a", "b", "a")
        assert await world.bus.step() == 3
        assert await world.bus.step() == 0
        assert (await world.arrived("a"), await world.arrived("b")) == (2, 1)

    asyncio.run(main())


def test_a_target_that_fails_for_the_moment_holds_back_no_other() -> None:
    async def main() -> None:
        world = World()
        world.weather["slow"] = 5_000
        await world.emit("slow", "quick")
        await world.bus.step()
        assert (await world.arrived("slow"), await world.arrived("quick")) == (0, 1)
        assert await world.bus.step() == 0
        world.now_ms = 6_000
        assert await world.bus.next_try_ms() == 1_400
        await world.bus.step()
        assert await world.arrived("slow") == 1
        assert await world.bus.next_try_ms() is None

    asyncio.run(main())


def test_many_entries_of_a_slow_target_hold_back_no_entry_of_a_quick_one() -> None:
    async def main() -> None:
        world = World()
        world.weather["slow"] = 1_000_000
        await world.emit(*["slow"] * 500, "quick")
        for _ in range(20):
            await world.bus.step()
        assert await world.arrived("quick") == 1
        world.now_ms = 2_000_000
        while await world.bus.step():
            pass
        assert await world.arrived("slow") == 500

    asyncio.run(main())


def test_effect_and_removal_are_one_transaction() -> None:
    async def main() -> None:
        world = World()
        await world.emit("a")
        transactions = 0
        stores = world.engine.store_of

        def counted(domain: Domain) -> Any:
            store = stores(domain)

            class Counting:
                async def transact(self, body: Any) -> Any:
                    nonlocal transactions
                    transactions += 1
                    return await store.transact(body)

            return Counting()

        world.bus._placement = SimpleNamespace(store_of=counted, is_ours=lambda _: True)  # type: ignore[assignment]
        await world.bus.step()
        assert transactions == 1
        assert await world.bus.pending() == []
        assert await world.arrived("a") == 1

    asyncio.run(main())


@pytest.mark.parametrize("target", ["nobody", "refused"])
def test_what_no_target_takes_goes_to_the_dead_letters_with_its_reason(target: str) -> None:
    async def main() -> None:
        world = World()
        await world.emit(target)
        await world.bus.step()
        assert len(await world.dead()) == 1
        assert await world.bus.step() == 0

    asyncio.run(main())


def test_a_bug_in_a_receiver_is_retried_and_then_buried(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World()
        await world.emit("bug")
        while await world.bus.next_try_ms() or await world.bus.pending():
            await world.bus.step()
            world.now_ms += 60_000
        reason = "ZeroDivisionError:  (the event is too old for another attempt)"
        assert await world.dead() == [reason]
        assert AGE_MS_MAX - 600_000 < world.now_ms < AGE_MS_MAX + 600_000
        assert await world.bus.step() == 0

    asyncio.run(main())
    assert "delivery to bug failed" in caplog.text


def test_what_finds_no_room_waits_however_long_and_dies_never() -> None:
    async def main() -> None:
        world = World()
        world.full_until_ms = 2 * AGE_MS_MAX
        await world.put(delivery("a", attempts_max=2, created_ms=1_000))
        waits: list[int] = []
        while not await world.arrived("a"):
            await world.bus.step()
            due_ms = await world.bus.next_try_ms()
            if due_ms is not None:
                waits.append(due_ms - world.now_ms)
                world.now_ms = due_ms
        assert waits[:4] == [400, 400, 400, 600]
        assert max(waits) == waits[-1] == 600_000
        assert world.now_ms >= 2 * AGE_MS_MAX
        assert await world.dead() == []
        (taken,) = await world.taken()
        assert taken.attempt == 0

    asyncio.run(main())
