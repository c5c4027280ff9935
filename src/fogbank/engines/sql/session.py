"""A statement from its text to its answer, one step after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from fogbank.engines.sql.attributes import attribute_of
from fogbank.engines.sql.columns import COLUMNS_MAX, TooManyColumns
from fogbank.engines.sql.query import Query, QueryError
from fogbank.platform.sql import SqlAnswer, SqlBounds, SqlRefused

_MEGABYTE: Final = 1 << 20
_size_of: Final = msgspec.msgpack.Encoder().encode


class Session:
    """One statement that is being run.

    Args:
        text: The statement.
        bounds: What it may take.

    Raises:
        SqlRefused: It is no SELECT, or more than one.
    """

    def __init__(self, text: str, bounds: SqlBounds) -> None:
        self._bounds = bounds
        self._count = 0
        try:
            self._query = Query(text, max(1, bounds.memory_bytes // _MEGABYTE))
        except QueryError as error:
            raise SqlRefused(str(error)) from None
        self._loader = self._query.loader()
        self.tables: Sequence[str] = self._query.tables

    def close(self) -> None:
        """Let everything go."""
        self._query.close()

    def begin(self, key: list[list[str]]) -> None:
        """Begin the next table."""
        assert self._count < len(self.tables), "no more tables than the statement reads"
        try:
            self._loader.begin(self._count, key)
        except QueryError as error:
            raise SqlRefused(str(error)) from None
        self._count += 1

    def add(self, item: bytes) -> None:
        """Add an item to the table."""
        try:
            self._loader.add(item)
        except QueryError as error:
            raise SqlRefused(str(error)) from None
        except TooManyColumns:
            raise SqlRefused(
                f"the items of a table have more than {COLUMNS_MAX} attributes together"
            ) from None

    def answer(self) -> SqlAnswer:
        """Run the statement.

        Raises:
            SqlRefused: It cannot be run, or goes beyond its bounds.
        """
        assert self._count == len(self.tables), "all tables are there"
        try:
            with self._query.limited(self._bounds.compute_ms / 1_000):
                self._loader.finish()
                return self._answer()
        except QueryError as error:
            raise SqlRefused(str(error)) from None

    def _answer(self) -> SqlAnswer:
        """Return the rows, as long as they are within the bounds."""
        columns = self._query.run()
        names = [name for name, _ in columns]
        if len(set(names)) < len(names):
            raise SqlRefused("two columns have one name: give each a name of its own, by AS")
        rows: list[dict[str, dict[str, Any]]] = []
        size = 0
        for values in self._query.fetched():
            if len(rows) == self._bounds.rows:
                raise SqlRefused(f"the answer has more than {self._bounds.rows} rows: add a LIMIT")
            row = {name: attribute_of(value) for name, value in zip(names, values, strict=True)}
            size += len(_size_of(row))
            if size > self._bounds.answer_bytes:
                raise SqlRefused(f"the answer has more than {self._bounds.answer_bytes} bytes")
            rows.append(row)
        return SqlAnswer(columns, rows)
