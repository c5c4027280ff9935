"""``fogbank backup`` and ``restore`` of a cloud of several store processes, under writes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.test_backup import put_key_back, restored

from fogbank.engines.embedded.joint import JOINT, set_of
from fogbank.engines.embedded.spool import entries
from fogbank.platform.store.keyspace import shard_of
from fogbank.services.s3.rules import access
from fogbank.testing.server import Server, StartFailed

pytestmark = [pytest.mark.crash, pytest.mark.slow]
WAIT_S = 120

SETTINGS = "[processes]\nstores = 2\nfronts = 1\n"
BUCKETS = ("bucket-a", "bucket-b", "bucket-c", "bucket-d")


def a_bucket_of(number: int) -> str:
    return next(each for each in BUCKETS if shard_of(access.domain_of(each), 2) == number)


class Chain:
    """A client that writes each number to the first store and, once answered, to the second."""

    def __init__(self, server: Server) -> None:
        self.acknowledged = -1
        self._s3 = server.client("s3")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                for store in (0, 1):
                    self._s3.put_object(
                        Bucket=a_bucket_of(store), Key=f"{number:06d}", Body=bytes(80_000)
                    )
            except (BotoCoreError, ClientError):
                return  # killed, and not acknowledged
            self.acknowledged = number
            number += 1

    def reach(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted, deadline = self.acknowledged + count, time.monotonic() + WAIT_S
        while self.acknowledged < wanted:
            assert self._thread.is_alive(), "no upload failed"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def until_uploads_work(server: Server) -> None:
    """Wait until a store process that was killed serves again."""
    s3, deadline = server.client("s3"), time.monotonic() + WAIT_S
    while True:
        try:
            s3.put_object(Bucket=a_bucket_of(1), Key="works", Body=b"")
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline
        else:
            return


def count_of(s3: Any, bucket: str) -> int:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert keys == [f"{number:06d}" for number in range(len(keys))]
    return len(keys)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("stores") / "data", settings=SETTINGS) as server:
        for bucket in BUCKETS:
            server.client("s3").create_bucket(Bucket=bucket)
        yield server


def back_up_cold(copy: Server, backups: Path) -> None:
    """Back up twice and keep one."""
    for name in ("warm", "cold"):
        done = copy.run("backup", str(backups), "--name", name, "--keep", "1")
        assert done.returncode == 0, done.stderr
    assert "removed warm" in done.stderr
    assert copy.run("backup", str(backups), "--keep", "0").returncode == 1


def test_a_backup_of_two_stores_is_of_one_moment_and_restores_to_what_was_acknowledged(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = tmp_path / "backups"
    with Chain(server) as chain:
        chain.reach(10)
        before = chain.acknowledged
        done = server.run("backup", str(backups), "--name", "one")
        assert done.returncode == 0, done.stderr
        chain.reach(3)
        second = server.run("backup", str(backups), "--name", "two", "--keep", "2")
        assert second.returncode == 0, second.stderr
    assert done.stdout == "one\n"
    refused = server.run("backup", str(backups), "--name", "one")
    assert (refused.returncode, "one" in refused.stderr) == (1, True)
    refused = server.run("backup", str(backups), "--name", "store-0")
    assert "cannot be named" in refused.stderr

    copy = Server(tmp_path / "copy", settings=SETTINGS)
    done = restored(backups, copy.data_dir, "--name", "one")
    assert done.returncode == 0, done.stderr
    assert "of store 1 as incarnation" in done.stderr
    # Without the root key nothing is served, and the reason is said.
    with pytest.raises(StartFailed, match=r"root\.key"):
        copy.start()
    (copy.data_dir / "root.key").write_text("00" * 32 + "\n")
    (copy.data_dir / "root.key").chmod(0o600)
    with pytest.raises(StartFailed, match="not the one that sealed this store"):
        copy.start()
    (copy.data_dir / "root.key").unlink()
    put_key_back(server, copy.data_dir)
    assert copy.run("check").returncode == 0
    with copy:
        counts = [count_of(copy.client("s3"), a_bucket_of(store)) for store in (0, 1)]
        # Of one moment: who wrote to the second store had been answered by the first one.
        assert counts[0] - counts[1] in {0, 1}
        assert counts[1] > before
        s3 = copy.client("s3")
        last = s3.get_object(Bucket=a_bucket_of(1), Key=f"{before:06d}")
        assert last["Body"].read() == bytes(80_000)
    assert copy.run("check").returncode == 0
    monkeypatch.setenv("FOGBANK_PROCESSES_STORES", "2")
    # Without a server the command opens the stores itself.
    back_up_cold(copy, tmp_path / "more")
    assert restored(tmp_path / "more", tmp_path / "third").returncode == 0


def test_another_number_of_stores_and_a_part_that_is_missing_are_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = tmp_path / "backups"
    assert server.run("backup", str(backups), "--name", "one").returncode == 0
    for other in ("1", "3"):
        monkeypatch.setenv("FOGBANK_PROCESSES_STORES", other)
        refused = restored(backups, tmp_path / "new")
        assert refused.returncode == 1
        assert f"of processes.stores = 2, and {other} are asked for" in refused.stderr
    monkeypatch.delenv("FOGBANK_PROCESSES_STORES")
    rows = backups / "store-1" / "one" / "rows.dump"
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-1])
    refused = restored(backups, tmp_path / "new")
    assert (refused.returncode, str(rows) in refused.stderr) == (1, True)
    rows.write_bytes(whole)
    (backups / "one" / JOINT).unlink()
    refused = restored(backups, tmp_path / "new", "--name", "one")
    assert (refused.returncode, "no backup" in refused.stderr) == (1, True)
    assert list((tmp_path / "new").iterdir()) == []


def test_kill_9_of_a_store_process_in_the_middle_leaves_no_backup_and_holds_nobody(
    server: Server, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    command = server._command("backup", str(backups), "--name", "cut", "--copy")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not (backups / "store-1" / "cut").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        victims = [
            pid for pid, line in server.processes().items() if "fogbank.server.process" in line
        ]
        os.kill(victims[-1], signal.SIGKILL)
        assert running.stderr is not None
        running.stderr.read()
    whole = (backups / "cut" / JOINT).exists()
    assert whole == (running.returncode == 0)
    until_uploads_work(server)
    with Chain(server) as chain:
        chain.reach(1)
    again = server.run("backup", str(backups), "--name", "whole")
    assert again.returncode == 0, again.stderr


def last_common_ms(backups: Path) -> int:
    """Return the last moment that the archived logs of both stores have, or 0."""
    logs = [entries(set_of(backups, number, 2) / "log") for number in range(2)]
    times = [{time_ms for about in log for _, time_ms in about.times} for log in logs]
    return max(times[0] & times[1], default=0)


def test_the_archived_logs_of_two_stores_restore_to_a_moment_of_both(tmp_path: Path) -> None:
    backups = tmp_path / "set"
    archive = f'[archive]\nfolder = "{backups}"\ninterval_ms = 100\n'
    server = Server(tmp_path / "data", settings=SETTINGS + archive)
    server.start()
    for bucket in BUCKETS:
        server.client("s3").create_bucket(Bucket=bucket)
    assert server.run("backup", str(backups), "--name", "base").returncode == 0
    with Chain(server) as chain:
        chain.reach(20)
        middle_ms = last_common_ms(backups)
        chain.reach(5)
    server.client("s3").put_object(Bucket=a_bucket_of(0), Key="last", Body=b"last")
    done_ms = int(time.time() * 1_000) + 1
    while int(time.time() * 1_000) < done_ms:
        pass
    # A moment behind that one comes only where something is written.
    server.client("s3").put_object(Bucket=a_bucket_of(0), Key="behind", Body=b"")
    deadline = time.monotonic() + 60
    while last_common_ms(backups) < done_ms:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.kill()
    for until in ("latest", f"{datetime.fromtimestamp(middle_ms / 1_000, UTC).isoformat()}"):
        folder = tmp_path / f"copy-{until[:2]}"
        folder.mkdir()
        copy = Server(folder / "data", settings=SETTINGS)
        done = restored(backups, copy.data_dir, "--until", until)
        assert done.returncode == 0, done.stderr
        put_key_back(server, copy.data_dir)
        with copy:
            s3 = copy.client("s3")
            if until == "latest":
                assert s3.get_object(Bucket=a_bucket_of(0), Key="last")["Body"].read() == b"last"
                for key in ("last", "behind"):
                    s3.delete_object(Bucket=a_bucket_of(0), Key=key)
            counts = [count_of(s3, a_bucket_of(store)) for store in (0, 1)]
            assert counts[0] - counts[1] in {0, 1}
            assert until != "latest" or counts[1] > chain.acknowledged
        assert copy.run("check").returncode == 0
    for until, said in (("7", "no version in common"), ("2100-01-01T00:00:00Z", "and not to")):
        refused = restored(backups, tmp_path / "other", "--until", until)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
