"""The overlay: committed writes that are not in the settled rows yet, one generation per segment.

Theory: a generation is a plain dictionary, because most transactions only get and put, and an
ordered index of its keys that is brought up to date by the first range that needs it. A removal
leaves a tombstone (None) only over a key that is there below; a key born and removed in one
generation leaves nothing, so a busy work list does not grow a trail of tombstones.

``Heads`` remembers for work lists whose first rows are all removed where the first row that is
left begins, so that a reader of the head need not step over the removed ones each time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, cast

from sortedcontainers import SortedSet

from fogbank.engines.embedded.segment import Writes

HEADS_MAX: Final = 256
FREE_STEP_KEYS: Final = 400
"""So many keys of a dropped generation are freed at once: about a tenth of a millisecond."""


class _Missing:
    """Stands for a key that a generation does not know, where None says that it is removed."""

    __slots__ = ()


MISSING: Final = _Missing()
Found = bytes | _Missing | None


class _Keys(Protocol):
    """What is used of a ``SortedSet``, typed."""

    def __len__(self) -> int: ...

    def update(self, keys: Iterable[bytes]) -> object: ...

    def discard(self, key: bytes) -> None: ...

    def irange(
        self, minimum: bytes, maximum: bytes, inclusive: tuple[bool, bool], *, reverse: bool
    ) -> Iterator[bytes]: ...


class Generation:
    """The writes of the transactions that lie in one segment of the log."""

    __slots__ = ("_dead", "_fresh", "_gone", "_keys", "rows")

    def __init__(self) -> None:
        self.rows: Writes = {}
        self._keys = cast("_Keys", SortedSet())
        self._dead: set[bytes] = set()
        self._fresh: list[Iterable[bytes]] = []
        self._gone: list[bytes] = []

    @property
    def fresh_parts(self) -> int:
        """Return about how many transactions are not in the index yet."""
        return len(self._fresh)

    def lay(self, writes: Writes) -> None:
        """Lay writes without removals over the rows."""
        rows = self.rows
        before = len(rows)
        rows.update(writes)
        if len(rows) != before:
            self._fresh.append(writes)
        if self._dead and not self._dead.isdisjoint(writes):
            self._revive(writes)

    def _revive(self, keys: Iterable[bytes]) -> None:
        """Note that tombstones became rows again."""
        revived = self._dead.intersection(keys)
        self._dead -= revived
        self._fresh.append(revived)

    def lay_removals(self, writes: Writes, is_below: Callable[[bytes], bool]) -> list[bytes]:
        """Lay writes with removals over the rows; return the keys that vanished without trace."""
        rows = self.rows
        vanished: list[bytes] = []
        self.lay({key: value for key, value in writes.items() if value is not None})
        for key, value in writes.items():
            if value is not None:
                continue
            have = rows.get(key, MISSING)
            if have is None:
                continue
            if is_below(key):
                self.bury(key)
            elif have is not MISSING:
                del rows[key]
                self._gone.append(key)
                vanished.append(key)
        return vanished

    def bury(self, key: bytes) -> None:
        """Lay a tombstone, whatever is below."""
        if key not in self.rows:
            self._fresh.append((key,))
        self.rows[key] = None
        self._dead.add(key)

    def settle(self) -> list[bytes]:
        """Bring the index up to date; return the keys that came since the last time, in order."""
        rows, keys = self.rows, self._keys
        new: list[bytes] = []
        if self._fresh:
            new = sorted({key for part in self._fresh for key in part if key in rows})
            self._fresh.clear()
            keys.update(new)
        if self._gone:
            for key in self._gone:
                if key not in rows:
                    keys.discard(key)
            self._gone.clear()
        assert len(keys) == len(rows), "the index holds the keys of the generation"
        return new

    def range(self, begin: bytes, end: bytes, *, reverse: bool) -> Iterator[bytes]:
        """Yield the keys of a half-open range in order, as of the last ``settle``."""
        return self._keys.irange(begin, end, (True, False), reverse=reverse)

    def free_some(self) -> bool:
        """Free a slice of a generation that nobody reads any more; return whether rows are left."""
        rows = self.rows
        for _ in range(min(FREE_STEP_KEYS, len(rows))):
            rows.popitem()
        return bool(rows)


class Heads:
    """Where the first live row behind a ``begin`` is; forgotten as soon as a row comes before it."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, bytes] = {}

    def find(self, begin: bytes) -> bytes:
        """Return where to begin instead."""
        return self._heads.get(begin, begin)

    def note(self, begin: bytes, head: bytes) -> None:
        """Remember that no live row lies from ``begin`` up to ``head``."""
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
        self._heads[begin] = head

    def came(self, keys: list[bytes]) -> None:
        """Forget the heads that one of these rows, in order, lies before."""
        if not keys:
            return
        for begin, head in list(self._heads.items()):
            at = bisect_left(keys, begin)
            if at < len(keys) and keys[at] < head:
                del self._heads[begin]
