from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.services.iam import SERVICE as IAM
from fogbank.testing.cloud import Cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud of these services, whose bodies all run twice; a parameter gives quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[DYNAMODB, STREAMS, IAM], replay=True, config=config) as made:
        yield made


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    return cloud.client("dynamodb")


@pytest.fixture
def streams(cloud: Cloud) -> Any:
    return cloud.client("dynamodbstreams")


@pytest.fixture
def make_table(dynamodb: Any) -> Callable[..., str]:
    """Make a table whose key is ``p`` and ``c`` (a number); return the ARN of its stream."""

    def make(name: str = "tab", view: str = "NEW_AND_OLD_IMAGES") -> str:
        table = dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "p", "KeyType": "HASH"},
                {"AttributeName": "c", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "p", "AttributeType": "S"},
                {"AttributeName": "c", "AttributeType": "N"},
            ],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )["TableDescription"]
        return table["LatestStreamArn"]

    return make


@pytest.fixture
def put(dynamodb: Any) -> Callable[..., None]:
    """Put an item with a key of text ``p`` and number ``c``."""

    def put(p: str = "p", c: int = 0, table: str = "tab", **others: Any) -> None:
        item = {"p": {"S": p}, "c": {"N": str(c)}, **others}
        dynamodb.put_item(TableName=table, Item=item)

    return put


@pytest.fixture
def shards(streams: Any) -> Callable[[str], list[Any]]:
    """Return the shards of a stream."""

    def listed(arn: str) -> list[Any]:
        return streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]

    return listed


@pytest.fixture
def iterator(streams: Any) -> Callable[..., str]:
    """Return an iterator of a shard."""

    def begun(arn: str, shard: Any, kind: str = "TRIM_HORIZON", **others: Any) -> str:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
        return streams.get_shard_iterator(**asked, **others)["ShardIterator"]

    return begun


@pytest.fixture
def read(streams: Any, shards: Any, iterator: Any) -> Callable[[str], list[Any]]:
    """Return all records of a stream, shard by shard, page by page."""

    def records(arn: str) -> list[Any]:
        found: list[Any] = []
        for shard in shards(arn):
            place: str | None = iterator(arn, shard)
            while place:
                page = streams.get_records(ShardIterator=place)
                found += page["Records"]
                place = page.get("NextShardIterator") if page["Records"] else None
        return found

    return records
