"""``fogbank sql``: joins, aggregates and windows over tables, with a server and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

SETTINGS = "[processes]\nstores = 2\nfronts = 1\n\n[dynamodb]\nsql = true\n"
JOINED = """
    SELECT c.name, sum(o.amount) AS total, rank() OVER (ORDER BY sum(o.amount) DESC) AS place
    FROM "shop.orders" o JOIN customers c ON o.customer = c.id
    GROUP BY c.name ORDER BY place
"""
TOTALS = [
    {"name": "Bob", "total": "7.75", "place": 1},
    {"name": "Ann", "total": "2.50", "place": 2},
]


def rows(server: Server, statement: str, *more: str) -> list[dict[str, Any]]:
    done = server.run("sql", statement, "--format", "json", *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(server: Server, statement: str, *more: str) -> str:
    done = server.run("sql", statement, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("fogbank: ")
    return done.stderr


def make(dynamodb: Any, name: str, key: str) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_statements_read_tables_of_an_account(tmp_path: Path) -> None:
    with Server(tmp_path / "data", settings=SETTINGS) as server:
        dynamodb = server.client("dynamodb")
        make(dynamodb, "customers", "id")
        make(dynamodb, "shop.orders", "id")
        for each, name in (("a", "Ann"), ("b", "Bob")):
            item = {"id": {"S": each}, "name": {"S": name}, "note": {"S": "x" * 200_000}}
            dynamodb.put_item(TableName="customers", Item=item)
        for at, (who, amount) in enumerate((("a", "2.5"), ("b", "7"), ("b", "0.75"))):
            item = {"id": {"S": str(at)}, "customer": {"S": who}, "amount": {"N": amount}}
            dynamodb.put_item(TableName="shop.orders", Item=item)
        assert rows(server, JOINED) == TOTALS
        told = dynamodb.query_sql(Statement=JOINED)["Items"]
        assert [each["total"] for each in told] == [{"N": "7.75"}, {"N": "2.5"}]
        assert rows(server, "SELECT sum(length(note)) AS n FROM customers") == [{"n": 400_000}]
        assert rows(server, "SELECT 1 AS one") == [{"one": 1}]
        done = server.run("sql", "SELECT name FROM customers ORDER BY 1", "--format", "csv")
        assert done.stdout == '"name"\n"Ann"\n"Bob"\n'
        assert "Table: nobody not found" in refused(server, "SELECT * FROM nobody")
        assert "not found" in refused(server, "SELECT * FROM customers", "--region", "eu-west-1")
        assert "no account x" in refused(server, "SELECT * FROM customers", "--account", "x")
        assert "one SELECT" in refused(server, "DELETE FROM customers")
        assert "disabled" in refused(server, "SELECT * FROM read_text('/etc/passwd')")
    assert rows(server, JOINED) == TOTALS
