"""kill -9 while a backup is copied and a table is filled: both are one cut of the bank, and whole.

Clients transfer between accounts in transactions all the time. Each round asks for a backup, or for
the past, of the accounts, and everything is killed while the work is under way; it goes on when the
server is back. The sum of each restored table is that of the bank, and its index has every account.
At the end ``fogbank check`` holds indexes, histories and backups against what they say.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole
from tests.crash.mixed import make_table

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(1_800)]

ACCOUNTS = 250
EACH = 1_000
PADDING = "x" * 4_000
CLIENTS = 2
ROUNDS = 2
ROUNDS_SOAK = 25
SETTLE_S = 120


def again(call: Any, **request: Any) -> Any:
    """Call until the server answers."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            return call(**request)
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline, request
            time.sleep(0.05)  # the server is starting again


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("bank") / "data")
    server.start()
    make_table(server, "accounts", {"by-bank": ("bank", "S")})
    table = server.client("dynamodb")
    on = {"PointInTimeRecoveryEnabled": True}
    table.update_continuous_backups(TableName="accounts", PointInTimeRecoverySpecification=on)
    for number in range(ACCOUNTS):
        item = {
            "name": {"S": f"{number}"},
            "bank": {"S": "one"},
            "amount": {"N": f"{EACH}"},
            "padding": {"S": PADDING},
        }
        table.put_item(TableName="accounts", Item=item)
    yield server
    end_whole(server)


def transfer(server: Server, draw: random.Random, ended: threading.Event) -> None:
    table = server.client("dynamodb")
    while not ended.is_set():
        source, target = draw.sample(range(ACCOUNTS), 2)
        parts = [
            {
                "Update": {
                    "TableName": "accounts",
                    "Key": {"name": {"S": f"{name}"}},
                    "UpdateExpression": "ADD amount :by",
                    "ExpressionAttributeValues": {":by": {"N": by}},
                }
            }
            for name, by in ((source, "-1"), (target, "1"))
        ]
        with suppress(BotoCoreError, ClientError):
            table.transact_write_items(TransactItems=parts)


@contextmanager
def transfers(server: Server, seed: int) -> Generator[None]:
    """Have clients transfer meanwhile."""
    ended = threading.Event()
    threads = [
        threading.Thread(target=transfer, args=(server, random.Random(seed + at), ended))
        for at in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def kill(server: Server) -> None:
    """Kill all processes, and start the server again."""
    for pid in list(server.processes()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server._finish()
    server.start()


def wait_for(table: Any, status: str, describe: Any) -> None:
    deadline = time.monotonic() + SETTLE_S
    while (found := again(describe)) != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)  # until the work is done


def amounts(table: Any, name: str, **index: str) -> list[int]:
    pages = table.get_paginator("scan").paginate(TableName=name, **index)
    return [int(item["amount"]["N"]) for page in pages for item in page["Items"]]


def check_restored(table: Any, name: str) -> None:
    """Wait until a table is filled, and hold it against the bank."""

    def status() -> str:
        found: str = table.describe_table(TableName=name)["Table"]["TableStatus"]
        return found

    wait_for(table, "ACTIVE", status)
    found = amounts(table, name)
    assert (len(found), sum(found)) == (ACCOUNTS, ACCOUNTS * EACH)
    assert sorted(amounts(table, name, IndexName="by-bank")) == sorted(found)


def test_backups_and_restores_go_on_after_kill_9(
    bank: Server, request: pytest.FixtureRequest
) -> None:
    rounds = ROUNDS_SOAK if request.config.getoption("--soak") else ROUNDS
    seed = int(os.environ.get("SEED", "1"))
    draw = random.Random(seed)
    table = bank.client("dynamodb")
    with transfers(bank, seed):
        for number in range(rounds):
            made = table.create_backup(TableName="accounts", BackupName="saved")
            arn = made["BackupDetails"]["BackupArn"]
            time.sleep(draw.random() * 0.1)  # the random point
            kill(bank)

            def status(arn: str = arn) -> str:
                shown = table.describe_backup(BackupArn=arn)["BackupDescription"]
                found: str = shown["BackupDetails"]["BackupStatus"]
                return found

            wait_for(table, "AVAILABLE", status)
            copied, recalled = f"copied-{number}", f"recalled-{number}"
            table.restore_table_from_backup(BackupArn=arn, TargetTableName=copied)
            table.restore_table_to_point_in_time(
                SourceTableName="accounts", TargetTableName=recalled, UseLatestRestorableTime=True
            )
            time.sleep(draw.random() * 0.1)  # the random point
            kill(bank)
            check_restored(table, copied)
            check_restored(table, recalled)
            again(table.delete_backup, BackupArn=arn)
