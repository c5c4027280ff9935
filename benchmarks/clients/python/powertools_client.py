"""Powertools for AWS Lambda: functions that run once for a payload, and parameters kept in a table.

Argument: what its tables are called by.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.parameters import DynamoDBProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

NAME = sys.argv[1]
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "of-the-field"
THREADS = 8
dynamodb = boto3.client("dynamodb")
calls: list[Any] = []
lock = threading.Lock()


class Context:
    """What Lambda hands to a handler, as far as the layer reads it."""

    function_name = "of-the-field"
    aws_request_id = "1"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 30_000


def make(name: str, sort: str = "") -> None:
    keys = [("id", "HASH"), *([(sort, "RANGE")] if sort else [])]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)


def called(value: Any) -> None:
    with lock:
        calls.append(value)


def once() -> None:
    """Many at once with one payload: one runs, and all others hear what it said or that it runs."""
    make(f"{NAME}-once")
    dynamodb.update_time_to_live(
        TableName=f"{NAME}-once",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiration"},
    )
    layer = DynamoDBPersistenceLayer(table_name=f"{NAME}-once")
    running, go_on = threading.Event(), threading.Event()

    @idempotent(config=IdempotencyConfig(event_key_jmespath="[who, what]"), persistence_store=layer)
    def handler(event: dict[str, Any], _context: Context) -> dict[str, Any]:
        called(event)
        running.set()
        assert go_on.wait(60)
        return {"number": len(calls), "ü": event["what"]}

    event = {"who": "Ada", "what": "payment 🪙", "at": 1}
    heard: list[Any] = []

    def try_it(number: int) -> None:
        try:
            heard.append(handler({**event, "at": number}, Context()))
        except IdempotencyAlreadyInProgressError:
            heard.append("runs")

    first = threading.Thread(target=try_it, args=(1,))
    first.start()
    assert running.wait(60)
    others = [threading.Thread(target=try_it, args=(number,)) for number in range(THREADS)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert heard == ["runs"] * THREADS, heard
    go_on.set()
    first.join()
    assert handler(event, Context()) == {"number": 1, "ü": "payment 🪙"}
    assert len(calls) == 1
    assert handler({**event, "who": "Eve"}, Context())["number"] == 2
    rows = dynamodb.scan(TableName=f"{NAME}-once")["Items"]
    assert [row["status"]["S"] for row in rows] == ["COMPLETED"] * 2


def failed() -> None:
    """What raises leaves nothing, and may run again; what is longer ago than it was kept as well."""
    calls.clear()
    make(f"{NAME}-composite", "of")
    layer = DynamoDBPersistenceLayer(
        table_name=f"{NAME}-composite", key_attr="id", sort_key_attr="of", static_pk_value="all"
    )
    config = IdempotencyConfig(
        event_key_jmespath="key", payload_validation_jmespath="amount", expires_after_seconds=1
    )

    @idempotent_function(data_keyword_argument="order", config=config, persistence_store=layer)
    def work(order: dict[str, Any]) -> int:
        called(order)
        if order["amount"] == 0:
            raise ZeroDivisionError
        return len(calls)

    try:
        work(order={"key": "a", "amount": 0})
    except ZeroDivisionError:
        pass
    assert dynamodb.scan(TableName=f"{NAME}-composite")["Count"] == 0
    assert work(order={"key": "a", "amount": 5}) == 2
    try:
        work(order={"key": "a", "amount": 6})
    except IdempotencyValidationError:
        pass
    else:
        raise AssertionError("another payload of the same key was taken")
    assert work(order={"key": "a", "amount": 5}) == 2
    until = time.monotonic() + 30
    while work(order={"key": "a", "amount": 5}) == 2:
        assert time.monotonic() < until, "it is kept longer than was asked for"
        time.sleep(0.2)


def parameters() -> None:
    make(f"{NAME}-parameters")
    make(f"{NAME}-paths", "sk")
    one = {"id": {"S": "colour"}, "value": {"S": "bleu é"}}
    dynamodb.put_item(TableName=f"{NAME}-parameters", Item=one)
    provider = DynamoDBProvider(table_name=f"{NAME}-parameters")
    assert provider.get("colour", max_age=60) == "bleu é"
    dynamodb.put_item(TableName=f"{NAME}-parameters", Item={**one, "value": {"S": '{"a": [1]}'}})
    assert provider.get("colour", max_age=60) == "bleu é"  # kept by the provider
    assert provider.get("colour", transform="json", force_fetch=True) == {"a": [1]}
    try:
        provider.get("none")
    except GetParameterError:
        pass
    else:
        raise AssertionError("there is no such parameter")
    for number in range(30):
        row = {"id": {"S": "all"}, "sk": {"S": f"p{number:02}"}, "value": {"S": "x" * 50_000}}
        dynamodb.put_item(TableName=f"{NAME}-paths", Item=row)
    found = DynamoDBProvider(table_name=f"{NAME}-paths").get_multiple("all")  # two pages
    assert sorted(found) == [f"p{number:02}" for number in range(30)]


once()
failed()
parameters()
