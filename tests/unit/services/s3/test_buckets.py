"""Buckets from their creation to their end, whatever cuts it short."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.s3.world import (
    BIG,
    LARGE,
    OTHER,
    OWNER,
    World,
    complete,
    made,
    run,
    upload,
)

from fogbank.base.errors import AccessDenied, ServiceError
from fogbank.services.s3.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    NoSuchBucket,
    NoSuchUpload,
)
from fogbank.services.s3.state.tasks import READ_GRACE_MS, WORKFLOW_GRACE_MS


def test_a_bucket_can_be_created_found_listed_and_deleted(world: World) -> None:
    async def story() -> None:
        await made(world)
        assert (await world.call("head_bucket", Bucket="bucket"))["BucketRegion"] == "us-east-1"
        assert await world.call("get_bucket_location", Bucket="bucket") == {}
        listed = await world.call("list_buckets")
        assert [bucket["Name"] for bucket in listed["Buckets"]] == ["bucket"]
        await world.call("delete_bucket", Bucket="bucket")
        with pytest.raises(NoSuchBucket):
            await world.call("head_bucket", Bucket="bucket")
        assert (await world.call("list_buckets"))["Buckets"] == []

    run(story())


def test_a_name_belongs_to_one_account(world: World) -> None:
    async def story() -> None:
        await made(world)
        await made(world)
        with pytest.raises(BucketAlreadyExists):
            await world.call("create_bucket", OTHER, Bucket="bucket")
        with pytest.raises(AccessDenied):
            await world.call("head_bucket", OTHER, Bucket="bucket")
        with pytest.raises(AccessDenied):
            await world.call("put_object", OTHER, Bucket="bucket", Key="k")
        assert (await world.call("list_buckets", OTHER))["Buckets"] == []

    run(story())


def test_creating_a_bucket_again_is_an_error_outside_of_us_east_1(world: World) -> None:
    async def story() -> None:
        location = {"LocationConstraint": "eu-west-1"}
        await made(world, CreateBucketConfiguration=location)
        with pytest.raises(BucketAlreadyOwnedByYou):
            await made(world, CreateBucketConfiguration=location)
        reply = await world.call("get_bucket_location", Bucket="bucket")
        assert reply == {"LocationConstraint": "eu-west-1"}

    run(story())


def test_an_expected_owner_must_be_the_owner(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.call("head_bucket", Bucket="bucket", ExpectedBucketOwner=OWNER)
        for strange in (OTHER, "x"):
            with pytest.raises(ServiceError):
                await world.call("head_bucket", Bucket="bucket", ExpectedBucketOwner=strange)

    run(story())


def test_buckets_are_listed_in_pages_by_prefix_and_region(world: World) -> None:
    async def story() -> None:
        for name in ("bbb", "aab", "aaa", "ccc"):
            await made(world, name)
        await made(world, "aac", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        page = await world.call("list_buckets", MaxBuckets=2, Prefix="aa")
        assert [bucket["Name"] for bucket in page["Buckets"]] == ["aaa", "aab"]
        more = await world.call(
            "list_buckets", MaxBuckets=2, Prefix="aa", ContinuationToken=page["ContinuationToken"]
        )
        assert [bucket["Name"] for bucket in more["Buckets"]] == ["aac"]
        assert "ContinuationToken" not in more
        europe = await world.call("list_buckets", BucketRegion="eu-west-1")
        assert [bucket["Name"] for bucket in europe["Buckets"]] == ["aac"]

    run(story())


def test_a_bucket_with_objects_is_not_deleted(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k")
        with pytest.raises(BucketNotEmpty):
            await world.call("delete_bucket", Bucket="bucket")
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.call("delete_bucket", Bucket="bucket")

    run(story())


def test_a_bucket_created_again_sees_nothing_of_the_old_one(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, _ = await upload(world, BIG)
        await world.call("delete_bucket", Bucket="bucket")
        await made(world)
        assert (await world.call("list_multipart_uploads", Bucket="bucket"))["Uploads"] == []
        with pytest.raises(NoSuchUpload):
            await world.call("list_parts", Bucket="bucket", Key="k", UploadId=upload_id)
        await world.advance(READ_GRACE_MS + 1)
        assert await world.keys_of("bucket") == 1
        assert await world.blobs() == 0

    run(story())


def test_nothing_is_left_of_a_deleted_bucket(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("small", b"x")
        await world.put("large", LARGE)
        done = await upload(world, BIG, b"end", key="multi")
        await complete(world, *done, key="multi")
        await upload(world, BIG, key="begun")
        for key in ("small", "large", "multi"):
            await world.call("delete_object", Bucket="bucket", Key=key)
        await world.call("delete_bucket", Bucket="bucket")
        await world.advance(2 * READ_GRACE_MS)
        assert await world.keys_of("bucket") == 0
        assert await world.blobs() == 0
        # The count of the account stays.
        assert await world.directory_keys() == 1

    run(story())


class Died(BaseException):
    """The process ends here."""


def dying_at(world: World, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the engine die at a commit."""
    commit = world.engine._commit
    steps = 0

    def counted(tr: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise Died
        commit(tr)

    monkeypatch.setattr(world.engine, "_commit", counted)


@pytest.mark.parametrize("step", [2, 3])
def test_a_creation_cut_short_is_finished(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    async def story() -> None:
        with monkeypatch.context() as patch:
            dying_at(world, patch, step)
            with pytest.raises(Died):
                await made(world)
        assert (await world.call("list_buckets"))["Buckets"] == []
        await world.advance(WORKFLOW_GRACE_MS)
        assert len((await world.call("list_buckets"))["Buckets"]) == 1
        await world.put("k")

    run(story())


@pytest.mark.parametrize("step", [2, 3])
def test_a_deletion_cut_short_is_finished(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    async def story() -> None:
        await made(world)
        with monkeypatch.context() as patch:
            dying_at(world, patch, step)
            with pytest.raises(Died):
                await world.call("delete_bucket", Bucket="bucket")
        with pytest.raises(NoSuchBucket):
            await world.put("k")
        await world.advance(WORKFLOW_GRACE_MS)
        assert (await world.call("list_buckets"))["Buckets"] == []
        await made(world)
        await world.put("k")
        await world.advance(READ_GRACE_MS + 1)
        assert await world.get("k") == b""

    run(story())


def test_a_name_can_be_taken_again_while_the_old_bucket_is_still_going(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        with monkeypatch.context() as patch:
            dying_at(world, patch, 3)
            with pytest.raises(Died):
                await world.call("delete_bucket", Bucket="bucket")
        await made(world)
        await world.put("k", b"new")
        await world.advance(2 * READ_GRACE_MS)
        assert await world.get("k") == b"new"

    run(story())
