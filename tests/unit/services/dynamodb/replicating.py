"""A world of three regions whose replicas are written, cut off and caught up step by step.

Every step is the job's own; what lies between two of them, and which of them come, is the test's.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec

from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.contract.job import Rest, Verdict
from fogbank.contract.quota import Quotas
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.blobs.held import HoldingStore
from fogbank.platform.metering.lags import Lags
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.metering.throughput import Meters
from fogbank.platform.scheduler import consumers, worklist
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import SYSTEM, Domain, Transaction
from fogbank.platform.store.keyspace import partition_of
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.jobs import replication as jobs
from fogbank.services.dynamodb.rules import items, keys
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.replication import Change
from fogbank.services.dynamodb.schema import ACTIVE, PAY_PER_REQUEST, KeyAttribute, TableRecord
from fogbank.services.dynamodb.schema.replicas import (
    TOMBSTONES,
    VERSIONS,
    GroupRecord,
    ReplicaRecord,
)
from fogbank.services.dynamodb.state import rows
from fogbank.testing.clock import VirtualClock

ACCOUNT = "111122223333"
REGIONS = ("ap-south-1", "eu-west-1", "us-east-1")


def domain_of(region: str) -> Domain:
    return Domain("dynamodb", ACCOUNT, region)


class Placement:
    """Stores of one engine; between two regions there may be a cut, for whoever works for one."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.here = ""
        """The region for which a step works."""
        self.cuts: set[frozenset[str]] = set()
        self.is_one_store = True
        """Whether the domains of all regions lie in one store."""

    def store_of(self, domain: Domain) -> Any:
        if frozenset((self.here, domain.name[-1])) in self.cuts:
            return SimpleNamespace(transact=self._refuse, read=self._refuse)
        return self.engine.store_of(domain)

    def holding(self, domain: Domain) -> Any:
        return HoldingStore(self.store_of(domain), self.engine.blobs)

    def blobs_of(self, _domain: Domain) -> Any:
        return self.engine.blobs

    def is_ours(self, domain: Domain) -> bool:
        return self.is_one_store or domain.name[-1] == self.here

    async def _refuse(self, *_given: object, **_named: object) -> None:
        raise Unavailable("a cut between two regions")


class World:
    """Three replicas of one table, in their regions."""

    def __init__(self, *, replicated: tuple[str, ...] = REGIONS) -> None:
        self.clock = VirtualClock()
        self.engine = MemoryEngine(check=True, clock=self.clock)
        self.placement = Placement(self.engine)
        self.regions = replicated
        self.facilities: Any = SimpleNamespace(
            placement=self.placement,
            holding=self.placement.holding,
            clock=self.clock,
            quotas=Quotas(),
            ids=Ids.seeded(1),
            lags=Lags(),
            meters=Meters(self.clock),
            metrics=Metrics(self.clock),
        )
        self.memories: dict[str, dict[str, Any]] = {}
        self.group = GroupRecord(
            id="group",
            name="tab",
            replicas=tuple(ReplicaRecord(region=each, status=ACTIVE) for each in replicated),
        )
        for number, region in enumerate(replicated):
            self._make(region, number)

    def _make(self, region: str, number: int) -> None:
        table = TableRecord(
            name="tab",
            id=f"00000000-0000-0000-0000-{number:012}",
            digest_key=bytes((number,)) * 16,
            partition=KeyAttribute("p", "S"),
            sort=None,
            billing_mode=PAY_PER_REQUEST,
            read_units=0,
            write_units=0,
            deletion_protected=False,
            created_ms=self.clock.now_ms(),
        )

        async def body(tr: Transaction) -> None:
            await state.groups.adopt(tr, table, self.group, REGIONS[0], self.clock.now_ms())

        self.transact(region, body)

    def run(self, work: Any) -> Any:
        return asyncio.run(work)

    def transact(self, region: str, body: Any) -> Any:
        return self.run(self.placement.holding(domain_of(region)).transact(body))

    def pass_ms(self, milliseconds: int) -> None:
        self.clock._now_ms += milliseconds

    # What clients do.

    async def _table(self, tr: Transaction) -> TableRecord:
        table = await state.tables.find_table(tr, "tab")
        assert table is not None
        return table

    def write(self, region: str, key: str, value: str | None, by: str = "") -> None:
        """Put an item, or delete it, as a request in a region does."""

        async def body(tr: Transaction) -> None:
            table = await self._table(tr)
            item = {"p": {"S": key}} | ({} if value is None else {"v": {"S": value}})
            at = keys.key_of_item(table, item)
            before = await rows.find_item(tr, table, at)
            after = None if value is None else items.record_of(table, at, item, len(value))
            await state.writing.write_item(
                tr, table, at, before, after, clock=self.clock, limit=lambda _: 1 << 60, by=by
            )

        self.transact(region, body)

    def held(self, region: str) -> dict[str, str]:
        """Return the values of the items in a region."""

        async def body(tr: Transaction) -> dict[str, str]:
            table = await self._table(tr)
            found = await rows.list_items(tr, table, KeyRange(), limit=1_000)
            return {
                record.partition.decode(): str(items.item_of(table, record)["v"]["S"])
                for _, record in found
            }

        held: dict[str, str] = self.transact(region, body)
        return held

    # What jobs do.

    def links(self) -> list[Consumer]:
        store = self.engine.store_of(SYSTEM)
        found: list[Consumer] = self.run(consumers.list_all(store, state.replication.LINKS))
        return found

    def step(self, link: Consumer) -> int:
        """Take one step of a pair; return when the next is due."""
        self.placement.here = link.domain[-1]
        memory = self.memories.setdefault(link.id, {})
        due: int | Rest = self.run(jobs.replicate.step(link, self.facilities, memory))
        self.placement.here = ""
        return due.until_ms if isinstance(due, Rest) else due

    def catch_up(self) -> None:
        """Take steps of all pairs until none has more to bring."""
        for _ in range(1_000):
            due = [self.step(link) for link in self.links()]
            if all(at_ms > self.clock.now_ms() for at_ms in due):
                return
        raise AssertionError("replication does not come to rest")

    def fetch(self, region: str) -> int:
        """Fetch what a region is to read in others by itself; return how much that was."""

        async def claimed() -> list[WorkEntry]:
            return await worklist.claim(
                self.engine.store_of(SYSTEM),
                state.replication.FETCHED_ITEMS,
                partition_of(domain_of(region)),
                now_ms=self.clock.now_ms(),
                hold_ms=1,
                holder="run",
                limit=10,
            )

        domain = domain_of(region).name
        found = [entry for entry in self.run(claimed()) if entry.domain == domain]
        self.placement.here = region
        for entry in found:
            assert self.run(jobs.fetch_item.attempt(entry, self.facilities)) == Verdict()
            self.transact(region, partial(worklist.remove, entry=entry))
        self.placement.here = ""
        return len(found)

    def sweep(self, region: str) -> None:
        """Look for tombstones of a region that may go."""

        async def body(tr: Transaction) -> TableRecord:
            return await self._table(tr)

        table = self.transact(region, body)
        entry = WorkEntry(
            list=state.groups.TOMBSTONES_OF,
            id=table.id,
            domain=domain_of(region).name,
            payload=b"tab",
            created_ms=0,
            visible_ms=0,
        )
        self.placement.here = region
        try:
            self.run(jobs.sweep_tombstones.attempt(entry, self.facilities))
        except Unavailable:
            pass  # the driver tries again
        finally:
            self.placement.here = ""

    def deliver(self, region: str, change: Change) -> bool:
        """Let a write arrive in a region, whenever it was made."""

        async def body(tr: Transaction) -> bool:
            table = await self._table(tr)
            return await state.replication.accept(tr, table, change, self.clock)

        taken: bool = self.transact(region, body)
        return taken

    def count(self, region: str, kind: Any) -> int:
        """Return how many rows of a kind a region has."""
        prefix = domain_of(region).prefix + kind.subspace
        rows: Any = self.engine.rows
        return sum(key.startswith(prefix) for key in rows)

    def tombstones(self, region: str) -> int:
        return self.count(region, TOMBSTONES)

    def versions(self, region: str) -> int:
        return self.count(region, VERSIONS)


def renamed(change: Change, value: str) -> Change:
    """Return a change that brings another value: for what must not be taken."""
    assert change.item is not None
    return change._replace(
        item=msgspec.structs.replace(
            change.item, attributes=msgspec.Raw(msgspec.msgpack.encode({"v": {"S": value}}))
        )
    )
