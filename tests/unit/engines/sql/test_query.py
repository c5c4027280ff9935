"""SQL over items: the types that columns get, and what DuckDB may not do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.engines.sql.columns import COLUMNS_MAX, Column, Columns, TooManyColumns
from fogbank.engines.sql.query import Query, QueryError

MEMORY_MB = 256


def answered(statement: str, *items: Any, key: Any = (("p", "S"),)) -> list[tuple[Any, ...]]:
    """Return the rows of a statement over a table ``t`` of some items."""
    query = Query(statement, MEMORY_MB)
    try:
        fill(query, items, key)
        return list(query.rows())[1:]
    finally:
        query.close()


def fill(query: Query, items: Iterable[Any], key: Any = (("p", "S"),)) -> None:
    """Fill the first table of a query, each item in two pieces."""
    loader = query.loader()
    loader.take({"table": 0, "key": [list(each) for each in key]})
    for item in items:
        text = json.dumps(item)
        loader.take({"table": 0, "item": text[:5], "more": True})
        loader.take({"table": 0, "item": text[5:], "more": False})
    loader.finish()


KINDS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"S": "a"}, {"NULL": True}], "VARCHAR"),
    ([{"N": "1"}, {"N": "-999999999999999999"}], "BIGINT"),
    ([{"N": "1"}, {"N": "12345678901234567890"}], "DECIMAL(38, 0)"),
    ([{"N": "1.25"}, {"N": "1000000"}], "DECIMAL(38, 2)"),
    ([{"N": "1E+30"}, {"N": "1E-30"}], "DOUBLE"),
    ([{"BOOL": True}], "BOOLEAN"),
    ([{"B": "AAE="}], "BLOB"),
    ([{"M": {}}, {"L": []}, {"SS": ["a"]}], "JSON"),
    ([{"S": "a"}, {"N": "1"}], "VARCHAR"),
    ([{"NULL": True}], "VARCHAR"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_a_column_has_the_type_that_holds_all_of_its_values(values: Any, kind: str) -> None:
    column = Column()
    for value in values:
        [(each, content)] = value.items()
        column.add(each, content)
    assert column.type == kind


@settings(max_examples=15)  # each opens a database
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=3), min_size=1))
def test_numbers_come_back_exactly_where_a_type_has_room_for_them(numbers: list[Decimal]) -> None:
    column = Column()
    for number in numbers:
        column.add("N", str(number))
    if column.type == "DOUBLE":
        whole = max(len(str(abs(int(number)))) for number in numbers)
        assert whole + 3 > 38 or any(len(number.as_tuple().digits) > 35 for number in numbers)
        return
    items = [{"p": {"S": str(at)}, "n": {"N": str(number)}} for at, number in enumerate(numbers)]
    rows = answered("SELECT n FROM t ORDER BY p::BIGINT", *items)
    assert [Decimal(row[0]) for row in rows] == numbers


def test_items_become_rows_with_names_that_no_sql_needs_to_know() -> None:
    item = {"p": {"S": "a"}, "a/b": {"N": "1"}, 'q"~': {"S": "x'y"}, "P": {"BOOL": False}}
    [row] = answered('SELECT p, "a/b", "q""~", p_2 FROM t', item)
    assert row == ("a", 1, "x'y", False)
    [row] = answered("SELECT b FROM t", {"p": {"S": "a"}, "b": {"B": "AAE="}})
    assert row == (b"\0\1",)
    deep = {"M": {"n": {"N": "1.50"}, "l": {"L": [{"NULL": True}, {"S": "x"}]}}}
    [row] = answered("SELECT d ->> '$.n', d ->> '$.l[1]' FROM t", {"p": {"S": "a"}, "d": deep})
    assert row == ("1.50", "x")
    assert answered("SELECT count(*) FROM t") == [(0,)]
    assert answered("SELECT p + 1 FROM t", key=(("p", "N"),)) == []


def test_too_many_attributes_are_refused() -> None:
    columns = Columns([["p", "S"]])
    columns.add({f"a{number}": {"S": "x"} for number in range(COLUMNS_MAX - 1)})
    with pytest.raises(TooManyColumns):
        columns.add({"one more": {"S": "x"}})


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (a INTEGER)",
        "COPY (SELECT 1) TO '/dev/null'",
        "ATTACH '/dev/null'",
        "SET memory_limit = '1TB'",
        "INSTALL httpfs",
        "SELEC 1",
        "",
    ],
)
def test_one_select_and_nothing_else_is_run(statement: str) -> None:
    with pytest.raises(QueryError):
        Query(statement, MEMORY_MB)


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT * FROM t JOIN "s.u" USING (p)',
        'SELECT * FROM "s.u" NATURAL JOIN t',
        'WITH x AS (SELECT * FROM t) SELECT * FROM x JOIN "s.u" USING (p)',
        'SELECT * FROM "s.u" WHERE EXISTS (SELECT 1 FROM t) AND p IN (SELECT p FROM t)',
    ],
)
def test_the_tables_of_a_statement_are_what_its_parser_says(statement: str) -> None:
    query = Query(statement, MEMORY_MB)
    assert query.tables == ["s.u", "t"]
    query.close()


@pytest.mark.parametrize(
    "reads",
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "read_json('/proc/self/environ')",
        "glob('/*')",
        "read_parquet('https://fogbank.example/a')",
    ],
)
def test_no_statement_reads_a_file_or_the_network(reads: str) -> None:
    with pytest.raises(QueryError, match="disabled by configuration"):
        Query(f"SELECT * FROM {reads}", MEMORY_MB)


def test_memory_is_bounded() -> None:
    query = Query("SELECT list(a.range || repeat('x', 1000)) FROM range(2000000) a", 64)
    try:
        with pytest.raises(QueryError, match="Out of Memory"):
            list(query.rows())
    finally:
        query.close()


@pytest.mark.slow
def test_time_is_bounded() -> None:
    endless = "SELECT max(hash(a.range, b.range)) FROM range(10000000) a, range(10000000) b"
    query = Query(endless, MEMORY_MB)
    try:
        with pytest.raises(QueryError, match=r"more than 0\.05 seconds"), query.limited(0.05):
            list(query.rows())
    finally:
        query.close()
