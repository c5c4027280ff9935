"""Statements in a child: what it is given, what it says, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.errors import Throttled
from fogbank.engines.sql.child import ChildSql
from fogbank.platform.sql import SqlBounds, SqlRefused

BOUNDS = SqlBounds(rows=3, answer_bytes=1_000, memory_bytes=64 << 20, compute_ms=10_000, at_once=2)
SMALL = BOUNDS._replace(memory_bytes=16 << 20)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def workers() -> list[str]:
    """Return the children of this process that run a statement."""
    pid = os.getpid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        child for child in children if b"sql.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


async def answered(sql: ChildSql, text: str, *items: bytes, bounds: SqlBounds = BOUNDS) -> Any:
    """Return the rows of a statement over at most one table of items."""
    async with sql.open(text, bounds) as statement:
        for _ in statement.tables:
            await statement.begin([("p", "S")])
            for item in items:
                await statement.add(item)
        return (await statement.answer()).rows


@pytest.mark.slow  # children start DuckDB
def test_a_child_reads_what_it_is_given_and_nothing_else() -> None:
    async def scene() -> None:
        sql = ChildSql()
        async with sql.open("SELECT p, b FROM t JOIN u USING (p)", BOUNDS) as statement:
            assert statement.tables == ["t", "u"]
            await statement.begin([("p", "S")])
            await statement.add(b'{"p": {"S": "a"}, "b": {"B": "AAE="}}')
            await statement.begin([("p", "S")])
            await statement.add(b'{"p": {"S": "a"}}')
            answer = await statement.answer()
        assert answer.columns == [("p", "VARCHAR"), ("b", "BLOB")]
        assert answer.rows == [{"p": {"S": "a"}, "b": {"B": b"\0\1"}}]
        with pytest.raises(SqlRefused, match="one SELECT"):
            await answered(sql, "COPY (SELECT 1) TO '/tmp/x'")
        with pytest.raises(SqlRefused, match="disabled"):
            await answered(sql, "SELECT * FROM read_text('/etc/hostname')")

    run(scene())


@pytest.mark.slow  # likewise
def test_a_statement_that_takes_too_much_ends_with_its_child() -> None:
    async def scene() -> None:
        sql = ChildSql()
        endless = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
        with pytest.raises(SqlRefused, match="more than"):
            await answered(sql, endless, bounds=BOUNDS._replace(compute_ms=200))
        large = b'{"p": {"S": "%b"}}' % (b"x" * (1 << 20))
        with pytest.raises(SqlRefused, match="memory"):
            await answered(sql, "SELECT max(p) FROM t", *[large] * 50, bounds=SMALL)
        async with sql.open("SELECT 1", BOUNDS), sql.open("SELECT 2", BOUNDS):
            with pytest.raises(Throttled):
                await answered(sql, "SELECT 3")
        assert await answered(sql, "SELECT 3 AS x") == [{"x": {"N": "3"}}]
        assert not workers()

    run(scene())


@pytest.mark.slow  # likewise
def test_a_statement_that_is_given_up_leaves_no_child() -> None:
    async def scene() -> None:
        sql = ChildSql()
        endless = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await answered(sql, endless)
        assert not workers()
        assert await answered(sql, "SELECT 1 AS x") == [{"x": {"N": "1"}}]

    run(scene())
