"""Rows that ride with groups of commits, and the audit records that do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import TransactionTooLarge
from fogbank.platform.metering import reading
from fogbank.platform.metering.records import Caller, Entry
from fogbank.platform.metering.trail import Ride, Trail
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.keyspace import AUDIT, system_prefix

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
BOX = system_prefix(AUDIT, 3)
CALLER = Caller("dynamodb", "PutItem", "us-east-1", "root", account="1")


def write(key: bytes, size: int = 1) -> Any:
    async def body(tr: Transaction) -> None:
        for at in range(0, size, 400_000):
            tr.put(P + key + at.to_bytes(4), b"v" * min(size, 400_000))

    return body


class Rows:
    """A passenger with one row for every group."""

    def __init__(self) -> None:
        self.asked = 0
        self.waiters: list[asyncio.Future[Any]] = []

    def rows(self) -> list[tuple[bytes, bytes]]:
        self.asked += 1
        return [(BOX, b"row")]

    def boarded(self, waiter: asyncio.Future[Any]) -> None:
        self.waiters.append(waiter)


def test_passengers_are_durable_with_the_commits_they_ride_with(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            rows = Rows()
            engine.carry(rows)
            store = engine.store_of(DOMAIN)
            await asyncio.gather(*[store.transact(write(bytes([at]))) for at in range(9)])
            assert rows.asked == 1
            assert [waiter.done() for waiter in rows.waiters] == [True]
            found = await engine.system_stores()[0].tail(BOX, None, 10)
            assert [value for _, value in found] == [b"row"]

    asyncio.run(run())


class Rider(Ride, kw_only=True, eq=False):
    """A call of one name."""

    request_id: str

    def entry(self) -> tuple[str, Caller, Entry]:
        return "1", CALLER, Entry(1, self.request_id, 0)


async def records_of(engine: Any) -> list[str]:
    store = engine.system_stores()[0]
    return [each.entry.request_id async for each in reading.entries(store, "1", 0, 1 << 62)]


def test_records_of_changes_ride_in_one_row_for_all_calls_of_a_group(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            trail = Trail(engine, SystemClock())
            stores = [
                trail.riding(engine.store_of(DOMAIN), Rider(request_id=str(at))) for at in range(9)
            ]
            await asyncio.gather(*[each.transact(write(b"k")) for each in stores])
            assert await records_of(engine) == [str(at) for at in range(9)]

            async def rows(tr: Transaction) -> Any:
                begin = BOX[:2]
                return await tr.range(begin, tuples.after_prefix(begin), limit=100)

            assert len(await engine.system_stores()[0].read(rows)) == 1

    asyncio.run(run())


def test_a_reply_waits_for_its_record_when_a_group_is_full(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine(segment_bytes=8 << 20) as engine:
            trail = Trail(engine, SystemClock())

            async def call(number: int) -> list[str]:
                rider = Rider(request_id=str(number))
                store = trail.riding(engine.store_of(DOMAIN), rider)
                await store.transact(write(bytes([number]), 1_000_000))
                await rider.arrived()
                return await records_of(engine)

            for number, found in enumerate(await asyncio.gather(*[call(at) for at in range(3)])):
                assert str(number) in found

    asyncio.run(run())


def test_a_change_that_is_refused_leaves_no_record_of_success(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            trail = Trail(engine, SystemClock())

            async def body(tr: Transaction) -> None:
                tr.put(P + b"key", b"v")
                for at in range(200):
                    tr.put(P + at.to_bytes(2), b"v" * 500_000)

            rider = Rider(request_id="refused")
            with pytest.raises(TransactionTooLarge):
                await trail.riding(engine.store_of(DOMAIN), rider).transact(body)
            await engine.store_of(DOMAIN).transact(write(b"other"))
            assert not rider.rode
            assert await records_of(engine) == []

    asyncio.run(run())
