from __future__ import annotations

import asyncio
import random

import pytest
from tests.unit.platform.bus.world import SOURCE, World, delivery

from fogbank.base.errors import Unavailable
from fogbank.platform.bus.deadletters import list_letters, redrive
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import BusReader
from fogbank.platform.store.engine import SYSTEM, SYSTEM_PREFIX, Domain
from fogbank.platform.store.keyspace import (
    DELIVERY_STATE,
    OUTBOX_LATER,
    partition_in,
    partition_of,
    shard_of,
    system_prefix,
)
from fogbank.platform.store.tuples import after_prefix
from fogbank.server.shards import Shards


def keyed(number: int, key: str, **more: object) -> Delivery:
    return delivery("t", payload=f"{key}{number}".encode(), order_key=key, subscription="s", **more)


def test_a_later_one_waits_for_an_earlier_one_of_its_key_and_for_no_other() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        await world.put(keyed(1, "a"), keyed(2, "a"), keyed(1, "b"), keyed(3, "a"))
        await world.put(delivery("t", payload=b"free"))
        await world.rest()
        assert sorted(each.payload for each in await world.taken()) == [b"b1", b"free"]
        world.broken = set()
        await world.put(keyed(4, "a"))
        await world.rest()
        assert len(await world.taken()) == 2  # a4 waits too: a1's time has not come
        world.now_ms += 400
        await world.rest()
        assert [each.payload for each in await world.taken()][2:] == [b"a1", b"a2", b"a3", b"a4"]

    asyncio.run(main())


def test_one_that_the_store_refused_before_its_turn_was_looked_at_overtakes_no_other() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        await world.put(keyed(1, "a"), keyed(2, "a"), keyed(3, "a"))
        await world.bus.step()  # a1 waits, and the others are parked behind it
        await world.put(keyed(4, "a"))
        ((key, fact),) = await world.bus.pending()
        await world.bus._later(key, fact, Unavailable("the store has a bad moment"))
        world.broken = set()
        world.now_ms += 400
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"a1", b"a2", b"a3", b"a4"]

    asyncio.run(main())


def test_every_subscription_source_and_target_has_an_order_of_its_own() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        of_its_own = ({"subscription": "r"}, {"source_arn": "arn:aws:s3:::c"}, {"target": "u"})
        for number, change in enumerate(of_its_own):
            like = {"target": "t", "subscription": "s", "order_key": "a", **change}
            await world.put(keyed(1, "a"), delivery(**like, payload=b"%d" % number))
        await world.rest()
        assert sorted(each.payload for each in await world.taken()) == [b"0", b"1", b"2"]

    asyncio.run(main())


def test_a_dead_one_lets_the_next_go_on_and_nothing_is_left_of_the_order() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        await world.put(keyed(1, "a", attempts_max=2), keyed(2, "a"))
        await world.rest()
        world.now_ms += 400
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"a2"]
        assert len(await world.dead()) == 1
        left = [key for key in world.engine.rows if key[:2] == bytes((1, DELIVERY_STATE))]
        assert len(left) == 1  # the number of dead letters

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(12))
def test_under_random_weather_every_key_keeps_its_order_and_loses_nothing(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        world, sent = World(), dict.fromkeys("abc", 0)
        for _ in range(60):
            for _ in range(chance.randrange(4)):
                key = chance.choice("abc")
                sent[key] += 1
                await world.put(keyed(sent[key], key))
            every = [f"{key}{n}".encode() for key, count in sent.items() for n in range(count + 1)]
            world.broken = set(chance.sample(every, len(every) // 3))
            await world.bus.step()
            world.now_ms += chance.randrange(2_000)
        world.broken = set()
        for _ in range(100):
            await world.rest()
            world.now_ms += 600_000
        taken = [each.payload.decode() for each in await world.taken()]
        for key, count in sent.items():
            assert [each for each in taken if each[0] == key] == [
                f"{key}{n + 1}" for n in range(count)
            ], f"seed {seed}"

    asyncio.run(main())


def waiting_partitions(world: World) -> set[int]:
    """Return the partitions in which entries and gates of orders wait."""
    return {
        partition_in(key)
        for key in world.engine.rows
        if key[:2] in {SYSTEM_PREFIX + bytes((each,)) for each in (DELIVERY_STATE, OUTBOX_LATER)}
    }


def test_gates_and_what_waits_lie_in_the_partition_of_their_source() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        await world.put(keyed(1, "a"), keyed(2, "a"))
        await world.rest()
        assert partition_of(SOURCE) != 0
        assert waiting_partitions(world) == {partition_of(SOURCE)}
        assert await world.bus.next_try_ms() == 1_400
        world.broken = set()
        world.now_ms += 400
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"a1", b"a2"]
        assert waiting_partitions(world) == set()

    asyncio.run(main())


def test_a_dead_letter_that_is_sent_again_keeps_to_the_order_of_its_source() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1", b"a2"}
        await world.put(keyed(1, "a", attempts_max=1))
        await world.rest()
        (letter,) = await list_letters(world.engine.store_of(SYSTEM), limit=9)
        await world.put(keyed(2, "a"), keyed(3, "a"))
        await world.rest()
        assert await redrive(world.engine.store_of(SYSTEM), letter.id, world.now_ms)
        await world.rest()
        assert await world.taken() == []  # a1 is behind a2 and a3 now, and waits for them
        world.broken = set()
        world.now_ms += 400
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"a2", b"a3", b"a1"]

    asyncio.run(main())


def as_before_format_3(world: World) -> None:
    """Put what waits where the program of format 2 put it: into partition 0, all of it."""
    for subspace in (DELIVERY_STATE, OUTBOX_LATER):
        old, new = system_prefix(subspace, 0), system_prefix(subspace, partition_of(SOURCE))
        rows = [key for key in world.engine.rows if new <= key < after_prefix(new)]
        for key in rows:
            world.engine.rows[old + key[len(new) :]] = world.engine.rows.pop(key)


def test_the_gates_of_an_older_format_still_hold() -> None:
    async def main() -> None:
        world = World()
        world.broken = {b"a1"}
        await world.put(keyed(1, "a"), keyed(2, "a"))
        await world.rest()
        as_before_format_3(world)
        assert waiting_partitions(world) == {0}
        await world.put(keyed(3, "a"), keyed(1, "b"))
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"b1"]
        world.now_ms += 400  # and a1 fails once more, where it waited
        await world.rest()
        assert waiting_partitions(world) == {0}
        world.broken = set()
        world.now_ms += 1_000
        await world.rest()
        taken = [each.payload for each in await world.taken()]
        assert taken == [b"b1", b"a1", b"a2", b"a3"]
        assert waiting_partitions(world) == set()
        world.broken = {b"a4"}
        await world.put(keyed(4, "a"))
        await world.rest()
        assert waiting_partitions(world) == {partition_of(SOURCE)}

    asyncio.run(main())


def test_with_two_stores_each_keeps_the_orders_of_its_own_sources() -> None:
    async def main() -> None:
        worlds = [World(), World()]
        names = [f"source {n}" for n in range(40)]
        sources = [Domain("test", name) for name in names]
        shards = Shards(
            [world.engine for world in worlds],
            [0],
            [world.engine.system_stores()[0] for world in worlds],
        )
        for number, world in enumerate(worlds):
            world.broken = {b"a1"}
            world.bus = BusReader(
                world.engine,
                world.engine.system_stores()[0],
                world.domain_of,
                lambda world=world: world.deliver,
                lambda world=world: world.now_ms,
                str(number),
            )
        for source in sources:
            world = worlds[shard_of(source, 2)]
            told = [keyed(n, "a", source_arn=repr(source)) for n in (1, 2)]
            await world.put(*told, source=source)
            assert shards.number_of(source) == shard_of(source, 2)
        for number, world in enumerate(worlds):
            await world.rest()
            ours = [source for source in sources if shard_of(source, 2) == number]
            assert len(ours) > 10
            assert waiting_partitions(world) == {partition_of(source) for source in ours}
            assert len(waiting_partitions(world)) > 4
            world.broken = set()
            world.now_ms += 400
            await world.rest()
            taken = await world.taken()
            assert len(taken) == 2 * len(ours)
            for source in ours:
                own = [each.payload for each in taken if each.source_arn == repr(source)]
                assert own == [b"a1", b"a2"]

    asyncio.run(main())
