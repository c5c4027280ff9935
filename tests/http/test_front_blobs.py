"""Objects through a front: it writes and reads the bytes, and whoever is killed, none is lost."""

from __future__ import annotations

import http.client
import io
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

MB = 1 << 20
WAIT_S = 60
SETTINGS = "[processes]\nfronts = 1\n"


def wait_until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)  # a condition of another process


@pytest.fixture(scope="module", params=["", "[tls]\nenabled = true\n"], ids=["plain", "tls"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    settings = SETTINGS + request.param
    with Server(tmp_path_factory.mktemp("uploads") / "data", settings=settings) as server:
        server.client("s3").create_bucket(Bucket="bucket")
        yield server
        assert server.stop() == 0
        done = server.run("check")
        assert done.returncode == 0, done.stdout


def process(server: Server, kind: str) -> int:
    """Return the one process of a kind, once it is there."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [
            pid for pid, line in server.processes().items() if f"fogbank.server.{kind}" in line
        ]
        return bool(found)

    wait_until(f"a {kind}", is_there)
    return found[0]


def blobs(server: Server) -> dict[Path, int]:
    """Return the files of blobs and their sizes."""
    sizes = {}
    for path in (server.data_dir / "store" / "blobs").rglob("*.blob"):
        try:
            sizes[path] = path.stat().st_size
        except FileNotFoundError:
            continue
    return sizes


def connected(server: Server) -> http.client.HTTPConnection:
    if server.endpoint.startswith("http:"):
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
    trust = ssl.create_default_context(cafile=server.environment()["AWS_CA_BUNDLE"])
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=WAIT_S, context=trust)


class Upload:
    """An upload of a client that stops in the middle."""

    def __init__(self, server: Server, key: str, **part: Any) -> None:
        before = set(blobs(server))
        s3 = server.client("s3", config=Config(signature_version="s3v4"))
        operation, asked = "upload_part" if part else "put_object", {"Bucket": "bucket", "Key": key}
        url = s3.generate_presigned_url(operation, Params={**asked, **part})
        self.body = os.urandom(8 * MB)
        self.connection = connected(server)
        self.connection.putrequest("PUT", url.removeprefix(server.endpoint))
        self.connection.putheader("Content-Length", str(len(self.body)))
        self.connection.endheaders()
        self.connection.send(self.body[: 5 * MB])
        wait_until(
            "some frames of the upload",
            lambda: any(
                size >= 3 * MB for path, size in blobs(server).items() if path not in before
            ),
        )
        (self.path,) = set(blobs(server)) - before

    def finish(self) -> int:
        """Send the rest; return the status."""
        self.connection.send(self.body[5 * MB :])
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def is_missing(server: Server, key: str) -> bool:
    """Return whether an answer says that there is no such object; False while nobody answers."""
    try:
        server.client("s3").head_object(Bucket="bucket", Key=key)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    except BotoCoreError:
        return False
    return False


def read_by(pid: int) -> int:
    """Return how many bytes a process has read so far, from files and sockets."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(lines[0].removeprefix("rchar: "))


def written_by(pid: int) -> int:
    """Return how many bytes a process has written so far, to files and sockets."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(lines[1].removeprefix("wchar: "))


def test_the_bytes_of_objects_do_not_come_to_the_store_process(server: Server) -> None:
    store, s3 = process(server, "process"), server.client("s3")
    body = os.urandom(32 * MB)
    before = read_by(store)
    s3.put_object(Bucket="bucket", Key="large", Body=body, ChecksumAlgorithm="SHA256")
    assert read_by(store) - before < 4 * MB
    before, sent = read_by(store), written_by(store)
    got = s3.get_object(Bucket="bucket", Key="large", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    some = s3.get_object(Bucket="bucket", Key="large", Range=f"bytes={MB - 1}-{5 * MB}")
    assert some["Body"].read() == body[MB - 1 : 5 * MB + 1]
    assert read_by(store) - before < 4 * MB
    assert written_by(store) - sent < 4 * MB


def test_parts_of_an_upload_are_written_by_the_front_too(server: Server) -> None:
    store, s3 = process(server, "process"), server.client("s3")
    body = os.urandom(12 * MB)
    upload = {"Bucket": "bucket", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    before, parts = read_by(store), []
    for number, at in enumerate((0, 6 * MB), 1):
        part = s3.upload_part(**upload, PartNumber=number, Body=body[at : at + 6 * MB])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    assert read_by(store) - before < 4 * MB
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == body


def test_an_upload_that_stops_and_goes_on_is_whole(server: Server) -> None:
    with Upload(server, "slow") as upload:
        assert upload.finish() == 200
    assert server.client("s3").get_object(Bucket="bucket", Key="slow")["Body"].read() == upload.body


def test_a_front_that_is_killed_in_an_upload_leaves_nothing(server: Server) -> None:
    with Upload(server, "cut") as upload:
        os.kill(process(server, "front"), signal.SIGKILL)
    wait_until("the half-written blob to go", lambda: not upload.path.exists())
    wait_until("a front that answers", lambda: is_missing(server, "cut"))


class Deadly(io.BytesIO):
    """A body under whose reader the front dies, once some of it lies on the disk."""

    def __init__(self, body: bytes, server: Server) -> None:
        super().__init__(body)
        self._server = server
        self._before = set(blobs(server))
        self.victim = 0

    def read(self, size: int | None = -1) -> bytes:
        if not self.victim:
            now = blobs(self._server)
            if any(now[path] >= 2 * MB for path in now.keys() - self._before):
                self.victim = process(self._server, "front")
                os.kill(self.victim, signal.SIGKILL)
        return super().read(size)


def test_a_front_that_is_killed_in_a_part_costs_that_part_only(server: Server) -> None:
    # The second is more than sockets hold: it lies on the disk in part before all of it is read.
    bodies, etags = [os.urandom(size * MB) for size in (8, 64)], []
    s3 = server.client("s3", config=Config(retries={"total_max_attempts": 10, "mode": "standard"}))
    asked = {"Bucket": "bucket", "Key": "in-parts"}
    asked["UploadId"] = s3.create_multipart_upload(**asked)["UploadId"]
    etags.append(s3.upload_part(**asked, PartNumber=1, Body=bodies[0])["ETag"])
    with Upload(server, "in-parts", UploadId=asked["UploadId"], PartNumber=2) as upload:
        os.kill(process(server, "front"), signal.SIGKILL)
    wait_until("the half-written part to go", lambda: not upload.path.exists())
    wait_until("a front that answers", lambda: is_missing(server, "in-parts"))
    kept = s3.list_parts(**asked)["Parts"]
    assert [(part["PartNumber"], part["ETag"]) for part in kept] == [(1, etags[0])]
    # An ordinary client sends the part again by itself when its connection breaks.
    body = Deadly(bodies[1], server)
    etags.append(s3.upload_part(**asked, PartNumber=2, Body=body)["ETag"])
    assert body.victim not in (0, process(server, "front"))
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**asked, MultipartUpload={"Parts": parts})
    got = server.client("s3").get_object(Bucket="bucket", Key="in-parts")["Body"].read()
    assert got == b"".join(bodies)


def test_a_store_process_that_is_killed_in_an_upload_has_lost_it_and_its_front_knows(
    server: Server,
) -> None:
    with Upload(server, "lost") as upload:
        victim = process(server, "process")
        os.kill(victim, signal.SIGKILL)
        wait_until("another store process", lambda: process(server, "process") != victim)
        assert upload.finish() == 503
    wait_until("the half-written blob to go", lambda: not upload.path.exists())
    wait_until("a store process that answers", lambda: is_missing(server, "lost"))


def test_what_was_acknowledged_outlives_the_death_of_everybody(server: Server) -> None:
    s3, bodies = server.client("s3"), {f"kept-{n}": os.urandom(3 * MB + n) for n in range(3)}
    for key, body in bodies.items():
        s3.put_object(Bucket="bucket", Key=key, Body=body)
    server.kill()
    server.start()
    for key, body in bodies.items():
        got = server.client("s3").get_object(Bucket="bucket", Key=key)["Body"].read()
        assert got == body
