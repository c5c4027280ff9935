from __future__ import annotations

import asyncio

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import WORK_COUNTS, partition_of

DOMAIN = Domain("lambda", "1" * 12, "us-east-1")
PARTITION = partition_of(DOMAIN)


class World:
    """A memory engine and one list."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.system = self.engine.store_of(SYSTEM)
        self.store = self.engine.store_of(DOMAIN)

    async def put(self, *ids: str, visible_ms: int = 0) -> None:
        async def body(tr: Transaction) -> None:
            for number, each in enumerate(ids):
                worklist.put(
                    tr,
                    WorkEntry("list", each, DOMAIN.name, b"x", 0, visible_ms + number),
                )

        await self.store.transact(body)

    async def claim(self, now_ms: int, *, holder: str = "me", limit: int = 10) -> list[WorkEntry]:
        return await worklist.claim(
            self.system, "list", PARTITION, now_ms=now_ms, hold_ms=1_000, holder=holder, limit=limit
        )

    async def settle(self, entry: WorkEntry, retry_at_ms: int | None) -> None:
        async def body(tr: Transaction) -> None:
            if retry_at_ms is None:
                await worklist.remove(tr, entry)
            else:
                worklist.put_back(tr, entry, retry_at_ms)

        await self.store.transact(body)


def test_each_entry_goes_to_one_claimant_until_its_claim_ends() -> None:
    async def main() -> None:
        world = World()
        await world.put("a", "b", "c")
        first = await world.claim(5, limit=2)
        second = await world.claim(5)
        assert [entry.id for entry in first] == ["a", "b"]
        assert [entry.id for entry in second] == ["c"]
        assert await world.claim(1_004) == []
        assert [entry.id for entry in await world.claim(1_005)] == ["a", "b", "c"]

    asyncio.run(main())


def test_an_entry_that_is_done_is_gone_and_one_put_back_counts_its_attempt() -> None:
    async def main() -> None:
        world = World()
        await world.put("a", "b")
        a, b = await world.claim(10)
        await world.settle(a, None)
        await world.settle(b, 60_000)
        assert await worklist.first_visible(world.system, "list") == [(PARTITION, 60_000)]
        assert await world.claim(59_999) == []
        (again,) = await world.claim(60_000)
        assert (again.id, again.attempt) == ("b", 1)

    asyncio.run(main())


def test_what_a_dead_holder_had_claimed_is_visible_at_once_after_a_release() -> None:
    async def main() -> None:
        world = World()
        await world.put("a", "b")
        await world.claim(10, holder="dead", limit=1)
        await world.claim(10, holder="me", limit=1)
        released = await worklist.release(world.system, "list", PARTITION, holder="me", now_ms=20)
        assert released == 1
        (back,) = await world.claim(20)
        assert (back.id, back.attempt) == ("a", 0)

    asyncio.run(main())


def test_a_release_finds_what_was_claimed_behind_any_number_of_entries_that_wait() -> None:
    async def main() -> None:
        world = World()
        await world.put("cut short")
        (held,) = await worklist.claim(
            world.system, "list", PARTITION, now_ms=10, hold_ms=10_000_000, holder="dead", limit=1
        )
        assert held.holder == "dead"
        await world.put(*[str(number) for number in range(450)], visible_ms=60_000)
        released = await worklist.release(world.system, "list", PARTITION, holder="me", now_ms=20)
        assert released == 1
        assert [entry.id for entry in await world.claim(20)] == ["cut short"]

    asyncio.run(main())


def test_counted_entries_are_counted_from_when_they_come_until_they_are_done() -> None:
    async def main() -> None:
        world = World()
        other = Domain("lambda", "2" * 12, "us-east-1")

        async def put(tr: Transaction) -> None:
            for name, word in (("a", "f"), ("b", "f"), ("c", "g")):
                entry = WorkEntry("list", name, tr.domain.name, b"x", 0, 0, word=word)
                await worklist.put_counted(tr, entry)

        async def counts(tr: Transaction) -> list[int]:
            return [await worklist.counted(tr, "list", word) for word in ("f", "g", "h", "")]

        for domain in (DOMAIN, other):
            await world.engine.store_of(domain).transact(put)
        assert await world.store.read(counts) == [2, 1, 0, 3]
        first, second, third = await world.claim(0)
        await world.settle(first, 60_000)
        assert await world.store.read(counts) == [2, 1, 0, 3]
        await world.settle(second, None)
        await world.settle(third, None)
        assert await world.store.read(counts) == [1, 0, 0, 1]
        (again,) = await world.claim(60_000)
        await world.settle(again, None)
        assert await world.store.read(counts) == [0, 0, 0, 0]
        assert await world.engine.store_of(other).read(counts) == [2, 1, 0, 3]
        left = [key for key in world.engine.rows if key[:2] == bytes((1, WORK_COUNTS))]
        assert len(left) == 3, "what has come to nothing leaves no row"

    asyncio.run(main())
