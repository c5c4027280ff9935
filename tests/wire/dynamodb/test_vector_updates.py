"""Vector indexes that UpdateTable makes and removes, and who may search them.

Source: Amazon DynamoDB Developer Guide, "Creating and searching vector indexes", "Data synchronization
between tables and vector indexes" and "Security and access control"; words and order as others measured
them on AWS (nubo-db/dynamodb-conformance, tests/tier2/vectorSearch/updateLifecycle.test.ts; extenddb).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.conftest import Refusal
from tests.wire.dynamodb.searching import (
    keys_of,
    put,
    search,
    table,
    vector_index,
)

from fogbank.testing.cloud import Cloud

INVALID = "One or more parameter values were invalid"


def create(*indexes: dict[str, Any], types: str = "S") -> dict[str, Any]:
    names = {each["AttributeName"] for index in indexes for each in index.get("SearchSchema", ())}
    return {
        "TableName": "tab",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": types} for name in sorted(names)
        ],
        "VectorIndexUpdates": [{"Create": index} for index in indexes],
    }


def delete(name: str) -> dict[str, Any]:
    return {"TableName": "tab", "VectorIndexUpdates": [{"Delete": {"IndexName": name}}]}


def described(dynamodb: Any) -> dict[str, Any]:
    told = dynamodb.describe_table(TableName="tab")["Table"]
    return {each["IndexName"]: each for each in told.get("VectorIndexes", ())}


def test_an_index_is_made_filled_searched_and_removed(
    cloud: Cloud, dynamodb: Any, refusal: Any
) -> None:
    dynamodb.create_table(**table())
    for number in range(120):
        put(dynamodb, f"{number:03}", f"1 {number} 0", t=str(number % 3))
    put(dynamodb, "no vector")
    put(dynamodb, "too short", "1 0", t="1")
    put(dynamodb, "too large", "1e39 0 0", t="1")
    put(dynamodb, "of another type", "1 0 0", t={"N": "1"})
    told = dynamodb.update_table(**create(vector_index(by="t")))["TableDescription"]
    assert told["TableStatus"] == "UPDATING"
    [index] = told["VectorIndexes"]
    assert (index["IndexStatus"], index["Backfilling"]) == ("CREATING", True)
    cloud.settle()
    index = described(dynamodb)["vix"]
    assert index["IndexStatus"] == "ACTIVE"
    assert "Backfilling" not in index
    given = {"condition": "t = :t", "values": {"t": "1"}, "TopK": 100}
    expected = [f"{number:03}" for number in range(1, 120, 3)]
    assert keys_of(search(dynamodb, **given)) == expected
    dynamodb.update_table(**delete("vix"))
    missing: Refusal = refusal(lambda: search(dynamodb, **given))
    assert missing[2] == "The table does not have the specified index: vix"
    cloud.settle()
    told = dynamodb.describe_table(TableName="tab")["Table"]
    assert "VectorIndexes" not in told
    assert [each["AttributeName"] for each in told["AttributeDefinitions"]] == ["p"]
    assert dynamodb.scan(TableName="tab")["Count"] == 124


def test_what_was_no_vector_before_the_index_is_no_fault_of_an_update_that_keeps_it(
    cloud: Cloud, dynamodb: Any, refusal: Any
) -> None:
    dynamodb.create_table(**table())
    put(dynamodb, "a", "1 0", t={"N": "1"})
    dynamodb.update_table(**create(vector_index(by="t")))
    cloud.settle()
    key = {"TableName": "tab", "Key": {"p": {"S": "a"}}}
    dynamodb.update_item(**key, AttributeUpdates={"x": {"Value": {"S": "x"}}})
    found: Refusal = refusal(
        dynamodb.update_item, **key, AttributeUpdates={"v": {"Value": {"L": [{"N": "1"}]}}}
    )
    assert "Invalid size for parameter v, Expected: 3, Actual: 1" in found[2]


ONE = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (create(vector_index("new"), vector_index("newer")), "LimitExceededException", ONE),
        (
            create(vector_index("have")),
            "ValidationException",
            "Attempting to create an index which already exists",
        ),
        (
            create(vector_index("by-g")),
            "ValidationException",
            "Attempting to create an index which already exists",
        ),
        (
            {**create(vector_index("new", by="g")), "AttributeDefinitions": []},
            "ValidationException",
            "One element in SearchSchema is not defined in attribute definitions",
        ),
        (
            create(vector_index("new", by="g"), types="N"),
            "ValidationException",
            "Attributes cannot be redefined. Please check that your attribute has the same type",
        ),
        (
            create(vector_index("new", attribute="p")),
            "ValidationException",
            (
                "Existing schema: Schema:[SchemaElement: key{p:S:HASH}] New schema:"
                " VectorIndexSchema:[VectorAttribute: key{p:L:3}]"
            ),
        ),
        (
            create(vector_index("new", dimensions=4)),
            "ValidationException",
            "All VectorIndexes on the same vector attribute must use the same dimensions.",
        ),
        (delete("none"), "ResourceNotFoundException", "Index: none not found"),
        (delete("by-g"), "ValidationException", "by-g is not a vector index"),
        (
            {
                "TableName": "tab",
                "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "have"}}],
            },
            "ValidationException",
            "have is not a global secondary index",
        ),
        (
            {**delete("have"), "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-g"}}]},
            "LimitExceededException",
            ONE,
        ),
        (
            {"TableName": "tab", "VectorIndexUpdates": [{}]},
            "ValidationException",
            "A VectorIndexUpdate has one of Create and Delete",
        ),
        (
            {
                "TableName": "tab",
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            },
            "ValidationException",
            "Vector indexes are only supported for PAY_PER_REQUEST tables",
        ),
    ],
)
def test_updates_that_contradict_the_table_are_refused(
    dynamodb: Any, refusal: Any, request_: dict[str, Any], code: str, message: str
) -> None:
    key = [{"AttributeName": "g", "KeyType": "HASH"}]
    by_g = {"IndexName": "by-g", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}
    made = table(vector_index("have"), GlobalSecondaryIndexes=[by_g])
    made["AttributeDefinitions"].append({"AttributeName": "g", "AttributeType": "S"})
    dynamodb.create_table(**made)
    before = described(dynamodb)
    found: Refusal = refusal(dynamodb.update_table, **request_)
    assert found[1] == code
    assert message in found[2]
    assert described(dynamodb) == before


def test_a_table_has_five_vector_indexes_at_the_most(
    cloud: Cloud, dynamodb: Any, refusal: Any
) -> None:
    dynamodb.create_table(**table(*(vector_index(f"vix-{number}") for number in range(4))))
    dynamodb.update_table(**create(vector_index("fifth")))
    cloud.settle()
    assert refusal(dynamodb.update_table, **create(vector_index("sixth")))[1:] == (
        "LimitExceededException",
        "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit of 5",
    )
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    dynamodb.create_table(**table(vector_index()))
    assert keys_of(search(dynamodb)) == []


SEARCHING = {"Action": "dynamodb:SearchVectors"}
INDEX = "arn:aws:dynamodb:*:*:table/tab/index/vix"
NAMED = {"ProjectionExpression": "p", "ReturnConsumedCapacity": "TOTAL"}


@pytest.mark.parametrize(
    ("statement", "allows"),
    [
        ({**SEARCHING, "Resource": INDEX}, True),
        ({**SEARCHING, "Resource": INDEX[:-3] + "*"}, True),
        ({**SEARCHING, "Resource": INDEX[:-10]}, False),
        ({"Action": ["dynamodb:Query", "dynamodb:Scan"]}, False),
        (
            {
                **SEARCHING,
                "Condition": {"StringEquals": {"dynamodb:ReturnConsumedCapacity": "TOTAL"}},
            },
            True,
        ),
        (
            {
                **SEARCHING,
                "Condition": {"StringEquals": {"dynamodb:ReturnConsumedCapacity": "NONE"}},
            },
            False,
        ),
        # The keys of fine-grained access are not there to be compared.
        ({**SEARCHING, "Condition": {"StringLike": {"dynamodb:Attributes": "*"}}}, False),
        ({**SEARCHING, "Condition": {"StringLike": {"dynamodb:LeadingKeys": "*"}}}, False),
        ({**SEARCHING, "Condition": {"StringLike": {"dynamodb:Select": "*"}}}, False),
    ],
)
def test_searching_an_index_is_a_right_of_its_own(
    dynamodb: Any, as_user: Any, refusal: Any, statement: dict[str, Any], allows: bool
) -> None:
    """Developer Guide, vector indexes, "Security and access control"."""
    dynamodb.create_table(**table(vector_index()))
    put(dynamodb, "a", "1 0 0")
    user = as_user(statement)
    if allows:
        assert keys_of(search(user, **NAMED)) == ["a"]
    else:
        assert refusal(lambda: search(user, **NAMED))[1] == "AccessDeniedException"


def test_a_user_of_own_rows_is_told_that_a_vector_index_is_none_to_query(
    dynamodb: Any, as_user: Any, refusal: Any
) -> None:
    """A vector index has no first attribute of a key: the table's is what a policy compares."""
    dynamodb.create_table(**table(vector_index()))
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}
    actions = ["dynamodb:Query", "dynamodb:PartiQLSelect"]
    user = as_user({"Action": actions, "Condition": own})
    condition = {
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    }
    found: Refusal = refusal(user.query, TableName="tab", IndexName="vix", **condition)
    assert found[2] == "Query operation not supported on this index type"
    statement = 'SELECT * FROM "tab"."vix" WHERE p = \'a\''
    found = refusal(user.execute_statement, Statement=statement)
    assert found[2] == "Scan operation not supported on this index type"
