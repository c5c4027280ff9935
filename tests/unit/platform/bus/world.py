"""A memory engine, a bus over it, and targets that note what arrives."""

from __future__ import annotations

from typing import Any

from fogbank.base.errors import Throttled, Unavailable
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.bus.deadletters import decode_dead_letter
from fogbank.platform.bus.entry import Delivery, decode_delivery
from fogbank.platform.bus.reader import BusReader, OutboxWriter, Undeliverable
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import DEAD_LETTERS, system_prefix
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix

SOURCE = Domain("test", "source")
TARGET = Domain("test", "target")


def delivery(target: str, **more: Any) -> Delivery:
    given: dict[str, Any] = {
        "target": target,
        "payload": b"{}",
        "source": "s3.amazonaws.com",
        "source_arn": "arn:aws:s3:::b",
        "source_account": "1" * 12,
        "created_ms": 1,
    }
    return Delivery(**{**given, **more})


class World:
    """A memory engine, a bus over it, and a target that notes what arrives."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.now_ms = 1_000
        self.weather: dict[str, int] = {}
        self.broken: set[bytes] = set()
        self.full_until_ms = 0
        store = self.engine.system_stores()[0]
        self.bus = BusReader(
            self.engine, store, self.domain_of, lambda: self.deliver, lambda: self.now_ms
        )

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
        if self.full_until_ms > self.now_ms:
            raise Throttled("full")
        if arrived.payload in self.broken:
            raise Unavailable("this one not yet")
        key = tr.domain.prefix + b"arrived" + arrived.target.encode()
        count = int(await tr.get(key) or b"0")
        tr.put(key, str(count + 1).encode())
        tr.append(tr.domain.prefix + b"taken", encode(arrived))

    async def emit(self, *targets: str) -> None:
        await self.put(*[delivery(target) for target in targets])

    async def put(self, *deliveries: Delivery, source: Domain = SOURCE) -> None:
        async def body(tr: Transaction) -> None:
            for each in deliveries:
                await OutboxWriter().put(tr, each)

        await self.engine.store_of(source).transact(body)

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

    async def taken(self) -> list[Delivery]:
        """Return what arrived, in order."""
        prefix = TARGET.prefix + b"taken"

        async def body(tr: Transaction) -> list[Delivery]:
            rows = await tr.range(prefix, after_prefix(prefix), limit=10_000)
            return [decode_delivery(value) for _, value in rows]

        return await self.engine.store_of(TARGET).read(body)

    async def rest(self) -> int:
        """Step until nothing is due; return how many entries were looked at."""
        looked = 0
        while step := await self.bus.step():
            looked += step
        return looked
