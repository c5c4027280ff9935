"""What is written to tables with vector indexes: what is kept, refused and counted.

Source: Amazon DynamoDB Developer Guide, "Creating and searching vector indexes" ("Writing items with
vector data"). Words and figures: nubo-db/dynamodb-conformance (tests/tier3/error-messages/
vectorWrites.test.ts, tests/tier2/vectorSearch/consumedCapacity.test.ts), measured on AWS; where more is
known, dynoxide.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.searching import item, keys_of, put, scores_of, search, table, vector_index

INVALID = "One or more parameter values were invalid"


def test_every_way_to_write_keeps_the_index_and_none_leaves_it_behind(dynamodb: Any) -> None:
    dynamodb.create_table(**table(vector_index(by="t")))

    def found() -> list[str]:
        return sorted(keys_of(search(dynamodb, condition="t = :t", values={"t": "t"})))

    put(dynamodb, "a", "1 0 0", t="t")
    batch = [{"PutRequest": {"Item": item(p, "1 0 0", t="t")}} for p in "bc"]
    dynamodb.batch_write_item(RequestItems={"tab": batch})
    given = {"Put": {"TableName": "tab", "Item": item("d", "1 0 0", t="t")}}
    dynamodb.transact_write_items(TransactItems=[given])
    dynamodb.execute_statement(
        Statement="INSERT INTO tab VALUE {'p': 'e', 't': 't', 'v': [1, 0, 0]}"
    )
    assert found() == ["a", "b", "c", "d", "e"]

    def update(p: str, expression: str, **values: Any) -> None:
        members = {"ExpressionAttributeValues": values} if values else {}
        dynamodb.update_item(
            TableName="tab",
            Key={"p": {"S": p}},
            UpdateExpression=expression,
            **{key: {f":{name}": each for name, each in values.items()} for key in members},
        )

    update("a", "REMOVE v")
    update("b", "REMOVE t")
    update("c", "SET t = :t", t={"S": "u"})
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "d"}})
    assert found() == ["e"]
    update("b", "SET t = :t", t={"S": "t"})
    update("e", "SET v[0] = :x, v[1] = :y", x={"N": "0"}, y={"N": "1"})
    reply = search(dynamodb, condition="t = :t", values={"t": "t"})
    assert [*zip(keys_of(reply), scores_of(reply), strict=True)] == [("b", 0.0), ("e", 1.0)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            item("x", "1 0"),
            "Invalid size for parameter v, Expected: 3, Actual: 2 IndexName: vix",
        ),
        (
            {**item("x"), "v": {"L": [{"N": "1"}, {"S": "oops"}, {"N": "0"}]}},
            (
                "Invalid type for parameter v[1], Expected: 32-bit floating point number, Actual: S."
                " IndexName: vix"
            ),
        ),
        (
            item("x", v="not a vector"),
            (
                "Invalid type for parameter v, Expected: 32-bit floating point number list"
                " IndexName: vix"
            ),
        ),
        (
            item("x", v={"NS": ["1", "2", "3"]}),
            (
                "Invalid type for parameter v, Expected: 32-bit floating point number list"
                " IndexName: vix"
            ),
        ),
        (
            item("x", "0 1e39 0"),
            (
                "Invalid value for parameter v[1], Value: 1E+39 is outside valid range"
                " [-3.4028235E38, 3.4028235E38]. IndexName: vix"
            ),
        ),
        (
            item("x", "0 0 1", t={"N": "1"}),
            "Attribute 't' type mismatch. Expected: S, Actual: N. IndexName: vix",
        ),
        (
            item("x", n="one"),
            "Attribute 'n' type mismatch. Expected: N, Actual: S. IndexName: vix",
        ),
    ],
)
def test_what_no_index_can_keep_is_not_written(
    dynamodb: Any, refusal: Any, given: Any, message: str
) -> None:
    dynamodb.create_table(**table(vector_index(by="t", filters=("n",))))
    expected = (400, "ValidationException", f"{INVALID}. {message}")
    assert refusal(dynamodb.put_item, TableName="tab", Item=given) == expected
    batch = {"tab": [{"PutRequest": {"Item": given}}]}
    assert refusal(dynamodb.batch_write_item, RequestItems=batch) == expected
    changed = {name: {"Value": value} for name, value in given.items() if name != "p"}
    members = {"Key": {"p": {"S": "x"}}, "AttributeUpdates": changed}
    assert refusal(dynamodb.update_item, TableName="tab", **members) == expected
    assert dynamodb.scan(TableName="tab")["Count"] == 0


def test_an_empty_partition_key_is_refused_as_that_of_other_indexes_is(
    dynamodb: Any, refusal: Any
) -> None:
    dynamodb.create_table(**table(vector_index(by="t", filters=("kind",))))
    put(dynamodb, "filter", "1 0 0", t="t", kind="")
    empty = item("x", "0 0 1", t="")
    assert refusal(dynamodb.put_item, TableName="tab", Item=empty)[2] == (
        "One or more parameter values are not valid. A value specified for a secondary index key is"
        " not supported. The AttributeValue for a key attribute cannot contain an empty string"
        " value. IndexName: vix, IndexKey: t"
    )
    found = search(dynamodb, condition="t = :t AND kind = :k", values={"t": "t", "k": ""})
    assert keys_of(found) == ["filter"]


def test_writes_tell_the_bytes_of_each_vector_index_that_they_change(dynamodb: Any) -> None:
    """Four bytes a number, the names, and the rest of the entry; at least 1 KB; only what changes."""
    dynamodb.create_table(
        **table(
            vector_index("all", dimensions=512), vector_index("keys", dimensions=512, include=())
        )
    )
    vector = " ".join(["0.5"] * 512)

    def told(reply: Any) -> dict[str, float]:
        consumed = reply["ConsumedCapacity"]
        assert consumed["CapacityUnits"] == consumed["Table"]["CapacityUnits"]
        found = consumed.get("VectorIndexes", {})
        return {name: each["VectorWriteRequestBytes"] for name, each in found.items()}

    keys_bytes = 4 * 512 + len("v") + len("p") + len("a")
    whole = keys_bytes + len("label") + len("xy")
    assert told(put(dynamodb, "a", vector, label="xy")) == {"all": whole, "keys": keys_bytes}
    assert told(put(dynamodb, "a", vector, label="xy")) == {}
    assert told(put(dynamodb, "a", vector, label="z")) == {"all": whole}
    assert told(put(dynamodb, "plain", label="no vector")) == {}
    assert told(
        dynamodb.delete_item(
            TableName="tab", Key={"p": {"S": "a"}}, ReturnConsumedCapacity="INDEXES"
        )
    ) == {"all": whole - 1, "keys": keys_bytes}
    reply = dynamodb.put_item(
        TableName="tab", Item=item("t", vector), ReturnConsumedCapacity="TOTAL"
    )
    assert "VectorIndexes" not in reply["ConsumedCapacity"]


def test_short_entries_count_a_kilobyte_in_batches_and_transactions_too(dynamodb: Any) -> None:
    dynamodb.create_table(**table(vector_index()))
    least = {"vix": {"VectorWriteRequestBytes": 1_024.0}}
    assert put(dynamodb, "a", "1 0 0")["ConsumedCapacity"]["VectorIndexes"] == least
    batch = {"tab": [{"PutRequest": {"Item": item(p, "1 0 0")}} for p in "bc"]}
    [told] = dynamodb.batch_write_item(RequestItems=batch, ReturnConsumedCapacity="INDEXES")[
        "ConsumedCapacity"
    ]
    assert told["VectorIndexes"] == {"vix": {"VectorWriteRequestBytes": 2_048.0}}
    given = [{"Put": {"TableName": "tab", "Item": item("d", "1 0 0")}}]
    members = {"ReturnConsumedCapacity": "INDEXES", "ClientRequestToken": "token"}
    for _ in range(2):
        [told] = dynamodb.transact_write_items(TransactItems=given, **members)["ConsumedCapacity"]
    assert put(dynamodb, "e", "1 0 0")["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_a_transaction_tells_the_bytes_of_vectors_once(dynamodb: Any) -> None:
    """Its writes cost their table twice, and a vector index what they cost outside."""
    dynamodb.create_table(**table(vector_index()))
    [told] = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "tab", "Item": item("d", "1 0 0")}}],
        ReturnConsumedCapacity="INDEXES",
    )["ConsumedCapacity"]
    assert told["VectorIndexes"] == {"vix": {"VectorWriteRequestBytes": 1_024.0}}
    assert told["CapacityUnits"] == 2.0
