from __future__ import annotations

import asyncio

import pytest
from tests.unit.platform.bus.world import SOURCE, World

from fogbank.base.errors import TransactionTooLarge
from fogbank.platform.bus import subscriptions
from fogbank.platform.bus.patterns import InvalidPattern
from fogbank.platform.bus.reader import OutboxWriter
from fogbank.platform.bus.subscriptions import SUBSCRIPTIONS_MAX, Fact, Subscription
from fogbank.platform.store.engine import Transaction

RED = b'{"colour": ["red"]}'


def fact(colour: str, key: str = "") -> Fact:
    return Fact({"colour": colour}, colour.encode(), "s", "arn:s", "1" * 12, 1_000, "e", key)


async def subscribe(world: World, *given: Subscription, topic: str = "t") -> None:
    async def body(tr: Transaction) -> None:
        for each in given:
            subscriptions.put(tr, topic, each)

    await world.engine.store_of(SOURCE).transact(body)


async def publish(world: World, *facts: Fact, topic: str = "t") -> list[int]:
    async def body(tr: Transaction) -> list[int]:
        return [await subscriptions.publish(tr, OutboxWriter(), topic, each) for each in facts]

    return await world.engine.store_of(SOURCE).transact(body)


def test_a_fact_reaches_who_wants_it_and_what_a_subscription_says_goes_with_it() -> None:
    async def main() -> None:
        world = World()
        red = Subscription("1", "red", RED, 3, 500, "dead", ordered=True)
        await subscribe(world, red, Subscription("2", "all"))
        await subscribe(world, Subscription("1", "elsewhere"), topic="u")
        assert await publish(world, fact("red", "k"), fact("blue", "k")) == [2, 1]
        await world.rest()
        assert [(each.target, each.payload) for each in await world.taken()] == [
            ("red", b"red"),
            ("all", b"red"),
            ("all", b"blue"),
        ]
        first, second, _ = await world.taken()
        assert (first.subscription, first.attempts_max, first.age_ms_max) == ("1", 3, 500)
        assert (first.dead_letter, first.order_key, second.order_key) == ("dead", "k", "")
        assert (first.source, first.source_arn, first.event_id) == ("s", "arn:s", "e")

    asyncio.run(main())


def test_a_subscription_is_in_force_for_the_facts_behind_it_and_none_other() -> None:
    async def main() -> None:
        world = World()
        assert await publish(world, fact("red")) == [0]
        await subscribe(world, Subscription("1", "a"))
        assert await publish(world, fact("red")) == [1]

        async def body(tr: Transaction) -> list[int]:
            before = await subscriptions.publish(tr, OutboxWriter(), "t", fact("x"))
            subscriptions.remove(tr, "t", "1")
            return [before, await subscriptions.publish(tr, OutboxWriter(), "t", fact("y"))]

        assert await world.engine.store_of(SOURCE).transact(body) == [1, 0]
        await world.rest()
        assert [each.payload for each in await world.taken()] == [b"red", b"x"]

    asyncio.run(main())


def test_what_is_no_pattern_is_never_stored_and_too_many_are_refused_not_cut() -> None:
    async def main() -> None:
        world = World()
        with pytest.raises(InvalidPattern):
            await subscribe(world, Subscription("1", "a", b'{"x": "y"}'))
        many = [Subscription(str(n), "a", RED) for n in range(SUBSCRIPTIONS_MAX + 1)]
        await subscribe(world, *many)
        with pytest.raises(TransactionTooLarge):
            await publish(world, fact("red"))

        async def body(tr: Transaction) -> list[str]:
            page = await subscriptions.list_subscriptions(tr, "t", limit=2, after="10")
            return [each.id for each in page]

        assert await world.engine.store_of(SOURCE).read(body) == ["100", "1000"]

    asyncio.run(main())
