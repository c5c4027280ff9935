"""``fogbank status`` and ``/metrics``: every process, every exit status, what is damaged or stuck."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.http.observing import fogbank, scrape, status_of, until

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

MIB = 1 << 20
METRICS = {"FOGBANK_METRICS_PORT": "0"}
TABLE = {
    "TableName": "table",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def pids(server: Server, kind: str) -> list[int]:
    found = server.processes().items()
    return [pid for pid, command in found if command.endswith(f"fogbank.server.{kind}")]


# Exit statuses.


def test_status_is_0_while_all_is_well_and_3_when_no_server_runs(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        said = status_of(server)
        assert said["running"]
        assert said["endpoint"] == server.endpoint
        assert said["metrics"] == ""
        assert said["degraded"] == []
        roles = {each["role"] for each in said["processes"]}
        assert roles - {"checkpointer"} == {"supervisor", "store", "sandboxd"}
        text = fogbank(server, "status")
        assert f"running     {server.endpoint}" in text
        assert "store       version" in text
    assert "not running" in fogbank(server, "status", status=3)
    assert status_of(server, status=3)["running"] is False


def test_status_is_1_while_something_is_degraded(reachable: Path) -> None:
    with Server(reachable / "data", variables={"FOGBANK_SANDBOX_LEVEL": "4"}) as server:
        assert status_of(server, status=1)["degraded"] == ["functions are not isolated"]
        assert "DEGRADED    functions are not isolated" in fogbank(server, "status", status=1)


def test_status_is_2_when_the_command_line_is_wrong(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    assert fogbank(server, "status", "--format", "xml", status=2) == ""


def test_status_is_4_when_it_cannot_be_told(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    assert fogbank(server, "status", status=4) == ""
    with server:
        (store,) = pids(server, "process")
        os.kill(store, signal.SIGSTOP)
        try:
            assert fogbank(server, "status", "--wait", "1", status=4) == ""
        finally:
            os.kill(store, signal.SIGCONT)
        assert status_of(server)["running"]


# Every process.


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    processes = {"FOGBANK_PROCESSES_STORES": "2", "FOGBANK_PROCESSES_FRONTS": "2"}
    data = tmp_path_factory.mktemp("several") / "data"
    with Server(data, variables={**METRICS, **processes}) as server:
        server.client("dynamodb").create_table(**TABLE)
        yield server


NAMES = ["store 0", "store 1", "front 0", "front 1"]


def test_status_and_metrics_tell_of_every_store_process_and_front(several: Server) -> None:
    said = answering(several)
    assert [each["name"] for each in (*said["stores"], *said["fronts"])] == NAMES
    assert said["silent"] == said["degraded"] == []
    roles = [each["role"] for each in said["processes"]]
    assert len(roles) == len(set(roles))
    beside = {"supervisor", "sandboxd 0", "sandboxd 1"}
    assert set(roles) - {"checkpointer 0", "checkpointer 1"} == {*NAMES, *beside}
    by_role = {each["role"]: each["pid"] for each in said["processes"]}
    assert {by_role["store 0"], by_role["store 1"]} == set(pids(several, "process"))
    assert {by_role["front 0"], by_role["front 1"]} == set(pids(several, "front"))
    found = scrape(said["metrics"])
    for name in NAMES:
        process = ("process", name)
        assert found["fogbank_process_up", process] == 1
        assert found["fogbank_uptime_seconds", process] > 0
        assert found["fogbank_process_resident_bytes", process] > MIB
        assert found["fogbank_loop_lateness_seconds_count", process] >= 0
        assert found["fogbank_loop_holds_seconds_count", process] >= 0
        assert found["fogbank_garbage_collections_total", ("cause", "growth"), process] >= 0
        is_store = ("fogbank_store_version", process) in found
        assert is_store == name.startswith("store")
        if is_store:
            assert found["fogbank_backlog_entries", ("backlog", "outbox"), process] == 0
            assert found["fogbank_blobs", process] == 0
    made = [
        value
        for (name, *labels), value in found.items()
        if name == "fogbank_requests_total" and ("operation", "CreateTable") in labels
    ]
    assert sum(made) == 1
    text = fogbank(several, "status")
    assert "store 1     version" in text


@pytest.mark.parametrize(("kind", "name"), [("front", "front 1"), ("process", "store 1")])
def test_a_process_that_does_not_answer_is_named_and_hides_no_other(
    several: Server, kind: str, name: str
) -> None:
    said = answering(several)
    (stuck,) = [each for each in said["processes"] if each["role"] == name]
    others = [each for each in NAMES if each != name]
    assert stuck["pid"] in pids(several, kind)
    os.kill(stuck["pid"], signal.SIGSTOP)
    try:
        seen = until("the silence", lambda: told_of_silence(several, name))
        up = ("fogbank_process_up", ("process", name))
        found = until("the sample", lambda: shown(said["metrics"], up, 0))
    finally:
        os.kill(stuck["pid"], signal.SIGCONT)
    assert seen["degraded"] == [f"{name} does not answer"]
    assert [each["name"] for each in (*seen["stores"], *seen["fronts"])] == others
    for other in others:
        assert ("fogbank_process_up", ("process", other)) in found
    assert not answering(several)["silent"]


def told_of_silence(server: Server, name: str) -> dict[str, Any] | None:
    """Return the state if one process alone is silent: on a busy machine others may be slow."""
    said = status_of(server, status=1)
    return said if said["silent"] == [name] else None


def shown(metrics: str, name: tuple[Any, ...], value: float) -> dict[Any, float] | None:
    """Return the samples if one of them has a value."""
    found = scrape(metrics)
    return found if found[name] == value else None


def answering(server: Server) -> dict[str, Any]:
    """Return the state once every process answers."""
    return until("all answers", lambda: all_answer(status_of_any(server)))


def all_answer(said: dict[str, Any]) -> dict[str, Any] | None:
    return None if said["silent"] else said


def status_of_any(server: Server) -> dict[str, Any]:
    """Return the state, whether or not something is degraded."""
    return status_of(server, status=(0, 1))


def test_a_front_that_was_started_again_is_seen_again(several: Server) -> None:
    victim = pids(several, "front")[0]
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        said = status_of_any(several)
        return not said["silent"] and victim not in [each["pid"] for each in said["processes"]]

    assert until("the front again", is_back)


# Refusals.


def test_a_front_has_its_refusals_recorded_under_the_key_that_was_named(several: Server) -> None:
    client = several.client("dynamodb", aws_secret_access_key="wrong" * 8)
    with pytest.raises(ClientError) as caught:
        client.list_tables()
    wanted = caught.value.response["ResponseMetadata"]["RequestId"]

    def found() -> str:
        return fogbank(several, "audit", "--request", wanted, "--format", "json")

    record = json.loads(until("the record", found))
    assert (record["eventName"], record["errorCode"]) == (
        "ListTables",
        "InvalidSignatureException",
    )
    key_id = several.environment()["AWS_ACCESS_KEY_ID"]
    assert record["userIdentity"]["type"] == "Unknown"
    assert record["userIdentity"]["accessKeyId"] == key_id
    assert key_id in fogbank(several, "audit", "--request", wanted)
    samples = scrape(status_of_any(several)["metrics"])
    for name in NAMES:
        assert samples["fogbank_audit_grouped_total", ("process", name)] == 0


# HTTP/2.


def test_metrics_tell_of_connections_by_protocol(several: Server) -> None:
    metrics = status_of_any(several)["metrics"]

    def spoken(protocol: str) -> float:
        found = scrape(metrics)
        return sum(
            found["fogbank_connections", ("process", each), ("protocol", protocol)]
            for each in NAMES
        )

    assert spoken("h2") == 0
    host, port = several.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert client.recv(9)
        assert spoken("h2") == 1
    until("the end of the connection", lambda: spoken("h2") == 0)
    found = scrape(metrics)
    for name in NAMES:
        process = ("process", name)
        assert found["fogbank_http2_streams", process] == 0
        assert found["fogbank_http2_resets_total", ("by", "client"), process] == 0
        assert found["fogbank_http2_resets_total", ("by", "server"), process] == 0


# Blobs and damage.


def test_blobs_are_counted_and_damage_is_reported_and_degrades(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data, variables={"FOGBANK_SCRUB_MB_PER_S": "0"}) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="held")
        for name in ("whole", "hurt"):
            s3.put_object(Bucket="held", Key=name, Body=name.encode() * MIB)
        (store,) = until(
            "the count", lambda: [e for e in status_of(server)["stores"] if e["blobs"]]
        )
        assert store["blobs"]["blobs"] == 2
        assert store["blobs"]["size_bytes"] >= 9 * MIB
        assert store["scrub"] == {"damaged": 0, "damage": []}
        assert "blobs     2, " in fogbank(server, "status")
    files = sorted((data / "store" / "blobs").rglob("*.blob"), key=lambda path: path.stat().st_size)
    raw = bytearray(files[0].read_bytes())
    raw[MIB // 2] ^= 1
    files[0].write_bytes(raw)
    with Server(data, variables=METRICS) as server:
        said = until("the scrub", lambda: scrubbed(server))
        (store,) = said["stores"]
        (damage,) = store["scrub"]["damage"]
        assert damage["kind"] == "blob"
        assert store["scrub"]["damaged"] == 1
        assert store["scrub"]["last_frames"] > 0
        assert said["degraded"] == [
            f"1 stored rows or blobs are damaged, such as: {damage['message']}"
        ]
        with pytest.raises((ClientError, BotoCoreError)):
            server.client("s3").get_object(Bucket="held", Key="hurt")["Body"].read()
        said = status_of(server, status=1)
        assert said["stores"][0]["damaged_reads"] == 1
        assert "1 reads met damage since the start" in said["degraded"]
        found, process = scrape(said["metrics"]), ("process", "store")
        assert found["fogbank_blobs", process] == 2
        assert found["fogbank_blob_bytes", process] == sum(each.stat().st_size for each in files)
        assert found["fogbank_damaged", process] == 1
        assert found["fogbank_store_damaged_reads_total", process] == 1
        assert found["fogbank_scrub_frames", process] == store["scrub"]["frames"]
        assert found["fogbank_scrub_ended_timestamp_seconds", process] > 0
        assert damage["message"] in fogbank(server, "status", status=1)


def scrubbed(server: Server) -> dict[str, Any] | None:
    """Return the state once a round of the scrub has ended."""
    said = status_of_any(server)
    return said if said["stores"][0]["scrub"].get("last_ended_ms") else None


# The archive of the log.


def test_the_archive_of_the_log_is_told_of_and_degrades_when_it_fails(tmp_path: Path) -> None:
    # A link, as it can be replaced in one step: a folder moved away is made again at once.
    folder, stands, file = tmp_path / "set", tmp_path / "stands", tmp_path / "file"
    stands.mkdir()
    folder.symlink_to(stands)
    file.write_text("a file stands where the archive was")
    archive = {"FOGBANK_ARCHIVE_FOLDER": str(folder), "FOGBANK_ARCHIVE_INTERVAL_MS": "100"}
    with Server(tmp_path / "data", variables={**METRICS, **archive}) as server:
        said = status_of(server)
        assert said["stores"][0]["archive"]["error"] == ""
        dynamodb = server.client("dynamodb")
        dynamodb.create_table(**TABLE)
        until("the archive", lambda: list(stands.rglob("*.json")))
        file.replace(folder)
        dynamodb.put_item(TableName="table", Item={"id": {"S": "a"}})
        dynamodb.put_item(TableName="table", Item={"id": {"S": "b"}})
        said = until("the failure", lambda: failed(server))
        state = said["stores"][0]["archive"]
        assert state["backlog_bytes"] > 0
        found, process = scrape(said["metrics"]), ("process", "store")
        assert found["fogbank_archive_failing", process] == 1
        assert found["fogbank_archive_backlog_bytes", process] > 0
        assert found["fogbank_archive_dropped_total", process] == 0
        until("age", lambda: status_of(server, status=1)["stores"][0]["archive"]["age_s"] > 0)
        age = ("fogbank_backlog_age_seconds", ("backlog", "archive"), process)
        assert scrape(said["metrics"])[age] > 0


def failed(server: Server) -> dict[str, Any] | None:
    """Return the state once the archive fails."""
    said = status_of_any(server)
    words = "the archive of the log fails: "
    return said if any(each.startswith(words) for each in said["degraded"]) else None
