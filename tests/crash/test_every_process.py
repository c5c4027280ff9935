"""kill -9 of every kind of process under mixed load on all services: nothing acknowledged is lost.

A round takes one kind (a front, a store process, its checkpointer, sandboxd, a zygote, a sandbox, the
supervisor, or all at once), kills it at a random point while clients of all services work, waits
until the server serves again and looks for everything that was acknowledged. No operation that is
built takes a client's token: what must not be applied twice is for the first that does. ``make soak``
adds its rounds to ``docs/measured/soak.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.test_main_job import ALLOW
from tests.http.making import TRUST, document, make_function, make_role, zipped
from tests.measured import add_up

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS_SOAK = 400
SETTLE_S = 60
ACTIONS = 3
"""So much of each kind of work is begun in a round."""
SETTINGS = """
[archive]
folder = "../set"
interval_ms = 100
[quotas]
"lambda.async_retry_1_ms" = 200
"lambda.async_retry_2_ms" = 400
[processes]
stores = 2
fronts = 2
"""
CODE = """
import boto3
table = boto3.client("dynamodb")

def handler(event, context):
    print("line", event["name"])
    table.put_item(TableName="done", Item={"name": {"S": event["name"]}})
    return event["name"]
"""
Fact = Callable[[], bool]
"""Something that was acknowledged: whether it is so."""


# The processes.


def runs(pid: int) -> bool:
    """Return whether a process is there and not dead already."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


# The work.


class Clients:
    """A client of each service, for all threads and all lives of a server."""

    def __init__(self, server: Server) -> None:
        self.s3 = server.client("s3")
        self.table = server.client("dynamodb")
        self.functions = server.client("lambda")
        self.logs = server.client("logs")
        self.iam = server.client("iam")
        self.sts = server.client("sts")


class Work:
    """Clients of every service, side by side, and what was acknowledged to them."""

    def __init__(self, server: Server, clients: Clients, name: str) -> None:
        self.server = server
        self.clients = clients
        self.name = name
        self.facts: list[tuple[str, Fact]] = []
        self.progress = threading.Condition()
        self.stop = threading.Event()

    def acknowledged(self, what: str, fact: Fact) -> None:
        with self.progress:
            self.facts.append((what, fact))
            self.progress.notify_all()

    def wait_for(self, count: int) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.facts) >= count, timeout=SETTLE_S)

    def objects(self, n: int) -> None:
        s3 = self.clients.s3
        key = f"{self.name}/{n}"
        draw = random.Random(key)
        body = draw.randbytes(draw.choice((200, 50_000, 300_000, 2_500_000)))
        s3.put_object(Bucket="objects", Key=key, Body=body)
        digest = hashlib.sha256(body).digest()

        def fact() -> bool:
            got = self.clients.s3.get_object(Bucket="objects", Key=key)["Body"].read()
            return hashlib.sha256(got).digest() == digest

        self.acknowledged(f"object {key}", fact)

    def items(self, n: int) -> None:
        name = f"{self.name}/{n}"
        item = {"name": {"S": name}, "value": {"S": "v" * (n * 700)}}
        self.clients.table.put_item(TableName="rows", Item=item)

        def fact() -> bool:
            table = self.clients.table
            return table.get_item(TableName="rows", Key={"name": {"S": name}})["Item"] == item

        self.acknowledged(f"item {name}", fact)

    def invocations(self, n: int) -> None:
        """Invoke and wait; what was answered has left its row and its line."""
        name = f"{self.name}/sync/{n}"
        functions = self.clients.functions
        reply = functions.invoke(FunctionName="job", Payload=json.dumps({"name": name}))
        if "FunctionError" not in reply:
            assert json.load(reply["Payload"]) == name
            self.acknowledged(f"invocation {name}", lambda: self.is_done(name))

    def events(self, n: int) -> None:
        name = f"{self.name}/event/{n}"
        self.clients.functions.invoke(
            FunctionName="job", InvocationType="Event", Payload=json.dumps({"name": name})
        )
        self.acknowledged(f"event {name}", lambda: self.is_done(name) and self.has_line(name))

    def is_done(self, name: str) -> bool:
        table = self.clients.table
        return "Item" in table.get_item(TableName="done", Key={"name": {"S": name}})

    def has_line(self, name: str) -> bool:
        found = self.clients.logs.filter_log_events(
            logGroupName="/aws/lambda/job", filterPattern=f'"line {name}"'
        )
        return bool(found["events"])

    def lines(self, n: int) -> None:
        stream = f"{self.name}/{n}".replace("/", "-")
        logs = self.clients.logs
        logs.create_log_stream(logGroupName="lines", logStreamName=stream)
        self.acknowledged(f"stream {stream}", lambda: self.messages(stream) is not None)
        event = {"timestamp": int(time.time() * 1_000), "message": stream}
        logs.put_log_events(logGroupName="lines", logStreamName=stream, logEvents=[event])
        self.acknowledged(f"line {stream}", lambda: self.messages(stream) == [stream])

    def messages(self, stream: str) -> list[str]:
        got = self.clients.logs.get_log_events(
            logGroupName="lines", logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in got["events"]]

    def users(self, n: int) -> None:
        name = f"{self.name}-{n}".replace("/", "-")
        iam = self.clients.iam
        iam.create_user(UserName=name)
        self.acknowledged(
            f"user {name}",
            lambda: self.clients.iam.get_user(UserName=name)["User"]["UserName"] == name,
        )
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(ALLOW))

        def fact() -> bool:
            found = self.clients.iam.get_user_policy(UserName=name, PolicyName="p")
            return found["PolicyDocument"]["Statement"] == [ALLOW]

        self.acknowledged(f"policy {name}", fact)

    def sessions(self, n: int) -> None:
        del n
        role = self.clients.iam.get_role(RoleName="job")["Role"]["Arn"]
        given = self.clients.sts.assume_role(RoleArn=role, RoleSessionName="s")
        keys = given["Credentials"]

        def fact() -> bool:
            sts = self.server.client(
                "sts",
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            )
            return sts.get_caller_identity()["Arn"].endswith("assumed-role/job/s")

        self.acknowledged("session", fact)

    def run(self, work: Callable[[int], None]) -> None:
        for n in range(ACTIONS):
            if self.stop.is_set():
                return
            with suppress(BotoCoreError, ClientError):  # not acknowledged: it may be so or not
                work(n)

    def works(self) -> list[Callable[[int], None]]:
        return [
            self.objects,
            self.items,
            self.invocations,
            self.events,
            self.lines,
            self.users,
            self.sessions,
        ]


def build(server: Server) -> None:
    server.client("s3").create_bucket(Bucket="objects")
    server.client("logs").create_log_group(logGroupName="lines")
    for table in ("rows", "done"):
        server.client("dynamodb").create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    trust = {**TRUST, "Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"}}
    role = make_role(server, ALLOW, trust=trust)
    make_function(server, role, {"ZipFile": zipped(CODE)}, MemorySize=256)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("every") / "data", settings=SETTINGS)
    server.start()
    build(server)
    yield server
    assert server.stop() == 0
    done = server.run("check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


# A round.


def is_so(fact: Fact) -> bool:
    with suppress(BotoCoreError, ClientError, KeyError, OSError):
        return fact()
    return False


def lost(facts: list[tuple[str, Fact]]) -> list[str]:
    """Return what was acknowledged and does not come to be so."""
    deadline = time.monotonic() + SETTLE_S
    left = facts
    while left and time.monotonic() < deadline:
        left = [(what, fact) for what, fact in left if not is_so(fact)]
    return [what for what, _ in left]


class Outcome:
    """What a round showed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.facts = 0
        self.lost: list[str] = []
        self.gone_ms = 0
        """How long after the supervisor the last of its processes ended."""
        self.serving_ms = 0
        """How long after the kill a call of each service was answered again."""


def serves(clients: Clients) -> bool:
    """Return whether a call to every service is answered."""
    try:
        clients.s3.head_bucket(Bucket="objects")
        clients.table.describe_table(TableName="rows")
        clients.functions.get_function(FunctionName="job")
        clients.logs.describe_log_groups()
        clients.iam.list_users()
        clients.sts.get_caller_identity()
    except (BotoCoreError, ClientError):
        return False
    return True


def kill(server: Server, clients: Clients, outcome: Outcome, draw: random.Random) -> None:
    """Kill one process of a kind, or all; where the supervisor dies, wait for the end of all."""
    kind, found = outcome.kind, server.kinds()
    below = [pid for pids in found.values() for pid in pids]
    victims = below if kind == "all" else [draw.choice(found[kind])]
    began = time.monotonic()
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if server.pid in victims:
        server._finish()
        while any(runs(pid) for pid in below):
            assert time.monotonic() < began + SETTLE_S, [pid for pid in below if runs(pid)]
            time.sleep(0.001)
        outcome.gone_ms = round((time.monotonic() - began) * 1_000)
        server.start()  # on the same port and directory
    while not serves(clients):
        assert time.monotonic() < began + SETTLE_S, "it does not serve again"
    outcome.serving_ms = round((time.monotonic() - began) * 1_000)


def round_of(server: Server, clients: Clients, kind: str, seed: int) -> Outcome:
    draw = random.Random(seed)
    outcome = Outcome(kind)
    work = Work(server, clients, f"{seed}-{kind.replace(' ', '-')}")
    threads = [threading.Thread(target=work.run, args=(each,)) for each in work.works()]
    for thread in threads:
        thread.start()
    try:
        work.wait_for(draw.randrange(1, len(threads) * 2))
        deadline = time.monotonic() + SETTLE_S
        while kind not in {"all", *server.kinds()}:  # a sandbox comes with its first invocation
            assert time.monotonic() < deadline, f"there is no {kind}: {server.kinds()}"
        time.sleep(draw.random() * 0.1)  # the random point
        kill(server, clients, outcome, draw)
    finally:
        for thread in threads:
            thread.join()
    outcome.facts = len(work.facts)
    outcome.lost = lost(work.facts)
    return outcome


KINDS = (
    "front",
    "store process",
    "checkpointer",
    "sandbox daemon",
    "zygote",
    "sandbox",
    "supervisor",
    "all",
)


def figures_of(outcomes: list[Outcome]) -> dict[str, int]:
    """Return what a run's rounds showed, as the soaks before it said it."""
    figures: Counter[str] = Counter()
    longest: dict[str, int] = {}
    for outcome in outcomes:
        name = outcome.kind.replace(" ", "_")
        figures[f"kill_rounds_{name}"] += 1
        figures["kill_rounds"] += 1
        figures["acknowledged"] += outcome.facts
        figures["lost"] += len(outcome.lost)
        for what, ms in (("serving_after", outcome.serving_ms), ("gone_after", outcome.gone_ms)):
            if ms:
                key = f"{what}_{name}_ms_max"
                longest[key] = max(longest.get(key, 0), ms)
    return {**figures, **longest}


@pytest.mark.timeout(14_400)
def test_whatever_is_killed_nothing_acknowledged_is_lost(
    server: Server, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    seed = int(os.environ.get("SEED", "1"))
    if soak and "SEED" not in os.environ:
        seed = int.from_bytes(os.urandom(4))
    sys.stdout.write(f"seed {seed}\n")
    count = int(os.environ.get("ROUNDS", ROUNDS_SOAK)) if soak else len(KINDS)
    outcomes: list[Outcome] = []
    clients = Clients(server)
    try:
        for number in range(count):
            outcome = round_of(server, clients, KINDS[number % len(KINDS)], seed + number)
            outcomes.append(outcome)
            sys.stdout.write(f"{outcome.kind}: {outcome.facts}, {outcome.serving_ms} ms\n")
            assert outcome.lost == [], f"seed {seed + number}, {outcome.kind}"
    finally:
        if soak:
            add_up(
                "soak",
                figures_of(outcomes),
                promises={"kill_rounds": ">= 1000", "lost": "<= 0"},
                failures=[what for outcome in outcomes for what in outcome.lost],
            )
