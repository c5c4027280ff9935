"""The stems of one engine: made at its daemon, handed out, and buried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.link import Link
from fogbank.engines.sandbox.stem import Kind, Stem
from fogbank.engines.sandbox.stems import Limits, Stems


class Stock:
    """What waits, by its number at the daemon."""

    def __init__(
        self,
        limits: Limits,
        tasks: asyncio.TaskGroup,
        number: Callable[[], int],
        link: Callable[[], Link | None],
    ) -> None:
        """Take the limits, who owns our task, and what tells the next number and the daemon."""
        self._number = number
        self._link = link
        self._api_port = 0
        self._waiting: dict[int, Stem] = {}
        self.stems = Stems(limits, self._make, tasks)

    async def _make(self, kind: Kind) -> Stem:
        """Start a stem; raises ``Unavailable``."""
        link = self._link()
        if link is None or link.closed:
            raise Unavailable("the sandbox daemon is gone")
        stem = Stem(self._number(), kind, link)
        self._waiting[stem.number] = stem
        await stem.open(self._api_port)
        return stem

    def take(self, kind: Kind, api_port: int) -> Stem | None:
        """Return a stem, which is the caller's from now on, or None; more are made either way."""
        self._api_port = api_port
        stem = self.stems.take(kind)
        if stem is not None:
            del self._waiting[stem.number]
        return stem

    def find(self, number: int) -> Stem | None:
        """Return a stem that waits, by its number."""
        return self._waiting.get(number)

    def ended(self, number: int) -> None:
        """Note that a sandbox is gone, if it was a stem."""
        stem = self._waiting.pop(number, None)
        if stem is not None:
            stem.finish()
            self.stems.lost(stem)

    def gone(self) -> None:
        """Note that all are gone, with the daemon."""
        self.stems.forget()
        for stem in self._waiting.values():
            stem.finish()
        self._waiting.clear()
