"""kill -9 in the middle of an import, a bulk put and an export: all go on, and nothing is lost or counted twice.

The export is of a table that is written meanwhile: transactions move amounts between accounts, so that
what they add up to is one number at any moment and another in a cut that is none.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Self

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
[quotas]
"dynamodb.export_file_bytes_max" = 20000
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
    """Kill the server where a job has come as far as a seed says; return what the job is at its end."""
    seed = int(os.environ.get("SEED", "1"))
    so_far = int(ITEMS * random.Random(seed).uniform(0.01, 0.1))
    told, killed = describe(), False
    while told[f"{kind}Status"] == "IN_PROGRESS":
        if not killed and told[count] > so_far:
            server.kill()
            server.start()
            killed = True
        told = describe()
    assert killed, f"seed {seed}: it was not under way when it was to be killed"
    return told


def account(number: int, amount: int) -> dict[str, Any]:
    return {"p": {"S": f"account/{number}"}, "amount": {"N": str(amount)}}


def lines() -> bytes:
    items = [{"p": {"S": f"item/{number}"}, "n": {"N": str(number)}} for number in range(ITEMS)]
    items += [account(number, AMOUNT) for number in range(ACCOUNTS)]
    return b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)


def scanned(server: Server, table: str = "tab") -> dict[str, Any]:
    pages = server.client("dynamodb").get_paginator("scan").paginate(TableName=table)
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


class Movers:
    """Moves amounts between accounts in transactions, until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.moves = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            giver, taker = self.moves % ACCOUNTS, (self.moves * 7 + 1) % ACCOUNTS
            if giver != taker:
                with suppress(BotoCoreError, ClientError):
                    # Each by another amount, or all would be as before after so many moves.
                    self._move(giver, taker, self.moves + 1)
            self.moves += 1

    def _move(self, giver: int, taker: int, amount: int) -> None:
        self._server.client("dynamodb").transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": "tab",
                        "Key": {"p": {"S": f"account/{number}"}},
                        "UpdateExpression": "ADD amount :by",
                        "ExpressionAttributeValues": {":by": {"N": str(by)}},
                    }
                }
                for number, by in ((giver, -amount), (taker, amount))
            ]
        )


def exported(server: Server, manifest: str, count: str = "itemCount") -> list[dict[str, Any]]:
    """Return the lines of an export, or of reports, by its manifests."""
    s3 = server.client("s3")

    def read(key: str) -> bytes:
        return s3.get_object(Bucket="transfers", Key=key)["Body"].read()

    summary = json.loads(read(manifest))
    found: list[dict[str, Any]] = []
    for line in read(summary["manifestFilesS3Key"]).splitlines():
        file = json.loads(line)
        content = gzip.decompress(read(file["dataFileS3Key"])).splitlines()
        assert len(content) == file["itemCount"]
        found += [json.loads(each) for each in content]
    assert len(found) == summary[count]
    return found


def test_a_bulk_put_goes_on_behind_a_kill_and_tells_every_record_once(server: Server) -> None:
    """Half of the items are there already: their conditions fail, and a second try of one would too."""
    s3, dynamodb = server.client("s3"), server.client("dynamodb")
    dynamodb.create_table(
        TableName="bulk",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        # What reports have still to tell is sealed, and opened behind the kill.
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
    )
    unless_there = {"ConditionExpression": "attribute_not_exists(p)"}
    put = [{"Item": {"p": {"S": f"item/{at // 2}"}}, **unless_there} for at in range(ITEMS)]
    content = b"".join(json.dumps(each).encode() + b"\n" for each in put)
    s3.put_object(Bucket="transfers", Key="bulk/1", Body=gzip.compress(content))
    begun = dynamodb.start_bulk_put_items(
        TableName="bulk",
        InputS3Configuration={
            "S3Bucket": "transfers",
            "S3KeyPrefix": "bulk/",
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
        },
        OutputS3Configuration={
            "S3Bucket": "transfers",
            "S3KeyPrefix": "told",
            "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"],
        },
        PerformanceTier="ACCELERATED",
    )["BulkOperationDescription"]
    arn = begun["BulkOperationArn"]

    def describe() -> dict[str, Any]:
        client = server.client("dynamodb")
        found = insistent(client.describe_bulk_operation, BulkOperationArn=arn)
        return dict(found["BulkOperationDescription"])

    ended = killed_during(server, describe, "ProcessedItemCount", "BulkOperation")
    assert ended["BulkOperationStatus"] == "COMPLETED", ended
    assert (ended["ProcessedItemCount"], ended["FailedItemCount"]) == (ITEMS, 0)
    assert len(scanned(server, "bulk")) == ITEMS // 2
    folder = f"told/AWSDynamoDB/{arn.rpartition('/')[2]}/"
    told = exported(server, f"{folder}manifest-summary.json", "conditionCheckFailureCount")
    assert [each["itemS3Pointer"]["itemIndex"] for each in told] == [*range(1, ITEMS, 2)]


def test_an_export_goes_on_behind_a_kill_and_is_of_one_moment(server: Server) -> None:
    dynamodb = server.client("dynamodb")
    table = dynamodb.describe_table(TableName="tab")["Table"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName="tab", PointInTimeRecoverySpecification=recovery)
    with Movers(server) as movers:
        begun = dynamodb.export_table_to_point_in_time(
            TableArn=table["TableArn"], S3Bucket="transfers", S3Prefix="out"
        )["ExportDescription"]

        def describe() -> dict[str, Any]:
            arn = begun["ExportArn"]
            return insistent(dynamodb.describe_export, ExportArn=arn)["ExportDescription"]

        ended = killed_during(server, describe, "ItemCount", "Export")
        assert movers.moves > ACCOUNTS, "the table was written meanwhile"
    assert ended["ExportStatus"] == "COMPLETED", ended
    items = {
        line["Item"]["p"]["S"]: line["Item"] for line in exported(server, ended["ExportManifest"])
    }
    assert len(items) == ended["ItemCount"] == ITEMS + ACCOUNTS
    amounts = [int(items[f"account/{number}"]["amount"]["N"]) for number in range(ACCOUNTS)]
    assert sum(amounts) == ACCOUNTS * AMOUNT
    assert amounts != [int(scanned(server)[f"account/{n}"]["amount"]["N"]) for n in range(ACCOUNTS)]
