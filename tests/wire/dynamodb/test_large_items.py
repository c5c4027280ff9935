"""Items of more than AWS's 400 KB, and bodies that the records of an item share.

AWS: "The maximum item size in DynamoDB is 400 KB" (Developer Guide, Constraints); here that is a
setting. DESIGN section 6, point 13: a body above 16 KiB is written once, one above 256 KiB is a blob.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.base.errors import Full
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.testing.cloud import Cloud

SIZE = 3_000_000
"""Of the content of a large attribute: so many bytes are in a blob of three frames."""
ITEM_BYTES_MAX = 4 << 20
RETENTION_MS = 60_000
LIMITS = {
    "dynamodb.item_bytes_max": ITEM_BYTES_MAX,
    "dynamodb.stream_retention_ms": RETENTION_MS,
}
GROUP = {
    "IndexName": "by-group",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n", "few"]},
}
IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
large = pytest.mark.parametrize("cloud", [LIMITS], indirect=True)


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud with streams whose bodies all run twice; a parameter gives its quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[DYNAMODB, STREAMS], replay=True, config=config) as made:
        yield made


@pytest.fixture
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have bodies of more than 8 bytes lie in chunks, and those of more than 64 in blobs."""
    monkeypatch.setattr(chunks, "INLINE_BYTES_MAX", 8)
    monkeypatch.setattr(chunks, "CHUNK_BYTES_MAX", 64)


@pytest.fixture
def table(dynamodb: Any) -> str:
    """Make a table with an index and a stream, whose items expire; return the stream's ARN."""
    made = dynamodb.create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("g", "p")],
        GlobalSecondaryIndexes=[GROUP],
        StreamSpecification=IMAGES,
        BillingMode="PAY_PER_REQUEST",
    )
    specification = {"AttributeName": "at", "Enabled": True}
    dynamodb.update_time_to_live(TableName="tab", TimeToLiveSpecification=specification)
    return made["TableDescription"]["LatestStreamArn"]


def item(key: str, size: int = SIZE, **more: Any) -> dict[str, Any]:
    body = random.Random(f"{key}{size}").randbytes(size)
    return {"p": {"S": key}, "g": {"S": "group"}, "b": {"B": body}, "n": {"N": "1"}, **more}


def kept(cloud: Cloud) -> tuple[list[int], list[int]]:
    """Return how often the chunks and the blobs of the domain are referred to."""

    async def look(tr: Transaction) -> tuple[list[int], list[int]]:
        counts = await chunks.COUNTS.list(tr, limit=1_000)
        bodies = await chunks.BODIES.list(tr, limit=1_000)
        blobs = await blob_rows.ROWS.list(tr, limit=1_000)
        assert {name for name, _ in counts} == {name for name, _ in bodies}
        return [each.references for _, each in counts], [each.references for _, each in blobs]

    domain = Domain("dynamodb", cloud.account.principal.account, "us-east-1")
    return asyncio.run(cloud.engine.store_of(domain).read(look))


def files(cloud: Cloud) -> list[BlobRef]:
    """Return the blobs that are there, once those on their way out are gone."""
    cloud.settle()
    return [ref for ref, _ in asyncio.run(cloud.engine.blobs.list(None, 1_000))]


@large
@pytest.mark.slow
def test_a_large_item_is_read_as_it_was_written_by_every_operation(
    dynamodb: Any, table: str
) -> None:
    one, other = item("one"), item("other", 100_000)
    key, few = {"p": {"S": "one"}}, {"few": {"S": "x"}}
    dynamodb.put_item(TableName="tab", Item=one)
    dynamodb.put_item(TableName="tab", Item=other)
    assert dynamodb.get_item(TableName="tab", Key=key)["Item"] == one
    changed = dynamodb.update_item(
        TableName="tab",
        Key=key,
        UpdateExpression="SET few = :few, n = n + :one",
        ConditionExpression="size(b) = :size",
        ExpressionAttributeValues={
            ":few": few["few"], ":one": {"N": "1"}, ":size": {"N": str(SIZE)},
        },
        ReturnValues="ALL_NEW",
    )  # fmt: skip
    one |= few | {"n": {"N": "2"}}
    assert changed["Attributes"] == one
    whole = {"one": one, "other": other}
    found: list[dict[str, Any]] = []
    for page in dynamodb.get_paginator("scan").paginate(TableName="tab"):
        assert len(page["Items"]) <= 2
        found += page["Items"]
    assert {each["p"]["S"]: each for each in found} == whole
    asked = {"tab": {"Keys": [key, {"p": {"S": "other"}}]}}
    found = dynamodb.batch_get_item(RequestItems=asked)["Responses"]["tab"]
    assert {each["p"]["S"]: each for each in found} == whole
    part = {"Get": {"TableName": "tab", "Key": key}}
    found = dynamodb.transact_get_items(TransactItems=[part])["Responses"]
    assert [each["Item"] for each in found] == [one]
    read = dynamodb.execute_statement(Statement="SELECT * FROM tab WHERE p = 'one'")
    assert read["Items"] == [one]
    [first] = dynamodb.query(
        TableName="tab",
        IndexName="by-group",
        KeyConditionExpression="g = :g",
        FilterExpression="attribute_exists(few)",
        ExpressionAttributeValues={":g": {"S": "group"}},
    )["Items"]
    assert first == {name: one[name] for name in ("p", "g", "n", "few")}
    gone = dynamodb.delete_item(TableName="tab", Key=key, ReturnValues="ALL_OLD")
    assert gone["Attributes"] == one


@large
@pytest.mark.slow
def test_an_item_above_the_setting_is_refused_and_leaves_nothing(
    cloud: Cloud, dynamodb: Any, table: str
) -> None:
    dynamodb.put_item(TableName="tab", Item=item("one"))
    before = files(cloud)
    with pytest.raises(ClientError, match="Item size has exceeded the maximum allowed size"):
        dynamodb.put_item(TableName="tab", Item=item("one", ITEM_BYTES_MAX))
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName="tab", Item=item("one", SIZE + 1), ConditionExpression="attribute_not_exists(p)"
        )  # fmt: skip
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "tab", "Item": item("two")}},
                {"ConditionCheck": {
                    "TableName": "tab",
                    "Key": {"p": {"S": "one"}},
                    "ConditionExpression": "n = :n",
                    "ExpressionAttributeValues": {":n": {"N": "7"}},
                }},
            ]
        )  # fmt: skip
    assert files(cloud) == before


@large
@pytest.mark.slow
def test_an_item_for_which_there_is_no_space_is_refused_as_the_model_says(
    cloud: Cloud, dynamodb: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> int:
        raise Full("no space")

    dynamodb.put_item(TableName="tab", Item=item("one"))
    with monkeypatch.context() as patched:
        patched.setattr(type(cloud.engine.blobs), "write", full)
        with pytest.raises(ClientError) as refused:
            dynamodb.put_item(TableName="tab", Item=item("one", SIZE + 1))
    assert refused.value.response["Error"]["Code"] == "InternalServerError"
    assert dynamodb.get_item(TableName="tab", Key={"p": {"S": "one"}})["Item"] == item("one")


def records(cloud: Cloud, arn: str) -> list[dict[str, Any]]:
    """Return the changes of a stream, from its first on."""
    client = cloud.client("dynamodbstreams")
    [shard] = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = client.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found: list[dict[str, Any]] = []
    while page := client.get_records(ShardIterator=iterator):
        found += page["Records"]
        if not page["Records"]:
            return found
        iterator = page["NextShardIterator"]
    raise AssertionError


@large
@pytest.mark.slow
def test_a_stream_shares_the_bodies_of_items_and_lets_them_go_with_age(
    cloud: Cloud, dynamodb: Any, table: str
) -> None:
    """Developer Guide, "Change data capture for DynamoDB Streams": kept for 24 hours (a setting)."""
    first, second, third = item("one"), item("one", 20_000), item("one", SIZE + 1)
    for each in (first, second, third):
        dynamodb.put_item(TableName="tab", Item=each)
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "one"}})
    shown = [each["dynamodb"] for each in records(cloud, table)]
    assert [each.get("NewImage") for each in shown] == [first, second, third, None]
    assert [each.get("OldImage") for each in shown] == [None, first, second, third]
    assert kept(cloud) == ([2], [2, 2])
    cloud.advance(3 * RETENTION_MS)
    cloud.settle()
    assert kept(cloud) == ([], [])
    assert files(cloud) == []


def test_a_large_item_expires(cloud: Cloud, dynamodb: Any, table: str, small_bodies: None) -> None:
    at = cloud.clock.now_ms() // 1_000 + 10
    dynamodb.put_item(TableName="tab", Item=item("one", 200, at={"N": str(at)}))
    cloud.advance(12_000)
    cloud.settle()
    assert "Item" not in dynamodb.get_item(TableName="tab", Key={"p": {"S": "one"}})
    [_, gone] = records(cloud, table)
    assert gone["userIdentity"]["PrincipalId"] == "dynamodb.amazonaws.com"
    assert gone["dynamodb"]["OldImage"] == item("one", 200, at={"N": str(at)})


@large
@pytest.mark.slow
def test_random_writes_keep_just_the_bodies_that_are_referred_to(
    cloud: Cloud, dynamodb: Any, table: str, small_bodies: None
) -> None:
    """Put, update, batch, transaction and statement; then the table goes, and its stream with age."""
    draw = random.Random(5)
    model: dict[str, Any] = {}
    for step in range(120):
        name = draw.choice("abcd")
        whole = item(name, draw.choice((1, 20, 40, 90, 150)), n={"N": str(step)})
        write(dynamodb, draw.choice(WRITES), whole, model)
    found = dynamodb.scan(TableName="tab")["Items"]
    assert {each["p"]["S"]: each for each in found} == model
    assert all(kept(cloud))
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    cloud.advance(3 * RETENTION_MS)
    cloud.settle()
    assert kept(cloud) == ([], [])
    assert files(cloud) == []


WRITES = ("put", "update", "delete", "batch", "transact", "statement")


def write(dynamodb: Any, kind: str, whole: dict[str, Any], model: dict[str, Any]) -> None:
    """Write an item in one of many ways, here and in the model."""
    name, key = whole["p"]["S"], {"p": whole["p"]}
    if kind == "delete":
        dynamodb.delete_item(TableName="tab", Key=key)
        model.pop(name, None)
        return
    if kind in ("update", "statement"):
        whole = {**model.get(name, key), "b": whole["b"], "n": whole["n"]}
    if kind == "statement" and name not in model:
        kind = "put"
    model[name] = whole
    values = {":b": whole["b"], ":n": whole["n"]}
    put = {"Item": whole}
    if kind == "put":
        dynamodb.put_item(TableName="tab", **put)
    elif kind == "update":
        dynamodb.update_item(
            TableName="tab", Key=key, UpdateExpression="SET b = :b, n = :n",
            ExpressionAttributeValues=values,
        )  # fmt: skip
    elif kind == "batch":
        dynamodb.batch_write_item(RequestItems={"tab": [{"PutRequest": put}]})
    elif kind == "transact":
        dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "tab", **put}}])
    else:
        dynamodb.execute_statement(
            Statement="UPDATE tab SET b = ? SET n = ? WHERE p = ?",
            Parameters=[whole["b"], whole["n"], whole["p"]],
        )
