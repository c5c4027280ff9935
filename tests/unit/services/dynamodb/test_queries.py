from __future__ import annotations

from typing import Any

import pytest

from fogbank.base.errors import Corrupt
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.schema import ITEMS


def fill(run: Any, partitions: int, items: int, size: int = 0) -> None:
    for partition in range(partitions):
        for number in range(items):
            item = {
                "p": {"S": f"p{partition}"},
                "c": {"N": str(number)},
                "even": {"BOOL": number % 2 == 0},
                "pad": {"S": "x" * size},
            }
            run("put_item", TableName="tab", Item=item)


def query(run: Any, condition: str = "p = :p", **members: Any) -> Any:
    values = {":p": {"S": "p1"}} | members.pop("values", {})
    return run(
        "query",
        TableName="tab",
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        **members,
    )


def sort_keys(reply: Any) -> list[int]:
    return [int(item["c"]["N"]) for item in reply["Items"]]


def pages(run: Any, operation: str, **request: Any) -> list[Any]:
    replies = [run(operation, TableName="tab", **request)]
    while "LastEvaluatedKey" in replies[-1]:
        start = replies[-1]["LastEvaluatedKey"]
        replies.append(run(operation, TableName="tab", ExclusiveStartKey=start, **request))
    return replies


@pytest.mark.parametrize(
    ("sort", "start"),
    [
        ("", None),
        ("AND c = :c", None),
        ("AND c < :d", None),
        ("AND c BETWEEN :c AND :d", None),
        ("", {"p": {"S": "p1"}, "c": {"N": "0"}}),
    ],
)
@pytest.mark.parametrize("forward", [True, False])
def test_a_query_serves_no_item_of_another_partition_key(
    run: Any,
    make_table: Any,
    call: Any,
    sort: str,
    start: Any,
    forward: bool,
) -> None:
    make_table(sort="N")
    fill(run, 2, 2)
    for place in [key for key in call.engine.rows if key.startswith(ITEMS.prefix(call.domain))]:
        call.engine.rows[place] = call.engine.rows[place].replace(b"\xc4\x02p1", b"\xc4\x02p2")
    values = {name: {"N": number} for name, number in ((":c", "1"), (":d", "2")) if name in sort}
    begins = {} if start is None or not forward else {"ExclusiveStartKey": start}
    with pytest.raises(Corrupt):
        query(run, f"p = :p {sort}", values=values, ScanIndexForward=forward, **begins)
    assert run("scan", TableName="tab")["Count"] == 4, "a scan asks for no partition key"


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("p = :p", {}, [0, 1, 2, 3, 4]),
        ("p = :p AND c = :c", {":c": {"N": "3.0"}}, [3]),
        (":c < c AND p = :p", {":c": {"N": "2"}}, [3, 4]),
        ("p = :p AND c <= :c", {":c": {"N": "2"}}, [0, 1, 2]),
        ("(p = :p) AND (c BETWEEN :c AND :d)", {":c": {"N": "1"}, ":d": {"N": "3"}}, [1, 2, 3]),
    ],
)
def test_queries_answer_in_the_order_of_sort_keys(
    run: Any, make_table: Any, condition: str, values: Any, expected: list[int]
) -> None:
    make_table(sort="N")
    fill(run, 3, 5)
    assert sort_keys(query(run, condition, values=values)) == expected
    backward = query(run, condition, values=values, ScanIndexForward=False)
    assert sort_keys(backward) == expected[::-1]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_of_a_query_join_to_the_whole(
    run: Any, make_table: Any, forward: bool, limit: int
) -> None:
    make_table(sort="N")
    fill(run, 2, 40)
    request = {
        "KeyConditionExpression": "p = :p AND c >= :c",
        "ExpressionAttributeValues": {":p": {"S": "p1"}, ":c": {"N": "5"}},
        "ScanIndexForward": forward,
    }
    replies = pages(run, "query", Limit=limit, **request)
    found = [number for reply in replies for number in sort_keys(reply)]
    assert found == sorted(range(5, 40), reverse=not forward)
    assert all(reply["ScannedCount"] <= limit for reply in replies)


def test_a_page_ends_with_the_item_that_fills_it(run: Any, make_table: Any, call: Any) -> None:
    make_table(sort="N")
    fill(run, 1, 50, size=100)
    call.quotas[quotas.PAGE_BYTES.name] = 1_000
    replies = pages(run, "scan", ReturnConsumedCapacity="TOTAL")
    assert sum(reply["Count"] for reply in replies) == 50
    assert {reply["Count"] for reply in replies[:-1]} == {9}
    assert replies[0]["ConsumedCapacity"]["CapacityUnits"] == 0.5


def test_a_filter_hides_and_does_not_shorten_the_page(run: Any, make_table: Any) -> None:
    make_table(sort="N")
    fill(run, 2, 6)
    reply = query(run, FilterExpression="even = :t", values={":t": {"BOOL": True}}, Limit=3)
    assert sort_keys(reply) == [0, 2]
    assert (reply["Count"], reply["ScannedCount"]) == (2, 3)
    assert reply["LastEvaluatedKey"] == {"p": {"S": "p1"}, "c": {"N": "2"}}


def test_counting_answers_no_items(run: Any, make_table: Any) -> None:
    make_table(sort="N")
    fill(run, 2, 3)
    assert query(run, Select="COUNT") == {"Count": 3, "ScannedCount": 3}


def test_a_projection_cuts_every_item(run: Any, make_table: Any) -> None:
    make_table(sort="N")
    fill(run, 2, 2)
    assert query(run, ProjectionExpression="even")["Items"] == [
        {"even": {"BOOL": True}},
        {"even": {"BOOL": False}},
    ]


@pytest.mark.parametrize("total", [1, 2, 17])
def test_segments_of_a_scan_join_to_the_table(run: Any, make_table: Any, total: int) -> None:
    make_table(sort="N")
    fill(run, 12, 2)
    found = [
        (item["p"]["S"], item["c"]["N"])
        for segment in range(total)
        for reply in pages(run, "scan", Segment=segment, TotalSegments=total, Limit=3)
        for item in reply["Items"]
    ]
    assert len(found) == 24
    assert len(set(found)) == 24


def test_a_table_without_sort_key_can_be_queried(run: Any, make_table: Any) -> None:
    make_table()
    run("put_item", TableName="tab", Item={"p": {"S": "p1"}})
    assert query(run)["Items"] == [{"p": {"S": "p1"}}]
    with pytest.raises(ValidationException) as caught:
        query(run, ExclusiveStartKey={"p": {"S": "p1"}})
    assert caught.value.message == (
        "The provided exclusive start key is invalid: ExclusiveStartKey: {p=AttributeValue: {S:p1}}"
    )


@pytest.mark.parametrize(
    ("condition", "values", "message"),
    [
        ("c = :p", {}, "Query condition missed key schema element: p"),
        ("p = :p AND a = :p", {}, "Query condition missed key schema element: c"),
        ("p < :p", {}, "Query key condition not supported"),
        ("p = :p AND c = :p", {}, ("One or more parameter values were invalid: Condition parameter"
         " type does not match schema type")),
        ("p = :p AND c = :c AND a = :c", {":c": {"N": "1"}}, ("Conditions can be of length 1 or 2"
         " only")),
        ("p = :p OR c = :p", {}, "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT p = :p", {}, "Invalid operator used in KeyConditionExpression: NOT"),
        ("p <> :p", {}, "Invalid operator used in KeyConditionExpression: <>"),
        ("p IN (:p)", {}, "Invalid operator used in KeyConditionExpression: IN"),
        ("contains(p, :p)", {}, "Invalid operator used in KeyConditionExpression: contains"),
        ("begins_with(:p, p)", {}, ("Invalid condition in KeyConditionExpression: begins_with"
         " operator must have the key attribute as its first operand")),
        ("p = :p AND p = :p", {}, ("KeyConditionExpressions must only contain one condition per"
         " key")),
        ("p.x = :p", {}, "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("size(p) = :p", {}, "KeyConditionExpressions cannot contain nested operations"),
        ("p = :p AND a = c", {}, ("Invalid condition in KeyConditionExpression: Multiple attribute"
         " names used in one condition")),
        (":p = :c", {":c": {"S": "x"}}, ("Invalid condition in KeyConditionExpression: No key"
         " attribute specified")),
    ],
)  # fmt: skip
def test_key_conditions_that_are_refused(
    run: Any, make_table: Any, condition: str, values: Any, message: str
) -> None:
    make_table(sort="N")
    with pytest.raises(ValidationException) as caught:
        query(run, condition, values=values)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"p": {"S": "p1"}}, "The provided starting key is invalid"),
        ({"p": {"S": "p1"}, "c": {"S": "x"}}, ("The provided key element does not match the"
         " schema")),
        ({"p": {"S": "p0"}, "c": {"N": "9"}}, ("The provided starting key does not match the range"
         " key predicate")),
        ({"p": {"S": "p1"}, "c": {"N": "1"}}, ("The provided starting key does not match the range"
         " key predicate")),
        ({"p": {}, "c": {"N": "1"}}, ("The provided starting key is invalid: Supplied"
         " AttributeValue is empty, must contain exactly one of the supported datatypes")),
        ({"p": {"S": "p1"}, "c": {"N": "x"}}, ("The parameter cannot be converted to a numeric"
         " value: x")),
    ],
)  # fmt: skip
def test_starts_that_a_query_could_not_have_given(
    run: Any, make_table: Any, start: Any, message: str
) -> None:
    make_table(sort="N")
    with pytest.raises(ValidationException) as caught:
        query(run, "p = :p AND c > :c", values={":c": {"N": "5"}}, ExclusiveStartKey=start)
    assert caught.value.message == message


def test_a_start_of_another_partition_is_refused(run: Any, make_table: Any) -> None:
    make_table(sort="N")
    with pytest.raises(ValidationException, match="outside query boundaries"):
        query(run, ExclusiveStartKey={"p": {"S": "p0"}, "c": {"N": "1"}})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Segment": 0}, ("The TotalSegments parameter is required but was not present in the"
         " request when Segment parameter is present")),
        ({"TotalSegments": 2}, ("The Segment parameter is required but was not present in the"
         " request when parameter TotalSegments is present")),
        ({"Segment": 2, "TotalSegments": 2}, ("The Segment parameter is zero-based and must be"
         " less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2")),
        ({"ExclusiveStartKey": {"p": {"S": "x"}}}, ("The provided starting key is invalid: The"
         " provided key element does not match the schema")),
        ({"Select": "SPECIFIC_ATTRIBUTES"}, ("Must specify the AttributesToGet or"
         " ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")),
        ({"Select": "COUNT", "ProjectionExpression": "a"}, ("Cannot specify the"
         " ProjectionExpression when choosing to get only the Count")),
        ({"Select": "ALL_ATTRIBUTES", "AttributesToGet": ["a"]}, ("Cannot specify the"
         " AttributesToGet when choosing to get ALL_ATTRIBUTES")),
        ({"Select": "ALL_PROJECTED_ATTRIBUTES"}, ("One or more parameter values were invalid:"
         " ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")),
    ],
)  # fmt: skip
def test_scans_that_are_refused(
    run: Any, make_table: Any, members: dict[str, Any], message: str
) -> None:
    make_table(sort="N")
    with pytest.raises(ValidationException) as caught:
        run("scan", TableName="tab", **members)
    assert caught.value.message == message


def test_a_start_belongs_to_its_segment(run: Any, make_table: Any) -> None:
    make_table()
    for number in range(9):
        run("put_item", TableName="tab", Item={"p": {"S": str(number)}})
    [first, *_] = run("scan", TableName="tab", Segment=0, TotalSegments=2)["Items"]
    with pytest.raises(ValidationException, match=r"correct Segment\. TotalSegments: 2 Segment: 1"):
        run("scan", TableName="tab", Segment=1, TotalSegments=2, ExclusiveStartKey=first)


def test_a_query_filters_no_key(run: Any, make_table: Any) -> None:
    make_table(sort="N")
    with pytest.raises(ValidationException) as caught:
        query(run, FilterExpression="a = c")
    assert caught.value.message == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: c"
    )


def test_a_query_needs_conditions_and_a_table(run: Any, make_table: Any) -> None:
    with pytest.raises(ValidationException, match="Either the KeyConditions"):
        run("query", TableName="tab")
    with pytest.raises(ResourceNotFoundException):
        query(run)
    with pytest.raises(ResourceNotFoundException):
        run("scan", TableName="tab")
