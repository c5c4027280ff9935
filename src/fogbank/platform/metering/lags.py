"""How far what is written in one place is behind in another, as it was when the last of it arrived.

Rule: only what has arrived says how long it took; the newest figure of each pair stands, and that which
was used longest ago goes when there are too many. It is this process's own: a start knows nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from fogbank.platform.identity.cache import Lru

LAGS_MAX: Final = 1_000
"""Pairs that are remembered."""


class Way(NamedTuple):
    """From where to where something is brought."""

    account: str
    table: str
    region: str
    """Where it was written."""
    receiving: str
    """The region that it has come to."""


class Lags:
    """The lags of this process, by their ways."""

    __slots__ = ("_lags",)

    def __init__(self) -> None:
        self._lags: Lru[Way, int] = Lru(LAGS_MAX)

    def note(self, way: Way, milliseconds: int) -> None:
        """Note how long ago had been written what has just arrived."""
        self._lags.put(way, milliseconds)

    def forget(self, way: Way) -> None:
        """Forget a way that is no more."""
        self._lags.drop(way)

    def __iter__(self) -> Iterator[tuple[Way, int]]:
        """Yield each way and its lag, in milliseconds."""
        return iter(self._lags.items())
