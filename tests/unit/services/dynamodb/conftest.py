from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fogbank.base.ids import Ids
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Facilities
from fogbank.contract.quota import Quota, Quotas
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.blobs.held import HoldingStore
from fogbank.platform.bus.reader import OutboxWriter
from fogbank.platform.metering.throughput import Tab
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb import SERVICE

SCOPE = Scope("111122223333", "us-east-1", "request")


class FakeCall:
    """What operations touch of a call, over a memory engine that runs every body twice."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(replay=True)
        self.domain = Domain("dynamodb", SCOPE.account, SCOPE.region)
        self.blobs = self.engine.blobs
        self.store = HoldingStore(self.engine.store_of(self.domain), self.blobs)
        self.scope = SCOPE
        self.region = SCOPE.region
        self.account = SCOPE.account
        self.tab = Tab()
        self.standings: dict[Any, object] = {}
        self.region = SCOPE.region
        self.accesses: tuple[Access, ...] = ()
        self.ids = Ids.seeded(1)
        self.now_ms = 1_700_000_000_000
        self.quotas: dict[str, int] = {}
        self.reads = 0
        self.request_id = "request"
        self.moved = False

    @property
    def clock(self) -> Any:
        return type("Standing", (), {"now_ms": lambda _: self.now_ms})()

    @property
    def facilities(self) -> Facilities:
        return Facilities(
            placement=self.engine,
            blobs=self.blobs,
            clock=self.clock,
            ids=self.ids,
            identity=None,  # type: ignore[arg-type]
            quotas=Quotas(self.quotas),
            outbox=OutboxWriter(),
            timers=Timers(),
            functions=None,  # type: ignore[arg-type]
        )

    async def give_way(self) -> None:
        await asyncio.sleep(0)

    def limit(self, quota: Quota) -> int:
        return Quotas(self.quotas).value(quota)

    def run(self, operation: str, **request: Any) -> Any:
        """Run an operation as the gateway would, and return its reply."""
        return asyncio.run(SERVICE.functions[operation].function(self, request))  # type: ignore[arg-type]


@pytest.fixture
def call() -> FakeCall:
    return FakeCall()


@pytest.fixture
def run(call: FakeCall) -> Callable[..., Any]:
    return call.run


@pytest.fixture
def make_table(run: Callable[..., Any]) -> Callable[..., None]:
    def make(name: str = "tab", *, sort: str | None = None, partition: str = "S") -> None:
        keys = {"p": partition} | ({"c": sort} if sort else {})
        run(
            "create_table",
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": role}
                for key, role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind} for key, kind in keys.items()
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    return make
