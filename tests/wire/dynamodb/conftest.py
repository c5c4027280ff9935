from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.indexing import Made, schema
from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, Regions, add, begin, make, settle

from fogbank.contract.call import Call
from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.testing.cloud import Cloud

Refusal = tuple[int, str, str]


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud whose bodies all run twice; a parameter gives its quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[DYNAMODB, IAM], replay=True, config=config) as made:
        yield made


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    return cloud.client("dynamodb")


@pytest.fixture
def make_table(dynamodb: Any) -> Callable[..., None]:
    """Make a table whose key is ``p`` and, if its type is given, ``c``."""

    def make(name: str = "tab", *, partition: str = "S", sort: str | None = None) -> None:
        types = {"p": partition} | ({"c": sort} if sort else {})
        dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": role}
                for key, role in zip(types, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind} for key, kind in types.items()
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    return make


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the operations that gave way to others, each as often as it did."""
    found: list[str] = []
    give_way = Call.give_way

    async def noted(call: Call) -> None:
        found.append(call.operation)
        await give_way(call)

    monkeypatch.setattr(Call, "give_way", noted)
    return found


@pytest.fixture
def refusal() -> Callable[..., Refusal]:
    """Call what must be refused; return the status, code and message."""

    def refused(call: Callable[..., Any], **given: Any) -> Refusal:
        with pytest.raises(ClientError) as caught:
            call(**given)
        reply = caught.value.response
        status = reply["ResponseMetadata"]["HTTPStatusCode"]
        return status, reply["Error"]["Code"], reply["Error"]["Message"]

    return refused


@pytest.fixture
def as_user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user with statements, of every resource unless they say; return its client."""
    iam = cloud.client("iam")

    def made(*statements: dict[str, Any], name: str = "alice") -> Any:
        statement = [{"Effect": "Allow", "Resource": "*", **each} for each in statements]
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client(
            "dynamodb", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    return made


@pytest.fixture
def make_indexed(dynamodb: Any) -> Made:
    """Make a table with key ``p``, ``c`` and indexes; attributes are texts but for ``n``, ``b``."""

    def made(
        *global_indexes: Any, local: Iterable[Any] = (), name: str = "tab", **members: Any
    ) -> None:
        local = [*local]
        keys = [each["KeySchema"] for each in (*local, *global_indexes)]
        names = {each["AttributeName"] for key in keys for each in key} | {"p", "c"}
        types = {"n": "N", "b": "B"}
        given: dict[str, Any] = {"BillingMode": "PAY_PER_REQUEST"} | members
        if global_indexes:
            given["GlobalSecondaryIndexes"] = [*global_indexes]
        if local:
            given["LocalSecondaryIndexes"] = local
        dynamodb.create_table(
            TableName=name,
            KeySchema=schema("p", ">c"),
            AttributeDefinitions=[
                {"AttributeName": each, "AttributeType": types.get(each, "S")} for each in names
            ],
            **given,
        )

    return made


@pytest.fixture
def at(cloud: Cloud) -> Regions:
    """Return clients of three regions."""
    return {region: cloud.client("dynamodb", region=region) for region in (WEST, EAST, SOUTH)}


@pytest.fixture
def two(cloud: Cloud, at: Regions) -> Regions:
    """Have a table with replicas in two regions."""
    make(at[WEST])
    add(at[WEST], EAST)
    settle(cloud)
    return at


@pytest.fixture
def three(cloud: Cloud, at: Regions) -> Regions:
    """Have a strongly consistent table with replicas in three regions."""
    make(at[WEST])
    begin(at[WEST], EAST, SOUTH)
    settle(cloud)
    return at
