"""What waits in a store: how much of it, and for how long, at a cost that does not grow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import OutboxWriter
from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import SYSTEM, Body, Domain
from fogbank.server import backlogs
from fogbank.server.backlogs import Waiting, waiting_in

DOMAINS = [Domain("lambda", "1" * 12, f"region-{number}") for number in range(20)]
NOW_MS = 1_000_000


class World:
    """A memory engine in which things wait."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()

    def work(self, domain: Domain, name: str, created_ms: int, visible_ms: int) -> None:
        entry = WorkEntry(name, domain.name[-1], domain.name, b"", created_ms, visible_ms)

        async def body(tr: Any) -> None:
            worklist.put(tr, entry)

        self.commit(domain, body)

    def fact(self, domain: Domain, created_ms: int) -> None:
        delivery = Delivery("arn:t", b"{}", "s3.amazonaws.com", "arn:s", "1" * 12, created_ms)

        async def body(tr: Any) -> None:
            await OutboxWriter().put(tr, delivery)

        self.commit(domain, body)

    def timer(self, domain: Domain, due_ms: int) -> None:
        async def body(tr: Any) -> None:
            Timers().put(tr, Timer("kind", domain.name, b"k", due_ms))

        self.commit(domain, body)

    def commit(self, domain: Domain, body: Body[None]) -> None:
        asyncio.run(self.engine.store_of(domain).transact(body))

    def waiting(self) -> Waiting:
        return asyncio.run(waiting_in([self.engine.store_of(SYSTEM)], NOW_MS))


def test_nothing_waits_in_a_new_store() -> None:
    found = World().waiting()
    assert set(found.entries.values()) == {0}
    assert found.ages_s == {"outbox": 0, "work": 0, "timers": 0}


def test_the_oldest_fact_of_all_partitions_is_found() -> None:
    world = World()
    for number, domain in enumerate(DOMAINS):
        world.fact(domain, NOW_MS - 10_000 - 1_000 * number)
    found = world.waiting()
    assert found.entries["outbox"] == len(DOMAINS)
    assert found.ages_s["outbox"] == 10 + len(DOMAINS) - 1


def test_the_oldest_work_of_all_lists_is_found_and_keeps_its_age_when_it_is_tried_again() -> None:
    world = World()
    for domain in DOMAINS:
        world.work(domain, "a", NOW_MS - 1_000, NOW_MS)
    world.work(DOMAINS[3], "b", NOW_MS - 90_000, NOW_MS + 5_000)
    found = world.waiting()
    assert found.entries["work"] == len(DOMAINS) + 1
    assert found.ages_s["work"] == 90


def test_files_that_must_go_are_counted() -> None:
    world, ref = World(), BlobRef(1, 1)

    async def attach(tr: Any) -> None:
        rows.attach(tr, ref, 100_000)

    async def release(tr: Any) -> None:
        await rows.release(tr, ref)

    world.commit(DOMAINS[0], attach)
    assert world.waiting().entries["blob_deletions"] == 0
    world.commit(DOMAINS[0], release)
    assert world.waiting().entries["blob_deletions"] == 1


def test_a_timer_is_late_only_when_it_is_due() -> None:
    world = World()
    world.timer(DOMAINS[0], NOW_MS + 60_000)
    assert world.waiting().ages_s["timers"] == 0
    world.timer(DOMAINS[1], NOW_MS - 7_000)
    found = world.waiting()
    assert (found.entries["timers"], found.ages_s["timers"]) == (2, 7)


def test_a_deep_backlog_is_counted_in_pages_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "DEPTH_PAGE", 4)
    monkeypatch.setattr(backlogs, "DEPTH_MAX", 12)
    world = World()
    for number in range(11):
        world.timer(DOMAINS[number], NOW_MS)
    assert world.waiting().entries["timers"] == 11
    for number in range(11, 20):
        world.timer(DOMAINS[number], NOW_MS)
    assert world.waiting().entries["timers"] == 12


def test_of_a_partition_so_many_lists_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for number in range(worklist.LISTS_MAX + 5):
        world.work(DOMAINS[0], f"list-{number:03d}", NOW_MS - 1_000 * number, NOW_MS)
    assert world.waiting().ages_s["work"] == worklist.LISTS_MAX - 1
    monkeypatch.setattr(worklist, "LISTS_MAX", 3)
    assert world.waiting().ages_s["work"] == 2
