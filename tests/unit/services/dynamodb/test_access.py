from __future__ import annotations

from typing import Any

from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb.rules import access
from fogbank.services.dynamodb.schema import PAY_PER_REQUEST, KeyAttribute, TableRecord

SCOPE = Scope("111122223333", "us-east-1")
ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/tab"


def test_an_operation_is_on_the_table_it_names() -> None:
    of = access.on_table("GetItem")
    for name in ("tab", ARN):
        [found] = of(SCOPE, {"TableName": name})
        assert (found.action, found.resource) == ("dynamodb:GetItem", ARN)


def test_a_batch_is_on_every_table_it_names() -> None:
    request: Any = {"RequestItems": {"tab": {"Keys": []}, "two": {"Keys": []}}}
    found = access.on_tables("BatchGetItem")(SCOPE, request)
    assert [each.resource for each in found] == [ARN, f"{ARN[:-3]}two"]


def test_conditions_can_speak_of_what_a_request_names() -> None:
    request: Any = {
        "TableName": "tab",
        "Select": "SPECIFIC_ATTRIBUTES",
        "ReturnConsumedCapacity": "TOTAL",
        "KeyConditionExpression": "#p = :p AND c > :c",
        "FilterExpression": "size(a.b[1]) > :c OR x IN (y, :c)",
        "ProjectionExpression": "d, #p",
        "ExpressionAttributeNames": {"#p": "p p"},
    }
    [found] = access.on_table("Query")(SCOPE, request)
    assert dict(found.context) == {
        "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
        "dynamodb:ReturnConsumedCapacity": "TOTAL",
        "dynamodb:Attributes": ("a", "c", "d", "p p", "x", "y"),
    }


def test_attributes_of_writes_are_named_too() -> None:
    request: Any = {
        "TableName": "tab",
        "Key": {"p": {"S": "x"}},
        "UpdateExpression": "SET a = b + :v, c = if_not_exists(d, :v) REMOVE e.x",
        "ConditionExpression": "attribute_exists(f)",
    }
    [found] = access.on_table("UpdateItem")(SCOPE, request)
    assert found.context["dynamodb:Attributes"] == tuple("abcdefp")
    [found] = access.on_table("PutItem")(SCOPE, {"TableName": "tab", "Item": {"p": {}, "q": {}}})
    assert found.context["dynamodb:Attributes"] == ("p", "q")


def test_attributes_of_batches_are_those_of_each_table() -> None:
    puts: Any = [
        {"PutRequest": {"Item": {"p": {"S": "x"}, "q": {"N": "1"}}}},
        {"DeleteRequest": {"Key": {"r": {"S": "x"}}}},
    ]
    request: Any = {"RequestItems": {"tab": puts, "two": puts[1:]}}
    tab, two = access.on_tables("BatchWriteItem")(SCOPE, request)
    assert dict(tab.context) == {"dynamodb:Attributes": ("p", "q", "r")}
    assert dict(two.context) == {"dynamodb:Attributes": ("r",)}


def test_a_read_that_projects_nothing_asks_for_everything() -> None:
    of = access.on_table("GetItem")
    request: Any = {"TableName": "tab", "Key": {"p": {"S": "x"}}}
    [found] = of(SCOPE, request)
    assert found.context["dynamodb:Select"] == "ALL_ATTRIBUTES"
    [found] = of(SCOPE, request | {"ProjectionExpression": "a"})
    assert found.context["dynamodb:Select"] == "SPECIFIC_ATTRIBUTES"
    [found] = of(SCOPE, request | {"AttributesToGet": ["a"]})
    assert found.context["dynamodb:Select"] == "SPECIFIC_ATTRIBUTES"


def test_one_access_decided_on_the_key_of_another_table_is_enough_to_refuse() -> None:
    table = TableRecord(
        name="tab",
        id="ours",
        digest_key=b"",
        partition=KeyAttribute("p", "S"),
        sort=None,
        billing_mode=PAY_PER_REQUEST,
        read_units=0,
        write_units=0,
        deletion_protected=False,
        created_ms=0,
    )
    undecided, decided = (access.RequestKeys("GetItem", {"Key": {}}) for _ in range(2))
    both = [Access("dynamodb:GetItem", ARN, keys) for keys in (undecided, decided)]
    decided.table_id = "another of that name"
    assert not access.decided_on(both, table)
    decided.table_id = table.id
    assert access.decided_on(both, table)
