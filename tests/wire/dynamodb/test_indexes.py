"""Local and global secondary indexes, read through boto3.

Source: Amazon DynamoDB Developer Guide, "Using Global Secondary Indexes in DynamoDB", "Local
secondary indexes" and "Multi-attribute keys pattern"; API Reference, Query and Scan.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.indexing import Made, index, keys_of, put, query

from fogbank.services.dynamodb.rules import indexes

LARGE = {"S": "x" * (2 * indexes.COPY_BYTES_MAX)}


# What an index holds.


@pytest.mark.parametrize("pad", [{"S": "x"}, LARGE], ids=["kept in the entry", "with the item"])
def test_an_index_shows_what_its_projection_says(
    dynamodb: Any, make_indexed: Made, pad: Any
) -> None:
    make_indexed(
        index("all", "g"),
        index("keys", "g", ">s", projection="KEYS_ONLY"),
        index("some", "g", include=("pad", "c")),
    )
    item = put(dynamodb, "a", g="G", s="S", pad=pad, other="o")
    shown = {"all": {*item}, "keys": {"p", "c", "g", "s"}, "some": {"p", "c", "g", "pad"}}
    for name, names in shown.items():
        expected = [{each: item[each] for each in names}]
        assert query(dynamodb, name, "g = :g", values={"g": "G"})["Items"] == expected
        assert dynamodb.scan(TableName="tab", IndexName=name)["Items"] == expected


@pytest.mark.parametrize("pad", [{"S": "x"}, LARGE], ids=["kept in the entry", "with the item"])
def test_entries_follow_every_way_of_writing(dynamodb: Any, make_indexed: Made, pad: Any) -> None:
    make_indexed(index("by-g", "g"))
    key = {"p": {"S": "1"}, "c": {"S": "a"}}

    def found(value: str) -> list[Any]:
        return query(dynamodb, "by-g", "g = :g", values={"g": value})["Items"]  # type: ignore[no-any-return]

    item = put(dynamodb, "a", g="1", pad=pad)
    assert found("1") == [item]
    for value in ("2", "2", "3"):
        reply = dynamodb.update_item(
            TableName="tab",
            Key=key,
            UpdateExpression="SET g = :g ADD hits :one",
            ExpressionAttributeValues={":g": {"S": value}, ":one": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )
        assert found(value) == [reply["Attributes"]]
    assert found("1") == found("2") == []
    dynamodb.update_item(TableName="tab", Key=key, UpdateExpression="REMOVE g")
    assert found("3") == []
    write = {"PutRequest": {"Item": item}}
    dynamodb.batch_write_item(RequestItems={"tab": [write]})
    assert found("1") == [item]
    dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": "tab", "Item": {**item, "g": {"S": "4"}}}}]
    )
    assert found("1") == []
    assert len(found("4")) == 1
    dynamodb.delete_item(TableName="tab", Key=key)
    assert dynamodb.scan(TableName="tab", IndexName="by-g")["Count"] == 0


def test_an_item_without_a_whole_key_has_no_entry(dynamodb: Any, make_indexed: Made) -> None:
    make_indexed(index("by-g", "g", "h", ">s", ">n"))
    whole = {"g": {"S": "g"}, "h": {"S": "h"}, "s": {"S": "s"}, "n": {"N": "1"}}
    for name in whole:
        put(dynamodb, name, **{key: value for key, value in whole.items() if key != name})
    put(dynamodb, "whole", **whole)
    assert keys_of(dynamodb.scan(TableName="tab", IndexName="by-g")) == ["whole"]


def test_a_deleted_table_takes_its_entries_with_it(
    cloud: Any, dynamodb: Any, make_indexed: Made
) -> None:
    local = [index("local", "p", ">s")]
    make_indexed(index("by-g", "g"), local=local)
    put(dynamodb, "a", g="g", s="s")
    dynamodb.delete_table(TableName="tab")
    cloud.settle()
    make_indexed(index("by-g", "g"), local=local)
    for name in ("by-g", "local"):
        assert dynamodb.scan(TableName="tab", IndexName=name)["Count"] == 0


# Keys of several attributes.


@pytest.fixture
def numbered(dynamodb: Any, make_indexed: Made) -> None:
    """Fill an index of two partition and three sort attributes: 3 x 3 x 3 under one key."""
    make_indexed(index("by-g", "g", "h", ">s", ">n", ">b"))
    for place in range(27):
        s, n, b = "xyz"[place // 9], place // 3 % 3 - 1, bytes([place % 3])
        put(dynamodb, f"{place:02}", g="g", h="h", s=s, n={"N": str(n)}, b={"B": b})
    put(dynamodb, "other", g="g", h="i", s="x", n={"N": "0"}, b={"B": b"\0"})


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("", {}, range(27)),
        ("AND s = :s", {"s": "y"}, range(9, 18)),
        ("AND s > :s", {"s": "y"}, range(18, 27)),
        ("AND s >= :s", {"s": "y"}, range(9, 27)),
        ("AND s < :s", {"s": "y"}, range(9)),
        ("AND s <= :s", {"s": "y"}, range(18)),
        ("AND begins_with(s, :s)", {"s": "y"}, range(9, 18)),
        ("AND n = :n AND s = :s", {"s": "y", "n": {"N": "-1"}}, range(9, 12)),
        (
            "AND s = :s AND n BETWEEN :n AND :m",
            {"s": "y", "n": {"N": "-1"}, "m": {"N": "0"}},
            range(9, 15),
        ),
        (
            "AND s = :s AND n = :n AND b > :b",
            {"s": "z", "n": {"N": "1"}, "b": {"B": b"\0"}},
            range(25, 27),
        ),
    ],
)
@pytest.mark.parametrize("forward", [True, False])
def test_conditions_go_from_the_left_over_the_sort_key(
    dynamodb: Any, numbered: None, condition: str, values: Any, expected: range, forward: bool
) -> None:
    reply = query(
        dynamodb,
        "by-g",
        f"g = :g AND h = :h {condition}",
        values={"g": "g", "h": "h", **values},
        ScanIndexForward=forward,
    )
    found = [int(key) for key in keys_of(reply)]
    assert found == [*(expected if forward else reversed(expected))]


@pytest.mark.parametrize(
    ("condition", "fault"),
    [
        ("g = :v", "each HASH attribute of the index needs an equality condition: [g, h]"),
        ("g = :v AND h > :v", "each HASH attribute"),
        ("g = :v AND h = :v AND b = :b", "RANGE attributes of the index stand in conditions"),
        ("g = :v AND h = :v AND s > :v AND n = :n", "RANGE attributes"),
        ("g = :v AND h = :v AND z = :v", "z is no key"),
        ("g = :v AND h = :v AND s = :n", "Condition parameter type does not match schema type"),
    ],
)
def test_conditions_that_leave_out_or_bound_too_much_are_refused(
    dynamodb: Any, numbered: None, refusal: Any, condition: str, fault: str
) -> None:
    values = {"v": "v", "n": {"N": "1"}, "b": {"B": b"b"}}
    used = {name: value for name, value in values.items() if f":{name}" in condition}
    told = refusal(query, dynamodb=dynamodb, name="by-g", condition=condition, values=used)
    assert told[1] == "ValidationException"
    assert fault in told[2]


def test_texts_of_a_sort_key_order_by_their_bytes(dynamodb: Any, make_indexed: Made) -> None:
    """Also where one begins another, or ends in zeros: keys end where their values do."""
    make_indexed(index("by-g", "g", ">s"))
    texts = sorted(["a", "a\0", "a\0\0", "aa", "aaaaaaa", "aaaaaaaa", "aaaaaaaa\0", "aaaaaaaab"])
    for place, text in enumerate(texts):
        put(dynamodb, str(place), g="g", s=text)
    asked = {
        "s = :s": lambda text, at: text == at,
        "s < :s": lambda text, at: text < at,
        "s <= :s": lambda text, at: text <= at,
        "s > :s": lambda text, at: text > at,
        "s >= :s": lambda text, at: text >= at,
        "begins_with(s, :s)": lambda text, at: text.startswith(at),
    }
    for at in texts:
        for condition, holds in asked.items():
            reply = query(dynamodb, "by-g", f"g = :g AND {condition}", values={"g": "g", "s": at})
            found = [item["s"]["S"] for item in reply["Items"]]
            assert found == [text for text in texts if holds(text, at)], (condition, at)


# Paging.


@pytest.mark.parametrize("forward", [True, False])
def test_a_page_goes_on_among_items_of_one_key(
    dynamodb: Any, make_indexed: Made, forward: bool
) -> None:
    make_indexed(index("by-g", "g", ">s"), index("by-h", "h"))
    for number in range(7):
        put(dynamodb, str(number), g="g", s="same", h="h")
    for value, key in (("g", {"g", "s"}), ("h", {"h"})):
        found: list[str] = []
        start: dict[str, Any] = {}
        while start or not found:
            reply = query(
                dynamodb,
                f"by-{value}",
                f"{value} = :v",
                values={"v": value},
                Limit=2,
                ScanIndexForward=forward,
                **start,
            )
            found += keys_of(reply)
            last = reply.get("LastEvaluatedKey")
            assert last is None or {*last} == {"p", "c", *key}
            start = {"ExclusiveStartKey": last} if last else {}
        assert sorted(found) == [*"0123456"]


@pytest.mark.parametrize(
    ("start", "fault"),
    [
        ({"p": "1", "g": "g", "s": "s"}, "The provided starting key is invalid"),
        ({"p": "1", "c": "0", "g": "g"}, "The provided starting key is invalid"),
        (
            {"p": "1", "c": "0", "g": "g", "s": "s", "x": "x"},
            "The provided starting key is invalid",
        ),
        ({"p": "1", "c": "0", "g": "h", "s": "s"}, "outside query boundaries"),
        ({"p": "1", "c": "0", "g": "g", "s": ""}, "The provided starting key is invalid"),
        (
            {"p": "1", "c": "0", "g": "g", "s": {"N": "1"}},
            "The provided key element does not match the schema",
        ),
    ],
)
def test_a_start_that_is_no_key_of_index_and_table_is_refused(
    dynamodb: Any, make_indexed: Made, refusal: Any, start: Any, fault: str
) -> None:
    make_indexed(index("by-g", "g", ">s"))
    given = {
        name: {"S": value} if isinstance(value, str) else value for name, value in start.items()
    }
    told = refusal(
        query,
        dynamodb=dynamodb,
        name="by-g",
        condition="g = :g",
        values={"g": "g"},
        ExclusiveStartKey=given,
    )
    assert told[1] == "ValidationException"
    assert fault in told[2]


def test_segments_of_an_index_are_the_index(dynamodb: Any, make_indexed: Made) -> None:
    make_indexed(index("by-g", "g"))
    for number in range(20):
        put(dynamodb, str(number), g=str(number))
    found: list[str] = []
    for segment in range(3):
        pages = dynamodb.get_paginator("scan").paginate(
            TableName="tab",
            IndexName="by-g",
            Segment=segment,
            TotalSegments=3,
            PaginationConfig={"PageSize": 2},
        )
        found += [key for page in pages for key in keys_of(page)]
    assert sorted(found) == sorted(map(str, range(20)))


# What may be asked.


def test_global_indexes_are_not_read_consistently(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    make_indexed(index("by-g", "g"), local=[index("local", "p", ">s")])
    asked = {"TableName": "tab", "ConsistentRead": True}
    expected = (
        400,
        "ValidationException",
        "Consistent reads are not supported on global secondary indexes",
    )
    assert refusal(dynamodb.scan, **asked, IndexName="by-g") == expected
    assert dynamodb.scan(**asked, IndexName="local")["Count"] == 0
    told = refusal(dynamodb.scan, TableName="tab", IndexName="none")
    assert told[2] == "The table does not have the specified index: none"


def test_a_global_index_refuses_what_it_does_not_project(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    make_indexed(index("by-g", "g", include=("a",)))
    item = put(dynamodb, "a", g="g", a="a", b="b")
    asked = {"dynamodb": dynamodb, "name": "by-g", "condition": "g = :g", "values": {"g": "g"}}
    told = refusal(query, **asked, Select="ALL_ATTRIBUTES")
    assert told[2] == (
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for"
        " global secondary index by-g because its projection type is not ALL"
    )
    told = refusal(query, **asked, ProjectionExpression="a, b")
    assert told[2] == (
        "One or more parameter values were invalid: Global secondary index by-g does not project [b]"
    )
    shown = {name: item[name] for name in ("p", "c", "g", "a")}
    assert query(**asked, Select="ALL_PROJECTED_ATTRIBUTES")["Items"] == [shown]
    assert query(**asked, ProjectionExpression="a")["Items"] == [{"a": item["a"]}]


def test_a_local_index_fetches_what_it_does_not_project(dynamodb: Any, make_indexed: Made) -> None:
    """Each item costs what reading it costs (Developer Guide, "Local secondary indexes")."""
    make_indexed(local=[index("local", "p", ">s", projection="KEYS_ONLY")])
    item = put(dynamodb, "a", s="s", padding={"S": "x" * 5_000})
    asked = {
        "dynamodb": dynamodb,
        "name": "local",
        "condition": "p = :p",
        "values": {"p": "1"},
        "ReturnConsumedCapacity": "INDEXES",
    }
    plain = query(**asked)
    assert plain["Items"] == [{name: item[name] for name in ("p", "c", "s")}]
    assert plain["ConsumedCapacity"] == {
        "TableName": "tab",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 0.5}},
    }
    for members in ({"Select": "ALL_ATTRIBUTES"}, {"ProjectionExpression": "s, padding"}):
        reply = query(**asked, **members, ConsistentRead=True)
        names = {*item} if "Select" in members else {"s", "padding"}
        assert reply["Items"] == [{name: item[name] for name in names}]
        assert reply["ConsumedCapacity"]["CapacityUnits"] == 3.0
        assert reply["ConsumedCapacity"]["Table"] == {"CapacityUnits": 2.0}
    filtered = query(
        **{**asked, "values": {"p": "1", "f": "x"}}, FilterExpression="begins_with(padding, :f)"
    )
    assert filtered["Count"] == 1


def test_a_filter_stays_off_the_keys_of_the_index_that_is_read(
    dynamodb: Any, make_indexed: Made, refusal: Any
) -> None:
    make_indexed(index("by-g", "g", ">s"))
    put(dynamodb, "a", g="g", s="s")
    asked = {"dynamodb": dynamodb, "name": "by-g", "condition": "g = :g", "values": {"g": "g"}}
    told = refusal(query, **asked, FilterExpression="s = :g")
    assert told[2] == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: s"
    )
    assert query(**asked, FilterExpression="p <> :g")["Count"] == 1
