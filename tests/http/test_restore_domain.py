"""``fogbank restore --domain``: one bucket comes back, and the rest of the cloud stays as it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

LARGE = b"large" * 60_000
WAIT_S = 60


def test_a_bucket_is_put_back_by_the_command_and_others_keep_what_came_later(
    tmp_path: Path,
) -> None:
    backups = str(tmp_path / "backups")
    with Server(tmp_path / "data") as server:
        s3 = server.client("s3")
        for bucket in ("mine", "other"):
            s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key="large", Body=LARGE)
        assert server.run("backup", backups).returncode == 0
        s3.delete_object(Bucket="mine", Key="large")
        for bucket in ("mine", "other"):
            s3.put_object(Bucket=bucket, Key="later", Body=b"later")
        refused = server.run("restore", backups, "--domain", "s3/mine")
        assert refused.returncode == 1
        assert "another server uses this data directory" in refused.stderr
        assert server.stop() == 0
        done = server.run("restore", backups, "--domain", "s3/mine")
        assert done.returncode == 0, done.stderr
        assert "put s3/mine back" in done.stderr
        server.start()
        s3 = server.client("s3")
        assert s3.get_object(Bucket="mine", Key="large")["Body"].read() == LARGE
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="mine", Key="later")
        assert s3.get_object(Bucket="other", Key="later")["Body"].read() == b"later"
        assert s3.get_object(Bucket="other", Key="large")["Body"].read() == LARGE
        assert server.stop() == 0
        assert server.run("check").returncode == 0
        server.start()


def archive(server: Server, log: Path) -> None:
    """Let everything that was acknowledged so far come into the archive of the log."""
    before = len(list(log.glob("*.json")))
    assert server.stop() == 0  # the last part of the log is sealed, and the next start carries it
    server.start()
    spool, deadline = server.data_dir / "store" / "archive", time.monotonic() + WAIT_S
    while len(list(log.glob("*.json"))) == before or list(spool.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a condition of another process


def test_a_bucket_is_put_back_to_a_moment_behind_the_backup(tmp_path: Path) -> None:
    backups = tmp_path / "set"
    settings = '[archive]\nfolder = "../set"\ninterval_ms = 100\n'
    with Server(tmp_path / "data", settings=settings) as server:
        s3 = server.client("s3")
        for bucket in ("mine", "other"):
            s3.create_bucket(Bucket=bucket)
        assert server.run("backup", str(backups)).returncode == 0
        for bucket in ("mine", "other"):
            s3.put_object(Bucket=bucket, Key="large", Body=LARGE)
        archive(server, backups / "log")
        moment, s3 = datetime.now(UTC).isoformat(), server.client("s3")
        for bucket in ("mine", "other"):
            s3.delete_object(Bucket=bucket, Key="large")
        archive(server, backups / "log")
        assert server.stop() == 0
        asked = ("restore", str(backups), "--domain", "s3/mine", "--until")
        refused = server.run(*asked, "2001-01-01T00:00:00Z")
        assert (refused.returncode, "no backup from before that" in refused.stderr) == (1, True)
        done = server.run(*asked, moment)
        assert done.returncode == 0, done.stderr
        server.start()
        s3 = server.client("s3")
        assert s3.get_object(Bucket="mine", Key="large")["Body"].read() == LARGE
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="other", Key="large")
        assert server.stop() == 0
        assert server.run("check").returncode == 0
