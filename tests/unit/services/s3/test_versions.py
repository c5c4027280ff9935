"""Versions let go of their bodies, and each is told of by its id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.services.s3.test_notifications import notified
from tests.unit.services.s3.world import LARGE, World, made, run

from fogbank.services.s3.errors import InvalidArgument
from fogbank.services.s3.rules.versions import order_of, placed
from fogbank.services.s3.schema import BucketRecord


async def turn(world: World, status: str) -> None:
    await world.call(
        "put_bucket_versioning", Bucket="bucket", VersioningConfiguration={"Status": status}
    )


async def remove(world: World, version_id: str) -> None:
    await world.call("delete_object", Bucket="bucket", Key="k", VersionId=version_id)


def test_a_version_that_goes_lets_go_of_its_body(world: World) -> None:
    async def story() -> None:
        await made(world)
        await turn(world, "Enabled")
        ids = [(await world.put("k", body))["VersionId"] for body in (LARGE, b"x", LARGE + b"y")]
        before = await world.keys_of("bucket")
        assert await world.blobs() == 2
        marker = await world.call("delete_object", Bucket="bucket", Key="k")
        await remove(world, ids[0])
        assert await world.blobs() == 1
        await remove(world, ids[1])
        await remove(world, marker["VersionId"])
        assert await world.get("k") == LARGE + b"y"
        await remove(world, ids[2])
        assert await world.blobs() == 0
        # Each version had a row, two of them one for their blob, and the small one its body.
        assert await world.keys_of("bucket") == before - 6

    run(story())


def test_a_null_version_that_is_written_over_lets_go_of_its_body(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await turn(world, "Suspended")
        await world.put("k", LARGE)
        assert await world.blobs() == 1
        await turn(world, "Enabled")
        newest = await world.put("k", b"x")
        await turn(world, "Suspended")
        assert await world.blobs() == 1
        await world.call("delete_object", Bucket="bucket", Key="k")
        assert await world.blobs() == 0
        assert await world.get("k", VersionId=newest["VersionId"]) == b"x"
        await world.put("k", b"small")
        rows = await world.keys_of("bucket")
        await world.put("k", b"other")
        assert await world.keys_of("bucket") == rows

    run(story())


def test_a_copy_of_a_version_shares_its_body_until_both_are_gone(world: World) -> None:
    async def story() -> None:
        await made(world)
        await turn(world, "Enabled")
        first = (await world.put("k", LARGE))["VersionId"]
        source = f"bucket/k?versionId={first}"
        copied = await world.call("copy_object", Bucket="bucket", Key="k", CopySource=source)
        await remove(world, first)
        assert await world.blobs() == 1
        assert await world.get("k") == LARGE
        await remove(world, copied["VersionId"])
        assert await world.blobs() == 0

    run(story())


def test_events_name_the_version_and_tell_markers_from_removals(world: World) -> None:
    """User Guide, "Event message structure": versionId where the bucket has versions."""

    async def story() -> None:
        await notified(world, Events=["s3:ObjectCreated:*", "s3:ObjectRemoved:*"])
        await world.put("k")
        await turn(world, "Enabled")
        version = (await world.put("k", b"x"))["VersionId"]
        marker = (await world.call("delete_object", Bucket="bucket", Key="k"))["VersionId"]
        await remove(world, version)
        await remove(world, "null")
        records: list[dict[str, Any]] = [
            json.loads(delivery.payload)["Records"][0] for delivery in await world.deliveries()
        ]
        told = [(each["eventName"], each["s3"]["object"].get("versionId")) for each in records]
        assert told == [
            ("ObjectCreated:Put", None),
            ("ObjectCreated:Put", version),
            ("ObjectRemoved:DeleteMarkerCreated", marker),
            ("ObjectRemoved:Delete", version),
            ("ObjectRemoved:Delete", "null"),
        ]
        order = [each["s3"]["object"]["sequencer"] for each in records]
        assert order[:3] == sorted(set(order[:3]))
        assert min(order[3:]) > order[2]

    run(story())


def bucket(versioning: str) -> BucketRecord:
    return BucketRecord(
        bucket_id=b"id",
        name="bucket",
        account="1" * 12,
        region="us-east-1",
        location="",
        created_ms=0,
        versioning=versioning,
    )


def test_an_id_says_the_order_of_its_version_and_differs_by_key_and_request() -> None:
    enabled = bucket("Enabled")
    made_of = {
        placed(enabled, None, 1_700_000_000_000, key, request)
        for key in ("a", "b")
        for request in ("r1", "r2")
    }
    assert len({each.version_id for each in made_of}) == 4
    assert {order_of(each.version_id) for each in made_of} == {each.order for each in made_of}
    assert placed(bucket(""), None, 5, "k", "r") == ("", 0, 5 << 20)
    assert placed(bucket("Suspended"), None, 5, "k", "r") == ("", -(5 << 20), 5 << 20)


@pytest.mark.parametrize("version_id", ["", "v", "0" * 31, "0" * 33, "-" + "0" * 31, "z" * 32])
def test_what_cannot_be_an_id_is_refused(version_id: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid version id specified"):
        order_of(version_id)
