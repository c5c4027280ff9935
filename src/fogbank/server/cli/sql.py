"""``fogbank sql``: one SELECT over DynamoDB's tables as they are at one moment, served or not."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from fogbank.engines.sql.columns import COLUMNS_MAX, TooManyColumns
from fogbank.server import asking

if TYPE_CHECKING:
    from fogbank.engines.sql.query import Query

_TIMEOUT_S: Final = 60.0
_MEMORY_MB: Final = 512


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("statement", metavar="SELECT", help="the statement, in DuckDB's SQL")
    parser.add_argument(
        "--account", metavar="NAME", default="default", help="whose tables; or its id"
    )
    parser.add_argument("--region", default="us-east-1", help="where they are")
    parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
    parser.add_argument(
        "--memory", metavar="MB", type=int, default=_MEMORY_MB, help="what it may take at most"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=_TIMEOUT_S, help="how long it may compute"
    )


def run(given: argparse.Namespace) -> int:
    """Read the tables, run the statement and print its rows; status 1 with the reason if refused."""
    try:
        # It is an extra, which brings DuckDB.
        from fogbank.engines.sql.query import Query, QueryError  # noqa: PLC0415 (loaded only here)
    except ImportError:
        return _fail("fogbank sql needs DuckDB: pip install 'fogbank[sql]'")
    try:
        query = Query(given.statement, given.memory)
    except QueryError as error:
        return _fail(str(error))
    try:
        return _answer(query, given)
    except QueryError as error:
        return _fail(str(error))
    except TooManyColumns:
        return _fail(f"the items of a table have more than {COLUMNS_MAX} attributes together")
    finally:
        query.close()


def _answer(query: Query, given: argparse.Namespace) -> int:
    """Fill the tables and print what the statement says; return the status."""
    if query.tables:
        wanted = {"tables": query.tables, "account": given.account, "region": given.region}
        loader = query.loader()
        status = asking.told(given.data, "dynamodb.read", wanted, loader.take)
        if status:
            return status
        loader.finish()
    with query.limited(given.timeout):
        _print(query, given.format)
    return 0


def _print(query: Query, form: str) -> None:
    """Print the rows of a statement, the names of its columns first."""
    rows = query.rows()
    names = next(rows)
    if form == "json":
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), default=_text))
        return
    writer = csv.writer(sys.stdout, dialect="unix" if form == "csv" else "excel-tab")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """Return a value as csv shows it."""
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    """Return a value that JSON has no kind for as text; bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _fail(reason: str) -> int:
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
