"""Celery: results of tasks kept in a table until they expire, and what waits for many of them.

Argument: what its table is called by.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import boto3
from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker

NAME = sys.argv[1]
TASKS = 30
app = Celery(
    "field",
    broker="memory://",
    backend=f"dynamodb://@{os.environ['AWS_REGION']}/{NAME}?read=500&write=500&ttl_seconds=2",
)
app.conf.update(result_extended=True, result_backend_max_retries=0)


@app.task
def double(value: Any) -> Any:
    return value * 2


@app.task
def fail() -> None:
    raise LookupError("ünïcode 🥬")


@app.task
def total(values: list[int]) -> int:
    return sum(values)


# It makes its table when it is first asked for; two workers at once would both make it.
assert app.backend.client.describe_table(TableName=NAME)["Table"]["TableStatus"] == "ACTIVE"
with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False):
    assert double.delay("é").get(timeout=60) == "éé"
    results = group(double.s(number) for number in range(TASKS)).apply_async().get(timeout=60)
    assert results == [2 * number for number in range(TASKS)], results
    failed = fail.delay()
    try:
        failed.get(timeout=60)
    except LookupError as error:
        assert str(error) == "ünïcode 🥬"
    else:
        raise AssertionError("a failed task has a result")
    assert app.AsyncResult(failed.id).state == "FAILURE"
    joined = chord(double.s(number) for number in range(10))(total.s())
    assert joined.get(timeout=60) == 90
    kept = double.delay(21)
    kept.get(timeout=60)
    kept.forget()
    assert app.AsyncResult(kept.id).state == "PENDING"

dynamodb = boto3.client("dynamodb")
ttl = dynamodb.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]
assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}, ttl
until = time.monotonic() + 60
while dynamodb.scan(TableName=NAME, Select="COUNT")["Count"]:
    assert time.monotonic() < until, "results of long ago stay"
    time.sleep(0.1)
