from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.base.errors import Unavailable
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import (
    ATTEMPTS_MAX,
    BusReader,
    OutboxWriter,
    Undeliverable,
    decode_dead_letter,
)
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import DEAD_LETTERS, system_prefix
from fogbank.platform.store.tuples import after_prefix

SOURCE = Domain("test", "source")
TARGET = Domain("test", "target")


def delivery(target: str) -> Delivery:
    return Delivery(
        target=target,
        payload=b"{}",
        source="s3.amazonaws.com",
        source_arn="arn:aws:s3:::b",
        source_account="1" * 12,
        created_ms=1,
    )


class World:
    """A memory engine, a bus over it, and a target that notes what arrives."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.now_ms = 1_000
        self.weather: dict[str, int] = {}
        store = self.engine.system_stores()[0]
        self.bus = BusReader(self.engine, store, self.domain_of, self.deliver, lambda: self.now_ms)

    def domain_of(self, target: str) -> Domain:
        if target == "nobody":
            raise Undeliverable("no service takes deliveries for nobody")
        return TARGET

    async def deliver(self, tr: Transaction, arrived: Delivery) -> None:
        if arrived.target == "refused":
            raise Undeliverable("not allowed")
        if arrived.target == "bug":
            raise ZeroDivisionError
        if self.weather.get(arrived.target, 0) > self.now_ms:
            raise Unavailable("later")
        key = tr.domain.prefix + b"arrived" + arrived.target.encode()
        count = int(await tr.get(key) or b"0")
        tr.put(key, str(count + 1).encode())

    async def emit(self, *targets: str) -> None:
        async def body(tr: Transaction) -> None:
            for target in targets:
                OutboxWriter().put(tr, delivery(target))

        await self.engine.store_of(SOURCE).transact(body)

    async def arrived(self, target: str) -> int:
        async def body(tr: Transaction) -> int:
            return int(await tr.get(TARGET.prefix + b"arrived" + target.encode()) or b"0")

        return await self.engine.store_of(TARGET).read(body)

    async def dead(self) -> list[str]:
        prefix = system_prefix(DEAD_LETTERS, 0)

        async def body(tr: Transaction) -> list[str]:
            rows = await tr.range(prefix, after_prefix(prefix), limit=100)
            return [decode_dead_letter(value).reason for _, value in rows]

        return await self.engine.store_of(SYSTEM).read(body)


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

        world.bus._placement = SimpleNamespace(store_of=counted)  # type: ignore[assignment]
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
        for _ in range(ATTEMPTS_MAX):
            await world.bus.step()
            world.now_ms += 120_000
        assert await world.dead() == ["ZeroDivisionError: "]
        assert await world.bus.step() == 0

    asyncio.run(main())
    assert "delivery to bug failed" in caplog.text
