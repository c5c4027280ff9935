"""A function that floods its log costs what the journal lets through, and nobody else's lines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.making import make_function, make_role, zipped

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

LOGS = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
FLOOD = """
import os, time
def handler(event, context):
    end, piece, count = time.monotonic() + 2, event["line"].encode() * (65536 // len(event["line"])), 0
    while time.monotonic() < end or count <= event["at_least"]:
        count += os.write(1, piece)
    return count
"""
FLOOD_BYTES = 32 << 20
"""Far more than the journal lets through in the time."""
QUIET = "def handler(event, context): print('quiet', event)\n"
FLUSHES_PER_S = 10
BATCH_MB = 1
COPIES = 3
"""A line lies in the redo log, in the rows, and in what the rows' file grows by."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("flood") / "data") as server:
        role = make_role(server, LOGS)
        for name, code in (("flood", FLOOD), ("quiet", QUIET)):
            make_function(server, role, {"ZipFile": zipped(code)}, FunctionName=name, Timeout=60)
        yield server


def invoke(server: Server, name: str, event: Any) -> Any:
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


def lines_of(server: Server, name: str) -> list[str]:
    pages = server.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=f"/aws/lambda/{name}", filterPattern='"fogbank dropped"')
    if name == "quiet":
        found = pages.paginate(logGroupName=f"/aws/lambda/{name}")
    return [event["message"] for page in found for event in page["events"]]


def disk_mb(server: Server) -> int:
    """Return what the store holds on the disk."""
    files = (path for path in (server.data_dir / "store").rglob("*") if path.is_file())
    total = 0
    for path in files:
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:  # a part of the log that was applied meanwhile
            continue
    return total >> 20


def memory_mb(server: Server) -> int:
    """Return what the store process holds in memory."""
    (pid,) = (p for p, line in server.processes().items() if "fogbank.server.process" in line)
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) >> 10


@pytest.mark.parametrize("line", ["\n", "x" * 99 + "\n", "x" * 65_535 + "\n"], ids=len)
def test_a_flooded_log_is_bounded_and_the_log_of_another_function_goes_on(
    house: Server, line: str
) -> None:
    invoke(house, "quiet", "before")
    disk, memory, began = disk_mb(house), memory_mb(house), time.monotonic()
    written: list[int] = []
    flooding = threading.Thread(
        target=lambda: written.append(
            invoke(house, "flood", {"line": line, "at_least": FLOOD_BYTES})
        )
    )
    flooding.start()
    said = [f"{len(line)} {number}" for number in range(5)]
    for words in said:
        invoke(house, "quiet", words)
    flooding.join()
    assert written[0] > FLOOD_BYTES
    deadline = time.monotonic() + 60
    while not {f"quiet {words}\n" for words in said} <= set(lines_of(house, "quiet")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while not lines_of(house, "flood"):
        assert time.monotonic() < deadline, "nothing says that lines were dropped"
        time.sleep(0.05)
    elapsed = time.monotonic() - began
    assert disk_mb(house) - disk <= COPIES * BATCH_MB * (FLUSHES_PER_S * elapsed + 2)
    assert memory_mb(house) - memory < 64
