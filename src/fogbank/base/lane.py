"""Work that blocks, piece by piece and in order, beside the loop that brings the pieces.

Rule: at most ``DEPTH`` pieces of a lane are worked on or wait; who brings one more waits first, so
that pieces are bounded whatever the work costs. A piece is let go of as soon as it is done.

Theory: a thread that is through with a piece must not have to ask the loop for the next one, or it
stands still for two changes of thread with each. So one piece waits behind the one that is worked
on, and a lane takes a thread of its pool only while there is something to do.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

T = TypeVar("T")

DEPTH: Final = 2


class Lane(Generic[T]):
    """Runs one function over pieces; used by one task of the loop that it was made on.

    Args:
        work: What is done with each piece, in a thread, one after another.
        pool: Whose threads; None: the loop's own.
    """

    __slots__ = (
        "_error",
        "_is_at_work",
        "_left",
        "_lock",
        "_loop",
        "_pool",
        "_turn",
        "_waiting",
        "_work",
    )

    def __init__(self, work: Callable[[T], object], pool: Executor | None = None) -> None:
        self._work = work
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[T] = deque()
        self._is_at_work = False
        self._error: BaseException | None = None
        self._left = 0
        """Pieces that the loop has not heard the end of."""
        self._turn: asyncio.Future[None] | None = None

    async def put(self, piece: T) -> None:
        """Have a piece worked on behind those that were put before; wait while there are enough.

        Raises:
            BaseException: What the work raised over an earlier piece; later ones are left.
        """
        await self._until(DEPTH - 1)
        with self._lock:
            self._waiting.append(piece)
            begins, self._is_at_work = not self._is_at_work, True
        self._left += 1
        if begins:
            self._loop.run_in_executor(self._pool, self._run)

    async def end(self) -> None:
        """Return once every piece is worked on.

        Raises:
            BaseException: What the work raised over one of them.
        """
        await self._until(0)

    async def _until(self, left: int) -> None:
        """Return once no more than so many pieces are left."""
        while self._left > left:
            self._turn = self._loop.create_future()
            await self._turn
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        """Work on what waits, in a thread."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_at_work = False
                    return
                piece = self._waiting.popleft()
            if self._error is None:
                try:
                    self._work(piece)
                except BaseException as error:  # noqa: BLE001 (raised where the next piece is put)
                    self._error = error
            del piece
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        """Note on the loop that a piece is done."""
        self._left -= 1
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)
