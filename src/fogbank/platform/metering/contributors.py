"""Who takes most of a resource: the names that come most often, counted in bounded memory.

Theory: of ``NAMES_MAX`` counters, the smallest is given to a name that has none, with what it has
counted; so a count is never too low, it is too high by at most what is told with it, and a name that
makes more than one in ``NAMES_MAX`` of all is always among them (Metwally, Agrawal, El Abbadi:
"Efficient computation of frequent and top-k elements in data streams", 2005). Counters of one value
lie together, so that each count takes the same short time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from fogbank.platform.identity.cache import Lru

NAMES_MAX: Final = 200
"""Names that one tally counts at once."""
TALLIES_MAX: Final = 1_000
"""Tallies of this process; that which was used longest ago begins anew."""


class Count(NamedTuple):
    """How often a name came."""

    name: str
    times: int
    over_max: int
    """By how much that may be too many."""


class Tally:
    """Counts the names that come most often."""

    __slots__ = ("_at_count", "_counts", "_least", "_over")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._over: dict[str, int] = {}
        self._at_count: dict[int, dict[str, None]] = {}
        self._least = 0

    def add(self, name: str) -> None:
        """Count a name once."""
        count = self._counts.get(name)
        if count is None:
            count = self._make_room(name)
        else:
            self._leave(name, count)
        self._counts[name] = count + 1
        self._at_count.setdefault(count + 1, {})[name] = None

    def _make_room(self, name: str) -> int:
        """Return the count that a new name begins with."""
        if len(self._counts) < NAMES_MAX:
            self._least = 1
            return 0
        count = self._least
        gone = next(iter(self._at_count[count]))
        self._leave(gone, count)
        del self._counts[gone]
        self._over.pop(gone, None)
        self._over[name] = count
        return count

    def _leave(self, name: str, count: int) -> None:
        """Take a name out of those with a count."""
        equals = self._at_count[count]
        del equals[name]
        if not equals:
            del self._at_count[count]
            if count == self._least:
                # Whoever leaves the smallest count comes to the next one at once.
                self._least = count + 1

    def top(self, most: int) -> list[Count]:
        """Return the names that came most often, the first of all first."""
        names = sorted(self._counts, key=lambda name: (-self._counts[name], name))
        return [Count(name, self._counts[name], self._over.get(name, 0)) for name in names[:most]]


class Rule(NamedTuple):
    """What a tally counts."""

    owner: bytes
    """The prefix of the resource's domain: tables of several accounts and regions share names."""
    name: str


class Tallies:
    """The tallies of this process, by rule."""

    __slots__ = ("_tallies",)

    def __init__(self) -> None:
        self._tallies: Lru[Rule, Tally] = Lru(TALLIES_MAX)

    def add(self, rule: Rule, name: str) -> None:
        """Count a name once."""
        tally = self._tallies.find(rule)
        if tally is None:
            tally = Tally()
            self._tallies.put(rule, tally)
        tally.add(name)

    def drop(self, rule: Rule) -> None:
        """Forget what a rule has counted."""
        self._tallies.drop(rule)

    def __iter__(self) -> Iterator[tuple[Rule, Tally]]:
        """Yield the tallies."""
        return iter(self._tallies.items())
