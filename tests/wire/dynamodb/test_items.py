from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from fogbank.testing.cloud import Cloud

KEY = {"p": {"S": "x"}}
EVERYTHING = {
    "text": "é\N{PILE OF POO}\x00",
    "number": Decimal("-1234567890123456789012345678901234567.8"),
    "small": Decimal("1E-130"),
    "large": Decimal("9.9E37"),
    "bytes": bytes(range(256)),
    "yes": True,
    "no": False,
    "nothing": None,
    "texts": {"b", "a"},
    "numbers": {Decimal(1), Decimal(-2)},
    "several": {b"", b"\x00\xff"},
    "list": [Decimal(1), "two", [b"three"], {}],
    "map": {"deep": {"deeper": []}, " ": Decimal(0)},
    "empty": "",
}


def plain(item: Any) -> Any:
    """Return an item in Python's types."""
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def typed(item: Any) -> Any:
    """Return an item in DynamoDB's types."""
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def test_every_type_survives(dynamodb: Any, make_table: Any) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item=KEY | typed(EVERYTHING))
    found = plain(dynamodb.get_item(TableName="tab", Key=KEY, ConsistentRead=True)["Item"])
    raw = {"bytes": found["bytes"].value, "several": {each.value for each in found["several"]}}
    found["list"][2][0] = found["list"][2][0].value
    assert found | raw == {"p": "x"} | EVERYTHING


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("S", "\N{SNOWMAN}" * 341),
        ("B", b"\x00\xff" * 512),
        ("N", "-1234567890123456789012345678901234567800000000000000"),
    ],
)
def test_sort_keys_of_every_type(dynamodb: Any, make_table: Any, kind: str, value: Any) -> None:
    make_table(partition=kind, sort=kind)
    key = {"p": {kind: value}, "c": {kind: value}}
    dynamodb.put_item(TableName="tab", Item=key)
    assert dynamodb.get_item(TableName="tab", Key=key)["Item"] == key
    assert dynamodb.scan(TableName="tab")["Items"] == [key]


def test_a_missing_item_is_no_member_of_the_reply(dynamodb: Any, make_table: Any) -> None:
    make_table()
    reply = dynamodb.get_item(TableName="tab", Key=KEY, ReturnConsumedCapacity="TOTAL")
    assert "Item" not in reply
    assert reply["ConsumedCapacity"] == {"TableName": "tab", "CapacityUnits": 0.5}
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert "x-amz-crc32" in headers
    assert "x-amzn-requestid" in headers


def test_a_refused_condition_shows_the_item(dynamodb: Any, make_table: Any, refusal: Any) -> None:
    make_table()
    item = KEY | {"version": {"N": "3"}}
    dynamodb.put_item(TableName="tab", Item=item)
    request: Any = {
        "TableName": "tab",
        "Item": KEY,
        "ConditionExpression": "attribute_not_exists(p) OR version < :v",
        "ExpressionAttributeValues": {":v": {"N": "3"}},
    }
    assert refusal(dynamodb.put_item, **request) == (
        400,
        "ConditionalCheckFailedException",
        "The conditional request failed",
    )
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Item"] == item
    assert dynamodb.get_item(TableName="tab", Key=KEY)["Item"] == item


def test_an_update_answers_what_it_changed(dynamodb: Any, make_table: Any) -> None:
    make_table()
    request: Any = {
        "TableName": "tab",
        "Key": KEY,
        "UpdateExpression": (
            "SET #l = list_append(if_not_exists(#l, :none), :one), a.b = :m ADD n :n, s :s"
        ),
        "ExpressionAttributeNames": {"#l": "list"},
        "ExpressionAttributeValues": typed(
            {":none": [], ":one": [1], ":m": "m", ":n": Decimal("0.1"), ":s": {"a"}}
        ),
        "ReturnValues": "UPDATED_NEW",
    }
    dynamodb.put_item(TableName="tab", Item=KEY | typed({"a": {"b": 1, "c": 2}}))
    dynamodb.update_item(**request)
    reply = dynamodb.update_item(**request)
    assert plain(reply["Attributes"]) == {
        "list": [1, 1],
        "a": {"b": "m"},
        "n": Decimal("0.2"),
        "s": {"a"},
    }


@pytest.mark.slow
def test_increments_at_once_all_count(cloud: Cloud, make_table: Any) -> None:
    make_table()
    clients = [cloud.client("dynamodb") for _ in range(4)]

    def increment(client: Any) -> None:
        for _ in range(10):
            client.update_item(
                TableName="tab",
                Key=KEY,
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(increment, clients))
    found = clients[0].get_item(TableName="tab", Key=KEY)
    assert found["Item"]["n"] == {"N": "40"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"Key": {"p": {"N": "1"}}},
            "The provided key element does not match the schema",
        ),
        (
            {"Key": {"p": {"S": ""}}},
            (
                "One or more parameter values are not valid. The AttributeValue for a key attribute "
                "cannot contain an empty string value. Key: p"
            ),
        ),
        (
            {"ProjectionExpression": "a, b.c, a"},
            (
                "Invalid ProjectionExpression: Two document paths overlap with each other; must "
                "remove or rewrite one of these paths; path one: [a], path two: [a]"
            ),
        ),
        (
            {"ProjectionExpression": "a b"},
            'Invalid ProjectionExpression: Syntax error; token: "b", near: "a b"',
        ),
        (
            {"ProjectionExpression": "a", "ExpressionAttributeNames": {"#b": "b"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
        ),
    ],
)
def test_reads_that_are_refused(
    dynamodb: Any, make_table: Any, refusal: Any, members: Any, message: str
) -> None:
    make_table()
    request = {"TableName": "tab", "Key": KEY} | members
    assert refusal(dynamodb.get_item, **request) == (400, "ValidationException", message)


def test_conditions_may_be_deep(dynamodb: Any, make_table: Any, refusal: Any) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item=KEY)
    deep = "NOT (" * 149 + "attribute_not_exists(p)" + ")" * 149
    dynamodb.put_item(TableName="tab", Item=KEY, ConditionExpression=deep)
    nots = "NOT " * 299 + "attribute_not_exists(p)"
    dynamodb.put_item(TableName="tab", Item=KEY, ConditionExpression=nots)
    endless = "NOT (" * 800
    assert refusal(dynamodb.put_item, TableName="tab", Item=KEY, ConditionExpression=endless)[
        :2
    ] == (400, "ValidationException")


def test_documents_may_be_32_levels_deep(dynamodb: Any, make_table: Any, refusal: Any) -> None:
    make_table()

    def nested(levels: int) -> Any:
        value: Any = {"S": "bottom"}
        for _ in range(levels - 1):
            value = {"L": [value]}
        return KEY | {"a": value}

    dynamodb.put_item(TableName="tab", Item=nested(32))
    assert dynamodb.get_item(TableName="tab", Key=KEY)["Item"] == nested(32)
    assert refusal(dynamodb.put_item, TableName="tab", Item=nested(33)) == (
        400,
        "ValidationException",
        (
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit"
        ),
    )


@pytest.mark.parametrize("levels", [100, 1_000, 100_000])
def test_no_depth_of_a_document_harms(
    dynamodb: Any, make_table: Any, refusal: Any, levels: int
) -> None:
    make_table()

    # botocore itself cannot write such a document.
    def deepen(params: Any, **_: object) -> None:
        deep = b'{"L":[' * levels + b'{"S":"bottom"}' + b"]}" * levels
        params["body"] = params["body"].replace(b'{"S": "here"}', deep)

    dynamodb.meta.events.register("before-call", deepen)
    item = KEY | {"a": {"S": "here"}}
    status, code, _ = refusal(dynamodb.put_item, TableName="tab", Item=item)
    assert (status, code) in {(400, "ValidationException"), (400, "SerializationException")}


@pytest.mark.parametrize("cloud", [{"dynamodb.item_bytes_max": 100}], indirect=True)
def test_the_size_of_items_is_limited(dynamodb: Any, make_table: Any, refusal: Any) -> None:
    make_table()
    dynamodb.put_item(TableName="tab", Item=KEY | {"a": {"S": "x" * 97}})
    assert refusal(dynamodb.put_item, TableName="tab", Item=KEY | {"a": {"S": "x" * 98}}) == (
        400,
        "ValidationException",
        "Item size has exceeded the maximum allowed size",
    )


def test_the_resource_of_boto3_works(cloud: Cloud, dynamodb: Any, make_table: Any) -> None:
    make_table(sort="N")
    import boto3.session  # noqa: PLC0415 (only this test needs it)

    resource = boto3.session.Session().resource(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:4566",
        aws_access_key_id=cloud.account.access_key_id,
        aws_secret_access_key=cloud.account.secret_access_key,
    )
    cloud.adopt(resource.meta.client)
    table = resource.Table("tab")
    table.put_item(
        Item={"p": "x", "c": 1, "tags": {"a"}}, ConditionExpression=Attr("p").not_exists()
    )
    table.update_item(Key={"p": "x", "c": 1}, AttributeUpdates={"n": {"Value": 2, "Action": "ADD"}})
    found = table.get_item(Key={"p": "x", "c": 1}, AttributesToGet=["n", "tags"])
    assert found["Item"] == {"n": 2, "tags": {"a"}}


def test_an_item_that_lies_under_the_digest_of_another_partition_key_is_damage_and_no_answer(
    cloud: Cloud, dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table()
    for name in ("mine", "yours"):
        dynamodb.put_item(TableName="tab", Item={"p": {"S": name}})
    rows: Any = cloud.engine.rows  # type: ignore[union-attr]
    mine, yours = [key for key, raw in rows.items() if b"dynamodb.item" in (raw or b"")]
    rows[mine], rows[yours] = rows[yours], rows[mine]
    for name in ("mine", "yours"):
        status, code, message = refusal(dynamodb.get_item, TableName="tab", Key={"p": {"S": name}})
        assert (status, code) == (500, "InternalServerError")
        assert name not in message
