"""Bounded caches, and the epochs under which an account's entries are valid.

Rule: an entry is valid while the epoch under which it was read is the account's. A change of the
account ends its epoch, and with it every entry, at once; a reader that began before the change
files what it found under the old epoch, where nobody looks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar
from zlib import crc32

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

    def items(self) -> list[tuple[K, V]]:
        """Return the entries, that which was used longest ago first."""
        return [*self._entries.items()]

    def drop(self, key: K) -> None:
        """Forget an entry."""
        self._entries.pop(key, None)


Epoch = int
"""The number of a stretch of time in which an account did not change."""
NO_EPOCH: Final = -1
"""The epoch of whoever has no account that could change: nobody, and services."""


class Epochs(Protocol):
    """The current epoch of each account."""

    def of(self, account: str) -> Epoch:
        """Return the account's current epoch."""
        ...

    def end(self, account: str) -> None:
        """End the account's epoch: what was read under it is no longer valid."""
        ...


class OwnEpochs:
    """The epochs of accounts that only this process changes."""

    __slots__ = ("_current", "_last", "_max")

    def __init__(self, accounts_max: int) -> None:
        self._current: dict[str, Epoch] = {}
        self._max = accounts_max
        self._last = 0

    def of(self, account: str) -> Epoch:
        """Return the account's current epoch."""
        epoch = self._current.get(account)
        if epoch is None:
            if len(self._current) >= self._max:
                # An account that is forgotten gets a new epoch: its entries are read again, never
                # stale.
                self._current.clear()
            epoch = self._current[account] = self._last = self._last + 1
        return epoch

    def end(self, account: str) -> None:
        """End the account's epoch: what was read under it is no longer valid."""
        self._current.pop(account, None)


EPOCH_SLOTS: Final = 4_096
"""Accounts that share a slot end each other's epochs, which costs a lookup and nothing else."""
_EPOCH_BYTES: Final = 8


def page_bytes(writers: int) -> int:
    """Return the size of a page of epochs for so many processes that change accounts."""
    return writers * EPOCH_SLOTS * _EPOCH_BYTES


class SharedEpochs:
    """The epochs of all accounts, in a page of memory that all processes of a cloud share.

    Rule: a process adds to its own row only, and an account's epoch is the sum of its slot over all
    rows; so no two processes write to one place, every change is seen by all in the same moment,
    and no epoch comes twice. A process that starts ends all epochs of its row: what its former run
    had committed, and not yet told, is over before anything is acknowledged.

    Args:
        page: The shared memory; ``page_bytes`` says how much.
        own: The number of this process's row; None for one that changes nothing (a front).
    """

    __slots__ = ("_own", "_page", "_writers")

    def __init__(self, page: memoryview, own: int | None) -> None:
        self._page = page.cast("Q")
        self._own = own
        self._writers = len(self._page) // EPOCH_SLOTS
        if own is not None:
            for slot in range(own * EPOCH_SLOTS, (own + 1) * EPOCH_SLOTS):
                self._page[slot] += 1

    def of(self, account: str) -> Epoch:
        """Return the account's current epoch."""
        slot = crc32(account.encode()) % EPOCH_SLOTS
        return sum(self._page[row * EPOCH_SLOTS + slot] for row in range(self._writers))

    def end(self, account: str) -> None:
        """End the account's epoch, for every process."""
        assert self._own is not None, "a process without a row changes no account"
        self._page[self._own * EPOCH_SLOTS + crc32(account.encode()) % EPOCH_SLOTS] += 1
