from __future__ import annotations

import asyncio

from tests.unit.platform.bus.world import SOURCE, World, delivery

from fogbank.platform.bus import trace
from fogbank.platform.bus.trace import HOUR_MS, RETENTION_HOURS
from fogbank.platform.store.engine import SYSTEM, Transaction
from fogbank.platform.store.keyspace import TRACES


async def way(world: World, name: str) -> list[tuple[str, str]]:
    steps = await trace.follow(world.engine.system_stores(), name, world.now_ms)
    return [(each, step.step) for each, step in steps]


def test_each_step_on_an_events_way_is_told_in_order() -> None:
    async def main() -> None:
        world = World()
        world.weather = {"slow": 1_300}
        await world.put(
            delivery("slow", event_id="e", created_ms=1_000), delivery("x", event_id="ee")
        )
        await world.rest()
        world.now_ms += 400
        await world.rest()
        assert await way(world, "e") == [("e", "accepted"), ("e", "waits"), ("e", "delivered")]
        await world.put(delivery("refused", event_id="f", created_ms=1_000))
        await world.rest()
        steps = await trace.follow(world.engine.system_stores(), "f", world.now_ms)
        assert [(step.at_ms, step.detail) for _, step in steps] == [
            (1_000, "by s3.amazonaws.com of arn:aws:s3:::b, for refused"),
            (1_400, "for refused: not allowed"),
        ]
        assert await way(world, "nobody") == []

    asyncio.run(main())


def test_an_id_leads_to_the_ids_it_is_connected_with_and_back() -> None:
    async def main() -> None:
        world = World()

        async def body(tr: Transaction) -> None:
            trace.connect(tr, "request", "event", 10, "caused", "by a put")
            trace.note(tr, "event", 20, "delivered", "")
            trace.connect(tr, "event", "run", 30, "became", "an invocation")
            trace.note(tr, "run", 40, "ran", "well")

        await world.engine.store_of(SOURCE).transact(body)
        for name in ("request", "event", "run"):
            assert [step for _, step in await way(world, name)] == [
                "caused", "delivered", "became", "ran",
            ]  # fmt: skip

    asyncio.run(main())


def test_steps_are_kept_for_three_days_and_no_longer() -> None:
    async def main() -> None:
        world = World()

        async def body(tr: Transaction) -> None:
            trace.note(tr, "old", 0, "s", "x" * 1_000)
            trace.note(tr, "new", HOUR_MS, "s", "")

        await world.engine.store_of(SOURCE).transact(body)
        world.now_ms = (RETENTION_HOURS + 1) * HOUR_MS
        store = world.engine.store_of(SYSTEM)
        ((_, step),) = await trace.steps_of(store, "old", 0)
        assert len(step.detail) == 500
        assert await trace.trim(store, world.now_ms) == 1
        assert await trace.trim(store, world.now_ms) == 0
        left = [key for key in world.engine.rows if key[:2] == bytes((1, TRACES))]
        assert len(left) == 1
        assert await way(world, "new") == [("new", "s")]

    asyncio.run(main())
