from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.engines.memory import MemoryEngine, MemoryStore
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import Head, WorkEntry
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Transaction
from fogbank.platform.store.keyspace import partition_of

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
