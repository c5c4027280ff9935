"""Who holds a lease, and that a deposed holder's writes are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.base.errors import Fenced
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Transaction
from fogbank.platform.store.lease import Lease, acquire
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")
TTL_MS = 10_000


def writing(lease: Lease, value: bytes) -> Body[None]:
    """Return a body that writes as the owner."""

    async def body(tr: Transaction) -> None:
        await lease.guard(tr)
        tr.put(DOMAIN.prefix + b"owned", value)

    return body


async def owned(engine: Any) -> bytes | None:
    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(DOMAIN.prefix + b"owned")

    return await engine.store_of(DOMAIN).read(body)


async def test_one_of_many_that_ask_at_once_gets_the_lease(engine: Any) -> None:
    store = engine.store_of(SYSTEM)
    got = await asyncio.gather(*(acquire(store, "shard", f"h{n}", TTL_MS) for n in range(5)))
    assert [lease.epoch for lease in got if lease is not None] == [1]


async def test_a_lease_passes_on_when_its_time_is_over_and_not_before(
    engine: Any, clock: VirtualClock
) -> None:
    store = engine.store_of(SYSTEM)
    one = await acquire(store, "shard", "one", TTL_MS)
    assert one == Lease("shard", "one", 1)
    clock.advance_to(clock.now_ms() + TTL_MS - 1)
    assert await acquire(store, "shard", "two", TTL_MS) is None
    await one.renew(store, TTL_MS)
    clock.advance_to(clock.now_ms() + TTL_MS - 1)
    assert await acquire(store, "shard", "two", TTL_MS) is None
    clock.advance_to(clock.now_ms() + 1)
    assert await acquire(store, "shard", "two", TTL_MS) == Lease("shard", "two", 2)


async def test_the_writes_of_a_deposed_holder_are_refused_and_leave_nothing(
    engine: Any, clock: VirtualClock
) -> None:
    system, store = engine.store_of(SYSTEM), engine.store_of(DOMAIN)
    one = await acquire(system, "shard", "one", TTL_MS)
    assert one is not None
    await store.transact(writing(one, b"1"))
    clock.advance_to(clock.now_ms() + TTL_MS)
    # Its time is over, and yet nobody else can have written: the epoch decides.
    await store.transact(writing(one, b"late"))
    two = await acquire(system, "shard", "two", TTL_MS)
    assert two is not None
    await store.transact(writing(two, b"2"))
    with pytest.raises(Fenced, match="two has it"):
        await store.transact(writing(one, b"3"))
    with pytest.raises(Fenced):
        await one.renew(system, TTL_MS)
    assert await owned(engine) == b"2"


async def test_a_lease_that_was_given_back_is_free_at_once_and_keeps_its_epoch(
    engine: Any,
) -> None:
    system = engine.store_of(SYSTEM)
    one = await acquire(system, "shard", "one", TTL_MS)
    assert one is not None
    await one.release(system)
    with pytest.raises(Fenced, match="nobody has it"):
        await engine.store_of(DOMAIN).transact(writing(one, b"1"))
    two = await acquire(system, "shard", "two", TTL_MS)
    assert two == Lease("shard", "two", 2)
    await one.release(system)  # what is not its own any more it cannot give back
    await engine.store_of(DOMAIN).transact(writing(two, b"2"))
    assert await owned(engine) == b"2"


async def test_a_holder_that_asks_again_deposes_its_former_self(engine: Any) -> None:
    system = engine.store_of(SYSTEM)
    before = await acquire(system, "shard", "one", TTL_MS)
    after = await acquire(system, "shard", "one", TTL_MS)
    assert before is not None
    assert after == Lease("shard", "one", 2)
    with pytest.raises(Fenced):
        await engine.store_of(DOMAIN).transact(writing(before, b"1"))
    await engine.store_of(DOMAIN).transact(writing(after, b"2"))
    assert await owned(engine) == b"2"


async def test_leases_of_different_names_do_not_know_each_other(engine: Any) -> None:
    system = engine.store_of(SYSTEM)
    names = ["shard", "shard/1", "shar", "queue"]
    got = [await acquire(system, name, name, TTL_MS) for name in names]
    assert [lease.epoch for lease in got if lease is not None] == [1] * len(names)
