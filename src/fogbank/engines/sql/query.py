"""One statement of SQL and its tables, by DuckDB: in the process of a command, or in a child.

Rule: DuckDB sees what it was given and nothing else: no file, no network, no extension, and no
statement may change that. Its memory and its time are bounded; it spills nothing to disk.

Source: DuckDB, "Securing DuckDB".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import duckdb

from fogbank.engines.sql.columns import Columns, quoted

_ROWS_PER_INSERT: Final = 500
_BYTES_PER_INSERT: Final = 4 << 20
_SETTINGS: Final = (
    "SET threads = 1",
    "SET temp_directory = ''",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class QueryError(Exception):
    """A statement cannot be run, for a reason that its author reads."""


class Query:
    """One statement, and the tables that it reads.

    Args:
        statement: A SELECT.
        memory_mb: How much memory DuckDB may take.

    Raises:
        QueryError: It is something else, or cannot be read.
    """

    def __init__(self, statement: str, memory_mb: int) -> None:
        self._statement = statement
        self._connection = duckdb.connect(":memory:")
        for setting in (f"SET memory_limit = '{memory_mb}MB'", *_SETTINGS):
            self._connection.execute(setting)
        # Apart from the tables, whatever their names are.
        self._connection.execute("CREATE SCHEMA fogbank")
        try:
            self.tables = self._named()
            """The tables that it names, in order."""
        except QueryError:
            self.close()
            raise

    def _named(self) -> list[str]:
        """Return the tables that the statement names."""
        with _told():
            found = self._connection.extract_statements(self._statement)
            if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
                raise QueryError("one SELECT is wanted, and nothing else")
            try:
                return sorted(self._connection.get_table_names(self._statement))
            except duckdb.BinderException:
                # It looks for the columns of USING in tables that are not there yet.
                asked = "SELECT json_serialize_sql(?)"
                [(text,)] = self._connection.execute(asked, [self._statement]).fetchall()
                return sorted(_read_by(json.loads(text)))

    def close(self) -> None:
        """Let everything go."""
        self._connection.close()

    @contextmanager
    def limited(self, timeout_s: float) -> Generator[None]:
        """Stop what runs within after a time.

        Raises:
            QueryError: It took too long.
        """
        is_over = threading.Event()

        def stop() -> None:
            is_over.set()
            self._connection.interrupt()

        timer = threading.Timer(timeout_s, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except QueryError:
            if is_over.is_set():
                raise QueryError(f"it took more than {timeout_s:g} seconds") from None
            raise
        finally:
            timer.cancel()

    def run(self) -> list[tuple[str, str]]:
        """Run the statement; return the names and the types of its columns."""
        with _told():
            self._connection.execute(self._statement)
        return [(str(each[0]), str(each[1])) for each in self._connection.description or ()]

    def rows(self) -> Generator[tuple[Any, ...]]:
        """Yield the names of the columns, then the rows."""
        yield tuple(name for name, _ in self.run())
        yield from self.fetched()

    def fetched(self) -> Generator[tuple[Any, ...]]:
        """Yield the rows of the statement that has been run."""
        with _told():
            while rows := self._connection.fetchmany(_ROWS_PER_INSERT):
                yield from rows

    def loader(self) -> Loader:
        """Return what fills the tables."""
        return Loader(self._connection, self.tables)


class Loader:
    """Fills tables with items as the rows of the control socket bring them.

    Args:
        connection: DuckDB's.
        tables: The names, in the order of the request.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: list[str]) -> None:
        self._connection = connection
        self._tables = tables
        self._columns: Columns | None = None
        self._number = -1
        self._pieces: list[str] = []
        self._waiting: list[tuple[str]] = []
        self._bytes = 0

    def take(self, row: Mapping[str, Any]) -> None:
        """Take one row of the control socket.

        Raises:
            QueryError: DuckDB has no room for it.
        """
        if "key" in row:
            self.begin(row["table"], row["key"])
            return
        self._pieces.append(row["item"])
        if row["more"]:
            return
        text, self._pieces = "".join(self._pieces), []
        self.add(text)

    def begin(self, number: int, key: list[list[str]]) -> None:
        """End the table before and begin another.

        Args:
            number: Which of the statement's tables it is.
            key: The names and the types of its key.
        """
        self.finish()
        self._number, self._columns = number, Columns(key)
        with _told():
            self._connection.execute("CREATE TABLE fogbank.items (item VARCHAR)")

    def add(self, item: str | bytes) -> None:
        """Add an item, in DynamoDB's JSON.

        Raises:
            QueryError: DuckDB has no room for it.
        """
        assert self._columns is not None, "a table comes before its items"
        texts = self._columns.add(json.loads(item))
        self._waiting.append((texts,))
        self._bytes += len(texts)
        if len(self._waiting) >= _ROWS_PER_INSERT or self._bytes >= _BYTES_PER_INSERT:
            self._insert()

    def _insert(self) -> None:
        if self._waiting:
            with _told():
                self._connection.executemany("INSERT INTO fogbank.items VALUES (?)", self._waiting)
        self._waiting, self._bytes = [], 0

    def finish(self) -> None:
        """End the table whose items came."""
        if self._columns is None:
            return
        self._insert()
        name, columns = quoted(self._tables[self._number]), ", ".join(self._columns.selected())
        self._columns = None
        with _told():
            self._connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM fogbank.items")  # noqa: S608 (names are quoted)
            self._connection.execute("DROP TABLE fogbank.items")


def _read_by(statement: Any) -> set[str]:
    """Return the tables that a parsed statement names, without what it defines itself."""
    named: set[str] = set()
    defined: set[str] = set()
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            parts = cast("dict[str, Any]", node)
            if parts.get("type") == "BASE_TABLE":
                named.add(parts["table_name"])
            defined.update(each["key"] for each in parts.get("cte_map", {}).get("map", ()))
            waiting += parts.values()
    return named - defined


@contextmanager
def _told() -> Generator[None]:
    """Have DuckDB's errors be the author's to read."""
    try:
        yield
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
