"""The end of several store processes: none leaves while another still has requests that need it.

All are told to stop at once and drain what they listen to, each in its own time. Who has drained
says so to the others and answers their calls until they have said the same.

Rule: nobody is waited for who is gone, who does not stop, or who takes longer than a drain may.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.platform.link.port import Answer, Asked, Handlers, Peer

LEAVE: Final = "server.leave"
"""(number of who has drained) -> whether the process that was asked is stopping, too"""
SIGNAL_MS: Final = 1_000
"""So much later than we another process may hear that all shall stop."""
log = logging.getLogger("fogbank")


class Parting:
    """The end of one store process among others.

    Args:
        number: Of this process.
        peers: The others, by number.
        clock: What waiting is bounded by.
    """

    def __init__(self, number: int, peers: Mapping[int, Peer], clock: Clock) -> None:
        self._number = number
        self._peers = peers
        self._clock = clock
        self._waited_for = set(peers)
        self._changed = asyncio.Event()
        self.is_stopping = False

    def handlers(self) -> Handlers:
        """Return what the others can say."""
        return {LEAVE: self._heard}

    async def _heard(self, asked: Asked) -> Answer:
        """Note that another process has drained."""
        self._forget(asked.value)
        return Answer(self.is_stopping)

    def _forget(self, number: int) -> None:
        """Wait for a process no longer."""
        self._waited_for.discard(number)
        self._changed.set()

    async def leave(self, until_ms: int) -> None:
        """Say that we have drained, and return when nobody needs us.

        Args:
            until_ms: How long a process that is stopping may take to drain.
        """
        self.is_stopping = True
        bounds = await asyncio.gather(*(self._tell(number, until_ms) for number in self._peers))
        waiting = [asyncio.ensure_future(self._nobody_left())]  # noqa: TID251 (ended here)
        waiting += [asyncio.ensure_future(self._give_up(*each)) for each in bounds]  # noqa: TID251 (ended here)
        try:
            await waiting[0]
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    async def _tell(self, number: int, until_ms: int) -> tuple[int, int]:
        """Tell one process; return its number and until when it is waited for."""
        try:
            is_stopping = (await self._peers[number].call(LEAVE, self._number)).value
        except Weather:
            self._forget(number)
            return number, until_ms
        return number, until_ms if is_stopping else self._clock.now_ms() + SIGNAL_MS

    async def _give_up(self, number: int, until_ms: int) -> None:
        """Wait for a process until a time, and then no longer."""
        await self._clock.sleep_until(until_ms)
        if number in self._waited_for:
            log.warning("store process %d may still need this one, which ends", number)
        self._forget(number)

    async def _nobody_left(self) -> None:
        """Return when no process is waited for."""
        while self._waited_for:
            self._changed.clear()
            await self._changed.wait()
