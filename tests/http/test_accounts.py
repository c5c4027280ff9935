"""``fogbank account``: with a server and without one, and what the accounts can then do."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

import boto3
import pytest

from fogbank.server import control
from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]


def client(server: Server, account: str, service: str) -> Any:
    """Return a boto3 client with what ``fogbank env --account`` says."""
    done = server.run("env", "--account", account, "--format", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return boto3.client(
        service,
        endpoint_url=said["AWS_ENDPOINT_URL"],
        region_name=said["AWS_REGION"],
        aws_access_key_id=said["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=said["AWS_SECRET_ACCESS_KEY"],
    )


def account_of(server: Server, account: str) -> str:
    return client(server, account, "sts").get_caller_identity()["Account"]


def test_an_account_made_while_the_server_runs_can_be_used_at_once(server: Server) -> None:
    done = server.run("account", "create", "running", "--id", "000000000042")
    assert (done.returncode, done.stdout) == (0, "running\t000000000042\n"), done.stderr
    assert account_of(server, "running") == "000000000042"
    again = server.run("account", "create", "running")
    assert again.returncode == 1
    assert again.stderr == "fogbank: there is an account named running\n"


def test_an_account_made_without_a_server_stands_after_the_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    key = ("--access-key-id", "LOCALKEYFORTESTS0042", "--secret-access-key", "s" * 40)
    done = server.run("account", "create", "early", "--id", "000000000042", *key)
    assert (done.returncode, done.stdout) == (0, "early\t000000000042\n"), done.stderr
    with server:
        assert account_of(server, "early") == "000000000042"
        default = server.environment()["AWS_ACCOUNT_ID"]
        assert account_of(server, "default") == default
        served = server.run("account", "list")
    unserved = server.run("account", "list")
    assert served.stdout == unserved.stdout == f"early\t000000000042\ndefault\t{default}\n"


def test_commands_know_how_many_stores_a_directory_has_without_the_servers_settings(
    tmp_path: Path,
) -> None:
    made = Server(tmp_path / "data", variables={"FOGBANK_PROCESSES_STORES": "2"})
    assert made.run("account", "create", "early", "--id", "000000000042").returncode == 0
    found = Server(tmp_path / "data").run("account", "list")
    assert found.returncode == 0, found.stderr
    assert "early\t000000000042\n" in found.stdout


def test_an_account_survives_the_death_of_the_server_and_commands_follow_the_new_one(
    tmp_path: Path,
) -> None:
    with Server(tmp_path / "data") as server:
        assert server.run("account", "create", "kept", "--id", "000000000042").returncode == 0
        server.kill()
        assert (server.data_dir / control.SOCKET).exists()
        assert "kept" in server.run("account", "list").stdout
        server.start()
        assert server.run("account", "create", "next").returncode == 0
        store = next(pid for pid, name in server.processes().items() if "server.process" in name)
        os.kill(store, signal.SIGKILL)
        assert account_of(server, "kept") == "000000000042"
        assert server.run("account", "create", "third").returncode == 0


def test_a_list_of_no_data_directory_fails_and_makes_none(tmp_path: Path) -> None:
    done = Server(tmp_path / "data").run("account", "list")
    assert done.returncode == 1
    assert "no data directory" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_directory_that_somebody_else_holds_is_left_alone(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with server:
        pass
    before = (server.data_dir / "credentials.json").read_bytes()
    with (server.data_dir / "store" / "store.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = server.run("account", "create", "x")
    assert done.returncode == 1, done.stdout
    assert "another server uses this data directory" in done.stderr
    assert (server.data_dir / "credentials.json").read_bytes() == before
