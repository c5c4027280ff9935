"""Statements of SQL over what a service reads for them: the port; an engine runs them.

Rule: who runs a statement sees what it is given and nothing else, in a process that is not the store's,
within bounds of rows, bytes, memory and time. Which tables a statement reads is what its parser says,
before anything is read for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol


class SqlRefused(Exception):
    """A statement cannot be run, for a reason that its author reads."""


class SqlAbsent(Exception):
    """What runs statements is not installed."""


class SqlBounds(NamedTuple):
    """What a statement may take."""

    rows: int
    """Of its answer."""
    answer_bytes: int
    memory_bytes: int
    compute_ms: int
    """From its last table on."""
    at_once: int
    """Statements of one process."""


class SqlAnswer(NamedTuple):
    """What a statement says."""

    columns: Sequence[tuple[str, str]]
    """Names, no two alike, and types of SQL."""
    rows: Sequence[Mapping[str, Mapping[str, Any]]]
    """By names of columns, values of attributes as DynamoDB has them."""


class Statement(Protocol):
    """One SELECT that is parsed, and waits for its tables."""

    @property
    def tables(self) -> Sequence[str]:
        """Return the names of the tables that it reads, each once."""
        ...

    async def begin(self, key: Sequence[tuple[str, str]]) -> None:
        """Begin the next of its tables, in order.

        Args:
            key: The names and the types of the attributes of its key.
        """
        ...

    async def add(self, item: bytes) -> None:
        """Add an item to the table.

        Args:
            item: In DynamoDB's JSON.

        Raises:
            SqlRefused: There is no room for it.
        """
        ...

    async def answer(self) -> SqlAnswer:
        """Run it, once all of its tables are there.

        Raises:
            SqlRefused: It cannot be run, or goes beyond its bounds.
        """
        ...


class Sql(Protocol):
    """Runs statements."""

    def open(self, text: str, bounds: SqlBounds) -> AbstractAsyncContextManager[Statement]:
        """Return a statement, parsed; what it takes is given back at the end.

        Raises:
            SqlAbsent: Nothing is there that could run it.
            SqlRefused: It is no SELECT, or more than one.
            Throttled: Too many are open.
        """
        ...
