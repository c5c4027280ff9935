"""kill -9 of every kind of process under mixed load on all services: nothing acknowledged is lost.

A round takes one kind (a front, a store process, its checkpointer, sandboxd, a zygote, a sandbox, the
supervisor, or all at once), kills it at a random point while clients of all services work, waits
until the server serves again and looks for everything that was acknowledged. No operation that is
built takes a client's token: what must not be applied twice is for the first that does. ``make soak``
adds its rounds to ``docs/measured/soak.json``.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.mixed import SETTLE_S, Clients, Work, build, lost
from tests.measured import add_up

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS_SOAK = 400
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


def runs(pid: int) -> bool:
    """Return whether a process is there and not dead already."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("every") / "data", settings=SETTINGS)
    server.start()
    build(server)
    yield server
    end_whole(server)


# A round.


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
