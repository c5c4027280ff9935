"""kill -9 between an upload's acknowledgement and its row: nothing acknowledged is lost.

Each round uploads pictures to a bucket whose function writes a thumbnail and a row, kills one
process or all at a random point, starts again, and compares. A failure prints its seed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.http.making import make_function, make_role, tell, zipped

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.sandbox import forethought
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.keyspace import (
    BLOB_DELETIONS,
    OUTBOX,
    PARTITIONS,
    TIMERS,
    WORK,
    system_prefix,
)
from fogbank.platform.store.tuples import after_prefix, unpack
from fogbank.server import datadir
from fogbank.server.keys import read_root_key
from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS = 8
ROUNDS_SOAK = 250
UPLOADS = 24
CLIENTS = 4
SETTLE_S = 60
# A sandbox that is killed has failed, and its event is retried as AWS retries, only sooner.
SETTINGS = """
[quotas]
"lambda.async_retry_1_ms" = 200
"lambda.async_retry_2_ms" = 400
"""
CODE = """
import boto3, hashlib, os, urllib.parse
s3, table = boto3.client("s3"), boto3.client("dynamodb")

def handler(event, context):
    for record in event["Records"]:
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        body = s3.get_object(Bucket="photos", Key=key)["Body"].read()
        digest = hashlib.sha256(body).hexdigest()
        s3.put_object(Bucket="thumbnails", Key=key, Body=digest.encode())
        table.put_item(TableName="rows", Item={"name": {"S": key}, "digest": {"S": digest}})
"""
ALLOW = {"Effect": "Allow", "Action": ["s3:*", "dynamodb:*", "logs:*"], "Resource": "*"}


def build(server: Server) -> None:
    for bucket in ("photos", "thumbnails"):
        server.client("s3").create_bucket(Bucket=bucket)
    server.client("dynamodb").create_table(
        TableName="rows",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    role = make_role(server, ALLOW)
    arn = make_function(server, role, {"ZipFile": zipped(CODE)}, MemorySize=256)
    tell(server, arn, "photos")


SHARED = """
[account]
id = "222222222222"
[processes]
stores = 2
fronts = 2
"""


@pytest.fixture(scope="module", params=["", SHARED], ids=["one process", "two and two"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    settings = SETTINGS + request.param
    server = Server(tmp_path_factory.mktemp("crash") / "data", settings=settings)
    server.start()
    build(server)
    yield server
    assert server.stop() == 0


def picture(seed: int, number: int) -> bytes:
    """Return a body that is inline, a blob, or a blob of several frames."""
    draw = random.Random(f"{seed}/{number}")
    return draw.randbytes(draw.choice((200, 50_000, 300_000, 2_500_000)))


def victims(server: Server, draw: random.Random) -> list[int]:
    """Return what to kill: everything, or one process of a random kind."""
    processes = server.processes()
    if draw.random() < 0.4:
        return list(processes)
    return [draw.choice(list(processes))]


class Load:
    """Several clients that upload side by side; notes what was acknowledged."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.seed = seed
        self.acknowledged: dict[str, str] = {}
        self.progress = threading.Condition()

    def upload(self, client: Any, number: int) -> None:
        key, body = f"{self.seed}/{number}", picture(self.seed, number)
        try:
            client.put_object(Bucket="photos", Key=key, Body=body)
        except (BotoCoreError, ClientError):
            return  # not acknowledged: it may or may not be there
        with self.progress:
            self.acknowledged[key] = hashlib.sha256(body).hexdigest()
            self.progress.notify_all()

    def wait_for(self, count: int) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.acknowledged) >= count, timeout=SETTLE_S)


def upload_and_kill(server: Server, seed: int) -> dict[str, str]:
    """Upload side by side, kill in the middle; return the digests of what was acknowledged."""
    draw = random.Random(seed)
    load = Load(server, seed)
    clients = [server.client("s3") for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        for number in range(UPLOADS):
            threads.submit(load.upload, clients[number % CLIENTS], number)
        load.wait_for(draw.randrange(1, UPLOADS // 2))
        time.sleep(draw.random() * 0.05)  # the random point, between upload and row
        whom = victims(server, draw)
        for pid in whom:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if server.pid in whom:
            server._finish()
            server.start()
    return load.acknowledged


def rows(server: Server) -> dict[str, str]:
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName="rows")
    found = [(row["name"]["S"], row["digest"]["S"]) for page in pages for row in page["Items"]]
    assert len(found) == len(dict(found))
    return dict(found)


def wait_for_rows(server: Server, acknowledged: dict[str, str], seed: int) -> dict[str, str]:
    deadline = time.monotonic() + SETTLE_S
    found: dict[str, str] = {}
    while time.monotonic() < deadline:
        try:
            found = rows(server)
        except (BotoCoreError, ClientError):
            found = {}
        if acknowledged.keys() <= found.keys():
            return found
        time.sleep(0.05)
    raise AssertionError(f"seed {seed}: no row for {sorted(acknowledged.keys() - found.keys())}")


def test_every_acknowledged_photo_has_its_thumbnail_and_its_row(
    built: Server, request: pytest.FixtureRequest
) -> None:
    first = int(os.environ.get("SEED", "1"))
    count = ROUNDS_SOAK if request.config.getoption("--soak") else ROUNDS
    for seed in range(first, first + count):
        acknowledged = upload_and_kill(built, seed)
        found = wait_for_rows(built, acknowledged, seed)
        s3 = built.client("s3")
        for key, digest in acknowledged.items():
            body = s3.get_object(Bucket="photos", Key=key)["Body"].read()
            assert hashlib.sha256(body).hexdigest() == digest, f"seed {seed}: {key} is torn"
            assert found[key] == digest, f"seed {seed}: the row of {key}"
            thumbnail = s3.get_object(Bucket="thumbnails", Key=key)["Body"].read().decode()
            assert thumbnail == digest, f"seed {seed}: the thumbnail of {key}"


def is_for_later(key: bytes) -> bool:
    """Return whether a work entry is due in the future: periodic work, not a left-over."""
    visible_ms = unpack(key[len(system_prefix(WORK, 0)) :])[1]
    assert isinstance(visible_ms, int)
    return visible_ms > time.time() * 1000 + 10_000


def left_in_system_subspaces(data_dir: Path, store: Path) -> list[str]:
    """Return what a stopped server left in outbox, work lists, timers and deletions."""
    names = {OUTBOX: "outbox", WORK: "work", TIMERS: "timer", BLOB_DELETIONS: "deletion"}

    async def look() -> list[str]:
        encryption = Encryption(read_root_key(data_dir / "root.key"), Ids().random_bytes)
        engine = await EmbeddedEngine.open(store, clock=SystemClock(), encryption=encryption)

        async def body(tr: Transaction) -> list[str]:
            found = []
            for subspace, name in names.items():
                for partition in range(PARTITIONS):
                    prefix = system_prefix(subspace, partition)
                    found += [
                        f"{name} {key!r}"
                        for key, _ in await tr.range(prefix, after_prefix(prefix), limit=100)
                        if not (subspace == WORK and is_for_later(key))
                    ]
            return found

        try:
            return await engine.system_stores()[0].read(body)
        finally:
            await engine.close()

    return asyncio.run(look())


def test_after_the_crashes_nothing_is_left_over_and_the_directory_checks_clean(
    built: Server,
) -> None:
    deadline = time.monotonic() + SETTLE_S
    while True:  # the queues empty themselves: attempts under way, deletions that wait
        time.sleep(1)
        below = list(built.processes())
        assert built.stop() == 0
        stores = datadir.store_dirs(built.data_dir, datadir.stores_of(built.data_dir) or 1)
        left = [
            each for store in stores for each in left_in_system_subspaces(built.data_dir, store)
        ]
        if not left or time.monotonic() > deadline:
            break
        built.start()
    assert left == []
    done = built.run("check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    assert not list(built.data_dir.rglob("*.new"))
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    works = [datadir.functions_dir(built.data_dir, n, len(stores)) for n in range(len(stores))]
    kept = {"code", forethought.FILE}
    assert [path for work in works for path in work.iterdir() if path.name not in kept] == []
    built.start()
