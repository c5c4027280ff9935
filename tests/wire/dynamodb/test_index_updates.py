"""Global indexes that UpdateTable makes, changes and removes.

Source: Amazon DynamoDB Developer Guide, "Managing Global Secondary Indexes in DynamoDB"; API
Reference, UpdateTable.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.indexing import Made, index, keys_of, put, query

from fogbank.testing.cloud import Cloud

UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}


def create(name: str, *keys: str, types: str = "S", **members: Any) -> dict[str, Any]:
    names = {key.lstrip(">") for key in keys}
    return {
        "TableName": "tab",
        "AttributeDefinitions": [
            {"AttributeName": each, "AttributeType": types} for each in sorted(names)
        ],
        "GlobalSecondaryIndexUpdates": [{"Create": {**index(name, *keys), **members}}],
    }


def delete(name: str) -> dict[str, Any]:
    updates = [{"Delete": {"IndexName": name}}]
    return {"TableName": "tab", "GlobalSecondaryIndexUpdates": updates}


def described(dynamodb: Any) -> dict[str, Any]:
    table = dynamodb.describe_table(TableName="tab")["Table"]
    return {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes", ())}


def test_an_index_is_made_filled_read_and_removed(
    cloud: Cloud, dynamodb: Any, make_indexed: Made
) -> None:
    make_indexed()
    for number in range(120):
        put(dynamodb, f"{number:03}", g=str(number % 3))
    told = dynamodb.update_table(**create("by-g", "g", ">c"))["TableDescription"]
    assert told["TableStatus"] == "UPDATING"
    assert told["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    cloud.settle()
    found = described(dynamodb)["by-g"]
    assert found["IndexStatus"] == "ACTIVE"
    assert "Backfilling" not in found
    expected = [f"{number:03}" for number in range(1, 120, 3)]
    assert keys_of(query(dynamodb, "by-g", "g = :g", values={"g": "1"})) == expected
    assert dynamodb.scan(TableName="tab", IndexName="by-g")["Count"] == 120
    dynamodb.update_table(**delete("by-g"))
    cloud.settle()
    assert described(dynamodb) == {}
    definitions = dynamodb.describe_table(TableName="tab")["Table"]["AttributeDefinitions"]
    assert [each["AttributeName"] for each in definitions] == ["c", "p"]


@pytest.mark.parametrize(
    ("request_", "code", "fault"),
    [
        ({"GlobalSecondaryIndexUpdates": [{}]}, "ValidationException", "has one of Create"),
        ({"GlobalSecondaryIndexUpdates": []}, "ValidationException", "At least one of"),
        (create("have", "x"), "ValidationException", "create an index which already exists"),
        (create("local", "x"), "ValidationException", "create an index which already exists"),
        (create("new", "g", types="N"), "ValidationException", "Attributes cannot be redefined"),
        (
            {**create("new", "x"), "AttributeDefinitions": []},
            "ValidationException",
            "not defined in AttributeDefinitions. Keys: [x]",
        ),
        (create("new", *"abcde"), "ValidationException", "5 HASH KeySchemaElements are more"),
        (delete("none"), "ResourceNotFoundException", "Index: none not found"),
        (delete("local"), "ValidationException", "local is not a global secondary index"),
        (
            {**create("new", "x"), "DeletionProtectionEnabled": True},
            "ValidationException",
            "DeletionProtection modification must be the only operation in the request",
        ),
        (
            {
                **create("new", "x"),
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            },
            "ValidationException",
            "You cannot create or delete index while changing stream status",
        ),
        (
            {
                **create("one", "x"),
                "GlobalSecondaryIndexUpdates": [
                    {"Create": index("one", "x")},
                    {"Delete": {"IndexName": "have"}},
                ],
            },
            "LimitExceededException",
            "Only 1 online index can be created or deleted simultaneously per table",
        ),
        (
            create("new", "x", ProvisionedThroughput=UNITS),
            "ValidationException",
            "ProvisionedThroughput should not be specified for index: new",
        ),
        (
            create("new", "x", OnDemandThroughput={"MaxReadRequestUnits": 40_001}),
            "LimitExceededException",
            "Requested MaxReadRequestUnits for OnDemandThroughput for index : new exceeds",
        ),
    ],
)
def test_changes_that_are_refused_change_nothing(
    dynamodb: Any, make_indexed: Made, refusal: Any, request_: Any, code: str, fault: str
) -> None:
    make_indexed(index("have", "g"), local=[index("local", "p", ">s")])
    before = described(dynamodb)
    told = refusal(dynamodb.update_table, **{"TableName": "tab", **request_})
    assert told[1] == code
    assert fault in told[2]
    assert described(dynamodb) == before


def test_provisioned_units_of_an_index_change_with_its_table(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    make_indexed(
        {**index("by-g", "g"), "ProvisionedThroughput": UNITS},
        BillingMode="PROVISIONED",
        ProvisionedThroughput=UNITS,
    )

    def units() -> tuple[int, int]:
        found = described(dynamodb)["by-g"]["ProvisionedThroughput"]
        return found["ReadCapacityUnits"], found["WriteCapacityUnits"]

    assert units() == (1, 1)
    more = {"IndexName": "by-g", "ProvisionedThroughput": {**UNITS, "WriteCapacityUnits": 5}}
    update = {"TableName": "tab", "GlobalSecondaryIndexUpdates": [{"Update": more}]}
    dynamodb.update_table(**update)
    assert units() == (1, 5)
    assert "will not change" in refusal(dynamodb.update_table, **update)[2]
    dynamodb.update_table(TableName="tab", BillingMode="PAY_PER_REQUEST")
    assert units() == (0, 0)
    back = {"TableName": "tab", "BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}
    told = refusal(dynamodb.update_table, **back)
    assert told[2].endswith("ProvisionedThroughput must be specified for index: by-g")
    dynamodb.update_table(**back, GlobalSecondaryIndexUpdates=[{"Update": more}])
    assert units() == (1, 5)
