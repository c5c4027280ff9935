"""Runs statements in children of the store process, one for each."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from fogbank.base.errors import Throttled
from fogbank.engines.sql import frames
from fogbank.engines.sql.frames import (
    LENGTH_BYTES,
    SPARE_BYTES,
    Add,
    Answered,
    Asked,
    Begin,
    Opening,
    Refused,
    Run,
    Tables,
    Told,
)
from fogbank.platform.sql import SqlAbsent, SqlAnswer, SqlBounds, SqlRefused

_START_S: Final = 20.0
_GRACE_S: Final = 10.0
"""How much longer than its statement may compute a child may take to say what it says."""
_ENDED: Final = "the statement took more memory or time than it may"


class ChildSql:
    """Runs each statement in a child; implements the platform's ``Sql``."""

    def __init__(self) -> None:
        self._open = 0

    @asynccontextmanager
    async def open(self, text: str, bounds: SqlBounds) -> AsyncGenerator[ChildStatement]:
        """Start a child and have it parse a statement; see ``Sql.open``."""
        if self._open >= bounds.at_once:
            raise Throttled(f"more than {bounds.at_once} statements of SQL at once")
        self._open += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "fogbank.engines.sql.worker"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
            )
            try:
                statement = ChildStatement(process, bounds)
                await statement.parse(text)
                yield statement
            finally:
                await asyncio.shield(_end(process))
        finally:
            self._open -= 1


async def _end(process: Process) -> None:
    """Kill a child and wait for it: what it has not read yet is lost."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    assert process.stdin is not None
    process.stdin.close()
    with suppress(OSError):
        await process.stdin.wait_closed()


class ChildStatement:
    """A statement in a child.

    Args:
        process: The child.
        bounds: What the statement may take.
    """

    def __init__(self, process: Process, bounds: SqlBounds) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._bounds = bounds
        self.tables: Sequence[str] = ()

    async def parse(self, text: str) -> None:
        """Have the statement parsed."""
        await self._tell(Opening(text, self._bounds))
        told = await self._told(_START_S)
        assert isinstance(told, Tables), "the tables are told first"
        self.tables = told.names

    async def begin(self, key: Sequence[tuple[str, str]]) -> None:
        """Begin the next of its tables; see ``Statement.begin``."""
        await self._tell(Begin([list(each) for each in key]))

    async def add(self, item: bytes) -> None:
        """Add an item to the table; see ``Statement.add``."""
        await self._tell(Add(item))

    async def answer(self) -> SqlAnswer:
        """Run it; see ``Statement.answer``."""
        await self._tell(Run())
        told = await self._told(_GRACE_S + self._bounds.compute_ms / 1_000)
        assert isinstance(told, Answered), "the answer is told last"
        return SqlAnswer(told.columns, told.rows)

    async def _tell(self, value: Asked) -> None:
        """Tell the child; one that has ended has said why."""
        try:
            self._stdin.write(frames.frame_of(value))
            await self._stdin.drain()
        except OSError:
            await self._told(_GRACE_S)
            raise SqlRefused(_ENDED) from None

    async def _told(self, timeout_s: float) -> Told:
        """Return what the child says next.

        Raises:
            SqlRefused: It says that it cannot, or is gone, or says nothing.
        """
        try:
            async with asyncio.timeout(timeout_s):
                length = int.from_bytes(await self._stdout.readexactly(LENGTH_BYTES))
                if length > self._bounds.answer_bytes + SPARE_BYTES:
                    raise SqlRefused(_ENDED)
                told = frames.told_of(await self._stdout.readexactly(length))
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            raise SqlRefused(_ENDED) from None
        if isinstance(told, Refused):
            raise SqlAbsent(told.reason) if told.is_absent else SqlRefused(told.reason)
        return told
