"""How much memory one sandbox held, where its runtime does not tell: the daemon is asked."""

from __future__ import annotations

import asyncio

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.link import Link


class Meter:
    """Asks the daemon about one sandbox."""

    def __init__(self, link: Link, number: int) -> None:
        """Take whom to ask, about which sandbox."""
        self._link = link
        self._number = number
        self._measured: asyncio.Future[int] | None = None

    async def measure(self) -> int:
        """Return the most memory that the processes of now held, in MB; 0 when it is ending."""
        self._measured = asyncio.get_running_loop().create_future()
        try:
            self._link.send("measure", id=self._number)
            return await self._measured
        except Unavailable:
            return 0  # what it had answered counts
        finally:
            self._measured = None

    def measured(self, peak_mb: int) -> None:
        """Note what the daemon measured."""
        if self._measured is not None and not self._measured.done():
            self._measured.set_result(peak_mb)
