"""boto3's resource layer and the calls of a lock, as programs of the field use them.

The programs themselves run against a real server: ``make dynamodb-clients``.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

from fogbank.testing.cloud import HOST, REGION, Cloud
from fogbank.testing.sessions import new_session

Made = Callable[..., None]
# Their methods have no types.
key: Any = Key
attr: Any = Attr


@pytest.fixture
def table(cloud: Cloud, make_table: Made) -> Any:
    make_table(sort="N")
    resource = new_session().resource(
        "dynamodb",
        region_name=REGION,
        endpoint_url=f"http://{HOST}",
        aws_access_key_id=cloud.account.access_key_id,
        aws_secret_access_key=cloud.account.secret_access_key,
    )
    cloud.adopt(resource.meta.client)
    return resource.Table("tab")


def test_values_of_python_come_back_as_they_were_given(table: Any) -> None:
    item = {
        "p": "ü 🦫",
        "c": Decimal("12345678901234567890.123456789012345678"),
        "list": [1, "two", Binary(b"\x00\xff"), {"deep": [None, True]}],
        "names": {"a", "b"},
        "numbers": {1, Decimal("2.5")},
        "binaries": {Binary(b"x"), Binary(b"y")},
    }
    table.put_item(Item=item)
    assert table.get_item(Key={"p": item["p"], "c": item["c"]})["Item"] == item


def test_a_batch_writer_sends_again_what_it_holds_twice_once(table: Any) -> None:
    with table.batch_writer(overwrite_by_pkeys=["p", "c"]) as batch:
        for number in range(60):
            batch.put_item(Item={"p": "many", "c": number % 30, "n": number})
    found = table.query(
        KeyConditionExpression=key("p").eq("many") & key("c").between(10, 12),
        FilterExpression=attr("n").gt(20) & ~attr("none").exists(),
    )["Items"]
    assert [row["n"] for row in found] == [40, 41, 42]


def test_a_lock_is_taken_once_told_to_whom_it_belongs_and_let_go_by_its_owner(
    dynamodb: Any, make_table: Made
) -> None:
    """The calls by which a state of infrastructure is locked (OpenTofu, s3/client.go)."""
    make_table()
    name = {"p": {"S": "bucket/state"}}

    def take(owner: str) -> Any:
        return dynamodb.put_item(
            TableName="tab",
            Item={**name, "Info": {"S": owner}},
            ConditionExpression="attribute_not_exists(p)",
        )

    take("one")
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        take("two")
    held = dynamodb.get_item(
        TableName="tab", Key=name, ProjectionExpression="p, Info", ConsistentRead=True
    )
    assert held["Item"] == {**name, "Info": {"S": "one"}}
    dynamodb.delete_item(TableName="tab", Key=name)
    take("two")
