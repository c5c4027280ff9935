"""Renames: what becomes of bodies, of notifications and of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.s3.world import LARGE, World, made, run

from fogbank.services.s3.errors import IdempotencyParameterMismatch, NoSuchKey
from fogbank.services.s3.jobs import forget_completed
from fogbank.services.s3.rules.access import domain_of
from fogbank.services.s3.state.tasks import READ_GRACE_MS
from fogbank.services.s3.state.uploads import COMPLETED_KEPT_MS

ARN = "arn:aws:lambda:us-east-1:111111111111:function:f"


async def rename(world: World, source: str, key: str, **more: Any) -> None:
    await world.call("rename_object", Bucket="bucket", Key=key, RenameSource=source, **more)


def test_what_a_rename_takes_the_place_of_lets_go_of_its_body(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("old", LARGE)
        await world.put("new", LARGE + b"x")
        assert await world.blobs() == 2
        await rename(world, "old", "new")
        assert await world.blobs() == 1
        assert await world.get("new") == LARGE
        keys = await world.keys_of("bucket")
        await world.put("small", b"x")
        await rename(world, "small", "new")
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 0
        await rename(world, "new", "small")
        # The body of a small object moves with it: one row more than of a large one, and none left.
        assert await world.keys_of("bucket") == keys

    run(story())


def test_both_ends_of_a_rename_are_told(world: World) -> None:
    async def story() -> None:
        await made(world)
        world.calls.functions.add(ARN)
        await world.call(
            "put_bucket_notification_configuration",
            Bucket="bucket",
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [
                    {
                        "LambdaFunctionArn": ARN,
                        "Events": ["s3:ObjectCreated:Copy", "s3:ObjectRemoved:Delete"],
                    }
                ]
            },
        )
        await world.put("old", b"1")
        await rename(world, "old", "new")
        assert len(await world.deliveries()) == 2

    run(story())


def test_a_token_is_forgotten_after_a_day(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("old", b"1")
        await rename(world, "old", "new", ClientToken="once")
        await rename(world, "old", "new", ClientToken="once")
        with pytest.raises(IdempotencyParameterMismatch):
            await rename(world, "old", "other", ClientToken="once")
        (timer,) = await world.timers()
        assert timer.due_ms == world.clock.now_ms() + COMPLETED_KEPT_MS
        store = world.engine.store_of(domain_of("bucket"))
        await store.transact(lambda tr: forget_completed.wake(tr, timer, world.facilities))
        with pytest.raises(NoSuchKey):
            await rename(world, "old", "new", ClientToken="once")

    run(story())
