"""A developer's day at the command line: real sandboxes, behind a front and two stores."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.http.making import make_function, make_role, zipped
from tests.http.several import settings

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

SOURCE = """
import time
def handler(event, context):
    print("hello", event)
    begin = time.process_time()
    while time.process_time() - begin < event.get("work_s", 0): pass
    if event.get("fail"): raise ValueError("as told")
    return event
"""
SETTINGS = settings(2, 1) + "\n[tls]\nenabled = true\n"
LOGGING = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Server]:
    """Return a server with a function ``f``."""
    with Server(tmp_path_factory.mktemp("developing") / "data", settings=SETTINGS) as made:
        role = make_role(made, LOGGING)
        code = {"ZipFile": zipped(SOURCE)}
        make_function(made, role, code, FunctionName="f", MemorySize=256)
        yield made


def test_what_a_function_takes_and_costs_is_seen(server: Server) -> None:
    event = json.dumps({"work_s": 0.2})
    server.client("lambda").invoke(FunctionName="f", Payload=event)
    for _ in range(100):
        done = server.run("top", "--once", "--format", "json")
        said = json.loads(done.stdout)
        (row,) = said["shown"]
        if row["state"] == "frozen":
            break
        time.sleep(0.05)  # it is frozen a moment after its answer
    assert (row["function"], row["version"], row["state"]) == ("f", "$LATEST", "frozen")
    assert (row["memory_mb"], row["invocations"], said["silent"]) == (256, 1, [])
    assert row["pid"] > 0
    assert row["processor_ms"] >= 150  # each of several counters is cut to hundredths of a second
    assert 1 << 20 < row["memory_bytes"] < 256 << 20
    (bill,) = map(json.loads, server.run("cost", "--format", "json").stdout.splitlines())
    (version,) = bill["versions"]
    assert (version["function"], version["requests"], bill["requests"]) == ("f", 1, 1)
    assert version["gb_seconds"] == version["billed_ms"] / 4_000 >= 0.05
    assert (bill["cost"], bill["free_requests"]) == ("0.00000000", 1)


def test_a_function_is_run_and_its_log_is_followed(server: Server) -> None:
    following = subprocess.Popen(
        server._command("logs", "f", "--follow", "--filter", "hello", "--since", "1h"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with following:
        assert following.stdout is not None
        for number in range(3):
            done = server.run("invoke", "f", "--payload", json.dumps({"number": number}))
            assert (done.returncode, json.loads(done.stdout)) == (0, {"number": number})
        seen = ""
        while "'number': 2" not in seen:
            seen += following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
    told = [line.split("hello ")[1] for line in seen.splitlines() if "number" in line]
    assert told == [f"{{'number': {number}}}" for number in range(3)]
    done = server.run("invoke", "f", "--payload", '{"fail": true}', "--tail")
    assert (done.returncode, json.loads(done.stdout)["errorType"]) == (3, "ValueError")
    assert "REPORT RequestId" in done.stderr
