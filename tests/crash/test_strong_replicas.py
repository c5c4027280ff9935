"""kill -9 under a strongly consistent global table: what one region acknowledged, every region reads.

The domains of its regions lie in different stores, so that calls of some run in another process. One
process or all are killed while the replicas are made, while clients of all regions write, and while the
replicas go. A client reads what it has written in another region, as soon as it is acknowledged; no
acknowledged count is lost or counted twice; the streams of all regions have every acknowledged write once,
in one order. A failure prints its seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.test_replicas import AWAY, HOME, LARGE, SETTINGS, client_of
from tests.crash.test_streams import kill

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]

THIRD = "sa-east-1"
REGIONS = (HOME, AWAY, THIRD)
WRITES = 240
"""Of each client."""
KILLS = 4
WAIT_S = 120
COUNTER = {"name": {"S": "counter"}}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("strong") / "data", settings=SETTINGS)
    made.start()
    client_of(made, HOME).create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield made
    end_whole(made)


def until(what: str, look: Callable[[], bool]) -> None:
    """Look until it is so, through starts of the server."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            if look():
                return
        time.sleep(0.05)  # the server is starting again, or a job is at work
    raise AssertionError(what)


def change(server: Server, kind: str) -> None:
    """Ask for the replicas, or that they go, whether or not the answer comes."""
    wanted = kind == "Create"
    given = {"MultiRegionConsistency": "STRONG"} if wanted else {}

    def ask() -> bool:
        table = client_of(server, HOME)
        told = table.describe_table(TableName="tab")["Table"]
        if ("Replicas" in told) == wanted:
            return True
        updates = [{kind: {"RegionName": region}} for region in (AWAY, THIRD)]
        table.update_table(TableName="tab", ReplicaUpdates=updates, **given)
        return True

    until(kind, ask)


def open_streams(server: Server) -> dict[str, str]:
    """Open a stream in each region, whether or not the answer comes; return their ARNs."""
    found: dict[str, str] = {}
    for region in REGIONS:

        def ask(region: str = region) -> bool:
            table = client_of(server, region)
            told = table.describe_table(TableName="tab")["Table"]
            if "StreamSpecification" in told:
                found[region] = told["LatestStreamArn"]
                return True
            given = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
            table.update_table(TableName="tab", StreamSpecification=given)
            return False

        until(f"no stream in {region}", ask)
    return found


def images_of(server: Server, region: str, arn: str) -> list[tuple[str, str]]:
    """Return what a stream tells of: the name and the number of each item, in order."""
    reader = server.client("dynamodbstreams", region_name=region)
    [shard] = reader.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    at = reader.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found: list[tuple[str, str]] = []
    while page := reader.get_records(ShardIterator=at):
        images = [each["dynamodb"]["NewImage"] for each in page["Records"]]
        found += [(each["name"]["S"], each.get("number", each.get("n"))["N"]) for each in images]
        if not images:
            return found
        at = page["NextShardIterator"]
    raise AssertionError("every page is something")


def check_streams(server: Server, arns: dict[str, str], seed: int) -> None:
    """Hold the streams of all regions to what the clients had acknowledged, and to each other."""
    told = {region: images_of(server, region, arn) for region, arn in arns.items()}
    numbers = [str(number) for number in range(1, WRITES + 1)]
    for region in REGIONS:
        assert told[region] == told[REGIONS[0]], f"seed {seed}: {region} is told other things"
        assert [n for name, n in told[REGIONS[0]] if name == region] == numbers, f"seed {seed}"


class Client(threading.Thread):
    """A client of one region, which reads in another what it has written."""

    def __init__(self, server: Server, region: str, other: str) -> None:
        super().__init__()
        self._table = client_of(server, region)
        self._other = client_of(server, other)
        self.name_of_item = region
        self.done = 0
        self.counted = 0
        """How often the counter was surely counted up."""
        self.maybe = 0
        """How often nobody knows."""
        self.stale: list[str] = []

    def run(self) -> None:
        for number in range(1, WRITES + 1):
            self._put(number)
            self._read(number)
            self._count()
            self.done = number

    def _put(self, number: int) -> None:
        more = {} if number % 40 else {"more": {"S": LARGE}}
        item = {"name": {"S": self.name_of_item}, "number": {"N": str(number)}, **more}
        until("a write", lambda: bool(self._table.put_item(TableName="tab", Item=item)))

    def _read(self, number: int) -> None:
        def look() -> bool:
            key = {"name": {"S": self.name_of_item}}
            found = self._other.get_item(TableName="tab", Key=key, ConsistentRead=True)
            if int(found.get("Item", {"number": {"N": "0"}})["number"]["N"]) != number:
                self.stale.append(f"{found.get('Item')} after {number}")
            return True

        until("a read", look)

    def _count(self) -> None:
        try:
            self._table.update_item(
                TableName="tab",
                Key=COUNTER,
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        except (BotoCoreError, ClientError):
            self.maybe += 1
        else:
            self.counted += 1


def test_no_region_misses_what_another_has_acknowledged(server: Server) -> None:
    seed = int(os.environ.get("SEED", "1"))
    draw = random.Random(seed)
    change(server, "Create")
    kill(server, draw)
    for region in REGIONS:
        until(
            f"seed {seed}: {region} is not there",
            lambda region=region: (  # pyright: ignore[reportUnknownLambdaType]
                client_of(server, region).describe_table(TableName="tab")["Table"]["TableStatus"]
                == "ACTIVE"
            ),
        )
    arns = open_streams(server)
    others = (*REGIONS[1:], REGIONS[0])
    clients = [Client(server, *pair) for pair in zip(REGIONS, others, strict=True)]
    for client in clients:
        client.start()
    for number in range(KILLS):
        goal = WRITES * len(clients) * (number + draw.random()) / (KILLS + 1)
        until(f"seed {seed}", lambda goal=goal: sum(each.done for each in clients) >= goal)
        kill(server, draw)
    for client in clients:
        client.join()
    assert [each.stale for each in clients] == [[], [], []], f"seed {seed}"
    surely, maybe = sum(each.counted for each in clients), sum(each.maybe for each in clients)
    for region in REGIONS:
        found = client_of(server, region).get_item(TableName="tab", Key=COUNTER)
        assert surely <= int(found["Item"]["n"]["N"]) <= surely + maybe, f"seed {seed}"
    check_streams(server, arns, seed)
    change(server, "Delete")
    kill(server, draw)
    left = client_of(server, HOME)
    until(
        f"seed {seed}: the replicas do not go",
        lambda: "Replicas" not in left.describe_table(TableName="tab")["Table"],
    )
    for region in (AWAY, THIRD):
        assert client_of(server, region).list_tables()["TableNames"] == [], f"seed {seed}"
    names = {each["name"]["S"] for each in left.scan(TableName="tab")["Items"]}
    assert names == {*REGIONS, "counter"}, f"seed {seed}"
