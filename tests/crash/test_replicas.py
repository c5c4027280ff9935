"""kill -9 between a write in one region and its arrival in another: nothing is lost, all end alike.

The domains of the two regions lie in different stores. Clients of both regions put numbers to keys of
their own and to keys that they share, and delete some, while one process or all are killed at random
points, the first time while a replica is being made. At the end both replicas have the same items, the
last number of each key that one client alone wrote, and of the shared keys the last of one of the
clients. A failure prints its seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.test_streams import kill

from fogbank.platform.store.engine import Domain
from fogbank.platform.store.keyspace import shard_of
from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]

ACCOUNT = "222222222222"
HOME = "us-east-1"
STORES = 2
OLD = 120
"""Items that are there before the replica."""
LARGE = "x" * 300_000
"""What some items have besides: they are blobs, which each store writes for itself."""
CLIENTS = 2
"""In each region."""
KEYS = 4
"""Of each client."""
SHARED = 3
WRITES = 600
KILLS = 4
SETTLE_S = 120
SETTINGS = f"""
[quotas]
"dynamodb.replication_poll_ms" = 20
[account]
id = "{ACCOUNT}"
[processes]
stores = {STORES}
fronts = 1
"""
Items = dict[str, int]


def region_elsewhere() -> str:
    """Return a region whose domain lies in another store than that of the first."""

    def store_of(region: str) -> int:
        return shard_of(Domain("dynamodb", ACCOUNT, region), STORES)

    others = ("eu-west-1", "eu-west-2", "eu-central-1", "ap-south-1", "us-west-2")
    return next(each for each in others if store_of(each) != store_of(HOME))


AWAY = region_elsewhere()


def client_of(server: Server, region: str) -> Any:
    return server.client("dynamodb", region_name=region)


def item_of(name: str, number: int) -> Any:
    """Return an item, large if its number is a multiple of forty."""
    more = {} if number % 40 else {"more": {"S": LARGE}}
    return {"name": {"S": name}, "number": {"N": str(number)}, **more}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("replicas") / "data", settings=SETTINGS)
    server.start()
    table = client_of(server, HOME)
    table.create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(OLD):
        table.put_item(TableName="tab", Item=item_of(f"old/{number}", number))
    yield server
    end_whole(server)


class Load:
    """Clients of both regions, until enough is acknowledged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.last: dict[str, int | None] = {f"old/{number}": number for number in range(OLD)}
        """The last number of each key that one client alone writes; None: it was deleted."""
        self._left = WRITES
        self._done = 0
        self._progress = threading.Condition()

    def write(self, region: str, number: int) -> None:
        """Write the next number of each key of a client, again and again; delete every seventh."""
        table = client_of(self.server, region)
        own = [f"{region}/{number}/{key}" for key in range(KEYS)]
        names = [*own, *(f"shared/{key}" for key in range(SHARED))]
        count = 0
        while True:
            count += 1
            for name in names:
                with self._progress:
                    if self._left == 0:
                        return
                    self._left -= 1
                is_deleted = count % 7 == 0 and name in own
                self._do(table, name, None if is_deleted else count)
                with self._progress:
                    if name in own:
                        self.last[name] = None if is_deleted else count
                    self._done += 1
                    self._progress.notify_all()

    @staticmethod
    def _do(table: Any, name: str, count: int | None) -> None:
        """Put or delete an item until that is acknowledged."""
        key = {"name": {"S": name}}
        while True:
            try:
                if count is None:
                    table.delete_item(TableName="tab", Key=key)
                else:
                    table.put_item(TableName="tab", Item=item_of(name, count))
            except (BotoCoreError, ClientError):
                time.sleep(0.05)  # the server is starting again
            else:
                return

    def wait_for(self, count: int, seed: int) -> None:
        with self._progress:
            waited = self._progress.wait_for(lambda: self._done >= count, timeout=SETTLE_S)
            assert waited, f"seed {seed}"


def held(server: Server, region: str) -> Items:
    pages = client_of(server, region).get_paginator("scan").paginate(TableName="tab")
    return {each["name"]["S"]: int(each["number"]["N"]) for page in pages for each in page["Items"]}


def add_replica(server: Server) -> None:
    """Ask for the replica, whether or not the answer comes."""
    while True:
        with suppress(BotoCoreError, ClientError):
            table = client_of(server, HOME)
            if table.describe_table(TableName="tab")["Table"].get("Replicas"):
                return
            update = {"Create": {"RegionName": AWAY}}
            table.update_table(TableName="tab", ReplicaUpdates=[update])
        time.sleep(0.05)  # the server is starting again


def wait_until_active(server: Server, seed: int) -> None:
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            found = client_of(server, HOME).describe_table(TableName="tab")["Table"]
            if [each["ReplicaStatus"] for each in found["Replicas"]] == ["ACTIVE"]:
                return
        time.sleep(0.1)  # until the copy is there
    raise AssertionError(f"seed {seed}: the replica does not come")


def wait_until_alike(server: Server, seed: int) -> Items:
    """Return the items of both regions once they are the same."""
    deadline, here, there = time.monotonic() + SETTLE_S, Items(), Items()
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            here, there = held(server, HOME), held(server, AWAY)
            if here == there:
                return here
        time.sleep(0.2)  # until the writes have arrived
    odd = {name for name in here | there if here.get(name) != there.get(name)}
    raise AssertionError(f"seed {seed}: the regions differ in {sorted(odd)[:10]}")


def test_replicas_end_alike_with_every_acknowledged_write(built: Server) -> None:
    seed = int(os.environ.get("SEED", "1"))
    draw = random.Random(seed)
    add_replica(built)
    kill(built, draw)
    wait_until_active(built, seed)
    load = Load(built)
    threads = [
        threading.Thread(target=load.write, args=(region, number))
        for region in (HOME, AWAY)
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for number in range(KILLS):
        load.wait_for(int(WRITES * (number + draw.random()) / (KILLS + 1)), seed)
        kill(built, draw)
    for thread in threads:
        thread.join()
    found = wait_until_alike(built, seed)
    alone = {name: found.get(name) for name in load.last}
    assert alone == load.last, f"seed {seed}"
    assert {f"shared/{key}" for key in range(SHARED)} <= found.keys(), f"seed {seed}"
