from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from tests.unit.services.s3.world import OTHER, OWNER, Stream, World, body_of, run

from fogbank.base.errors import AccessDenied, Conflict, ServiceError
from fogbank.platform.blobs.port import INLINE_BYTES_MAX
from fogbank.services.s3.errors import (
    BadDigest,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    EntityTooSmall,
    IncompleteBody,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NotModified,
    PreconditionFailed,
)
from fogbank.services.s3.quotas import PART_BYTES_MIN
from fogbank.services.s3.state import uploads
from fogbank.services.s3.state.tasks import READ_GRACE_MS, WORKFLOW_GRACE_MS
from fogbank.wire.checksums import digest_of, text_of

LARGE = bytes(range(256)) * 1024  # 256 KiB: a blob
BIG = b"p" * PART_BYTES_MIN


async def made(world: World, name: str = "bucket", **more: Any) -> World:
    await world.call("create_bucket", Bucket=name, **more)
    return world


async def upload(world: World, *parts: bytes, key: str = "k", **more: Any) -> tuple[str, list[Any]]:
    begun = await world.call("create_multipart_upload", Bucket="bucket", Key=key, **more)
    listed = []
    for number, part in enumerate(parts, start=1):
        reply = await world.call(
            "upload_part",
            Bucket="bucket",
            Key=key,
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=part,
        )
        listed.append({"PartNumber": number, "ETag": reply["ETag"]})
    return begun["UploadId"], listed


async def complete(
    world: World, upload_id: str, parts: list[Any], key: str = "k", **more: Any
) -> Any:
    return await world.call(
        "complete_multipart_upload",
        Bucket="bucket",
        Key=key,
        UploadId=upload_id,
        MultipartUpload={"Parts": parts},
        **more,
    )


# Buckets.


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


# Objects.


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3 << 20])
def test_an_object_comes_back_as_it_was_put(world: World, size: int) -> None:
    content = bytes(index % 251 for index in range(size))

    async def story() -> None:
        await made(world)
        for body in (content, Stream(content), Stream(content, length=None)):
            reply = await world.put("k", body)
            assert reply["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
            assert reply["ChecksumCRC64NVME"] == text_of(digest_of("CRC64NVME", content))
            assert await world.get("k") == content
        assert await world.blobs() == (1 if size > INLINE_BYTES_MAX else 0)

    run(story())


def test_an_object_has_its_headers_and_metadata(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", b"x", ContentType="text/plain", Metadata={"A": "1"})
        head = await world.call("head_object", Bucket="bucket", Key="k")
        assert head["ContentType"] == "text/plain"
        assert head["Metadata"] == {"a": "1"}
        assert head["ContentLength"] == 1
        assert head["LastModified"] == world.clock.now_ms()
        assert "ChecksumCRC64NVME" not in head
        shown = await world.call(
            "head_object",
            Bucket="bucket",
            Key="k",
            ChecksumMode="ENABLED",
            ResponseContentType="a/b",
        )
        assert shown["ChecksumType"] == "FULL_OBJECT"
        assert shown["ContentType"] == "a/b"

    run(story())


@pytest.mark.parametrize("size", [10, 2 * INLINE_BYTES_MAX])
def test_ranges_of_an_object_can_be_read(world: World, size: int) -> None:
    content = bytes(index % 251 for index in range(size))

    async def story() -> None:
        await made(world)
        await world.put("k", content)
        reply = await world.call("get_object", Bucket="bucket", Key="k", Range="bytes=2-5")
        assert await body_of(reply) == content[2:6]
        assert reply["ContentRange"] == f"bytes 2-5/{size}"
        assert reply["ContentLength"] == 4
        assert await world.get("k", Range="bytes=-3") == content[-3:]

    run(story())


def test_nothing_is_visible_of_a_body_that_is_not_what_was_said(world: World) -> None:
    broken = (
        (Stream(LARGE, length=len(LARGE) + 1), {}, IncompleteBody),
        (Stream(LARGE, error=BadDigest("signature")), {}, BadDigest),
        (Stream(LARGE), {"ContentMD5": text_of(bytes(16))}, BadDigest),
        (Stream(LARGE), {"ChecksumCRC32": text_of(bytes(4))}, BadDigest),
        (b"small", {"ChecksumSHA256": text_of(bytes(32))}, BadDigest),
    )

    async def story() -> None:
        await made(world)
        for body, more, error in broken:
            with pytest.raises(error):
                await world.put("k", body, **more)
        with pytest.raises(BadDigest):
            await world.put(
                "k",
                Stream(LARGE, trailers={"x-amz-checksum-crc32": text_of(bytes(4))}),
                headers={"x-amz-trailer": "x-amz-checksum-crc32"},
            )
        with pytest.raises(NoSuchKey):
            await world.get("k")
        assert await world.blobs() == 0

    run(story())


def test_a_checksum_in_the_trailer_is_kept(world: World) -> None:
    async def story() -> None:
        await made(world)
        checksum = text_of(digest_of("CRC32C", LARGE))
        reply = await world.put(
            "k",
            Stream(LARGE, trailers={"x-amz-checksum-crc32c": checksum}),
            ChecksumAlgorithm="CRC32C",
            headers={"x-amz-trailer": "x-amz-checksum-crc32c"},
        )
        assert reply["ChecksumCRC32C"] == checksum

    run(story())


def test_a_replaced_object_lets_go_of_its_body(world: World) -> None:
    async def story() -> None:
        await made(world)
        before = await world.keys_of("bucket")
        for body in (LARGE, b"small", LARGE, LARGE, b"small"):
            await world.put("k", body)
        assert await world.blobs() == 0
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.call("delete_object", Bucket="bucket", Key="k")
        assert await world.keys_of("bucket") == before

    run(story())


def test_a_reader_goes_on_when_the_object_is_replaced(world: World) -> None:
    async def story() -> None:
        await made(world)
        content = b"a" * (3 << 20)
        await world.put("k", content)
        reply = await world.call("get_object", Bucket="bucket", Key="k")
        await world.put("k", b"new")
        assert await world.blobs() == 0
        assert await body_of(reply) == content
        assert await world.get("k") == b"new"

    run(story())


def test_writes_are_conditional(world: World) -> None:
    async def story() -> None:
        await made(world)
        etag = (await world.put("k", b"1", IfNoneMatch="*"))["ETag"]
        with pytest.raises(PreconditionFailed):
            await world.put("k", b"2", IfNoneMatch="*")
        with pytest.raises(PreconditionFailed):
            await world.put("k", b"2", IfMatch='"x"')
        with pytest.raises(NoSuchKey):
            await world.put("l", b"2", IfMatch=etag)
        await world.put("k", b"2", IfMatch=etag)
        with pytest.raises(PreconditionFailed):
            await world.call("delete_object", Bucket="bucket", Key="k", IfMatch=etag)
        assert await world.get("k") == b"2"

    run(story())


def test_of_conditional_writes_at_once_one_wins(world: World) -> None:
    async def story() -> None:
        await made(world)
        outcomes = await asyncio.gather(
            *(world.put("k", Stream(LARGE), IfNoneMatch="*") for _ in range(8)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 7
        assert await world.blobs() == 1

    run(story())


def test_reads_are_conditional(world: World) -> None:
    async def story() -> None:
        await made(world)
        etag = (await world.put("k", b"1"))["ETag"]
        with pytest.raises(NotModified):
            await world.get("k", IfNoneMatch=etag)
        with pytest.raises(PreconditionFailed):
            await world.get("k", IfMatch="x")

    run(story())


def test_who_may_not_list_is_not_told_that_a_key_is_missing(world: World) -> None:
    async def story() -> None:
        await made(world)
        world.denials.actions.add("s3:ListBucket")
        with pytest.raises(AccessDenied):
            await world.get("k")

    run(story())


def test_many_objects_are_deleted_each_by_itself(world: World) -> None:
    async def story() -> None:
        await made(world)
        for index in range(60):
            await world.put(f"k{index}")
        world.denials.resources.add("arn:aws:s3:::bucket/k7")
        entries = [{"Key": f"k{index}"} for index in range(60)] + [
            {"Key": "none"},
            {"Key": "k5", "VersionId": "v"},
        ]
        entries[9]["ETag"] = "x"
        reply = await world.call("delete_objects", Bucket="bucket", Delete={"Objects": entries})
        errors = {error["Key"]: error["Code"] for error in reply["Errors"]}
        assert errors == {
            "k7": "AccessDenied",
            "k9": "PreconditionFailed",
            "k5": "NoSuchVersion",
        }
        assert len(reply["Deleted"]) == 59
        listed = await world.call("list_objects_v2", Bucket="bucket")
        assert [entry["Key"] for entry in listed["Contents"]] == ["k7", "k9"]
        quiet = await world.call(
            "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "k9"}], "Quiet": True}
        )
        assert quiet == {}

    run(story())


def test_at_most_a_thousand_objects_are_deleted_at_once(world: World) -> None:
    async def story() -> None:
        await made(world)
        for count in (0, 1_001):
            with pytest.raises(MalformedXML):
                await world.call(
                    "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "k"}] * count}
                )

    run(story())


# Listings.


def test_listings_of_many_keys_are_paged(world: World) -> None:
    keys = sorted(
        [f"a/{index:04}" for index in range(300)] + [f"b{index}/x" for index in range(40)] + ["c"],
        key=lambda key: key.encode(),
    )

    async def story() -> None:
        await made(world)
        for key in reversed(keys):
            await world.put(key)
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await world.call("list_objects_v2", Bucket="bucket", MaxKeys=77, **more)
            found += [entry["Key"] for entry in page["Contents"]]
            if not page["IsTruncated"]:
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        assert found == keys
        folders = await world.call("list_objects", Bucket="bucket", Delimiter="/")
        assert len(folders["CommonPrefixes"]) == 41
        assert [entry["Key"] for entry in folders["Contents"]] == ["c"]
        page = await world.call("list_objects", Bucket="bucket", Delimiter="/", MaxKeys=1)
        assert page["NextMarker"] == "a/"
        behind = await world.call(
            "list_objects", Bucket="bucket", Delimiter="/", MaxKeys=1, Marker=page["NextMarker"]
        )
        assert behind["CommonPrefixes"] == [{"Prefix": "b0/"}]

    run(story())


def test_listings_can_be_url_encoded(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("a b/ü")
        page = await world.call(
            "list_objects_v2", Bucket="bucket", EncodingType="url", Delimiter="/"
        )
        assert page["CommonPrefixes"] == [{"Prefix": "a%20b/"}]
        page = await world.call("list_objects_v2", Bucket="bucket", EncodingType="url")
        assert page["Contents"][0]["Key"] == "a%20b/%C3%BC"

    run(story())


# Copies.


@pytest.mark.parametrize("size", [3, 2 * INLINE_BYTES_MAX])
@pytest.mark.parametrize("target", ["bucket", "other"])
def test_a_copy_is_like_its_source_and_lives_on_without_it(
    world: World, size: int, target: str
) -> None:
    content = b"c" * size

    async def story() -> None:
        await made(world)
        await made(world, "other")
        put = await world.put("k", content, Metadata={"a": "1"}, ContentType="t/x")
        reply = await world.call("copy_object", Bucket=target, Key="l", CopySource="bucket/k")
        assert reply["CopyObjectResult"]["ETag"] == put["ETag"]
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.blobs()
        assert await world.get("l", target) == content
        head = await world.call("head_object", Bucket=target, Key="l")
        assert head["Metadata"] == {"a": "1"}
        assert head["ContentType"] == "t/x"
        await world.call("delete_object", Bucket=target, Key="l")
        assert await world.blobs() == 0

    run(story())


def test_a_copy_can_replace_metadata_even_onto_itself(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE, Metadata={"a": "1"})
        with pytest.raises(InvalidRequest):
            await world.call("copy_object", Bucket="bucket", Key="k", CopySource="bucket/k")
        await world.call(
            "copy_object",
            Bucket="bucket",
            Key="k",
            CopySource="bucket/k",
            MetadataDirective="REPLACE",
            Metadata={"b": "2"},
            ChecksumAlgorithm="SHA256",
        )
        head = await world.call("head_object", Bucket="bucket", Key="k", ChecksumMode="ENABLED")
        assert head["Metadata"] == {"b": "2"}
        assert head["ChecksumSHA256"] == text_of(digest_of("SHA256", LARGE))
        assert await world.get("k") == LARGE
        assert await world.blobs() == 1

    run(story())


def test_a_copy_of_what_is_not_there_is_no_such_key(world: World) -> None:
    async def story() -> None:
        await made(world)
        with pytest.raises(NoSuchKey):
            await world.call("copy_object", Bucket="bucket", Key="l", CopySource="bucket/k")
        with pytest.raises(NoSuchBucket):
            await world.call("copy_object", Bucket="bucket", Key="l", CopySource="nowhere/k")

    run(story())


def test_an_object_of_another_account_cannot_be_copied(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", b"secret")
        await world.call("create_bucket", OTHER, Bucket="theirs")
        with pytest.raises(AccessDenied):
            await world.call("copy_object", OTHER, Bucket="theirs", Key="k", CopySource="bucket/k")

    run(story())


def test_the_copy_of_a_multipart_object_is_an_ordinary_object(world: World) -> None:
    content = BIG + b"end"

    async def story() -> None:
        await made(world)
        await made(world, "other")
        await complete(world, *await upload(world, BIG, b"end"))
        for target in ("bucket", "other"):
            await world.call("copy_object", Bucket=target, Key="l", CopySource="bucket/k")
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.advance(2 * READ_GRACE_MS)
        await world.blobs()
        for target in ("bucket", "other"):
            head = await world.call("head_object", Bucket=target, Key="l")
            assert head["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
            assert await world.get("l", target) == content
            await world.call("delete_object", Bucket=target, Key="l")
        await world.advance(2 * READ_GRACE_MS)
        assert await world.blobs() == 0

    run(story())


# Uploads.


def test_parts_become_one_object(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, BIG, BIG, b"end", Metadata={"a": "1"})
        reply = await complete(world, upload_id, parts)
        digests = b"".join(hashlib.md5(part).digest() for part in (BIG, BIG, b"end"))
        assert reply["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
        whole = BIG + BIG + b"end"
        assert reply["ChecksumCRC64NVME"] == text_of(digest_of("CRC64NVME", whole))
        assert await world.get("k") == whole
        begin = PART_BYTES_MIN - 2
        assert await world.get("k", Range=f"bytes={begin}-{begin + 3}") == whole[begin : begin + 4]
        assert await world.get("k", Range="bytes=-5") == whole[-5:]
        part = await world.call("get_object", Bucket="bucket", Key="k", PartNumber=3)
        assert await body_of(part) == b"end"
        assert part["PartsCount"] == 3
        assert part["ContentRange"] == f"bytes {2 * PART_BYTES_MIN}-{len(whole) - 1}/{len(whole)}"
        with pytest.raises(InvalidPartNumber):
            await world.get("k", PartNumber=4)
        assert (await world.call("head_object", Bucket="bucket", Key="k"))["Metadata"] == {"a": "1"}

    run(story())


def test_completing_twice_answers_twice_and_aborting_then_is_too_late(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, b"x")
        first = await complete(world, upload_id, parts)
        assert await complete(world, upload_id, parts) == first
        with pytest.raises(NoSuchUpload):
            await complete(world, upload_id, [{"PartNumber": 2, "ETag": "x"}])
        with pytest.raises(NoSuchUpload):
            await world.call("abort_multipart_upload", Bucket="bucket", Key="k", UploadId=upload_id)
        (timer,) = await world.timers()
        assert timer.due_ms == world.clock.now_ms() + uploads.COMPLETED_KEPT_MS

    run(story())


def test_parts_that_cannot_make_an_object_are_refused(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, b"small", b"end")
        with pytest.raises(EntityTooSmall):
            await complete(world, upload_id, parts)
        with pytest.raises(InvalidPartOrder):
            await complete(world, upload_id, parts[::-1])
        with pytest.raises(InvalidPart):
            await complete(world, upload_id, [{"PartNumber": 7, "ETag": "x"}])
        with pytest.raises(InvalidPart):
            await complete(world, upload_id, [parts[0] | {"ETag": "x"}])
        with pytest.raises(InvalidRequest):
            await complete(world, upload_id, [])
        with pytest.raises(BadDigest):
            await complete(world, upload_id, parts[:1], ChecksumCRC64NVME="bad")
        with pytest.raises(InvalidRequest):
            await complete(world, upload_id, parts[:1], MpuObjectSize=4)
        with pytest.raises(NoSuchUpload):
            await complete(world, "nothing", parts)
        old = parts[0] | {"ETag": "x"}
        await complete(world, upload_id, [old, parts[0]], MpuObjectSize=5)
        assert await world.get("k") == b"small"

    run(story())


def test_parts_that_are_replaced_or_left_out_are_removed(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, BIG, b"two", b"three")
        again = await world.call(
            "upload_part", Bucket="bucket", Key="k", UploadId=upload_id, PartNumber=2, Body=b"TWO"
        )
        assert await world.blobs() == 3
        await complete(world, upload_id, [parts[0], {"PartNumber": 2, "ETag": again["ETag"]}])
        await world.tasks()
        assert await world.blobs() == 2
        assert await world.get("k") == BIG + b"TWO"
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.tasks()
        assert await world.blobs() == 2
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 0

    run(story())


def test_an_aborted_upload_leaves_nothing(world: World) -> None:
    async def story() -> None:
        await made(world)
        before = await world.keys_of("bucket")
        upload_id, _ = await upload(world, *[b"x"] * 5)
        await world.call("abort_multipart_upload", Bucket="bucket", Key="k", UploadId=upload_id)
        with pytest.raises(NoSuchUpload):
            await world.call(
                "upload_part", Bucket="bucket", Key="k", UploadId=upload_id, PartNumber=1, Body=b"x"
            )
        await world.tasks()
        assert await world.blobs() == 0
        assert await world.keys_of("bucket") == before

    run(story())


def test_a_part_that_comes_while_its_upload_is_completed_is_not_lost_by_accident(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, b"old")
        read = uploads.all_parts
        races = 0

        async def racing(*arguments: Any) -> Any:
            nonlocal races
            found = await read(*arguments)
            if races < 1:
                races += 1
                await world.call(
                    "upload_part",
                    Bucket="bucket",
                    Key="k",
                    UploadId=upload_id,
                    PartNumber=1,
                    Body=b"new",
                )
            return found

        monkeypatch.setattr(uploads, "all_parts", racing)
        with pytest.raises(InvalidPart):
            await complete(world, upload_id, parts)
        monkeypatch.setattr(uploads, "all_parts", read)
        fresh = await world.call("list_parts", Bucket="bucket", Key="k", UploadId=upload_id)
        part = fresh["Parts"][0]
        await complete(world, upload_id, [{"PartNumber": 1, "ETag": part["ETag"]}])
        assert await world.get("k") == b"new"

    run(story())


def test_completing_gives_up_when_parts_never_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, b"same")
        read = uploads.all_parts

        async def racing(*arguments: Any) -> Any:
            found = await read(*arguments)
            await world.call(
                "upload_part",
                Bucket="bucket",
                Key="k",
                UploadId=upload_id,
                PartNumber=2,
                Body=b"more",
            )
            return found

        monkeypatch.setattr(uploads, "all_parts", racing)
        with pytest.raises(Conflict):
            await complete(world, upload_id, parts)

    run(story())


def test_composite_checksums_are_kept_and_compared(world: World) -> None:
    async def story() -> None:
        await made(world)
        begun = await world.call(
            "create_multipart_upload", Bucket="bucket", Key="k", ChecksumAlgorithm="SHA256"
        )
        assert begun["ChecksumType"] == "COMPOSITE"
        place = {"Bucket": "bucket", "Key": "k", "UploadId": begun["UploadId"]}
        with pytest.raises(InvalidRequest, match="expected checksum Type: sha256"):
            await world.call("upload_part", **place, PartNumber=1, Body=b"x")
        text = text_of(digest_of("SHA256", b"x"))
        part = await world.call(
            "upload_part", **place, PartNumber=1, Body=b"x", ChecksumSHA256=text
        )
        listed = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": text}]
        for wrong in ("bad", text_of(bytes(32))):
            with pytest.raises(BadDigest):
                await complete(world, begun["UploadId"], listed, ChecksumSHA256=wrong)
        bad = [listed[0] | {"ChecksumSHA256": text_of(bytes(32))}]
        with pytest.raises(InvalidPart):
            await complete(world, begun["UploadId"], bad)
        done = await complete(world, begun["UploadId"], listed)
        assert done["ChecksumSHA256"].endswith("=-1")
        attributes = await world.call(
            "get_object_attributes",
            Bucket="bucket",
            Key="k",
            ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
        )
        assert attributes["ObjectSize"] == 1
        assert attributes["Checksum"]["ChecksumSHA256"] == done["ChecksumSHA256"][:-2]
        assert attributes["ObjectParts"]["Parts"] == [
            {"PartNumber": 1, "Size": 1, "ChecksumSHA256": text}
        ]

    run(story())


def test_a_part_can_be_copied_from_a_range(world: World) -> None:
    async def story() -> None:
        await made(world)
        await made(world, "source")
        await world.put("from", LARGE, "source")
        begun = await world.call("create_multipart_upload", Bucket="bucket", Key="k")
        place = {"Bucket": "bucket", "Key": "k", "UploadId": begun["UploadId"]}
        reply = await world.call(
            "upload_part_copy",
            **place,
            PartNumber=1,
            CopySource="source/from",
            CopySourceRange="bytes=10-99999",
        )
        etag = reply["CopyPartResult"]["ETag"]
        assert etag == f'"{hashlib.md5(LARGE[10:100_000]).hexdigest()}"'
        await complete(world, begun["UploadId"], [{"PartNumber": 1, "ETag": etag}])
        assert await world.get("k") == LARGE[10:100_000]

    run(story())


def test_uploads_and_parts_are_listed_in_pages(world: World) -> None:
    async def story() -> None:
        await made(world)
        ids = []
        for key in ("b", "a", "b", "c/1", "c/2"):
            begun = await world.call("create_multipart_upload", Bucket="bucket", Key=key)
            ids.append((key, begun["UploadId"]))
            world.clock.advance_to(world.clock.now_ms() + 1)
        expected = [ids[1], ids[0], ids[2], ids[3], ids[4]]
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            page = await world.call("list_multipart_uploads", Bucket="bucket", MaxUploads=2, **more)
            found += [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]]
            if not page["IsTruncated"]:
                break
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }
        assert found == expected
        folders = await world.call("list_multipart_uploads", Bucket="bucket", Delimiter="/")
        assert folders["CommonPrefixes"] == [{"Prefix": "c/"}]
        upload_id, _ = await upload(world, *[b"x"] * 5)
        page = await world.call(
            "list_parts", Bucket="bucket", Key="k", UploadId=upload_id, MaxParts=2
        )
        assert page["IsTruncated"]
        assert page["NextPartNumberMarker"] == 2
        rest = await world.call(
            "list_parts", Bucket="bucket", Key="k", UploadId=upload_id, PartNumberMarker=2
        )
        assert [part["PartNumber"] for part in rest["Parts"]] == [3, 4, 5]

    run(story())


@pytest.mark.slow
def test_ten_thousand_parts_make_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr("fogbank.services.s3.rules.multipart.PART_BYTES_MIN", 1)

    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, *[b"x%05d" % index for index in range(10_000)])
        await complete(world, upload_id, parts)
        whole = b"".join(b"x%05d" % index for index in range(10_000))
        assert await world.get("k") == whole
        assert await world.get("k", Range="bytes=35997-36004") == whole[35997:36005]
        part = await world.call("get_object", Bucket="bucket", Key="k", PartNumber=9_999)
        assert await body_of(part) == b"x09998"
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 0
        # The bucket and the completed upload.
        assert await world.keys_of("bucket") == 2

    run(story())


def test_a_failing_commit_leaves_no_blob(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await made(world)

        def refuse(*_: Any) -> None:
            raise Conflict("no")

        with monkeypatch.context() as patch:
            patch.setattr(world.engine, "_commit", refuse)
            with pytest.raises(Conflict):
                await world.put("k", LARGE)
        assert await world.blobs() == 0

    run(story())
