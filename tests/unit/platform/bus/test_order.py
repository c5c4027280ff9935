from __future__ import annotations

import asyncio
import random

import pytest
from tests.unit.platform.bus.world import World, delivery

from fogbank.base.errors import Unavailable
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.store.keyspace import DELIVERY_STATE


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
