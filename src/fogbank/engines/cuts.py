"""The live cuts of an engine: their names, how many and how old, and the oldest of them.

Rule: a cut holds back the deletion of blobs from before it is taken (its *floor* then is the next
stamp, so that nothing which it may hold is missed) until it is released or revoked. At most
``CUTS_MAX`` live at a time. One that is older than ``age_ms_max`` is revoked when anybody looks:
its reader at the next page, the deleter, the engine's own watch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from fogbank.base.errors import Conflict, CutRevoked, Throttled
from fogbank.engines.bodies import RANGE_ROWS_MAX, Row
from fogbank.platform.store.engine import SYSTEM, Domain, Stamp
from fogbank.platform.store.tuples import after_prefix

CUTS_MAX: Final = 4
AGE_MS_MAX: Final = 3_600_000


class CutRows(Protocol):
    """What holds the rows of a cut."""

    async def page(self, begin: bytes, end: bytes, limit: int) -> list[Row]:
        """Return some rows from the start of a range; none only if none is left."""
        ...

    async def close(self) -> None:
        """Let the rows go; harmless to repeat."""
        ...


class Entry:
    """One cut in the book."""

    __slots__ = ("age_ms_max", "name", "revoked", "rows", "stamp", "taken_ms")

    def __init__(self, name: str, floor: Stamp, now_ms: int) -> None:
        self.name = name
        self.stamp = floor
        self.taken_ms = now_ms
        self.age_ms_max = AGE_MS_MAX
        self.rows: CutRows | None = None
        self.revoked = ""
        """Why the cut is no more, if it was revoked."""

    def taken(self, stamp: Stamp, rows: CutRows) -> None:
        """Note where the cut lies and what holds its rows."""
        assert stamp >= self.stamp, "a cut lies behind the floor that held for it"
        self.stamp = stamp
        self.rows = rows


class Cuts:
    """The live cuts of one engine.

    Args:
        now_ms: The engine's time.
        age_ms_max: How old a cut may become.
        on_revoked: Called with a cut that was revoked.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        age_ms_max: int = AGE_MS_MAX,
        on_revoked: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        self._now_ms = now_ms
        self._age_ms_max = age_ms_max
        self._on_revoked = on_revoked
        self._live: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._live)

    def begin(self, name: str, floor: Stamp, age_ms_max: int | None = None) -> Entry:
        """Note that a cut is being taken: nothing removed at or behind the floor goes.

        Args:
            name: The cut's.
            floor: The stamp of the next commit.
            age_ms_max: How old this one may become, if not as old as the others.

        Raises:
            Conflict: A cut of that name is live.
            Throttled: There are ``CUTS_MAX``.
        """
        self.expire()
        if name in self._live:
            raise Conflict(f"the cut {name} is live")
        if len(self._live) >= CUTS_MAX:
            raise Throttled(f"the store has {CUTS_MAX} cuts already: {', '.join(self._live)}")
        entry = self._live[name] = Entry(name, floor, self._now_ms())
        entry.age_ms_max = age_ms_max or self._age_ms_max
        return entry

    def end(self, entry: Entry) -> None:
        """Forget a cut."""
        if self._live.get(entry.name) is entry:
            del self._live[entry.name]

    def revoke(self, entry: Entry, why: str) -> None:
        """Take a cut from its reader."""
        if self._live.get(entry.name) is entry:
            entry.revoked = f"the cut {entry.name} was revoked: {why}"
            self.end(entry)
            self._on_revoked(entry)

    def expire(self) -> None:
        """Revoke the cuts that are too old."""
        now_ms = self._now_ms()
        for entry in list(self._live.values()):
            if now_ms - entry.taken_ms > entry.age_ms_max:
                self.revoke(entry, f"it is older than {entry.age_ms_max} ms")

    def entries(self) -> list[Entry]:
        """Return the live cuts."""
        return list(self._live.values())

    def oldest(self) -> Stamp | None:
        """Return the first stamp that is not in the oldest live cut, or None."""
        self.expire()
        return min((entry.stamp for entry in self._live.values()), default=None)


class OpenCut:
    """A cut as its reader has it, over one domain or, on the system's store, over everything."""

    __slots__ = ("_begin", "_cuts", "_end", "_entry")

    def __init__(self, cuts: Cuts, entry: Entry, domain: Domain) -> None:
        self._cuts = cuts
        self._entry = entry
        whole = domain is SYSTEM
        self._begin = SYSTEM.prefix if whole else domain.prefix
        self._end = b"\xff" if whole else after_prefix(domain.prefix)

    @property
    def name(self) -> str:
        """Return the name that it was taken under."""
        return self._entry.name

    @property
    def stamp(self) -> Stamp:
        """Return the first stamp that is not in it."""
        return self._entry.stamp

    @property
    def taken_ms(self) -> int:
        """Return when it was taken."""
        return self._entry.taken_ms

    def rows(self) -> CutRows:
        """Return what holds the rows, while it may.

        Raises:
            CutRevoked: The cut is no more.
        """
        self._cuts.expire()
        if self._entry.revoked:
            raise CutRevoked(self._entry.revoked)
        assert self._entry.rows is not None, "the cut was released"
        return self._entry.rows

    async def page(self, begin: bytes, end: bytes, *, limit: int) -> list[Row]:
        """Return some rows from the start of a half-open range; none only if none is left.

        Raises:
            CutRevoked: The cut is no more.
        """
        assert 0 < limit <= RANGE_ROWS_MAX, f"a page has a limit of 1 to {RANGE_ROWS_MAX}"
        assert self._begin <= begin, f"the range from {begin!r} leaves what was cut"
        assert end <= self._end, f"the range to {end!r} leaves what was cut"
        page = await self.rows().page(begin, end, limit)
        if self._entry.revoked:
            raise CutRevoked(self._entry.revoked)
        return page

    async def release(self) -> None:
        """Let the cut go; harmless to repeat."""
        self._cuts.end(self._entry)
        rows, self._entry.rows = self._entry.rows, None
        if rows is not None:
            await rows.close()
