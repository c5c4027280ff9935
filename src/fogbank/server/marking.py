"""Moments that all stores of a cloud have in common, noted in their archived logs.

The first store process asks the others: whether anything was written, to hold, to note the moment.
Whoever cannot be asked lacks that moment, which then no restore goes to; the next one comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.engines.embedded.marks import LogMarks
from fogbank.platform.link.port import Answer, Asked, Handlers, Peer

CHANGED: Final = "archive.changed"
"""() -> whether anything was written since the last moment"""
HOLD: Final = "archive.hold"
"""() -> nothing, once the store is held"""
MARK: Final = "archive.mark"
"""(milliseconds) -> version: note the moment, and go on"""
log = logging.getLogger("fogbank")


class Marked(Protocol):
    """One store whose log is archived with others'."""

    async def ask(self, method: str, value: Any = None) -> Any:
        """Ask it one of the questions above.

        Raises:
            Weather: It cannot do that now.
        """
        ...


class OwnMarks:
    """The store of this process."""

    def __init__(self, marks: LogMarks) -> None:
        self._marks = marks

    async def ask(self, method: str, value: Any = None) -> Any:
        """Answer a question; see ``Marked``."""
        if method == CHANGED:
            return self._marks.has_changed()
        if method == HOLD:
            return await self._marks.hold()
        assert method == MARK, f"{method} is no question"
        return self._marks.mark(int(value))

    def handlers(self) -> Handlers:
        """Return what the first process can ask."""

        def handler(method: str) -> Any:
            async def answer(asked: Asked) -> Answer:
                return Answer(await self.ask(method, asked.value))

            return answer

        return {method: handler(method) for method in (CHANGED, HOLD, MARK)}


class PeerMarks:
    """The store of another process."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def ask(self, method: str, value: Any = None) -> Any:
        """Ask a question; see ``Marked``."""
        return (await self._peer.call(method, value)).value


async def mark_together(stores: Sequence[Marked], now_ms: int) -> bool:
    """Note a moment in all stores, if anything was written since the last; return whether it was.

    Raises:
        Weather: A store cannot be asked, or held.
    """
    if not any([await store.ask(CHANGED) for store in stores]):
        return False
    for store in stores:
        await store.ask(HOLD)  # one that fails leaves the others to go on by themselves
    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(store.ask(MARK, now_ms))
    return True


async def keep_marking(stores: Sequence[Marked], clock: Clock, interval_ms: int) -> None:
    """Note a moment so often, until cancelled."""
    while True:
        await clock.sleep_until(clock.now_ms() + interval_ms)
        try:
            await mark_together(stores, clock.now_ms())
        except* Weather as errors:
            log.warning("the archived logs lack a common moment: %s", errors.exceptions[0])
