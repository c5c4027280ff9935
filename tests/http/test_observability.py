"""What operators see of a real server: /metrics, status, audit, why-denied, log lines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

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


def fogbank(server: Server, *arguments: str, status: int = 0) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FOGBANK_")}
    done = subprocess.run(
        [sys.executable, "-m", "fogbank", *arguments, "--data", str(server.data_dir)],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def client(server: Server, service: str, **keys: str) -> Any:
    said = server.environment()
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys.get("key") or said["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys.get("secret") or said["AWS_SECRET_ACCESS_KEY"],
    )


def metrics(server: Server) -> dict[str, Any]:
    """Return every sample by name and labels."""
    address = json.loads(fogbank(server, "status", "--format", "json"))["metrics"]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as reply:
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = reply.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_requests_and_tell_of_store_and_processes(observed: Server) -> None:
    dynamodb = client(observed, "dynamodb")
    dynamodb.create_table(**TABLE)
    for number in range(3):
        dynamodb.put_item(TableName="table", Item={"id": {"S": str(number)}})
    with pytest.raises(ClientError):
        client(observed, "dynamodb", secret="wrong" * 8).list_tables()
    found = metrics(observed)
    put = (("operation", "PutItem"), ("service", "dynamodb"))
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
        assert found[name,] > 0, name
    assert found["fogbank_audit_lost_total",] == 0
    for process in ("supervisor", "store", "sandboxd"):
        assert found["fogbank_process_resident_bytes", ("process", process)] > 1 << 20
    assert found["fogbank_backlog_entries", ("backlog", "dead_letters")] == 0


def test_only_metrics_is_served_there(observed: Server) -> None:
    address = json.loads(fogbank(observed, "status", "--format", "json"))["metrics"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace("/metrics", "/other"))
    with caught.value as error:
        assert error.code == 404


def test_status_says_how_the_server_is_and_that_none_runs(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    said = json.loads(fogbank(server, "status", "--format", "json"))
    assert said["running"]
    assert said["endpoint"] == server.endpoint
    assert said["metrics"] == ""
    assert said["degraded"] == []
    assert {each["role"] for each in said["processes"]} >= {"supervisor", "store", "sandboxd"}
    assert f"running     {server.endpoint}" in fogbank(server, "status")
    server.stop()
    assert "not running" in fogbank(server, "status", status=3)


def test_audit_and_why_denied_answer_while_the_server_runs_and_after(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    iam = client(server, "iam")
    iam.create_user(UserName="a")
    key = iam.create_access_key(UserName="a")["AccessKey"]
    stranger = client(server, "dynamodb", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        stranger.list_tables()
    request_id = caught.value.response["ResponseMetadata"]["RequestId"]
    outputs = []
    for is_running in (True, False):
        if not is_running:
            server.stop()
        lines = fogbank(server, "audit", "--since", "1h", "--format", "json").splitlines()
        names = [json.loads(line)["eventName"] for line in lines]
        assert names == ["CreateUser", "CreateAccessKey", "ListTables"]
        assert key["SecretAccessKey"] not in "".join(lines)
        assert "iam:CreateUser" in fogbank(server, "audit", "--event", "CreateUser")
        outputs.append(fogbank(server, "why-denied", request_id))
        assert "statement  none: no statement allows it" in outputs[-1]
        assert f"request {request_id}" in outputs[-1]
        assert fogbank(server, "why-denied", "no-such-request", status=1) == ""
    assert outputs[0] == outputs[1]


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


def test_the_service_manager_hears_when_we_serve_and_when_we_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        server = Server(tmp_path / "data", variables={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        server.start()
        assert manager.recv(64) == b"READY=1"
        assert server.stop() == 0
        assert manager.recv(64) == b"STOPPING=1"
