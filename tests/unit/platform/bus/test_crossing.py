"""Deliveries between two stores: enqueued once, whatever fails in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.base.errors import CommitUnknown, Unavailable
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.bus import crossing
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import BusReader, OutboxWriter
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Store, Token, Transaction
from fogbank.platform.store.keyspace import OUTBOX, OUTBOX_LATER, TOKENS, system_prefix
from fogbank.platform.store.tuples import after_prefix
from fogbank.testing.clock import VirtualClock

SOURCE, TARGET = Domain("s3", "bucket"), Domain("lambda", "1" * 12, "us-east-1")
ARN = "arn:aws:lambda:us-east-1:111111111111:function:f"


class TwoStores:
    """Two engines; faults may come between a commit in the target's store and its answer."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.here, self.there = MemoryEngine(clock=self.clock), MemoryEngine(clock=self.clock)
        self.faults: list[Exception] = []
        self.reader = BusReader(
            self, self.store_of(SYSTEM), lambda _: TARGET, lambda: enqueue, self.clock.now_ms, "7"
        )

    def is_ours(self, domain: Domain) -> bool:
        return domain != TARGET

    def store_of(self, domain: Domain) -> Store:
        return self.here.store_of(domain) if self.is_ours(domain) else Faulty(self)

    def blobs_of(self, domain: Domain) -> Any:
        return self.here.blobs_of(domain)

    def system_stores(self) -> tuple[Store, ...]:
        return self.here.system_stores()

    def count(self, engine: MemoryEngine, *subspaces: int) -> int:
        begins = [system_prefix(subspace, 0)[:-1] for subspace in subspaces]
        ranges = [engine.rows.irange(begin, after_prefix(begin), (True, False), reverse=False)
                  for begin in begins]  # fmt: skip
        return sum(len(list(keys)) for keys in ranges)

    async def work(self) -> int:
        raw = await self.there.store_of(TARGET).read(lambda tr: tr.get(TARGET.prefix + b"n"))
        return int(raw or b"0")

    async def tell(self, times: int = 1) -> None:
        async def body(tr: Transaction) -> None:
            for n in range(times):
                await OutboxWriter().put(tr, delivery(n))

        await self.here.store_of(SOURCE).transact(body)


class Faulty:
    """The target's store: its next answer may be lost after the commit."""

    def __init__(self, two: TwoStores) -> None:
        self._two = two

    async def transact(self, body: Body[Any], *, token: Token | None = None) -> Any:
        result = await self._two.there.store_of(TARGET).transact(body, token=token)
        if self._two.faults:
            raise self._two.faults.pop(0)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._two.there.store_of(TARGET), name)


def delivery(n: int) -> Delivery:
    return Delivery(
        target=ARN,
        payload=b"%d" % n,
        source="s3.amazonaws.com",
        source_arn="arn:aws:s3:::bucket",
        source_account="2" * 12,
        created_ms=0,
    )


async def enqueue(tr: Transaction, _: Delivery) -> None:
    count = int(await tr.get(TARGET.prefix + b"n") or b"0") + 1
    tr.put(TARGET.prefix + b"n", b"%d" % count)


def test_entries_for_another_store_are_enqueued_there_and_leave_nothing_behind() -> None:
    async def run() -> None:
        two = TwoStores()
        await two.tell(5)
        assert await two.reader.step() == 5
        assert await two.work() == 5
        assert two.count(two.here, OUTBOX, OUTBOX_LATER, TOKENS) == 0
        assert two.count(two.there, TOKENS) == 0

    asyncio.run(run())


@pytest.mark.parametrize("fault", [CommitUnknown("lost"), Unavailable("ended"), KeyError("bug")])
def test_an_answer_that_is_lost_after_the_commit_does_not_enqueue_twice(fault: Exception) -> None:
    async def run() -> None:
        two = TwoStores()
        await two.tell()
        two.faults = [fault, fault, fault]
        for _ in range(6):
            await two.reader.step()
            two.clock.advance_to(two.clock.now_ms() + 60_000)
        assert await two.work() == 1
        assert two.count(two.here, OUTBOX, OUTBOX_LATER) == 0

    asyncio.run(run())


def test_a_death_between_delivery_and_removal_does_not_enqueue_twice() -> None:
    async def run() -> None:
        two = TwoStores()
        await two.tell()
        ((key, entry),) = await two.reader.pending()
        token = crossing.token_of("7", key, entry)
        await crossing.deliver(two.store_of(TARGET), token, entry, enqueue)
        await two.reader.step()  # the next run of the server
        assert await two.work() == 1
        assert two.count(two.here, OUTBOX) == 0
        assert two.count(two.there, TOKENS) == 0

    asyncio.run(run())


def test_a_token_that_cannot_be_forgotten_now_is_no_failure() -> None:
    async def run() -> None:
        two = TwoStores()
        await two.tell()
        ((key, entry),) = await two.reader.pending()
        token = crossing.token_of("7", key, entry)
        await crossing.deliver(two.store_of(TARGET), token, entry, enqueue)
        two.faults = [Unavailable("ended")]
        await crossing.forget(two.store_of(TARGET), token)
        assert two.faults == []

    asyncio.run(run())


def test_entries_of_different_stores_and_stamps_never_share_a_token() -> None:
    key = b"outbox" + bytes(12)
    tokens = {
        crossing.token_of(origin, stamped, delivery(0)).token
        for origin in ("0", "1")
        for stamped in (key, key[:-1] + b"\1")
    }
    assert len(tokens) == 4
