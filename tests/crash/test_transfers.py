"""kill -9 in the middle of an import: it goes on, and no item is lost or counted twice."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.crash.ending import end_whole

from fogbank.testing.server import Server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]

ITEMS = 40_000
ACCOUNTS = 10
AMOUNT = 1_000
WAIT_S = 300
SETTINGS = """
[processes]
stores = 2
fronts = 1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("transfers") / "data", settings=SETTINGS)
    server.start()
    server.client("s3").create_bucket(Bucket="transfers")
    yield server
    end_whole(server)


def insistent(call: Callable[..., Any], **request: Any) -> Any:
    """Call until it is answered: the server is starting again."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with suppress(BotoCoreError, ClientError):
            return call(**request)
        time.sleep(0.05)  # until it has
    raise AssertionError(f"{call} was not answered")


def killed_during(
    server: Server, describe: Callable[[], dict[str, Any]], count: str, kind: str
) -> dict[str, Any]:
    """Kill the server where a job has come so far; return what the job is at its end."""
    told, killed = describe(), False
    while told[f"{kind}Status"] == "IN_PROGRESS":
        if not killed and told[count] > ITEMS // 10:
            server.kill()
            server.start()
            killed = True
        told = describe()
    assert killed, "it was still under way then"
    return told


def account(number: int, amount: int) -> dict[str, Any]:
    return {"p": {"S": f"account/{number}"}, "amount": {"N": str(amount)}}


def lines() -> bytes:
    items = [{"p": {"S": f"item/{number}"}, "n": {"N": str(number)}} for number in range(ITEMS)]
    items += [account(number, AMOUNT) for number in range(ACCOUNTS)]
    return b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)


def scanned(server: Server) -> dict[str, Any]:
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName="tab")
    return {item["p"]["S"]: item for page in pages for item in page["Items"]}


def test_an_import_goes_on_behind_a_kill_and_counts_every_item_once(server: Server) -> None:
    server.client("s3").put_object(Bucket="transfers", Key="in/1", Body=gzip.compress(lines()))
    dynamodb = server.client("dynamodb")
    begun = dynamodb.import_table(
        S3BucketSource={"S3Bucket": "transfers", "S3KeyPrefix": "in/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": "tab",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )["ImportTableDescription"]

    def describe() -> dict[str, Any]:
        client = server.client("dynamodb")
        arn = begun["ImportArn"]
        return insistent(client.describe_import, ImportArn=arn)["ImportTableDescription"]

    ended = killed_during(server, describe, "ProcessedItemCount", "Import")
    assert ended["ImportStatus"] == "COMPLETED", ended
    assert ended["ProcessedItemCount"] == ended["ImportedItemCount"] == ITEMS + ACCOUNTS
    assert ended["ProcessedSizeBytes"] == len(lines())
    assert len(scanned(server)) == ITEMS + ACCOUNTS
