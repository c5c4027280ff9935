"""A disk that is slow, breaks or is full, under a real server: nothing is acknowledged on hope.

The faults are made in the server's own processes (``faults/sitecustomize.py``), as an ordinary user
can; what LMDB writes is held to a size by the kernel, in ``tests/engines/embedded``.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.faults.sitecustomize import FAULTS

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CLIENTS = 8
PART_BYTES = 5 << 20
"""The least of a part that is not the last."""
SETTLE_S = 60


class FaultyServer:
    """A server whose disk does as it is told."""

    def __init__(self, root: Path) -> None:
        self._faults = root / "faults.json"
        variables = {"PYTHONPATH": str(Path(__file__).parent / "faults"), FAULTS: str(self._faults)}
        self.server = Server(root / "data", variables=variables)
        self.server.start()
        self.s3 = self.server.client("s3")
        self.s3.create_bucket(Bucket="bucket")
        self.acknowledged: dict[str, int] = {}
        self.refused: list[str] = []

    def faults(self, **faults: dict[str, int]) -> None:
        beside = self._faults.with_suffix(".new")
        beside.write_text(json.dumps(faults))
        beside.replace(self._faults)

    def put(self, key: str, size: int) -> None:
        """Store an object; note whether it was acknowledged, or how it was refused."""
        try:
            self.s3.put_object(Bucket="bucket", Key=key, Body=body_of(key, size))
        except ClientError as error:
            self.refused.append(error.response["Error"]["Code"])
        except BotoCoreError as error:
            self.refused.append(type(error).__name__)
        else:
            self.acknowledged[key] = size

    def put_many(self, name: str, count: int, size: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as threads:
            for number in range(count):
                threads.submit(self.put, f"{name}/{number}", size)

    def revive(self) -> None:
        """Start the server again if it has ended, as a service manager does."""
        process = self.server._process
        assert process is not None
        if process.poll() is not None:
            self.server._finish()
            self.server.start()

    def fill(self) -> None:
        """Give the log no more room, and write until it says so."""
        log = self.server.data_dir / "store" / "log"
        deadline = time.monotonic() + SETTLE_S
        while not all((log / name).exists() for name in ("spare.log", "reserve.log")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.faults(write_errno={"/store/log/readying-": errno.ENOSPC})
        turn = 0
        while not self.refused:
            assert time.monotonic() < deadline
            self.put_many(f"fill{turn}", 64, 60_000)
            turn += 1

    def until_put(self, key: str, size: int) -> None:
        """Try until an object is acknowledged."""
        deadline = time.monotonic() + SETTLE_S
        while key not in self.acknowledged:
            assert time.monotonic() < deadline, self.refused[-3:]
            self.revive()
            self.put(key, size)
            time.sleep(0.05)

    def begin(self, key: str, size: int) -> dict[str, Any]:
        """Begin an upload and send its first part; return what names it."""
        named = {"Bucket": "bucket", "Key": key}
        named["UploadId"] = self.s3.create_multipart_upload(**named)["UploadId"]
        self.s3.upload_part(**named, PartNumber=1, Body=body_of(key, size))
        return named

    def complete(self, named: dict[str, Any]) -> None:
        """Make an object of all parts there are."""
        parts = self.s3.list_parts(**named)["Parts"]
        listed = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in parts]
        self.s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
        self.acknowledged[named["Key"]] = sum(each["Size"] for each in parts)

    def copy(self, source: str, key: str, bucket: str = "bucket") -> None:
        origin = {"Bucket": "bucket", "Key": source}
        self.s3.copy_object(Bucket=bucket, Key=key, CopySource=origin)

    def refusal(self, call: Callable[..., Any], *given: Any, **named: Any) -> str:
        with pytest.raises(ClientError) as caught:
            call(*given, **named)
        return caught.value.response["Error"]["Code"]

    def lost(self) -> list[str]:
        return [
            key for key, size in self.acknowledged.items() if self.get(key) != body_of(key, size)
        ]

    def get(self, key: str) -> bytes:
        got: bytes = self.s3.get_object(Bucket="bucket", Key=key)["Body"].read()
        return got

    def said(self) -> str:
        return (self.server.data_dir.parent / "server.log").read_text()


def body_of(key: str, size: int) -> bytes:
    return (key.encode() * (size // len(key) + 1))[:size]


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[FaultyServer]:
    faulty = FaultyServer(tmp_path)
    yield faulty
    faulty.faults()
    faulty.revive()
    faulty.server.kill()
    faulty.server.start()
    assert faulty.lost() == []
    end_whole(faulty.server)


def test_a_slow_log_makes_everything_wait_and_nothing_fail(faulty: FaultyServer) -> None:
    faulty.put("before", 100)
    faulty.faults(sync_ms={"/store/log/": 300})
    faulty.put_many("slow", 40, 1_000)
    assert faulty.refused == []
    assert len(faulty.acknowledged) == 41


@pytest.mark.parametrize(
    ("where", "size"), [("/store/log/", 1_000), ("/store/blobs/", 100_000)], ids=["log", "blobs"]
)
def test_after_an_error_of_a_sync_nothing_is_acknowledged_until_a_new_process_stands_on_the_disk(
    faulty: FaultyServer, where: str, size: int
) -> None:
    faulty.put_many("before", 10, size)
    assert faulty.refused == []
    before = set(faulty.acknowledged)
    faulty.faults(sync_errno={where: errno.EIO})
    faulty.put_many("meanwhile", 30, size)
    assert set(faulty.acknowledged) == before
    assert "nothing more can be acknowledged, the process ends" in faulty.said()
    assert os.strerror(errno.EIO) in faulty.said()
    faulty.faults()
    faulty.until_put("after", size)
    assert faulty.lost() == []


def test_a_full_disk_of_blobs_refuses_uploads_and_nothing_else_and_recovers_by_itself(
    faulty: FaultyServer,
) -> None:
    faulty.put("before", 100_000)
    faulty.faults(write_errno={"/store/blobs/": errno.ENOSPC})
    faulty.put_many("full", 4, 100_000)
    assert set(faulty.refused) == {"ServiceUnavailable"}
    faulty.put("inline", 1_000)
    assert faulty.lost() == []
    faulty.s3.delete_object(Bucket="bucket", Key="inline")
    del faulty.acknowledged["inline"]
    faulty.faults()
    faulty.until_put("after", 100_000)


def test_a_full_disk_of_blobs_refuses_parts_and_copies_of_bytes_and_completes_what_is_there(
    faulty: FaultyServer,
) -> None:
    faulty.put("source", 100_000)
    faulty.s3.create_bucket(Bucket="other")
    first, second = faulty.begin("first", 100_000), faulty.begin("second", PART_BYTES)
    faulty.faults(write_errno={"/store/blobs/": errno.ENOSPC})
    part = {**second, "PartNumber": 2}
    body, origin = body_of("second", PART_BYTES + 100_000)[PART_BYTES:], "bucket/source"
    assert faulty.refusal(faulty.s3.upload_part, **part, Body=body) == "ServiceUnavailable"
    refused = faulty.refusal(faulty.s3.upload_part_copy, **part, CopySource=origin)
    assert refused == "ServiceUnavailable"
    assert faulty.refusal(faulty.copy, "source", "copy", "other") == "ServiceUnavailable"
    faulty.complete(first)
    faulty.copy("source", "copy")  # one more reference to the same bytes
    assert faulty.get("copy") == faulty.get("source")
    assert len(faulty.s3.list_parts(**second)["Parts"]) == 1
    faulty.faults()
    faulty.s3.upload_part(**part, Body=body)
    faulty.complete(second)
    faulty.copy("source", "copy", "other")


def test_a_full_disk_of_the_log_completes_no_upload_and_gives_up_those_that_are_not_wanted(
    faulty: FaultyServer,
) -> None:
    wanted, unwanted = faulty.begin("wanted", 100_000), faulty.begin("unwanted", 100_000)
    faulty.put("source", 100_000)
    faulty.fill()
    assert faulty.refusal(faulty.complete, wanted) == "ServiceUnavailable"
    assert faulty.refusal(faulty.copy, "source", "copy") == "ServiceUnavailable"
    faulty.s3.abort_multipart_upload(**unwanted)
    faulty.faults()
    faulty.until_put("after", 60_000)
    faulty.complete(wanted)
    left = faulty.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    assert left == []


def test_an_upload_whose_completion_meets_a_broken_log_is_complete_or_can_be_completed(
    faulty: FaultyServer,
) -> None:
    named = faulty.begin("parts", 100_000)
    faulty.faults(sync_errno={"/store/log/": errno.EIO})
    with pytest.raises((ClientError, BotoCoreError)):
        faulty.complete(named)
    faulty.faults()
    faulty.until_put("after", 1_000)
    with suppress(faulty.s3.exceptions.NoSuchUpload):  # it was, and nobody heard of it
        faulty.complete(named)
    faulty.acknowledged["parts"] = 100_000


def test_a_full_disk_of_the_log_refuses_writes_lets_removals_pass_and_recovers_by_itself(
    faulty: FaultyServer,
) -> None:
    faulty.fill()
    assert set(faulty.refused) == {"ServiceUnavailable"}
    some = list(faulty.acknowledged)[:5]
    assert all(faulty.get(key) for key in some)
    for key in some:
        faulty.s3.delete_object(Bucket="bucket", Key=key)
        del faulty.acknowledged[key]
    faulty.faults()
    faulty.until_put("after", 60_000)
