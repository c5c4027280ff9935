"""Moments that the archived logs of several stores have in common.

The logs of several stores are rolled forward together only to a moment at which all of them were
held (``hold.py``): then no store's part follows from what another's lacks. Each notes the version
that was durable then under the same time, and has its log archived up to there.

Rule: a store that wrote nothing writes an empty transaction before it is held, so that its log has
the moment too.
"""

from __future__ import annotations

import asyncio

from fogbank.engines.embedded.archiver import Archiver
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.hold import HOLD_S_MAX
from fogbank.engines.embedded.transaction import EmbeddedTransaction
from fogbank.platform.store.engine import SYSTEM


class LogMarks:
    """The marks of one open store.

    Args:
        core: The heart of the store.
        archiver: Carries its log.
        turn: Taken by whoever holds the store.
    """

    def __init__(self, core: Core, archiver: Archiver, turn: asyncio.Lock) -> None:
        self._core = core
        self._archiver = archiver
        self._turn = turn
        self._marked = -1
        """The last version that was marked; before the first mark, all is new."""
        self._ending: asyncio.TimerHandle | None = None

    def has_changed(self) -> bool:
        """Return whether anything was written since the last mark."""
        return self._core.filled > self._marked

    async def hold(self) -> None:
        """Hold the store, until ``mark``, ``let_go`` or for ``HOLD_S_MAX``.

        Raises:
            Full: There is no space.
            Unavailable: The store is closed, or cannot be held in time.
        """
        core = self._core
        core.require_open()
        await self._turn.acquire()
        try:
            await core.commit(EmbeddedTransaction(core.layers, SYSTEM), None)
            await core.hold.begin(needs_cut=False)
        except BaseException:
            core.hold.end()
            self._turn.release()
            raise
        loop = asyncio.get_running_loop()
        self._ending = loop.call_later(HOLD_S_MAX, self.let_go)

    def mark(self, time_ms: int) -> int:
        """Note the version at which the store is held, let it go on, and archive up to there.

        Raises:
            Unavailable: It is held no more.
        """
        try:
            self._core.hold.require()
            version = self._marked = self._core.durable
        finally:
            self.let_go()
        self._archiver.note(version, time_ms)
        return version

    def let_go(self) -> None:
        """Let the store go on; harmless to repeat."""
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.cancel()
            self._core.hold.end()
            self._turn.release()
