from __future__ import annotations

from random import Random
from string import ascii_letters
from typing import Any

import pytest

from fogbank.base.errors import Corrupt
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    ResourceNotFoundException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import sizes
from fogbank.services.dynamodb.schema import ITEMS

KEY = {"p": {"S": "x"}}
ITEM: dict[str, Any] = {**KEY, "a": {"N": "1"}, "l": {"L": [{"B": b"\0"}, {"NULL": True}]}}


def test_an_item_comes_back_as_it_was_put(run: Any, make_table: Any) -> None:
    make_table()
    assert run("put_item", TableName="tab", Item=ITEM) == {}
    assert run("get_item", TableName="tab", Key=KEY) == {"Item": ITEM}
    assert run("get_item", TableName="tab", Key={"p": {"S": "y"}}) == {}


@pytest.mark.parametrize(
    ("kind", "content", "same"), [("N", "1000", "1e3"), ("B", b"\xff", b"\xff"), ("S", "é", "é")]
)
def test_keys_of_every_type(run: Any, make_table: Any, kind: str, content: Any, same: Any) -> None:
    make_table(partition=kind, sort=kind)
    item = {"p": {kind: content}, "c": {kind: content}, "v": {"S": "value"}}
    run("put_item", TableName="tab", Item={**item, "p": {kind: same}})
    key = {"p": {kind: content}, "c": {kind: same}}
    assert run("get_item", TableName="tab", Key=key)["Item"] == item


def test_a_projection_shows_a_part(run: Any, make_table: Any) -> None:
    make_table()
    run("put_item", TableName="tab", Item=ITEM)
    request = {"TableName": "tab", "Key": KEY}
    assert run("get_item", **request, ProjectionExpression="l[1]") == {
        "Item": {"l": {"L": [{"NULL": True}]}}
    }
    assert run("get_item", **request, AttributesToGet=["a"]) == {"Item": {"a": {"N": "1"}}}
    with pytest.raises(ValidationException, match="Key attributes must be scalars"):
        run("get_item", **request, ProjectionExpression="p.x")


def test_a_write_returns_the_values_it_was_asked_for(run: Any, make_table: Any) -> None:
    make_table()
    put = {"TableName": "tab", "ReturnValues": "ALL_OLD"}
    assert run("put_item", Item=ITEM, **put) == {}
    assert run("put_item", Item=KEY, **put) == {"Attributes": ITEM}
    assert run("delete_item", Key=KEY, **put) == {"Attributes": KEY}
    assert run("delete_item", Key=KEY, **put) == {}
    with pytest.raises(ValidationException, match="ReturnValues can only be ALL_OLD or NONE"):
        run("put_item", TableName="tab", Item=ITEM, ReturnValues="ALL_NEW")


@pytest.mark.parametrize(
    ("wanted", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", ITEM),
        ("UPDATED_OLD", {"a": {"N": "1"}, "l": {"L": [{"B": b"\0"}]}}),
        ("ALL_NEW", {**KEY, "a": {"N": "3"}, "l": {"L": [{"NULL": True}]}, "n": {"N": "2"}}),
        ("UPDATED_NEW", {"a": {"N": "3"}, "n": {"N": "2"}, "l": {"L": [{"NULL": True}]}}),
    ],
)
def test_return_values_of_updates(run: Any, make_table: Any, wanted: str, attributes: Any) -> None:
    make_table()
    run("put_item", TableName="tab", Item=ITEM)
    reply = run(
        "update_item",
        TableName="tab",
        Key=KEY,
        UpdateExpression="SET a = a + :v, n = :v REMOVE l[0]",
        ExpressionAttributeValues={":v": {"N": "2"}},
        ReturnValues=wanted,
    )
    assert reply == ({} if attributes is None else {"Attributes": attributes})


def test_a_condition_guards_each_write(run: Any, make_table: Any) -> None:
    make_table()
    run("put_item", TableName="tab", Item=ITEM)
    guard = {"TableName": "tab", "ConditionExpression": "attribute_not_exists(p)"}
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("put_item", {"Item": KEY}),
        ("delete_item", {"Key": KEY}),
        ("update_item", {"Key": KEY, "UpdateExpression": "REMOVE a"}),
    ]
    for operation, members in attempts:
        with pytest.raises(ConditionalCheckFailedException) as caught:
            run(operation, **guard, **members)
        assert caught.value.message == "The conditional request failed"
        assert caught.value.members == {}
        with pytest.raises(ConditionalCheckFailedException) as caught:
            run(operation, **guard, **members, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        assert caught.value.members == {"Item": ITEM}
    assert run("get_item", TableName="tab", Key=KEY) == {"Item": ITEM}


def test_an_update_of_no_item_makes_one_of_its_key(run: Any, make_table: Any) -> None:
    make_table()
    run("update_item", TableName="tab", Key=KEY)
    assert run("get_item", TableName="tab", Key=KEY) == {"Item": KEY}


def test_an_update_that_only_removes_makes_no_item(run: Any, make_table: Any) -> None:
    make_table()
    reply = run("update_item", TableName="tab", Key=KEY, UpdateExpression="REMOVE a")
    assert reply == {}
    assert run("get_item", TableName="tab", Key=KEY) == {}


def test_an_update_leaves_the_key_alone(run: Any, make_table: Any) -> None:
    make_table(sort="S")
    key = {**KEY, "c": {"S": "x"}}
    for expression in ("REMOVE p", "SET c = :v", "SET p.a = :v"):
        with pytest.raises(ValidationException, match="This attribute is part of the key"):
            run(
                "update_item",
                TableName="tab",
                Key=key,
                UpdateExpression=expression,
                **({"ExpressionAttributeValues": {":v": {"S": "y"}}} if ":v" in expression else {}),
            )


def test_items_have_a_largest_size(run: Any, make_table: Any, call: Any) -> None:
    make_table()
    call.quotas[quotas.ITEM_BYTES.name] = 100
    run("put_item", TableName="tab", Item={**KEY, "a": {"S": "x" * 97}})
    with pytest.raises(ValidationException) as caught:
        run("put_item", TableName="tab", Item={**KEY, "a": {"S": "x" * 98}})
    assert caught.value.message == "Item size has exceeded the maximum allowed size"
    with pytest.raises(ValidationException) as caught:
        run(
            "update_item",
            TableName="tab",
            Key=KEY,
            UpdateExpression="SET b = :v",
            ExpressionAttributeValues={":v": {"S": ""}},
        )
    assert caught.value.message == "Item size to update has exceeded the maximum allowed size"


def test_the_largest_item_of_aws_fits_a_row(run: Any, make_table: Any) -> None:
    make_table()
    item = {**KEY, "a": {"S": "x" * (409_600 - 3)}}
    run("put_item", TableName="tab", Item=item)
    assert run("get_item", TableName="tab", Key=KEY) == {"Item": item}


@pytest.mark.parametrize("kind", ["N", "short N", "B", "S", "BOOL", "empty S"])
def test_the_largest_items_fit_a_row_whatever_they_hold(
    run: Any, make_table: Any, kind: str
) -> None:
    random = Random(1)
    values: Any = {
        "N": lambda: {"N": str(random.randrange(10**37, 10**38))},
        "short N": lambda: {"N": str(random.randrange(1, 10))},
        "B": lambda: {"B": random.randbytes(1)},
        "S": lambda: {"S": random.choice(ascii_letters)},
        "BOOL": lambda: {"BOOL": random.random() < 0.5},
        "empty S": lambda: {"S": ""},
    }
    make_table()
    value = values[kind]
    room = 409_600 - sizes.item_size({**KEY, "a": {"L": []}})
    count = room // (sizes.item_size({"": {"L": [value()]}}) - sizes.item_size({"": {"L": []}}))
    item = {**KEY, "a": {"L": [value() for _ in range(count)]}}
    run("put_item", TableName="tab", Item=item)
    assert run("get_item", TableName="tab", Key=KEY) == {"Item": item}


@pytest.mark.parametrize("wanted", ["TOTAL", "INDEXES"])
def test_the_capacity_that_was_consumed_is_told(run: Any, make_table: Any, wanted: str) -> None:
    make_table()

    def units(operation: str, **members: Any) -> float:
        reply = run(operation, TableName="tab", ReturnConsumedCapacity=wanted, **members)
        capacity = reply["ConsumedCapacity"]
        table = {"Table": {"CapacityUnits": capacity["CapacityUnits"]}}
        assert capacity == {
            "TableName": "tab",
            "CapacityUnits": capacity["CapacityUnits"],
            **(table if wanted == "INDEXES" else {}),
        }
        return float(capacity["CapacityUnits"])

    assert units("get_item", Key=KEY) == 0.5
    assert units("put_item", Item={**KEY, "a": {"S": "x" * 5_000}}) == 5.0
    assert units("get_item", Key=KEY, ConsistentRead=True) == 2.0
    assert units("put_item", Item=KEY) == 5.0
    assert units("delete_item", Key=KEY) == 1.0


def test_without_a_table_nothing_is_read_or_written(run: Any) -> None:
    for operation, members in (("get_item", {"Key": KEY}), ("put_item", {"Item": ITEM})):
        with pytest.raises(ResourceNotFoundException) as caught:
            run(operation, TableName="tab", **members)
        assert caught.value.message == "Requested resource not found"


READS = [
    ("get_item", {"Key": KEY}),
    ("delete_item", {"Key": KEY}),
    (
        "query",
        {"KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [KEY["p"]]}}},
    ),
]


@pytest.mark.parametrize(("operation", "members"), READS, ids=[name for name, _ in READS])
def test_an_item_under_another_key_is_never_served(
    run: Any, make_table: Any, call: Any, operation: str, members: Any
) -> None:
    make_table()
    run("put_item", TableName="tab", Item=ITEM)
    [place] = [key for key in call.engine.rows if key.startswith(ITEMS.prefix(call.domain))]
    call.engine.rows[place] = call.engine.rows[place].replace(b"\xc4\x01x", b"\xc4\x01y")
    with pytest.raises(Corrupt):
        run(operation, TableName="tab", **members)
