"""How much of a throughput resources may take, and how much they took: token buckets by name.

Rule: a bucket lives in the one process that owns the domain of its resource, so that what it says
holds for the whole cloud; it is not durable, and a start fills it. A bucket that has anything left
lets a taker in, who takes what it turns out to need: the bucket may then owe, and lets nobody in
until it has earned that back. So nothing need be known of a request before it is served, and what
is taken over time is what is earned, to the last unit.

A transaction's body may run several times, so what it takes is noted in a ``Tab``, which gives it
back before the body runs again. A first run in another thread, whose result is thrown away, takes
nothing (``Meters.here``).

Theory: a token bucket (Turner 1986) whose size is a number of seconds of its rate is what AWS calls
burst capacity: unused throughput of the last five minutes. One bucket for a whole table, whatever
its keys, is adaptive capacity at its limit: a hot partition may take all that the table has.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.platform.identity.cache import Lru
from fogbank.platform.store.engine import Domain

METERS_MAX: Final = 20_000
"""Resources whose buckets are remembered; one that is forgotten begins anew, full."""
PARTITIONS_MAX: Final = 50_000
"""Partitions of resources whose buckets are remembered."""


WHOLE: Final = -1
"""The part of a resource that is all of it."""


class Rate(NamedTuple):
    """What a bucket earns and may save."""

    per_second: float
    saved_max: float
    """Units, at most; a full bucket has them."""


class Name(NamedTuple):
    """Whose bucket it is."""

    resource: str
    """The id of a table, for instance: no other resource ever has it."""
    part: int
    """The number of an index, or another part of the resource; -1: the resource itself."""
    writes: bool
    """Whether it counts writes."""
    partition: bytes = b""
    """A partition of it; empty: all of it."""


class Owner(NamedTuple):
    """Whose a meter is, for whoever writes down what was taken."""

    domain: Domain
    resource: str
    """The name of the resource, which is its own for as long as it stands."""
    part: str = ""
    """The name of a part of it; empty: all of it."""


class Meter:
    """What a resource may take of one throughput, what it has taken, and how often it was refused."""

    __slots__ = ("_at_s", "left", "owner", "refused", "taken", "told")

    def __init__(self) -> None:
        self._at_s: float | None = None
        self.left = 0.0
        """Units; below zero: it owes them."""
        self.taken = 0.0
        """Units, since the meter began."""
        self.refused = 0
        self.owner: Owner | None = None
        """Set where what is taken is written down."""
        self.told = 0.0
        """How much of what was taken is written down (``consumption``)."""

    def has_any(self, rate: Rate, now_s: float) -> bool:
        """Return whether anything is left now.

        Args:
            rate: What it earns; if it is another than before, it counts since the last look.
            now_s: The time, in seconds.
        """
        if self._at_s is None:
            self.left = rate.saved_max
        else:
            earned = (now_s - self._at_s) * rate.per_second
            self.left = min(rate.saved_max, self.left + earned)
        self._at_s = now_s
        return self.left > 0.0

    def take(self, units: float) -> None:
        """Take some units, also more than there are."""
        self.left -= units
        self.taken += units

    def note(self, units: float) -> None:
        """Count some units as taken that take nothing from anyone."""
        self.taken += units


class Tab:
    """What the transaction that is under way has taken."""

    __slots__ = ("_counted", "_owner", "_taken")

    def __init__(self) -> None:
        self._counted: set[Hashable] = set()
        self._owner: object = None
        self._taken: list[tuple[Meter, float]] = []

    def of(self, owner: object) -> Tab:
        """Return the tab for a run of a body: what another run has taken is given back.

        Args:
            owner: The transaction, which is another for each run.
        """
        if owner is not self._owner:
            self.give_back()
            self._owner = owner
        return self

    def take(self, meter: Meter, units: float) -> None:
        """Take some units of a meter."""
        meter.take(units)
        self._taken.append((meter, units))

    def give_back(self) -> None:
        """Give back what was taken: nothing came of it."""
        for meter, units in self._taken:
            meter.take(-units)
        self._taken.clear()

    def is_first(self, what: Hashable) -> bool:
        """Return whether something is counted for the first time in this call."""
        if what in self._counted:
            return False
        self._counted.add(what)
        return True

    def settle(self) -> None:
        """Leave what was taken with its takers: the transaction is done."""
        self._taken.clear()
        self._owner = None


class Meters:
    """The meters of this process, by name."""

    __slots__ = ("_clock", "_meters", "_partitions", "_thread", "refused_reads", "refused_writes")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: Lru[Name, Meter] = Lru(METERS_MAX)
        self._partitions: Lru[Name, Meter] = Lru(PARTITIONS_MAX)
        self._thread = 0
        self.refused_reads = 0
        """Reads that were told to slow down, each resource that had nothing left counted by itself."""
        self.refused_writes = 0

    def refuse(self, meter: Meter, *, writes: bool) -> None:
        """Count that a taker was not let in."""
        meter.refused += 1
        if writes:
            self.refused_writes += 1
        else:
            self.refused_reads += 1

    @property
    def here(self) -> bool:
        """Return whether this is the thread that serves: the one which asked first."""
        ident = threading.get_ident()
        self._thread = self._thread or ident
        return ident == self._thread

    def now_s(self) -> float:
        """Return the time by which buckets earn, in seconds."""
        return self._clock.monotonic()

    def meter_of(self, name: Name) -> Meter:
        """Return the meter of a name; a new one if it is not remembered."""
        meters = self._partitions if name.partition else self._meters
        meter = meters.find(name)
        if meter is None:
            meter = Meter()
            meters.put(name, meter)
        return meter

    def __iter__(self) -> Iterator[tuple[Name, Meter]]:
        """Yield the meters of whole resources."""
        return iter(self._meters.items())
