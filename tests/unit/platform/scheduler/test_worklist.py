from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.engines.memory import MemoryEngine, MemoryStore
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import Head, WorkEntry
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Transaction
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

    def entry(self, word: str, name: str, visible_ms: int = 0) -> WorkEntry:
        return WorkEntry("list", name, DOMAIN.name, b"x", 0, visible_ms, word=word)

    async def put_counted(self, word: str, *ids: str, visible_ms: int = 0) -> None:
        async def body(tr: Transaction) -> None:
            for number, each in enumerate(ids):
                entry = self.entry(word, each, visible_ms + number)
                worklist.put_counted(tr, entry, await worklist.counts(tr, "list", word))

        await self.store.transact(body)

    async def claim(
        self, now_ms: int, *, holder: str = "me", limit: int = 10, group: bytes = b""
    ) -> list[WorkEntry]:
        return await worklist.claim(
            self.system,
            "list",
            PARTITION,
            group,
            now_ms=now_ms,
            hold_ms=1_000,
            holder=holder,
            limit=limit,
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
        assert await worklist.heads(world.system, "list", PARTITION) == [Head(b"", 60_000)]
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
                worklist.put_counted(tr, entry, await worklist.counts(tr, "list", word))

        async def counts(tr: Transaction) -> list[int]:
            of = [await worklist.counts(tr, "list", word) for word in ("f", "g", "h")]
            assert len({each.of_domain for each in of}) == 1
            return [*(each.of_word for each in of), of[0].of_domain]

        for domain in (DOMAIN, other):
            await world.engine.store_of(domain).transact(put)
        assert await world.store.read(counts) == [2, 1, 0, 3]
        f, g = [worklist.group_of(world.entry(word, "x")) for word in ("f", "g")]
        first, second = await world.claim(0, group=f)
        (third,) = await world.claim(0, group=g)
        await world.settle(first, 60_000)
        assert await world.store.read(counts) == [2, 1, 0, 3]
        await world.settle(second, None)
        await world.settle(third, None)
        assert await world.store.read(counts) == [1, 0, 0, 1]
        (again,) = await world.claim(60_000, group=f)
        await world.settle(again, None)
        assert await world.store.read(counts) == [0, 0, 0, 0]
        assert await world.engine.store_of(other).read(counts) == [2, 1, 0, 3]
        left = [key for key in world.engine.rows if key[:2] == bytes((1, WORK_COUNTS))]
        assert len(left) == 3, "what has come to nothing leaves no row"

    asyncio.run(main())


def test_a_group_is_found_and_claimed_whatever_lies_before_it() -> None:
    async def main() -> None:
        world = World()
        await world.put("old")
        await world.put_counted("many", *[f"m{number:03}" for number in range(50)])
        await world.put_counted("few", "f", visible_ms=7)
        found = await worklist.heads(world.system, "list", PARTITION)
        few, many = (worklist.group_of(world.entry(word, "x")) for word in ("few", "many"))
        assert few < many
        assert found == [Head(few, 7), Head(many, 0), Head(b"", 0)]
        for at in range(3):
            last = found[at - 1] if at else None
            assert await worklist.heads(world.system, "list", PARTITION, last, 1) == [found[at]]
        assert await worklist.heads(world.system, "list", PARTITION, found[-1]) == []
        assert [entry.id for entry in await world.claim(5)] == ["old"]
        assert await world.claim(6, group=few) == []
        (only,) = await world.claim(7, group=few)
        assert only.id == "f"
        assert len(await world.claim(5, group=many, limit=100)) == 6
        await world.settle(only, None)
        heads = await worklist.heads(world.system, "list", PARTITION)
        assert heads == [Head(many, 6), Head(b"", 1_005)]
        assert await worklist.oldest_ms(world.system) == 0

    asyncio.run(main())


def test_a_release_finds_what_is_held_in_every_group_and_passes_what_is_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = 0

    transact = MemoryStore.transact

    async def counted(store: MemoryStore, body: Body[Any]) -> object:
        nonlocal pages
        pages += 1
        return await transact(store, body)

    async def main() -> None:
        world = World()
        await world.put("old", "old too")
        for word in ("a", "b"):
            await world.put_counted(word, *[f"{word}{number:03}" for number in range(900)])
        groups = [worklist.group_of(world.entry(word, "x")) for word in ("a", "b")]
        held = await world.claim(0, holder="dead")
        for group in groups:
            held += await world.claim(300, holder="dead", group=group, limit=20)
        assert len(held) == 41
        monkeypatch.setattr(MemoryStore, "transact", counted)
        released = await worklist.release(world.system, "list", PARTITION, holder="me", now_ms=950)
        assert released == 41
        assert pages == 4
        for group in groups:
            again = await world.claim(949, group=group, limit=1_000)
            assert len(again) == 900
            assert {entry.holder for entry in again} == {"me"}

    asyncio.run(main())
