"""Transactions, as boto3 sees them.

Source: Amazon DynamoDB API Reference, TransactWriteItems, TransactGetItems and CancellationReason;
Developer Guide, "Amazon DynamoDB Transactions: How it works".
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

CONFLICTING = "Transaction request cannot include multiple operations on one item"
CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons "


def key(name: str) -> dict[str, Any]:
    return {"p": {"S": name}}


def put(name: str, table: str = "tab", **more: Any) -> dict[str, Any]:
    attributes = more.pop("attributes", {})
    return {"Put": {"TableName": table, "Item": {**key(name), **attributes}, **more}}


def get(name: str, table: str = "tab", **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": table, "Key": key(name), **more}}


def names_in(dynamodb: Any, table: str = "tab") -> list[str]:
    return sorted(item["p"]["S"] for item in dynamodb.scan(TableName=table)["Items"])


def reasons_of(dynamodb: Any, *parts: dict[str, Any]) -> list[dict[str, Any]]:
    with pytest.raises(ClientError) as failed:
        dynamodb.transact_write_items(TransactItems=list(parts))
    error = failed.value.response
    assert error["Error"]["Code"] == "TransactionCanceledException"
    reasons: list[dict[str, Any]] = error["CancellationReasons"]
    codes = ", ".join(reason["Code"] for reason in reasons)
    assert error["Error"]["Message"] == f"{CANCELLED}[{codes}]"
    return reasons


def test_a_transaction_writes_removes_changes_and_checks_items_of_tables(
    dynamodb: Any, make_table: Any
) -> None:
    make_table()
    make_table("other")
    dynamodb.put_item(TableName="tab", Item={**key("gone"), "v": {"N": "1"}})
    dynamodb.put_item(TableName="tab", Item={**key("kept"), "v": {"N": "1"}})
    reply = dynamodb.transact_write_items(
        TransactItems=[
            put(
                "new",
                attributes={"b": {"B": b"\0\1"}},
                ConditionExpression="attribute_not_exists(p)",
            ),
            {"Delete": {"TableName": "tab", "Key": key("gone")}},
            {
                "Update": {
                    "TableName": "other",
                    "Key": key("counted"),
                    "UpdateExpression": "ADD n :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            },
            {
                "ConditionCheck": {
                    "TableName": "tab",
                    "Key": key("kept"),
                    "ConditionExpression": "#v = :one",
                    "ExpressionAttributeNames": {"#v": "v"},
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            },
        ]
    )
    assert "ConsumedCapacity" not in reply
    assert names_in(dynamodb) == ["kept", "new"]
    found = dynamodb.transact_get_items(
        TransactItems=[
            get("new"),
            get("gone"),
            get("counted", "other", ProjectionExpression="n"),
        ]
    )
    assert found["Responses"] == [
        {"Item": {**key("new"), "b": {"B": b"\0\1"}}},
        {},
        {"Item": {"n": {"N": "1"}}},
    ]


def test_a_condition_that_fails_undoes_all_and_every_part_has_its_reason(
    dynamodb: Any, make_table: Any
) -> None:
    make_table()
    there = {**key("there"), "b": {"B": b"\0\1"}}
    dynamodb.put_item(TableName="tab", Item=there)
    absent = "attribute_not_exists(p)"
    reasons = reasons_of(
        dynamodb,
        put("new"),
        put("there", ConditionExpression=absent, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        {
            "ConditionCheck": {
                "TableName": "tab",
                "Key": key("missing"),
                "ConditionExpression": "attribute_exists(p)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert reasons == [{"Code": "None"}, {**failed, "Item": there}, failed]
    assert names_in(dynamodb) == ["there"]


def test_what_only_the_table_or_the_item_shows_is_a_reason(
    dynamodb: Any, make_table: Any, cloud: Cloud
) -> None:
    """CancellationReason: "Validation Error: One or more parameter values were invalid"."""
    make_table()
    dynamodb.put_item(TableName="tab", Item={**key("text"), "n": {"S": "x"}})
    adds = {
        "TableName": "tab",
        "Key": key("text"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    wrong = {"Delete": {"TableName": "tab", "Key": {"q": {"S": "x"}}}}
    assert [each["Code"] for each in reasons_of(dynamodb, put("a"), {"Update": adds})] == [
        "None",
        "ValidationError",
    ]
    assert reasons_of(dynamodb, wrong, put("a")) == [
        {
            "Code": "ValidationError",
            "Message": "The provided key element does not match the schema",
        },
        {"Code": "None"},
    ]
    large = {"v": {"S": "x" * (400 << 10)}}
    assert reasons_of(dynamodb, put("a", attributes=large)) == [
        {"Code": "ValidationError", "Message": "Item size has exceeded the maximum allowed size"}
    ]
    assert names_in(dynamodb) == ["text"]


def test_what_is_wrong_with_the_form_refuses_the_request(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table()
    both = {**put("a"), "Delete": {"TableName": "tab", "Key": key("b")}}
    for parts in ([put("x"), both], [put("x"), {}]):
        assert refusal(dynamodb.transact_write_items, TransactItems=parts) == (
            400,
            "ValidationException",
            "TransactItems can only contain one of Check, Put, Update or Delete",
        )
    twice = [put("x"), {"Delete": {"TableName": "tab", "Key": key("x")}}]
    assert refusal(dynamodb.transact_write_items, TransactItems=twice)[1:] == (
        "ValidationException",
        CONFLICTING,
    )
    assert refusal(dynamodb.transact_get_items, TransactItems=[get("x"), get("x")])[1:] == (
        "ValidationException",
        CONFLICTING,
    )
    assert refusal(
        dynamodb.transact_write_items, TransactItems=[put("x", ConditionExpression="p ==")]
    )[1:] == (
        "ValidationException",
        'Invalid ConditionExpression: Syntax error; token: "=", near: "=="',
    )
    elsewhere = [put("x"), put("y", "none")]
    assert refusal(dynamodb.transact_write_items, TransactItems=elsewhere)[1:] == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert refusal(dynamodb.transact_write_items, TransactItems=[put(str(n)) for n in range(101)])[
        1
    ] == ("ValidationException")
    assert names_in(dynamodb) == []


@pytest.mark.parametrize("cloud", [{"dynamodb.transaction_bytes_max": 3_000}], indirect=True)
def test_a_transaction_has_so_many_bytes_at_most(
    dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    """Constraints: "A transaction cannot contain more than 4 MB of data".

    What a request gives counts, and not what it removes (ScyllaDB, test_transact.py, on AWS too).
    """
    make_table()
    large = {"v": {"S": "x" * 1_400}}
    dynamodb.transact_write_items(
        TransactItems=[put("a", attributes=large), put("b", attributes=large)]
    )
    words = "Transaction payload size cannot exceed 3000 bytes"
    update = {
        "TableName": "tab",
        "Key": key("d"),
        "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": large["v"]},
    }
    for parts in (
        [put(name, attributes=large) for name in "def"],
        [put("e", attributes=large), put("f", attributes=large), {"Update": update}],
    ):
        said = refusal(dynamodb.transact_write_items, TransactItems=parts)
        assert said == (400, "ValidationException", words)
    assert names_in(dynamodb) == ["a", "b"]
    dynamodb.put_item(TableName="tab", Item={**key("c"), **large})
    said = refusal(dynamodb.transact_get_items, TransactItems=[get(name) for name in "abc"])
    assert said == (400, "ValidationException", words)
    three = [{"Delete": {"TableName": "tab", "Key": key(name)}} for name in "abc"]
    dynamodb.transact_write_items(TransactItems=three)
    assert names_in(dynamodb) == []


def test_of_several_keys_that_cannot_be_the_first_is_told(dynamodb: Any, make_table: Any) -> None:
    """ScyllaDB, test_transact.py, whose tests run on AWS too: it looks no further."""
    make_table()
    wrong = {"Put": {"TableName": "tab", "Item": {"p": {"N": "7"}}}}
    with pytest.raises(ClientError) as caught:
        dynamodb.transact_write_items(TransactItems=[put("a"), wrong, wrong])
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ValidationError", "None"]


def test_a_repeat_with_its_token_is_answered_and_not_carried_out(
    dynamodb: Any, make_table: Any, refusal: Any, cloud: Cloud
) -> None:
    """TransactWriteItems, ``ClientRequestToken``: idempotent for ten minutes, then a new request."""
    make_table()
    adds = {
        "Update": {
            "TableName": "tab",
            "Key": key("counted"),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }
    asked = {"TransactItems": [adds], "ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL"}
    written = {"TableName": "tab", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}
    read = {"TableName": "tab", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}

    def count() -> str:
        return dynamodb.get_item(TableName="tab", Key=key("counted"))["Item"]["n"]["N"]

    assert dynamodb.transact_write_items(**asked)["ConsumedCapacity"] == [written]
    for _ in range(2):
        assert dynamodb.transact_write_items(**asked)["ConsumedCapacity"] == [read]
    del asked["ReturnConsumedCapacity"]
    dynamodb.transact_write_items(**asked)
    assert count() == "1"
    assert refusal(dynamodb.transact_write_items, TransactItems=[put("x")], ClientRequestToken="t")[
        :2
    ] == (400, "IdempotentParameterMismatchException")
    cloud.advance(600_000)
    dynamodb.transact_write_items(**asked)
    assert count() == "2"


def test_a_cancelled_transaction_leaves_its_token_free(dynamodb: Any, make_table: Any) -> None:
    make_table()
    asked = {
        "TransactItems": [put("new", ConditionExpression="attribute_exists(p)")],
        "ClientRequestToken": "t",
    }
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(**asked)
    dynamodb.put_item(TableName="tab", Item=key("new"))
    dynamodb.transact_write_items(**asked)
    assert names_in(dynamodb) == ["new"]


def test_a_transaction_consumes_twice_what_its_parts_would(dynamodb: Any, make_table: Any) -> None:
    """Developer Guide, "Capacity management for transactions": two reads or writes for each."""
    make_table()
    make_table("other")
    two_kib = {"v": {"S": "x" * 1_500}}
    reply = dynamodb.transact_write_items(
        TransactItems=[put("a", attributes=two_kib), put("b"), put("c", "other")],
        ReturnConsumedCapacity="INDEXES",
    )
    assert {each["TableName"]: each for each in reply["ConsumedCapacity"]} == {
        name: {
            "TableName": name,
            "CapacityUnits": units,
            "WriteCapacityUnits": units,
            "Table": {"CapacityUnits": units, "WriteCapacityUnits": units},
        }
        for name, units in (("tab", 6.0), ("other", 2.0))
    }
    reply = dynamodb.transact_get_items(
        TransactItems=[get("a"), get("none")], ReturnConsumedCapacity="TOTAL"
    )
    assert reply["ConsumedCapacity"] == [
        {"TableName": "tab", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}
    ]


def test_each_part_needs_the_permission_of_the_operation_that_it_is_like(
    cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    """Developer Guide, "Using IAM with DynamoDB transactions": ``dynamodb:EnclosingOperation``."""
    make_table()
    only_inside = {"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}
    user = cloud.create_user(
        "writer",
        policy={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["dynamodb:PutItem", "dynamodb:ConditionCheckItem"],
                    "Resource": "*",
                    "Condition": only_inside,
                },
                {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"},
            ],
        },
    )
    writer = cloud.client("dynamodb", credential=user)
    check = {"TableName": "tab", "Key": key("a"), "ConditionExpression": "attribute_not_exists(p)"}
    writer.transact_write_items(TransactItems=[put("b"), {"ConditionCheck": check}])
    assert writer.transact_get_items(TransactItems=[get("b")])["Responses"] == [{"Item": key("b")}]
    removal = {"Delete": {"TableName": "tab", "Key": key("b")}}
    for refused, asked in (
        (writer.put_item, {"TableName": "tab", "Item": key("c")}),
        (writer.transact_write_items, {"TransactItems": [put("c"), removal]}),
    ):
        with pytest.raises(ClientError, match="AccessDeniedException"):
            refused(**asked)
    assert names_in(dynamodb) == ["b"]
