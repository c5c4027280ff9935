"""Appends: objects that grow by parts, and what becomes of the bytes that others share."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.s3.world import BIG, LARGE, World, body_of, complete, made, run, upload

from fogbank.base.errors import Conflict, NotBuilt
from fogbank.services.s3.errors import (
    BadDigest,
    EncryptionTypeMismatch,
    EntityTooLarge,
    InvalidRequest,
    InvalidWriteOffset,
    PreconditionFailed,
    TooManyParts,
)
from fogbank.services.s3.rules import appending
from fogbank.services.s3.rules.encryption import Asked
from fogbank.services.s3.schema import Checksum, ObjectKey, ObjectRecord
from fogbank.services.s3.state import appending as growing
from fogbank.services.s3.state.tasks import READ_GRACE_MS
from fogbank.wire.checksums import digest_of, text_of


async def append(world: World, key: str, body: Any, offset: int, **more: Any) -> Any:
    return await world.put(key, body, WriteOffsetBytes=offset, **more)


async def attributes(world: World, key: str) -> Any:
    wanted = ["ETag", "Checksum", "ObjectParts", "ObjectSize"]
    return await world.call(
        "get_object_attributes", Bucket="bucket", Key=key, ObjectAttributes=wanted
    )


@pytest.mark.parametrize("first", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("second", [b"", b"more", LARGE], ids=["nothing", "little", "much"])
def test_an_object_grows_by_what_is_put_at_its_end(
    world: World, first: bytes, second: bytes
) -> None:
    async def story() -> None:
        await made(world)
        await append(world, "k", first, 0, Metadata={"a": "1"}, ContentType="text/plain")
        whole = first
        for more in (second, b"end"):
            reply = await append(world, "k", more, len(whole))
            whole += more
            assert reply["Size"] == len(whole)
            assert reply["ChecksumCRC64NVME"] == text_of(digest_of("CRC64NVME", whole))
            assert reply["ChecksumType"] == "FULL_OBJECT"
            head = await world.call("head_object", Bucket="bucket", Key="k")
            assert head["ETag"] == reply["ETag"]
            assert head["ContentLength"] == len(whole)
            assert head["Metadata"] == {"a": "1"}
            assert head["ContentType"] == "text/plain"
            assert await world.get("k") == whole
            if whole:
                assert await world.get("k", Range=f"bytes={len(whole) - 1}-") == whole[-1:]
        await world.call("delete_object", Bucket="bucket", Key="k")
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 0

    run(story())


def test_small_appends_stay_one_small_body_until_it_is_large(world: World) -> None:
    async def story() -> None:
        await made(world)
        for number in range(3):
            await append(world, "k", b"x" * 30_000, number * 30_000)
            assert await world.blobs() == (0 if number < 2 else 1)
        assert "ObjectParts" not in await attributes(world, "k")
        await append(world, "k", b"y", 90_000)
        assert (await attributes(world, "k"))["ObjectParts"]["TotalPartsCount"] == 2
        assert await world.get("k") == b"x" * 90_000 + b"y"

    run(story())


def test_an_append_elsewhere_than_at_the_end_is_refused_and_leaves_nothing(world: World) -> None:
    async def story() -> None:
        await made(world)
        with pytest.raises(InvalidWriteOffset):
            await append(world, "k", b"x", 1)
        await world.put("k", b"12345")
        for offset in (0, 4, 6):
            with pytest.raises(InvalidWriteOffset):
                await append(world, "k", LARGE, offset)
        assert await world.get("k") == b"12345"
        assert await world.blobs() == 0

    run(story())


def test_an_append_meets_its_conditions_and_its_checksum(world: World) -> None:
    async def story() -> None:
        await made(world)
        etag = (await world.put("k", b"12345"))["ETag"]
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
            with pytest.raises(PreconditionFailed):
                await append(world, "k", b"6", 5, **condition)
        with pytest.raises(BadDigest):
            await append(world, "k", b"6", 5, ChecksumSHA256=text_of(digest_of("SHA256", b"7")))
        await append(
            world, "k", b"6", 5, IfMatch=etag, ChecksumSHA256=text_of(digest_of("SHA256", b"6"))
        )
        assert await world.get("k") == b"123456"

    run(story())


def test_what_is_said_of_a_whole_object_is_not_said_with_an_append(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", b"12345")
        for more in ({"Metadata": {"a": "1"}}, {"Tagging": "a=1"}, {"ACL": "private"}):
            with pytest.raises(InvalidRequest, match="cannot be given with an append"):
                await append(world, "k", b"6", 5, **more)

    run(story())


def test_where_there_are_versions_nothing_grows(world: World) -> None:
    async def story() -> None:
        await made(world)
        for status in ("Enabled", "Suspended"):
            await world.call(
                "put_bucket_versioning",
                Bucket="bucket",
                VersioningConfiguration={"Status": status},
            )
            with pytest.raises(NotBuilt, match="in a bucket with versions"):
                await append(world, "k", b"x", 0)

    run(story())


def test_of_two_appends_to_one_end_one_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        grow = growing._grow

        async def meanwhile(*given: Any) -> Any:
            monkeypatch.setattr(growing, "_grow", grow)
            await append(world, "k", b"first", len(LARGE))
            return await grow(*given)

        monkeypatch.setattr(growing, "_grow", meanwhile)
        with pytest.raises(InvalidWriteOffset):
            await append(world, "k", b"second", len(LARGE))
        assert await world.get("k") == LARGE + b"first"
        assert await world.blobs() == 2

    run(story())


def test_an_append_goes_over_no_object_that_came_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        find = growing.find_appendable

        async def meanwhile(*given: Any) -> Any:
            found = await find(*given)
            monkeypatch.setattr(growing, "find_appendable", find)
            await world.put("k", content)
            return found

        for content, error in ((b"", InvalidWriteOffset), (b"12345", Conflict)):
            monkeypatch.setattr(growing, "find_appendable", meanwhile)
            with pytest.raises(error):
                await append(world, "k", b"other", len(await world.get("k")) if content else 0)
            assert await world.get("k") == content
            await world.put("k", b"54321")

    run(story())


def test_a_copy_keeps_its_bytes_when_one_of_the_two_grows(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await append(world, "k", LARGE, len(LARGE))
        source = "bucket/k"
        await world.call("copy_object", Bucket="bucket", Key="copy", CopySource=source)
        assert await world.blobs() == 2
        for key in ("k", "copy"):
            await append(world, key, key.encode(), 2 * len(LARGE))
        for key in ("k", "copy"):
            assert await world.get(key) == 2 * LARGE + key.encode()
        for key in ("k", "copy"):
            await world.call("delete_object", Bucket="bucket", Key=key)
            await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 0

    run(story())


def test_what_is_copied_while_it_grows_stays_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await append(world, "k", b"more", len(LARGE))
        grow = growing._grow

        async def meanwhile(*given: Any) -> Any:
            grown = await grow(*given)
            await world.call("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/k")
            return grown

        monkeypatch.setattr(growing, "_grow", meanwhile)
        with pytest.raises(Conflict, match="copied"):
            await append(world, "k", b"and more", len(LARGE) + 4)
        for key in ("k", "copy"):
            assert await world.get(key) == LARGE + b"more"

    run(story())


def test_a_copy_that_outlives_its_source_grows_by_parts_of_its_own_checksum(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await append(world, "k", b"more", len(LARGE))
        given = {"Bucket": "bucket", "Key": "copy", "ChecksumAlgorithm": "CRC32"}
        await world.call("copy_object", CopySource="bucket/k", **given)
        await world.call("delete_object", Bucket="bucket", Key="k")
        await append(world, "copy", b"end", len(LARGE) + 4)
        part = await world.call(
            "get_object", Bucket="bucket", Key="copy", PartNumber=1, ChecksumMode="ENABLED"
        )
        body = await body_of(part)
        assert part["ChecksumCRC32"] == text_of(digest_of("CRC32", body))
        assert body == LARGE + b"more"

    run(story())


def test_an_object_in_parts_grows_by_one_more(world: World) -> None:
    async def story() -> None:
        await made(world)
        upload_id, parts = await upload(world, BIG, b"end", b"left out")
        await complete(world, upload_id, parts[:2])
        await append(world, "k", b"more", len(BIG) + 3)
        # The sweep of the part that was left out has number 3 of the upload, and not of the object.
        await world.advance(READ_GRACE_MS)
        assert await world.blobs() == 3
        assert await world.get("k") == BIG + b"endmore"
        part = await world.call("get_object", Bucket="bucket", Key="k", PartNumber=3)
        assert await body_of(part) == b"more"
        assert part["PartsCount"] == 3

    run(story())


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_checksums_that_do_not_add_up_give_way_to_one_that_does(
    world: World, algorithm: str
) -> None:
    async def story() -> None:
        await made(world)
        given = {f"Checksum{algorithm}": text_of(digest_of(algorithm, LARGE))}
        await world.put("k", LARGE, **given)
        whole = LARGE + b"end"
        reply = await append(world, "k", b"end", len(LARGE))
        kept = algorithm if algorithm == "CRC32" else "CRC64NVME"
        assert reply[f"Checksum{kept}"] == text_of(digest_of(kept, whole))
        part = await world.call(
            "get_object", Bucket="bucket", Key="k", PartNumber=1, ChecksumMode="ENABLED"
        )
        assert part[f"Checksum{kept}"] == text_of(digest_of(kept, LARGE))

        place = {"Bucket": "bucket", "Key": "p"}
        begun = await world.call("create_multipart_upload", **place, ChecksumAlgorithm="MD5")
        place["UploadId"] = begun["UploadId"]
        listed = []
        for number, body in enumerate((BIG, b"x"), start=1):
            digest = {"ChecksumMD5": text_of(digest_of("MD5", body))}
            one = {"PartNumber": number, **digest}
            one["ETag"] = (await world.call("upload_part", **place, **one, Body=body))["ETag"]
            listed.append(one)
        await complete(world, begun["UploadId"], listed, key="p")
        reply = await append(world, "p", b"end", len(BIG) + 1)
        assert reply["ChecksumCRC64NVME"] == text_of(digest_of("CRC64NVME", BIG + b"xend"))
        assert (await attributes(world, "p"))["ObjectParts"]["TotalPartsCount"] == 2
        assert await world.get("p") == BIG + b"xend"

    run(story())


def test_many_appends_fill_more_than_one_row_of_the_index(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "CHUNK_PARTS", 3)

    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        whole = LARGE
        for number in range(8):
            more = bytes([number])
            await append(world, "k", more, len(whole))
            whole += more
        assert await world.get("k") == whole
        for number in range(8):
            begin = len(LARGE) + number
            assert await world.get("k", Range=f"bytes={begin}-{begin}") == bytes([number])
            part = await world.call("get_object", Bucket="bucket", Key="k", PartNumber=number + 2)
            assert await body_of(part) == bytes([number])

    run(story())


def test_a_reader_goes_on_when_the_object_grows(world: World) -> None:
    async def story() -> None:
        await made(world)
        await world.put("k", LARGE)
        await append(world, "k", b"one", len(LARGE))
        reply = await world.call("get_object", Bucket="bucket", Key="k")
        await append(world, "k", b"two", len(LARGE) + 3)
        assert await body_of(reply) == LARGE + b"one"

    run(story())


def test_an_append_is_told_of(world: World) -> None:
    arn = "arn:aws:lambda:us-east-1:111111111111:function:f"

    async def story() -> None:
        await made(world)
        await world.put("k", b"1")
        world.calls.functions.add(arn)
        await world.call(
            "put_bucket_notification_configuration",
            Bucket="bucket",
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [
                    {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:Put"]}
                ]
            },
        )
        await append(world, "k", b"2", 1)
        assert len(await world.deliveries()) == 1

    run(story())


def test_an_object_has_a_largest_size_and_number_of_parts() -> None:
    record = ObjectRecord(etag="x", size=(50 << 40) - 1, modified_ms=0, sequencer=1)
    appending.check_size(record, 1, 9_999)
    with pytest.raises(EntityTooLarge):
        appending.check_size(record, 2, 1)
    with pytest.raises(TooManyParts):
        appending.check_size(record, 1, 10_000)


def test_an_append_has_the_encryption_of_its_object() -> None:
    key = ObjectKey("arn:aws:kms:us-east-1:111111111111:key/one", b"wrapped")
    record = ObjectRecord(
        etag="x", size=1, modified_ms=0, sequencer=1, encryption="aws:kms", object_key=key
    )
    for asked in (
        Asked(),
        Asked("aws:kms"),
        Asked("aws:kms", "one"),
        Asked("aws:kms", key.kms_key),
    ):
        appending.check_encryption(asked, record)
    for asked in (Asked("AES256"), Asked("SSE-C"), Asked("aws:kms", "other")):
        with pytest.raises(EncryptionTypeMismatch):
            appending.check_encryption(asked, record)


def test_a_digest_of_parts_or_of_bytes_does_not_add_up() -> None:
    assert appending.is_linear(Checksum("CRC32", b"1234"))
    for checksum in (None, Checksum("SHA256", b"x" * 32), Checksum("CRC32", b"1234", 2)):
        assert not appending.is_linear(checksum)
