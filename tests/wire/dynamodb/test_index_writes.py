"""What indexes refuse of a write, what a write costs in them, and item collections.

Source: Amazon DynamoDB Developer Guide, "Using Global Secondary Indexes in DynamoDB" and "Local
secondary indexes".
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.indexing import Made, index, put

from fogbank.services.dynamodb import quotas

# What may be written.


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"g": {"N": "1"}}, "Type mismatch for Index Key g Expected: S Actual: N IndexName: one"),
        ({"g": {"NULL": True}}, "Expected: S Actual: NULL IndexName: one"),
        (
            {"g": {"S": ""}},
            "key attribute cannot contain an empty string value. IndexName: one, IndexKey: g",
        ),
        ({"b": {"B": b""}}, "cannot contain an empty binary value. IndexName: two, IndexKey: b"),
        ({"g": {"S": "x" * 2_049}}, "Size of hashkey has exceeded the maximum size limit of2048"),
        ({"b": {"B": b"x" * 1_025}}, "Aggregated size of all range keys has exceeded"),
    ],
)
def test_no_write_gives_an_index_a_key_that_it_cannot_have(
    dynamodb: Any, make_indexed: Made, refusal: Any, attributes: Any, fault: str
) -> None:
    make_indexed(index("two", "g", ">b"), index("one", "g"))
    key = {"p": {"S": "1"}, "c": {"S": "a"}}
    write = {"Item": {**key, **attributes}}
    good = {"PutRequest": {"Item": {"p": {"S": "0"}, "c": {"S": "0"}}}}
    told = refusal(dynamodb.put_item, TableName="tab", **write)
    assert told[:2] == (400, "ValidationException")
    assert fault in told[2]
    told = refusal(dynamodb.batch_write_item, RequestItems={"tab": [good, {"PutRequest": write}]})
    assert fault in told[2]
    told = refusal(
        dynamodb.transact_write_items, TransactItems=[{"Put": {"TableName": "tab", **write}}]
    )
    assert told[1] == "TransactionCanceledException"
    [(name, value)] = attributes.items()
    told = refusal(
        dynamodb.update_item,
        TableName="tab",
        Key=key,
        UpdateExpression=f"SET {name} = :v",
        ExpressionAttributeValues={":v": value},
    )
    shown = "to update a secondary index key to a value that is not supported"
    assert (shown if "cannot contain" in fault else fault) in told[2]
    assert dynamodb.scan(TableName="tab")["Count"] == 0


def test_an_update_may_not_look_inside_the_key_of_an_index(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    make_indexed(index("by-g", "g"))
    told = refusal(
        dynamodb.update_item,
        TableName="tab",
        Key={"p": {"S": "1"}, "c": {"S": "a"}},
        UpdateExpression="SET g.x = :v",
        ExpressionAttributeValues={":v": {"S": "v"}},
    )
    assert told[2] == (
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not"
        " allowed: IndexKey: g"
    )


# What a write costs.


def test_a_write_consumes_what_changes_in_each_index(dynamodb: Any, make_indexed: Made) -> None:
    """Developer Guide, "Write capacity units": nothing, one write, or two if an entry moves."""
    make_indexed(
        index("all", "g"),
        index("keys", "g", projection="KEYS_ONLY"),
        local=[index("local", "p", ">s", projection="KEYS_ONLY")],
    )
    key = {"p": {"S": "1"}, "c": {"S": "a"}}

    def consumed(operation: str, **members: Any) -> tuple[float, Any, Any]:
        call = getattr(dynamodb, operation)
        told = call(TableName="tab", ReturnConsumedCapacity="INDEXES", **members)
        capacity = told["ConsumedCapacity"]
        indexes = [
            {
                name: each["CapacityUnits"]
                for name, each in capacity.get(f"{kind}SecondaryIndexes", {}).items()
            }
            for kind in ("Global", "Local")
        ]
        total = sum(units for each in indexes for units in each.values())
        assert capacity["CapacityUnits"] == capacity["Table"]["CapacityUnits"] + total
        return capacity["Table"]["CapacityUnits"], *indexes

    item = {**key, "g": {"S": "1"}, "s": {"S": "s"}, "pad": {"S": "x" * 1_100}}
    assert consumed("put_item", Item={**key, "x": item["g"]}) == (1, {}, {})
    assert consumed("put_item", Item=item) == (2, {"all": 2, "keys": 1}, {"local": 1})
    assert consumed("put_item", Item=item) == (2, {}, {})
    change = {"UpdateExpression": "SET x = :v", "ExpressionAttributeValues": {":v": {"S": "v"}}}
    assert consumed("update_item", Key=key, **change) == (2, {"all": 2}, {})
    change["UpdateExpression"] = "SET g = :v"
    assert consumed("update_item", Key=key, **change) == (2, {"all": 4, "keys": 2}, {})
    assert consumed("delete_item", Key=key) == (2, {"all": 2, "keys": 1}, {"local": 1})
    reply = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "tab", "Item": item}}],
        ReturnConsumedCapacity="INDEXES",
    )
    [told] = reply["ConsumedCapacity"]
    assert told["WriteCapacityUnits"] == told["CapacityUnits"] == 12.0
    assert told["GlobalSecondaryIndexes"]["keys"] == {
        "CapacityUnits": 2.0,
        "WriteCapacityUnits": 2.0,
    }
    reply = dynamodb.batch_write_item(
        RequestItems={"tab": [{"DeleteRequest": {"Key": key}}]}, ReturnConsumedCapacity="INDEXES"
    )
    assert reply["ConsumedCapacity"][0]["LocalSecondaryIndexes"] == {
        "local": {"CapacityUnits": 1.0}
    }


def test_reads_of_an_index_consume_of_the_index_alone(dynamodb: Any, make_indexed: Made) -> None:
    make_indexed(index("by-g", "g", projection="KEYS_ONLY"))
    put(dynamodb, "a", g="g", pad={"S": "x" * 9_000})
    reply = dynamodb.scan(TableName="tab", IndexName="by-g", ReturnConsumedCapacity="INDEXES")
    assert reply["ConsumedCapacity"] == {
        "TableName": "tab",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by-g": {"CapacityUnits": 0.5}},
    }


# Item collections.


def test_the_size_of_an_item_collection_is_told(dynamodb: Any, make_indexed: Made) -> None:
    make_indexed(local=[index("local", "p", ">s")])
    given = {"TableName": "tab", "ReturnItemCollectionMetrics": "SIZE"}
    key = {"p": {"S": "1"}, "c": {"S": "a"}}
    expected = {"ItemCollectionKey": {"p": {"S": "1"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    assert dynamodb.put_item(**given, Item=key)["ItemCollectionMetrics"] == expected
    update = {"Key": key, "UpdateExpression": "REMOVE x"}
    assert dynamodb.update_item(**given, **update)["ItemCollectionMetrics"] == expected
    assert dynamodb.delete_item(**given, Key=key)["ItemCollectionMetrics"] == expected
    items = [{**key, "c": {"S": each}} for each in "ab"] + [{**key, "p": {"S": "2"}}]
    reply = dynamodb.batch_write_item(
        RequestItems={"tab": [{"PutRequest": {"Item": item}} for item in items]},
        ReturnItemCollectionMetrics="SIZE",
    )
    told = [each["ItemCollectionKey"]["p"]["S"] for each in reply["ItemCollectionMetrics"]["tab"]]
    assert told == ["1", "2"]
    reply = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "tab", "Item": items[0]}}],
        ReturnItemCollectionMetrics="SIZE",
    )
    assert reply["ItemCollectionMetrics"] == {"tab": [expected]}


def test_tables_without_local_indexes_tell_of_no_collections(
    dynamodb: Any, make_indexed: Made
) -> None:
    make_indexed(index("by-g", "g"))
    reply = dynamodb.put_item(
        TableName="tab",
        Item={"p": {"S": "1"}, "c": {"S": "a"}},
        ReturnItemCollectionMetrics="SIZE",
    )
    assert "ItemCollectionMetrics" not in reply


@pytest.mark.parametrize("cloud", [{quotas.COLLECTION_BYTES.name: 100}], indirect=True)
def test_an_item_collection_does_not_grow_beyond_its_limit(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    """Items and their entries in local indexes count: 20 and 17 bytes each here."""
    make_indexed(local=[index("local", "p", ">s", projection="KEYS_ONLY")], name="tab")
    item = {"p": {"S": "1"}, "s": {"S": "s"}, "pad": {"S": "x" * 25}}
    dynamodb.put_item(TableName="tab", Item={**item, "c": {"S": "a"}})
    dynamodb.put_item(TableName="tab", Item={**item, "c": {"S": "b"}})
    over = {**item, "c": {"S": "c"}}
    expected = (400, "ItemCollectionSizeLimitExceededException", "Collection size exceeded.")
    assert refusal(dynamodb.put_item, TableName="tab", Item=over) == expected
    told = refusal(
        dynamodb.transact_write_items, TransactItems=[{"Put": {"TableName": "tab", "Item": over}}]
    )
    assert told[1] == "TransactionCanceledException"
    assert "[ItemCollectionSizeLimitExceeded]" in told[2]
    dynamodb.put_item(TableName="tab", Item={**over, "p": {"S": "2"}})
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "1"}, "c": {"S": "a"}})
    dynamodb.put_item(TableName="tab", Item=over)
    assert dynamodb.scan(TableName="tab", IndexName="local")["Count"] == 3
