from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.platform.bus.world import SOURCE, World, delivery

from fogbank.base.errors import Throttled
from fogbank.platform.bus import backlog, deadletters
from fogbank.platform.bus.entry import decode_delivery
from fogbank.platform.bus.reader import OutboxWriter
from fogbank.platform.store.engine import STAMP_BYTES, SYSTEM, Transaction
from fogbank.platform.store.keyspace import (
    DELIVERY_STATE,
    OUTBOX,
    OUTBOX_COUNTS,
    OUTBOX_LATER,
    partition_in,
    partition_of,
    system_prefix,
)

ONE, OTHER = "1" * 12, "2" * 12


def counted(world: World) -> dict[tuple[int, str], int]:
    """Return the numbers that are kept, by partition and account."""
    prefix = bytes((1, OUTBOX_COUNTS))
    return {
        (partition_in(key), key[len(prefix) + 2 :].replace(b"\xff", b"").decode()[:12]): int.from_bytes(value)
        for key, value in world.engine.rows.items()
        if key.startswith(prefix)
    }  # fmt: skip


def lying(world: World) -> dict[tuple[int, str], int]:
    """Return how many entries lie in the outbox, wait for an attempt or are parked."""
    found: Counter[tuple[int, str]] = Counter()
    for key, value in world.engine.rows.items():
        waits = key[:2] in (bytes((1, OUTBOX)), bytes((1, OUTBOX_LATER)))
        parked = key[:2] == bytes((1, DELIVERY_STATE)) and len(value) > STAMP_BYTES
        if waits or parked:
            found[partition_in(key), decode_delivery(value).source_account] += 1
    return dict(found)


async def put(world: World, waiting_max: int, account: str = ONE) -> None:
    async def body(tr: Transaction) -> None:
        writer = OutboxWriter(waiting_max)
        await writer.put(tr, delivery("slow", source_account=account, attempts_max=1))

    await world.engine.store_of(SOURCE).transact(body)


def test_an_account_with_too_much_waiting_is_told_to_slow_down_and_others_are_not() -> None:
    async def main() -> None:
        world = World()
        world.full_until_ms = 10_000
        for _ in range(3):
            await put(world, 3)
        await world.rest()  # what found no room waits on
        with pytest.raises(Throttled):
            await put(world, 3)
        await put(world, 3, OTHER)
        world.now_ms = 60_000
        await world.rest()
        assert counted(world) == {}
        await put(world, 3)

    asyncio.run(main())


def test_what_was_told_before_counts_but_is_never_held_back() -> None:
    async def main() -> None:
        world = World()
        store = world.engine.store_of(SYSTEM)
        await world.put(delivery("refused"), delivery("refused", dead_letter="grave"))
        world.full_until_ms = 10_000
        await world.rest()
        (letter,) = await deadletters.list_letters(store, limit=10)
        assert list(counted(world).values()) == [1]  # on its way to the grave
        assert await deadletters.redrive(store, letter.id, world.now_ms) is True
        assert list(counted(world).values()) == [2]

    asyncio.run(main())


def test_entries_that_came_before_they_were_counted_leave_no_number_behind() -> None:
    async def main() -> None:
        world = World()
        await world.put(delivery("a"), delivery("b"))
        partition = partition_of(SOURCE)
        (key,) = [key for key in world.engine.rows if key[:2] == bytes((1, OUTBOX_COUNTS))]
        assert key.startswith(system_prefix(OUTBOX_COUNTS, partition))
        store = world.engine.store_of(SOURCE)

        async def forget(tr: Transaction) -> None:
            tr.delete(key)

        await store.transact(forget)
        await world.put(delivery("c"))
        await world.rest()
        assert counted(world) == {}

        async def count(tr: Transaction) -> int:
            return await backlog.count(tr, partition, ONE)

        assert await store.read(count) == 0

    asyncio.run(main())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["good", "slow", "refused", "bug", "nobody"]),
        st.sampled_from([ONE, OTHER]),
        st.sampled_from(["", "k"]),
        st.sampled_from(["", "grave", "refused"]),
        st.integers(0, 3_000),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_are_those_of_the_entries_whatever_becomes_of_them(steps: list) -> None:
    async def main() -> None:
        world = World()
        world.weather = {"slow": 5_000}
        for target, account, order_key, grave, later in steps:
            await world.put(
                delivery(
                    target,
                    source_account=account,
                    order_key=order_key,
                    dead_letter=grave,
                    attempts_max=3,
                )
            )
            world.now_ms += later
            await world.bus.step()
            assert counted(world) == lying(world)

    asyncio.run(main())
