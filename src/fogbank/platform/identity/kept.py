"""Keys in the clear that a process may use again for a while, so that not every use asks for them.

Rule: whoever keeps a key names everything its use was allowed by: who asked, for what, and the epochs
of the accounts whose policies decided. A change of one of them ends its epoch, and what was kept under
it is not found again. Nothing is kept longer than was said, and all of it goes with the process.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.platform.identity.cache import Lru

KEYS_MAX: Final = 4_096


class KeptKey(NamedTuple):
    """A key, how it is found again by whoever has forgotten it, and what it is of."""

    key: bytes
    wrapped: bytes
    """The key as another key has encrypted it."""
    owner: str = ""
    """That other key's ARN."""

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"KeptKey({self.owner})"


class KeptKeys:
    """Keys by all that their use depends on.

    Args:
        clock: Says when one has been kept for long enough.
    """

    __slots__ = ("_clock", "_kept")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: Lru[Hashable, tuple[int, KeptKey]] = Lru(KEYS_MAX)

    def find(self, name: Hashable) -> KeptKey | None:
        """Return a key that may be used still, or None."""
        kept = self._kept.find(name)
        if kept is None:
            return None
        if kept[0] <= self._clock.now_ms():
            self._kept.drop(name)
            return None
        return kept[1]

    def keep(self, name: Hashable, key: KeptKey, until_ms: int) -> None:
        """Keep a key until a time."""
        self._kept.put(name, (until_ms, key))
