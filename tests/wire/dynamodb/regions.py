"""Tables in several regions, as tests of global tables make and look at them."""

from __future__ import annotations

from typing import Any

from fogbank.testing.cloud import Cloud

WEST, EAST, SOUTH = "eu-west-1", "us-east-1", "ap-south-1"
Regions = dict[str, Any]


def make(client: Any, **members: Any) -> None:
    client.create_table(
        **{
            "TableName": "tab",
            "KeySchema": [
                {"AttributeName": "p", "KeyType": "HASH"},
                {"AttributeName": "c", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "p", "AttributeType": "S"},
                {"AttributeName": "c", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        | members
    )


def add(client: Any, region: str, **members: Any) -> Any:
    update = {"Create": {"RegionName": region, **members}}
    return client.update_table(TableName="tab", ReplicaUpdates=[update])["TableDescription"]


def drop(client: Any, region: str) -> Any:
    update = {"Delete": {"RegionName": region}}
    return client.update_table(TableName="tab", ReplicaUpdates=[update])["TableDescription"]


def item(key: str, sort: int, **more: str) -> Any:
    return {"p": {"S": key}, "c": {"N": str(sort)}} | {k: {"S": v} for k, v in more.items()}


def put(client: Any, key: str, sort: int, **more: str) -> None:
    client.put_item(TableName="tab", Item=item(key, sort, **more))


def held(client: Any) -> list[Any]:
    found = client.scan(TableName="tab", ConsistentRead=True)["Items"]
    return sorted(found, key=lambda each: (each["p"]["S"], int(each["c"]["N"])))


def described(client: Any) -> Any:
    return client.describe_table(TableName="tab")["Table"]


def statuses(client: Any) -> dict[str, str]:
    """Return the status of the table, under an empty name, and of its replicas."""
    table = described(client)
    found = {each["RegionName"]: each["ReplicaStatus"] for each in table.get("Replicas", ())}
    return {"": table["TableStatus"], **found}


def settle(cloud: Cloud, seconds: int = 5) -> None:
    """Let replicas come to rest."""
    cloud.advance(seconds * 1_000)


def create(*regions: str) -> list[Any]:
    return [{"Create": {"RegionName": region}} for region in regions]


def delete(*regions: str) -> list[Any]:
    return [{"Delete": {"RegionName": region}} for region in regions]


def begin(client: Any, *regions: str, witness: str = "") -> Any:
    given: dict[str, Any] = {"GlobalTableWitnessUpdates": create(witness)} if witness else {}
    return client.update_table(
        TableName="tab",
        ReplicaUpdates=create(*regions),
        MultiRegionConsistency="STRONG",
        **given,
    )["TableDescription"]
