"""A disk that is slow, breaks or is full, under a real server: nothing is acknowledged on hope.

The faults are made in the server's own processes (``faults/sitecustomize.py``), as an ordinary user
can; what LMDB writes is held to a size by the kernel, in ``tests/engines/embedded``.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.faults.sitecustomize import FAULTS

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CLIENTS = 8
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

    def until_put(self, key: str, size: int) -> None:
        """Try until an object is acknowledged."""
        deadline = time.monotonic() + SETTLE_S
        while key not in self.acknowledged:
            assert time.monotonic() < deadline, self.refused[-3:]
            self.revive()
            self.put(key, size)
            time.sleep(0.05)

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
    assert faulty.server.stop() == 0
    assert faulty.server.run("check").stdout == ""


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


def test_a_full_disk_of_the_log_refuses_writes_lets_removals_pass_and_recovers_by_itself(
    faulty: FaultyServer,
) -> None:
    log = faulty.server.data_dir / "store" / "log"
    deadline = time.monotonic() + SETTLE_S
    while not all((log / name).exists() for name in ("spare.log", "reserve.log")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    faulty.faults(write_errno={"/store/log/readying-": errno.ENOSPC})
    turn = 0
    while not faulty.refused:
        assert time.monotonic() < deadline
        faulty.put_many(f"fill{turn}", 64, 60_000)
        turn += 1
    assert set(faulty.refused) == {"ServiceUnavailable"}
    some = list(faulty.acknowledged)[:5]
    assert all(faulty.get(key) for key in some)
    for key in some:
        faulty.s3.delete_object(Bucket="bucket", Key=key)
        del faulty.acknowledged[key]
    faulty.faults()
    faulty.until_put("after", 60_000)
