"""Tables whose key KMS has: how tests make them, fill them and look at what lies on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodbstreams import SERVICE as STREAMS
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.testing.cloud import Cloud

SECRET = "what nobody may read"
INVALID = "One or more parameter values were invalid: "
PARTITION = "a partition key that nobody may read"


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    config = Config(quotas=getattr(request, "param", {}))
    services = [DYNAMODB, STREAMS, IAM, KMS]
    with Cloud(services=services, replay=True, config=config) as made:
        yield made


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    """Return the ARN of a customer's key."""
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def make(dynamodb: Any) -> Callable[..., dict[str, Any]]:
    """Make a table with a key ``p`` under a KMS key; return how it is described."""

    def made(key: str | None = None, name: str = "tab", **members: Any) -> dict[str, Any]:
        sse = {"Enabled": True, "SSEType": "KMS"} | ({"KMSMasterKeyId": key} if key else {})
        sse = members.pop("SSESpecification", sse)
        reply = dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "p", "AttributeType": "S"},
                *members.pop("more", []),
            ],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification=sse,
            **members,
        )
        return reply["TableDescription"]

    return made


@pytest.fixture
def put(dynamodb: Any) -> Callable[..., None]:
    def put(partition: str = PARTITION, name: str = "tab", **attributes: Any) -> None:
        item = {"p": {"S": partition}, "a": {"S": SECRET}, **attributes}
        dynamodb.put_item(TableName=name, Item=item)

    return put


@pytest.fixture
def get(dynamodb: Any) -> Callable[..., Any]:
    def got(partition: str = PARTITION, name: str = "tab", client: Any = dynamodb) -> Any:
        return client.get_item(TableName=name, Key={"p": {"S": partition}}).get("Item")

    return got


def kept_plain(cloud: Cloud, *secrets: str) -> list[str]:
    """Return which secrets stand in what the cloud gives its engine to keep, in rows or in blobs.

    The engine seals all of it under the store's keyring: whoever has that sees what is here. The trail
    of what was asked for names keys, as that of AWS does.
    """
    engine: Any = cloud.engine
    rows = [each for each in engine.rows.values() if b"audit.batch" not in each[:16]]
    kept = b"".join([*rows, *engine.blobs._blobs.values()])
    return [each for each in secrets if each.encode() in kept]


def index(name: str, key: str, projection: str = "ALL") -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": projection},
    }


STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
MAKE = Callable[..., dict[str, Any]]


def disabled(key: str) -> str:
    """Return how DynamoDB says that a key is disabled, up to the request's id."""
    return (
        "KMS key disabled error: com.amazonaws.services.kms.model.DisabledException:"
        f" {key} is disabled. (Service: AWSKMS; Status Code: 400; Error Code: DisabledException;"
        " Request ID: "
    )


def records(streams: Any, iterator: str) -> list[dict[str, Any]]:
    return streams.get_records(ShardIterator=iterator)["Records"]
