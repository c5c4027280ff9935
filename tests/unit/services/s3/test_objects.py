"""Objects: written, read, listed, copied and deleted."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from tests.unit.services.s3.world import (
    BIG,
    LARGE,
    OTHER,
    Stream,
    World,
    body_of,
    complete,
    made,
    run,
    upload,
)

from fogbank.base.errors import AccessDenied, Conflict
from fogbank.platform.blobs.port import INLINE_BYTES_MAX
from fogbank.services.s3.errors import (
    BadDigest,
    IncompleteBody,
    InvalidRequest,
    MalformedXML,
    NoSuchBucket,
    NoSuchKey,
    NotModified,
    PreconditionFailed,
)
from fogbank.services.s3.state.tasks import READ_GRACE_MS
from fogbank.wire.checksums import digest_of, text_of


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
