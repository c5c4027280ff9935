"""Columns of what has none: which types the attributes of a table's items have for SQL.

Rule: a type is one that holds every value of the attribute exactly, where there is one. Values stand as
texts until all of them are known.

Source: Amazon DynamoDB Developer Guide, "Supported data types"; DuckDB, "Numeric types".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

COLUMNS_MAX: Final = 1_000
"""Attributes of one table, all items together."""
_DIGITS_MAX: Final = 38
"""Of DuckDB's DECIMAL, which happen to be DynamoDB's too."""
_BIGINT_DIGITS: Final = 18
_JSON: Final = frozenset({"M", "L", "SS", "NS", "BS"})


class Column:
    """What the values of one attribute have been so far."""

    __slots__ = ("_kinds", "_scale", "_whole")

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._whole = 0
        self._scale = 0

    def add(self, kind: str, value: Any) -> str | None:
        """Note a value; return it as text, or None for NULL."""
        if kind == "NULL":
            return None
        self._kinds.add(kind)
        if kind == "N":
            self._measure(value)
        if kind == "BOOL":
            return "true" if value else "false"
        if kind in _JSON:
            return json.dumps(_plain(kind, value), ensure_ascii=False)
        return str(value)

    def _measure(self, number: str) -> None:
        """Note how many digits a number has before and behind its point."""
        _, digits, exponent = Decimal(number).as_tuple()
        assert isinstance(exponent, int), "DynamoDB has no infinities"
        self._whole = max(self._whole, len(digits) + exponent, 1)
        self._scale = max(self._scale, -exponent)

    @property
    def type(self) -> str:
        """Return the type that holds every value; VARCHAR where their kinds differ."""
        if len(self._kinds) != 1:
            return "JSON" if self._kinds and self._kinds <= _JSON else "VARCHAR"
        [kind] = self._kinds
        if kind == "N":
            return self._number_type
        if kind in _JSON:
            return "JSON"
        return {"BOOL": "BOOLEAN", "B": "BLOB"}.get(kind, "VARCHAR")

    @property
    def _number_type(self) -> str:
        """Return the type of numbers: exact, unless no type has room for all of them."""
        if self._whole + self._scale > _DIGITS_MAX:
            return "DOUBLE"
        if self._scale:
            return f"DECIMAL({_DIGITS_MAX}, {self._scale})"
        return "BIGINT" if self._whole <= _BIGINT_DIGITS else f"DECIMAL({_DIGITS_MAX}, 0)"


class TooManyColumns(Exception):
    """The items of a table have more attributes together than a table of SQL may have columns."""


class Columns:
    """The columns of a table, found as its items come.

    Args:
        key: The names and types of its key.
    """

    def __init__(self, key: list[list[str]]) -> None:
        self._columns: dict[str, Column] = {}
        for name, kind in key:
            column = self._columns[name] = Column()
            column.add(kind, "0" if kind == "N" else "")

    def add(self, item: Mapping[str, Mapping[str, Any]]) -> str:
        """Note an item; return it as a JSON object of texts.

        Raises:
            TooManyColumns: There is no room for another attribute.
        """
        texts: dict[str, str | None] = {}
        for name, stored in item.items():
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) == COLUMNS_MAX:
                    raise TooManyColumns
                column = self._columns[name] = Column()
            [(kind, value)] = stored.items()
            texts[name] = column.add(kind, value)
        return json.dumps(texts, ensure_ascii=False)

    def selected(self) -> list[str]:
        """Return the columns as SQL selects them from ``item``, the object of texts."""
        taken: set[str] = set()
        return [
            f"{_cast(name, column.type)} AS {quoted(_free_name(name, taken))}"
            for name, column in self._columns.items()
        ]


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no other column has: to SQL, ``Name`` and ``name`` are one."""
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found.lower())
    return found


def _cast(name: str, kind: str) -> str:
    """Return the expression of a column: a member of the object, by its JSON pointer."""
    pointer = name.replace("~", "~0").replace("/", "~1").replace("'", "''")
    text = f"(item ->> '/{pointer}')"
    return f"from_base64({text})" if kind == "BLOB" else f"{text}::{kind}"


def _plain(kind: str, value: Any) -> Any:
    """Return a document or a set as plain JSON; numbers stay texts, as they have 38 digits."""
    if kind == "M":
        return {name: _plain_of(stored) for name, stored in value.items()}
    if kind == "L":
        return [_plain_of(stored) for stored in value]
    return value


def _plain_of(stored: Mapping[str, Any]) -> Any:
    """Return a value inside a document as plain JSON."""
    [(kind, value)] = stored.items()
    return None if kind == "NULL" else _plain(kind, value)
