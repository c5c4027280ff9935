"""Servers of several processes: what their tests have alike."""

from __future__ import annotations

import time
from typing import Any

from tests.http.making import make_function, make_role, tell, zipped

from fogbank.platform.store.keyspace import shard_of
from fogbank.services.s3.rules import access
from fogbank.testing.server import Server

ACCOUNT = "111122223333"
WAIT_S = 60
BUCKETS = ("bucket-a", "bucket-b", "bucket-c", "bucket-d", "bucket-e", "bucket-f")
CODE = """
def handler(event, context):
    for record in event["Records"]:
        print("SEEN", record["s3"]["object"]["key"])
"""
LOGS = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}


def settings(stores: int, fronts: int) -> str:
    return f'[account]\nid = "{ACCOUNT}"\n[processes]\nstores = {stores}\nfronts = {fronts}\n'


def store_of(bucket: str) -> int:
    return shard_of(access.domain_of(bucket), 2)


def processes(server: Server, kind: str) -> list[int]:
    return [
        pid for pid, command in server.processes().items() if f"fogbank.server.{kind}" in command
    ]


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def make_told(server: Server, *buckets: str) -> None:
    """Make a function that is told of what is put into the buckets, from code in the first."""
    server.client("s3").put_object(Bucket=buckets[0], Key="code.zip", Body=zipped(CODE))
    code = {"S3Bucket": buckets[0], "S3Key": "code.zip"}
    tell(server, make_function(server, make_role(server, LOGS), code), *buckets)
