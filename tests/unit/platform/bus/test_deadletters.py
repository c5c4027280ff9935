from __future__ import annotations

import asyncio

from tests.unit.platform.bus.world import World, delivery

from fogbank.platform.bus import deadletters
from fogbank.platform.bus.deadletters import RETENTION_MS
from fogbank.platform.bus.reader import backoff_ms_of
from fogbank.platform.store.engine import SYSTEM


def test_attempts_and_age_end_what_a_target_never_takes_with_growing_pauses_before() -> None:
    async def main() -> None:
        world = World()
        world.weather = {"slow": 10**9}
        await world.put(
            delivery("slow", attempts_max=3, event_id="few"),
            delivery("slow", age_ms_max=1_500, created_ms=world.now_ms, event_id="young"),
        )
        times = []
        await world.rest()
        while next_ms := await world.bus.next_try_ms():
            times.append(next_ms - world.now_ms)
            world.now_ms = next_ms
            await world.rest()
        assert times == [400, 800]
        assert await world.dead() == [
            "Unavailable: later (after 3 attempts)",
            "Unavailable: later (the event is too old for another attempt)",
        ]

    asyncio.run(main())


def test_pauses_double_up_to_ten_minutes() -> None:
    assert [backoff_ms_of(n) for n in (1, 2, 3, 11, 12, 185)] == [
        400, 800, 1_600, 409_600, 600_000, 600_000,
    ]  # fmt: skip


def test_a_dead_letter_goes_to_the_target_that_the_subscription_names_with_its_reason() -> None:
    async def main() -> None:
        world = World()
        await world.put(delivery("refused", dead_letter="grave", payload=b"body", order_key="k"))
        await world.rest()
        (buried,) = await world.taken()
        assert (buried.target, buried.payload, buried.dead_letter) == ("grave", b"body", "")
        assert buried.attributes == {
            "ERROR_MESSAGE": "not allowed",
            "TARGET_ARN": "refused",
            "RULE_ARN": "arn:aws:s3:::b",
            "RETRY_ATTEMPTS": "0",
        }
        assert await world.dead() == []
        await world.put(delivery("refused", dead_letter="refused"))
        await world.rest()
        assert await world.dead() == ["not allowed"]  # refused there too: kept for the operator

    asyncio.run(main())


def test_the_operator_sends_one_again_or_drops_it() -> None:
    async def main() -> None:
        world = World()
        store = world.engine.store_of(SYSTEM)
        await world.put(delivery("refused", event_id="one"), delivery("refused", event_id="two"))
        await world.rest()
        first, second = await deadletters.list_letters(store, limit=10)
        assert await deadletters.list_letters(store, limit=10, after=first.id) == [second]
        assert await deadletters.drop(store, first.id) is True
        assert await deadletters.drop(store, first.id) is False
        assert await deadletters.redrive(store, second.id, 5_000) is True
        assert await deadletters.redrive(store, second.id, 5_000) is False
        ((_, again),) = await world.bus.pending()
        assert (again.event_id, again.created_ms, again.attempt) == ("two", 5_000, 0)
        await world.rest()
        (kept,) = await deadletters.list_letters(store, limit=10)
        assert await store.read(deadletters.count) == 1
        assert kept.letter.delivery.event_id == "two"

    asyncio.run(main())


def test_the_oldest_are_removed_when_they_are_too_many_or_too_old() -> None:
    async def main() -> None:
        world = World()
        store = world.engine.store_of(SYSTEM)
        for name in ("a", "b", "c"):
            await world.put(delivery("refused", event_id=name))
            await world.rest()
            world.now_ms += 1_000
        assert await deadletters.trim(store, world.now_ms, letters_max=2) == 1
        assert await deadletters.trim(store, world.now_ms, letters_max=2) == 0
        assert await deadletters.trim(store, 2_000 + RETENTION_MS) == 1
        (kept,) = await deadletters.list_letters(store, limit=10)
        assert kept.letter.delivery.event_id == "c"
        assert await store.read(deadletters.count) == 1

    asyncio.run(main())
