"""kill -9 between a write and what a function makes of its record: none is lost, no key out of order.

Clients write numbers to keys of a table, each key in order; a function that the table's stream invokes
appends what it sees to a list for each key, durable before it answers. Meanwhile one process or all
are killed at random points, and shards roll over. At the end each list has every number, and the
first time that each stands there is in order: batches may come again, but never ahead of others.
A failure prints its seed; ``make soak-streams`` makes 100,000 writes, ``WRITES=2000`` fewer with a
kill for each thousand, and adds what it saw to ``docs/measured/stream_soak.json``.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.test_main_job import victims
from tests.http.making import make_function, make_role, zipped
from tests.measured import add_up

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(7_200)]

CLIENTS = 4
KEYS = 5
"""Of each client."""
WRITES = 400
WRITES_SOAK = 100_000
KILLS = 4
WRITES_A_KILL = 1_000
"""Of a soak."""
SETTLE_S = 120
SETTINGS = """
[quotas]
"dynamodb.stream_shard_ms" = 3000
"lambda.stream_poll_ms" = 50
[account]
id = "222222222222"
[processes]
stores = 2
fronts = 1
"""
CODE = """
import boto3
table = boto3.client("dynamodb")

def handler(event, context):
    seen = {}
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        seen.setdefault(image["name"]["S"], []).append({"N": image["number"]["N"]})
    for name, numbers in seen.items():
        table.update_item(
            TableName="seen",
            Key={"name": {"S": name}},
            UpdateExpression="SET numbers = list_append(if_not_exists(numbers, :none), :more)",
            ExpressionAttributeValues={":none": {"L": []}, ":more": {"L": numbers}},
        )
"""
ALLOW = {"Effect": "Allow", "Action": ["dynamodb:*", "logs:*"], "Resource": "*"}


def build(server: Server) -> None:
    """Make the tables, and the function that the first one's stream invokes."""
    table = server.client("dynamodb")
    streams: dict[str, str] = {}
    for name, view in (("numbers", "NEW_IMAGE"), ("seen", "")):
        spec = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
        made = table.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification=spec,
        )["TableDescription"]
        streams[name] = made.get("LatestStreamArn", "")
    role = make_role(server, ALLOW)
    make_function(server, role, {"ZipFile": zipped(CODE)}, MemorySize=256)
    server.client("lambda").create_event_source_mapping(
        FunctionName="job",
        EventSourceArn=streams["numbers"],
        StartingPosition="TRIM_HORIZON",
        ParallelizationFactor=3,
        BatchSize=500,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("streams") / "data", settings=SETTINGS)
    server.start()
    build(server)
    yield server
    end_whole(server)


class Load:
    """Clients that write side by side, each its own keys, until enough is acknowledged."""

    def __init__(self, server: Server, seed: int, writes: int) -> None:
        self.server = server
        self.seed = seed
        self.last: dict[str, int] = {}
        """The last number of each key; all up to it were acknowledged."""
        self._left = writes
        self._acknowledged = 0
        self._progress = threading.Condition()

    def write(self, client: int) -> None:
        """Write the next number of each key of a client, again and again."""
        table = self.server.client("dynamodb")
        names = [f"{self.seed}/{client}/{key}" for key in range(KEYS)]
        number = 0
        while True:
            number += 1
            for name in names:
                with self._progress:
                    if self._left == 0:
                        return
                    self._left -= 1
                item = {"name": {"S": name}, "number": {"N": str(number)}}
                self._put(table, item)
                with self._progress:
                    self.last[name] = number
                    self._acknowledged += 1
                    self._progress.notify_all()

    @staticmethod
    def _put(table: Any, item: dict[str, dict[str, str]]) -> None:
        """Put an item until that is acknowledged: the same item again is no other change."""
        while True:
            try:
                table.put_item(TableName="numbers", Item=item)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)  # the server is starting again
            else:
                return

    def wait_for(self, count: int) -> None:
        with self._progress:
            assert self._progress.wait_for(lambda: self._acknowledged >= count, timeout=SETTLE_S), (
                f"seed {self.seed}"
            )


def lists(server: Server) -> dict[str, list[int]]:
    """Return what the function has seen of each key, in its order."""
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName="seen")
    return {
        row["name"]["S"]: [int(each["N"]) for each in row["numbers"]["L"]]
        for page in pages
        for row in page["Items"]
    }


def wait_for_all(server: Server, last: dict[str, int], seed: int) -> dict[str, list[int]]:
    """Return the lists once each has the last number of its key; as long as they grow, wait."""
    deadline, seen, found = time.monotonic() + SETTLE_S, 0, dict[str, list[int]]()
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            found = lists(server)
            if all(number in found.get(name, []) for name, number in last.items()):
                return found
        if (now := sum(len(numbers) for numbers in found.values())) > seen:
            deadline, seen = time.monotonic() + SETTLE_S, now
        time.sleep(0.2)  # until the function has caught up
    behind = {name: found.get(name, [])[-1:] for name in last}
    raise AssertionError(f"seed {seed}: of {last} the function has seen {behind}")


def kill(server: Server, draw: random.Random) -> None:
    """Kill one process or all; start the server again if it is gone."""
    whom = victims(server, draw)
    for pid in whom:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if server.pid in whom:
        server._finish()
        server.start()


def test_every_write_reaches_the_function_in_the_order_of_its_key(
    built: Server, request: pytest.FixtureRequest
) -> None:
    soak = request.config.getoption("--soak")
    writes = int(os.environ.get("WRITES", WRITES_SOAK)) if soak else WRITES
    kills = max(1, writes // WRITES_A_KILL) if soak else KILLS
    seed = int(os.environ.get("SEED", "1"))
    draw = random.Random(seed)
    load = Load(built, seed, writes)
    threads = [threading.Thread(target=load.write, args=(at,)) for at in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for number in range(kills):
        load.wait_for(int(writes * (number + draw.random()) / (kills + 1)))
        kill(built, draw)
    for thread in threads:
        thread.join()
    found = wait_for_all(built, load.last, seed)
    wrong = [
        name
        for name, last in load.last.items()
        if list(dict.fromkeys(found[name])) != list(range(1, last + 1))
    ]
    if soak:
        seen = sum(len(numbers) for numbers in found.values())
        figures = {
            "writes": sum(load.last.values()),
            "kills": kills,
            "repeats": seen - sum(load.last.values()),
            "keys_wrong": len(wrong),
        }
        promises = {"writes": f">= {WRITES_SOAK}", "keys_wrong": "<= 0"}
        add_up("stream_soak", figures, promises=promises, failures=wrong)
    assert wrong == [], f"seed {seed}: {[found[name] for name in wrong]}"
