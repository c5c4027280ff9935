"""``fogbank backup`` and ``restore`` as an operator uses them, and kill -9 in the middle."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fogbank.engines.embedded.manifest import MANIFEST, backups_in
from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

WRITERS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("backup") / "data")
    server.start()
    server.client("s3").create_bucket(Bucket="photos")
    yield server
    if server._process is not None:
        server.stop()


def picture(key: str) -> bytes:
    draw = random.Random(key)
    return draw.randbytes(draw.choice((200, 50_000, 300_000)))


class Load:
    """Writers that upload side by side; notes what was asked and what was acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        self.asked: set[str] = set()
        self.acknowledged: set[str] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(server.client("s3"), f"{name}/{n}"))
            for n in range(WRITERS)
        ]

    def _write(self, client: Any, prefix: str) -> None:
        number = 0
        while not self._stop.is_set():
            key = f"{prefix}/{number:05d}"
            self.asked.add(key)
            try:
                client.put_object(Bucket="photos", Key=key, Body=picture(key))
            except (BotoCoreError, ClientError):
                return  # killed, and not acknowledged
            self.acknowledged.add(key)
            number += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def objects(server: Server) -> dict[str, str]:
    s3, found = server.client("s3"), {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="photos"):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket="photos", Key=entry["Key"])["Body"].read()
            found[entry["Key"]] = hashlib.sha256(body).hexdigest()
    return found


def restored(backups: Path, into: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fogbank", "restore", str(backups), "--data", str(into), *more]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def put_key_back(server: Server, data_dir: Path) -> None:
    """Give a restored directory the root key, which no backup holds."""
    assert not (data_dir / "root.key").exists()
    shutil.copy(server.data_dir / "root.key", data_dir / "root.key")


def test_a_backup_under_load_restores_to_what_was_acknowledged(
    server: Server, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    with Load(server, "load") as load:
        time.sleep(0.5)
        before = set(load.acknowledged)
        done = server.run("backup", str(backups), "--name", "one")
        after = set(load.asked)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one\n"
    refused = server.run("backup", str(backups), "--name", "one")
    assert (refused.returncode, refused.stdout) == (1, "")
    inside = server.run("backup", str(server.data_dir / "backups"))
    assert "would be lost with" in inside.stderr

    copy = Server(tmp_path / "copy")
    done = restored(backups, copy.data_dir)
    assert done.returncode == 0, done.stderr
    put_key_back(server, copy.data_dir)
    assert copy.run("check").returncode == 0
    assert (copy.data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600
    with copy:
        found = objects(copy)
    assert before <= found.keys() <= after
    assert found == {key: hashlib.sha256(picture(key)).hexdigest() for key in found}
    assert copy.run("check").returncode == 0
    again = restored(backups, copy.data_dir)
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)

    # Without a server the command opens the store itself.
    done = copy.run("backup", str(backups), "--name", "two", "--copy")
    assert done.returncode == 0, done.stderr
    (backups / "two" / "rows.dump").write_bytes(b"fogbank rows 1\n")
    refused = restored(backups, tmp_path / "other")
    assert refused.returncode == 1
    assert str(backups / "two" / "rows.dump") in refused.stderr
    assert list((tmp_path / "other").iterdir()) == []
    assert restored(backups, tmp_path / "other", "--name", "one").returncode == 0


def test_kill_9_in_the_middle_leaves_no_half_backup_and_spoils_none(
    server: Server, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    draw = random.Random(5)
    with Load(server, "kill"):
        time.sleep(0.5)
    assert server.run("backup", str(backups), "--name", "first", "--copy").returncode == 0
    for turn in range(4):
        with Load(server, f"turn{turn}"):
            time.sleep(0.2)
            command = server._command("backup", str(backups), "--name", f"turn{turn}", "--copy")
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
                deadline = time.monotonic() + 60
                while not (backups / f"turn{turn}").exists() and time.monotonic() < deadline:
                    time.sleep(0.001)
                time.sleep(draw.random() * 0.05)
                server.kill()
                assert running.stderr is not None
                said = running.stderr.read()
        whole = (backups / f"turn{turn}" / MANIFEST).exists()
        assert running.returncode == 0 or said
        assert whole or running.returncode == 1
        server.start()
    done = server.run("backup", str(backups), "--name", "last")
    assert done.returncode == 0, done.stderr
    for manifest in backups_in(backups):
        into = tmp_path / manifest.head.name
        done = restored(backups, into, "--name", manifest.head.name)
        assert done.returncode == 0, done.stderr
        put_key_back(server, into)
        assert Server(into).run("check").returncode == 0


def test_the_archived_log_restores_what_came_after_the_backup(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings='[archive]\nfolder = "../set"\ninterval_ms = 100\n')
    with server:
        server.client("s3").create_bucket(Bucket="photos")
        assert server.run("backup", str(tmp_path / "set"), "--name", "base").returncode == 0
        with Load(server, "later") as load:
            time.sleep(0.5)
        server.kill()
        server.start()  # what the dead server had not archived, this one does
        deadline = time.monotonic() + 30
        while len(list((tmp_path / "set" / "log").glob("*.json"))) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    copy = Server(tmp_path / "copy")
    with server:
        while list((server.data_dir / "store" / "archive").glob("*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = restored(tmp_path / "set", copy.data_dir, "--until", "latest")
    assert done.returncode == 0, done.stderr
    put_key_back(server, copy.data_dir)
    with copy:
        found = objects(copy)
    assert load.acknowledged <= found.keys() <= load.asked
    assert found == {key: hashlib.sha256(picture(key)).hexdigest() for key in found}
    assert copy.run("check").returncode == 0
    refused = restored(tmp_path / "set", tmp_path / "other", "--until", "2001-01-01T00:00:00Z")
    assert (refused.returncode, "no backup from before that" in refused.stderr) == (1, True)
