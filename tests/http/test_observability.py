"""What operators see of a real server: /metrics, status, audit, why-denied, log lines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.http.making import make_function, make_role, zipped
from tests.http.observing import fogbank, scrape

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]
TABLE = {
    "TableName": "table",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {"FOGBANK_METRICS_PORT": "0", "FOGBANK_LOG_FORMAT": "json"}
    with Server(tmp_path_factory.mktemp("observed") / "data", variables=variables) as server:
        yield server


def client(server: Server, service: str, **keys: str) -> Any:
    said = server.environment()
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys.get("key") or said["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys.get("secret") or said["AWS_SECRET_ACCESS_KEY"],
    )


def metrics(server: Server) -> dict[Any, float]:
    return scrape(json.loads(fogbank(server, "status", "--format", "json"))["metrics"])


def test_metrics_count_requests_and_tell_of_store_and_processes(observed: Server) -> None:
    dynamodb = client(observed, "dynamodb")
    dynamodb.create_table(**TABLE)
    for number in range(3):
        dynamodb.put_item(TableName="table", Item={"id": {"S": str(number)}})
    with pytest.raises(ClientError):
        client(observed, "dynamodb", secret="wrong" * 8).list_tables()
    found = metrics(observed)
    process = ("process", "store")
    put = (("operation", "PutItem"), process, ("service", "dynamodb"))
    assert found["fogbank_requests_total", ("code", "ok"), *put] == 3
    assert found["fogbank_request_duration_seconds_count", *put] == 3
    refused = [key for key in found if ("code", "InvalidSignatureException") in key]
    assert refused
    for name in (
        "fogbank_received_bytes_total",
        "fogbank_sent_bytes_total",
        "fogbank_store_groups_total",
        "fogbank_store_sync_seconds_count",
        "fogbank_store_file_bytes",
        "fogbank_uptime_seconds",
        "fogbank_audit_entries_total",
    ):
        assert found[name, process] > 0, name
    assert found["fogbank_audit_lost_total", process] == 0
    for each in ("supervisor", "store", "sandboxd"):
        assert found["fogbank_process_resident_bytes", ("process", each)] > 1 << 20
    assert found["fogbank_backlog_entries", ("backlog", "dead_letters"), process] == 0
    for backlog in ("outbox", "work", "timers"):
        assert ("fogbank_backlog_age_seconds", ("backlog", backlog), process) in found


def test_metrics_listen_on_this_machine_alone(observed: Server) -> None:
    address = json.loads(fogbank(observed, "status", "--format", "json"))["metrics"]
    port = urllib.parse.urlsplit(address).port
    assert port is not None
    listening = [
        line.split()[1].split(":")
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    assert [at for at, of in listening if int(of, 16) == port] == ["0100007F"]


def test_only_metrics_is_served_there(observed: Server) -> None:
    address = json.loads(fogbank(observed, "status", "--format", "json"))["metrics"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace("/metrics", "/other"))
    with caught.value as error:
        assert error.code == 404


def test_audit_and_why_denied_answer_while_the_server_runs_and_after(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        iam = client(server, "iam")
        iam.create_user(UserName="a")
        key = iam.create_access_key(UserName="a")["AccessKey"]
        stranger = client(server, "dynamodb", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        with pytest.raises(ClientError) as caught:
            stranger.list_tables()
        request_id = caught.value.response["ResponseMetadata"]["RequestId"]
        running = told_of(server, request_id, key["SecretAccessKey"])
    assert told_of(server, request_id, key["SecretAccessKey"]) == running


def told_of(server: Server, request_id: str, secret: str) -> str:
    """Return why a request was refused, once the trail has shown what happened before it."""
    lines = fogbank(server, "audit", "--since", "1h", "--format", "json").splitlines()
    names = [json.loads(line)["eventName"] for line in lines]
    assert names == ["CreateUser", "CreateAccessKey", "ListTables"]
    assert secret not in "".join(lines)
    assert "iam:CreateUser" in fogbank(server, "audit", "--event", "CreateUser")
    why = fogbank(server, "why-denied", request_id)
    assert "statement  none: no statement allows it" in why
    assert f"request {request_id}" in why
    assert fogbank(server, "why-denied", "no-such-request", status=1) == ""
    return why


def test_following_prints_calls_as_they_come(observed: Server) -> None:
    following = subprocess.Popen(
        [sys.executable, "-m", "fogbank", "audit", "--follow", "--event", "CreateGroup",
         "--data", str(observed.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        client(observed, "iam").create_group(GroupName="followed")
        assert following.stdout is not None
        assert "iam:CreateGroup" in following.stdout.readline()
    finally:
        following.kill()
        following.communicate()


def test_the_memory_that_is_set_bounds_all_environments_together(tmp_path: Path) -> None:
    with Server(
        tmp_path / "data", variables={"FOGBANK_FUNCTIONS_MEMORY_BUDGET_MB": "128"}
    ) as server:
        functions, role = server.client("lambda"), make_role(server)
        code = {"ZipFile": zipped("def handler(event, context): return 'ran'")}
        for name in ("first", "second"):
            make_function(server, role, code, FunctionName=name, MemorySize=128)
            assert functions.invoke(FunctionName=name)["Payload"].read() == b'"ran"'
        # The idle environment of the first had to make room for that of the second.
        assert json.loads(fogbank(server, "status", "--format", "json"))["environments"] == 1


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Yield the socket of a service manager, which gives up listening after a while."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def managed(manager: socket.socket, **variables: str) -> Server:
    path = Path(manager.getsockname())
    return Server(path.parent / "data", variables={"NOTIFY_SOCKET": str(path), **variables})


def test_the_service_manager_hears_when_we_serve_and_when_we_end(manager: socket.socket) -> None:
    with managed(manager) as server:
        assert manager.recv(64) == b"READY=1"
        assert server.stop() == 0
        assert manager.recv(64) == b"STOPPING=1"


SILENCE_S = 1.0
"""Ten half periods: by then whoever would beat on has."""


def is_silent(manager: socket.socket) -> bool:
    """Return whether no heartbeat comes but those that were on their way."""
    manager.settimeout(SILENCE_S)
    try:
        for _ in range(3):
            manager.recv(64)
    except TimeoutError:
        return True
    finally:
        manager.settimeout(30)
    return False


def test_heartbeats_stop_while_a_process_is_stuck_and_come_again(manager: socket.socket) -> None:
    processes = {"FOGBANK_PROCESSES_STORES": "2", "FOGBANK_PROCESSES_FRONTS": "1"}
    with managed(manager, WATCHDOG_USEC="200000", **processes) as server:
        assert manager.recv(64) == b"READY=1"
        found = server.processes().items()
        stores = [pid for pid, command in found if command.endswith("fogbank.server.process")]
        fronts = [pid for pid, command in found if command.endswith("fogbank.server.front")]
        assert (len(stores), len(fronts)) == (2, 1)
        for pid in (stores[1], fronts[0]):
            assert manager.recv(64) == b"WATCHDOG=1"
            os.kill(pid, signal.SIGSTOP)
            try:
                assert is_silent(manager)
            finally:
                os.kill(pid, signal.SIGCONT)
            assert manager.recv(64) == b"WATCHDOG=1"
    said = (server.data_dir.parent / "server.log").read_text()
    assert "fogbank: store process 1 does not answer" in said
    assert "fogbank: front 0 does not answer" in said


def test_heartbeats_go_on_after_a_process_was_started_again(manager: socket.socket) -> None:
    with managed(manager, WATCHDOG_USEC="200000") as server:
        assert manager.recv(64) == b"READY=1"
        found = server.processes().items()
        (store,) = [pid for pid, command in found if command.endswith("fogbank.server.process")]
        os.kill(store, signal.SIGKILL)
        for _ in range(20):
            assert manager.recv(64) == b"WATCHDOG=1"
        assert client(server, "dynamodb").list_tables()["TableNames"] == []
