"""How a server ends and starts again: what is under way is finished, what is left is swept."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

SIZE = 4 << 20
WAIT_S = 20


class Upload:
    """A PUT whose body is sent in two parts, by a URL that boto3 presigned."""

    def __init__(self, server: Server, bucket: str) -> None:
        s3 = server.client("s3", config=Config(signature_version="s3v4"))
        s3.create_bucket(Bucket=bucket)
        url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "slow"})
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.netloc, timeout=WAIT_S)
        self.connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        self.connection.putheader("Content-Length", str(SIZE))
        self.connection.endheaders()

    def send(self, count: int) -> None:
        self.connection.send(b"x" * count)

    def status(self) -> int:
        response = self.connection.getresponse()
        response.read()
        self.connection.close()
        return response.status


def blobs(server: Server) -> list[Path]:
    folder = server.data_dir / "store" / "blobs"
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1 << 20]


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_sigterm_lets_an_upload_finish_and_its_object_is_there_after_a_restart(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path / "data")
    server.start()
    upload = Upload(server, "drained")
    upload.send(SIZE // 2)
    wait_until("half of the upload", lambda: blobs(server))
    statuses: list[int] = []
    ending = threading.Thread(target=lambda: statuses.append(server.stop()))
    ending.start()
    time.sleep(0.3)  # the server has stopped accepting; the upload is still under way
    upload.send(SIZE - SIZE // 2)
    assert upload.status() == 200
    ending.join()
    assert statuses == [0]
    assert not (tmp_path / "data" / "server.json").exists()
    with server:
        head = server.client("s3").head_object(Bucket="drained", Key="slow")
        assert head["ContentLength"] == SIZE


def test_what_does_not_finish_within_the_time_that_is_set_is_cut_off(tmp_path: Path) -> None:
    with Server(tmp_path / "data", variables={"FOGBANK_LIMITS_DRAIN_MS": "250"}) as server:
        upload = Upload(server, "cut")
        upload.send(SIZE // 2)
        wait_until("half of the upload", lambda: blobs(server))
        assert server.stop() == 0
        upload.connection.close()
    said = (tmp_path / "server.log").read_text()
    assert "drain: 1 connections are cut off after 250 ms" in said


def test_what_a_kill_cut_short_is_swept_at_the_next_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    upload = Upload(server, "swept")
    upload.send(SIZE // 2)
    wait_until("half of the upload", lambda: blobs(server))
    server.kill()
    upload.connection.close()
    assert blobs(server)
    with server:
        wait_until("the sweep", lambda: not blobs(server))
        with pytest.raises(ClientError, match="404"):
            server.client("s3").head_object(Bucket="swept", Key="slow")


def test_a_start_waits_for_the_port_and_the_lock_of_a_server_that_is_ending(tmp_path: Path) -> None:
    first = Server(tmp_path / "data")
    first.start()
    second = Server(tmp_path / "data", port=first.port)
    pids = list(first.processes())

    def kill_soon() -> None:
        time.sleep(0.7)  # the second has tried by now, and must still be waiting
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended with the one before
                os.kill(pid, signal.SIGKILL)

    killing = threading.Thread(target=kill_soon)
    began = time.monotonic()
    killing.start()
    second.start()
    assert time.monotonic() - began > 0.7
    killing.join()
    first._finish()
    assert second.endpoint == first.endpoint
    assert second.client("sts").get_caller_identity()["Account"]
    assert second.stop() == 0


def test_a_server_that_cannot_isolate_says_so_loudly(reachable: Path) -> None:
    with Server(reachable / "data", variables={"FOGBANK_SANDBOX_LEVEL": "4"}):
        said = (reachable / "server.log").read_text()
    assert "FUNCTIONS ARE NOT ISOLATED" in said
