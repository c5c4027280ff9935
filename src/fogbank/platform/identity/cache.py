"""Bounded caches, and the epochs under which an account's entries are valid.

Rule: an entry is valid while the epoch under which it was read is the account's. A change of the
account ends its epoch, and with it every entry, at once; a reader that began before the change
files what it found under the old epoch, where nobody looks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """A mapping of bounded size that forgets what was used longest ago."""

    __slots__ = ("_entries", "_max")

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._max = entries_max

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: K) -> V | None:
        """Return the entry, or None."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: K, value: V) -> None:
        """File an entry."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget an entry."""
        self._entries.pop(key, None)


class Epoch:
    """A stretch of time in which an account did not change; compared by identity."""

    __slots__ = ()


class Epochs:
    """The current epoch of each account."""

    __slots__ = ("_current",)

    def __init__(self, accounts_max: int) -> None:
        # An account that is forgotten gets a new epoch: its entries are read again, never stale.
        self._current: Lru[str, Epoch] = Lru(accounts_max)

    def of(self, account: str) -> Epoch:
        """Return the account's current epoch."""
        epoch = self._current.find(account)
        if epoch is None:
            epoch = Epoch()
            self._current.put(account, epoch)
        return epoch

    def end(self, account: str) -> None:
        """End the account's epoch: what was read under it is no longer valid."""
        self._current.drop(account)
