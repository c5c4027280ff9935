"""Objects in parts."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.unit.services.s3.world import (
    BIG,
    LARGE,
    World,
    body_of,
    complete,
    made,
    run,
    upload,
)

from fogbank.base.errors import Conflict
from fogbank.services.s3.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidPart,
    InvalidPartNumber,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchUpload,
)
from fogbank.services.s3.quotas import PART_BYTES_MIN
from fogbank.services.s3.state import uploads
from fogbank.services.s3.state.tasks import READ_GRACE_MS
from fogbank.wire.checksums import digest_of, text_of


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
