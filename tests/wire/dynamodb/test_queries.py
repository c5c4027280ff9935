from __future__ import annotations

from typing import Any

import pytest

from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules.pages import ROWS_FIRST, ROWS_MAX, Page, PageRules


@pytest.fixture
def numbers(dynamodb: Any, make_table: Any) -> range:
    """Fill a table: 3 partitions with these sort keys each."""
    make_table(sort="N")
    sorts = range(-5, 6)
    for partition in "abc":
        for number in sorts:
            item = {"p": {"S": partition}, "c": {"N": str(number)}, "v": {"N": str(number**2)}}
            dynamodb.put_item(TableName="tab", Item=item)
    return sorts


def sort_keys(items: Any) -> list[int]:
    return [int(item["c"]["N"]) for item in items]


def query(condition: str, **values: Any) -> Any:
    return {
        "TableName": "tab",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


B = {"S": "b"}


def test_a_query_is_paged_in_order(dynamodb: Any, numbers: range) -> None:
    paginate = dynamodb.get_paginator("query").paginate
    for forward in (True, False):
        pages = list(
            paginate(
                **query("p = :p", p=B),
                ScanIndexForward=forward,
                PaginationConfig={"PageSize": 4},
            )
        )
        assert [page["Count"] for page in pages] == [4, 4, 3]
        found = sort_keys(item for page in pages for item in page["Items"])
        assert found == sorted(numbers, reverse=not forward)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("p = :p AND c BETWEEN :low AND :high", [-2, -1, 0, 1]),
        ("c > :high and p = :p", [2, 3, 4, 5]),
        ("(p = :p) AND (c <= :low)", [-5, -4, -3, -2]),
    ],
)
def test_a_key_condition_selects_its_items(
    dynamodb: Any, numbers: range, condition: str, expected: list[int]
) -> None:
    assert numbers
    bounds = {
        f":{name}": {"N": value}
        for name, value in (("low", "-2"), ("high", "1.0"))
        if name in condition
    }
    request = query(condition, p=B)
    request["ExpressionAttributeValues"] |= bounds
    assert sort_keys(dynamodb.query(**request)["Items"]) == expected


def test_a_filter_looks_at_what_was_read(dynamodb: Any, numbers: range) -> None:
    request = query("p = :p", p=B, v={"N": "4"})
    reply = dynamodb.query(**request, FilterExpression="v = :v", Limit=4)
    assert (reply["Count"], reply["ScannedCount"]) == (1, 4)
    assert reply["LastEvaluatedKey"] == {"p": B, "c": {"N": "-2"}}
    counted = dynamodb.query(**request, FilterExpression="v = :v", Select="COUNT")
    assert (counted["Count"], counted["ScannedCount"]) == (2, len(numbers))
    assert "Items" not in counted


def test_segments_scan_the_table_between_them(dynamodb: Any, numbers: range) -> None:
    found: list[tuple[str, int]] = []
    for segment in range(4):
        pages = dynamodb.get_paginator("scan").paginate(
            TableName="tab",
            Segment=segment,
            TotalSegments=4,
            ProjectionExpression="p, c",
            PaginationConfig={"PageSize": 2},
        )
        items = [item for page in pages for item in page["Items"]]
        assert all(set(item) == {"p", "c"} for item in items)
        found += [(item["p"]["S"], int(item["c"]["N"])) for item in items]
    assert sorted(found) == [(partition, number) for partition in "abc" for number in numbers]


def test_a_page_has_a_megabyte(dynamodb: Any, make_table: Any) -> None:
    make_table()
    for number in range(6):
        item = {"p": {"S": str(number)}, "pad": {"B": bytes(300_000)}}
        dynamodb.put_item(TableName="tab", Item=item)
    first = dynamodb.scan(TableName="tab", ReturnConsumedCapacity="TOTAL")
    assert first["Count"] == 4
    assert first["ConsumedCapacity"]["CapacityUnits"] == pytest.approx(146.5, abs=0.5)
    rest = dynamodb.scan(TableName="tab", ExclusiveStartKey=first["LastEvaluatedKey"])
    assert rest["Count"] == 2
    assert "LastEvaluatedKey" not in rest


def test_a_long_scan_gives_way_to_others_between_its_steps(
    dynamodb: Any, make_table: Any, turns: list[str]
) -> None:
    make_table()
    numbers = range(4 * ROWS_MAX)
    for first in numbers[::25]:
        puts = [{"PutRequest": {"Item": {"p": {"S": f"{n}"}}}} for n in numbers[first : first + 25]]
        dynamodb.batch_write_item(RequestItems={"tab": puts})
    assert turns == []
    found = dynamodb.scan(TableName="tab")
    assert {item["p"]["S"] for item in found["Items"]} == {f"{n}" for n in numbers}
    # Steps of 8, 32 and then 64 rows, and the one that finds the end.
    assert turns == ["Scan"] * 5


def test_a_page_of_large_items_gives_way_after_each_and_reads_few_too_many(
    dynamodb: Any, make_table: Any, turns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table()
    for number in range(20):
        item = {"p": {"S": str(number)}, "pad": {"B": bytes(200_000)}}
        dynamodb.put_item(TableName="tab", Item=item)
    limits: list[int] = []
    list_items = state.rows.list_items

    async def listed(*given: Any, **more: Any) -> Any:
        limits.append(more["limit"])
        return await list_items(*given, **more)

    monkeypatch.setattr(state.rows, "list_items", listed)
    assert dynamodb.scan(TableName="tab")["Count"] == 6
    assert turns == ["Scan"] * 6
    assert limits == [ROWS_FIRST] * 3  # of one step: bodies run again


def test_rows_to_read_follow_from_the_sizes_of_those_before() -> None:
    table: Any = None
    page = Page(PageRules(table, bytes_max=1 << 20))
    assert page.rows_next == ROWS_FIRST == 8
    for scanned, size, rows in (
        (8, 80, 32),  # four times as many as before, however small they were
        (40, 400, ROWS_MAX),
        (4, 1_000_000, 1),
        (8, 800_000, 3),
    ):
        page.scanned, page.size = scanned, size
        assert page.rows_next == rows


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            query("c = :c", c={"N": "1"}),
            "Query condition missed key schema element: p",
        ),
        (
            query("p = :p", p={"N": "1"}),
            (
                "One or more parameter values were invalid: Condition parameter type does not match "
                "schema type"
            ),
        ),
        (
            query("p = :p", p=B) | {"FilterExpression": "c > :p"},
            (
                "Filter Expression can only contain non-primary key attributes: "
                "Primary key attribute: c"
            ),
        ),
        (
            query("p = :p", p=B) | {"ExclusiveStartKey": {"p": B}},
            "The provided starting key is invalid",
        ),
    ],
)
def test_queries_that_are_refused(
    dynamodb: Any, make_table: Any, refusal: Any, request_: Any, message: str
) -> None:
    make_table(sort="N")
    assert refusal(dynamodb.query, **request_) == (400, "ValidationException", message)
