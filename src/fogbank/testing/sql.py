"""``InlineSql``: runs statements of SQL in threads of the test process. For tests only.

Nothing is isolated here: DuckDB has what it was given and nothing else, but it is in the test's process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fogbank.base.errors import Throttled
from fogbank.platform.sql import SqlAbsent, SqlAnswer, SqlBounds

if TYPE_CHECKING:
    from fogbank.engines.sql.session import Session


class InlineSql:
    """Runs each statement in a thread; implements the platform's ``Sql``."""

    def __init__(self) -> None:
        self._open = 0

    @asynccontextmanager
    async def open(self, text: str, bounds: SqlBounds) -> AsyncGenerator[InlineStatement]:
        """Parse a statement; see ``Sql.open``."""
        try:
            # It is an extra, which brings DuckDB.
            from fogbank.engines.sql.session import Session  # noqa: PLC0415 (loaded only here)
        except ImportError as error:
            raise SqlAbsent(str(error)) from None
        if self._open >= bounds.at_once:
            raise Throttled(f"more than {bounds.at_once} statements of SQL at once")
        self._open += 1
        try:
            session = await asyncio.to_thread(Session, text, bounds)
            try:
                yield InlineStatement(session)
            finally:
                session.close()
        finally:
            self._open -= 1


class InlineStatement:
    """A statement in this process.

    Args:
        session: It.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tables: Sequence[str] = session.tables

    async def begin(self, key: Sequence[tuple[str, str]]) -> None:
        """Begin the next of its tables; see ``Statement.begin``."""
        self._session.begin([list(each) for each in key])

    async def add(self, item: bytes) -> None:
        """Add an item to the table; see ``Statement.add``."""
        self._session.add(item)

    async def answer(self) -> SqlAnswer:
        """Run it; see ``Statement.answer``."""
        return await asyncio.to_thread(self._session.answer)
