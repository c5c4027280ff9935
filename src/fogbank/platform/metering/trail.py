"""The audit trail: entries of calls on their way to the store, and what keeps it small.

Three ways in, and what is durable when:

- *riding*: the entry of a call that changes data is durable with the first transaction that the
  call commits: as a passenger of its group where the engine takes them (``Carrier``: one row for
  all calls of a group), else appended by the transaction itself;
- ``settle``: an entry is durable when this returns (management calls, refusals of access): the
  reply waits for it;
- ``note``: an entry joins a bounded buffer that is written every ``flush_ms`` or ``ROW_ENTRIES_MAX``
  entries (reads of data, calls that proved nobody): a crash loses at most that much of them.

While the store takes nothing (no space, a failing disk), entries wait in the buffer, at most
``WAITING_MAX`` of them; what is pushed out is counted in ``lost`` and said once in the log. A call
that has happened is answered all the same.

A call may leave two entries: one that rode, and one that says how the call failed after it. The
later one counts (``reading``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.platform.metering.records import (
    STRANGERS,
    BatchRecord,
    Caller,
    DenialRecord,
    Entry,
    NextRecord,
    decode_next,
    next_key,
    row_prefix,
    slot_key,
)
from fogbank.platform.store.engine import (
    Body,
    Carrier,
    Placement,
    Stamp,
    Store,
    StoreLimits,
    Transaction,
)
from fogbank.platform.store.records import encode

T = TypeVar("T")

ROW_ENTRIES_MAX: Final = 256
ROW_BYTES_MAX: Final = 256 << 10
WAITING_MAX: Final = 8_192
"""Entries that wait for the store; beyond, the oldest are lost and counted."""
FIELD_BYTES_MAX: Final = 16 << 10
"""Of what was asked or answered; what is longer is left out, which the record says."""
OMITTED: Final = "HIDDEN_DUE_TO_SIZE"
DENIALS_MAX: Final = 1_000
"""Refusals that are kept of an account; the oldest goes first."""
_ENTRY_BYTES: Final = 200
_pack: Final = msgspec.msgpack.Encoder(enc_hook=str).encode
_log = logging.getLogger(__name__)


class TrailSettings(NamedTuple):
    """How long entries may wait, and how much of them is kept."""

    flush_ms: int = 200
    age_ms_max: int = 90 * 86_400_000
    account_bytes_max: int = 1 << 30
    """Of each account, and of all strangers together."""
    denials_age_ms_max: int = 14 * 86_400_000


class Noted(NamedTuple):
    """An entry on its way, with what a row holds beside it."""

    account: str
    caller: Caller
    entry: Entry
    denial: DenialRecord | None = None


def packed(value: Any) -> bytes:
    """Return what was asked or answered as an entry keeps it."""
    raw = _pack(value)
    if len(raw) > FIELD_BYTES_MAX:
        return msgspec.msgpack.encode({OMITTED: len(raw)})
    return raw


def rows_of(items: Sequence[Noted]) -> list[tuple[str, bytes]]:
    """Return the rows that hold these entries, each with its account."""
    rows: list[tuple[str, bytes]] = []
    by_account: dict[str, list[Noted]] = {}
    for item in items:
        by_account.setdefault(item.account, []).append(item)
    for account, noted in by_account.items():
        begin, size = 0, 0
        for at, item in enumerate(noted):
            more = _ENTRY_BYTES + len(item.entry.parameters) + len(item.entry.response)
            if at - begin == ROW_ENTRIES_MAX or (size and size + more > ROW_BYTES_MAX):
                rows.append((account, _row(noted[begin:at])))
                begin, size = at, 0
            size += more
        rows.append((account, _row(noted[begin:])))
    return rows


def _row(noted: Sequence[Noted]) -> bytes:
    """Return the bytes of one row; callers that many entries share stand in it once."""
    # By identity, which is cheaper than a comparison of twenty texts; equal ones are one object.
    places: dict[int, int] = {}
    callers: list[Caller] = []
    entries: list[Entry] = []
    for _, caller, entry, _ in noted:
        place = places.setdefault(id(caller), len(callers))
        if place == len(callers):
            callers.append(caller)
        entries.append(entry if place == entry.caller else _at(entry, place))
    return encode(BatchRecord(tuple(callers), tuple(entries)))


def _at(entry: Entry, place: int) -> Entry:
    """Return an entry with its caller's place."""
    return Entry(
        entry.time_ms,
        entry.request_id,
        place,
        entry.resources,
        entry.parameters,
        entry.response,
        entry.error_code,
        entry.error_message,
        entry.additional,
    )


class Trail:
    """Takes entries and makes them durable.

    Args:
        placement: Where the system subspaces are.
        clock: The time of rows, and of the flushes.
        settings: The bounds.
    """

    def __init__(
        self, placement: Placement, clock: Clock, settings: TrailSettings | None = None
    ) -> None:
        self.settings = settings or TrailSettings()
        self.entries = 0
        """Entries that were taken so far."""
        self.lost = 0
        """Entries that were pushed out before the store took them."""
        self._store = placement.system_stores()[0]
        self._clock = clock
        self._waiting: deque[Noted] = deque()
        self._some = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._riders: list[Ride] = []
        self._boarding: list[Ride] = []
        self._is_carried = isinstance(placement, Carrier)
        if isinstance(placement, Carrier):
            placement.carry(self)
        self._is_failing = False
        self._retry_ms = 0
        """Until when nothing is tried: a store that refuses is not asked by every call."""

    @property
    def waiting(self) -> int:
        """Return how many entries wait for the store."""
        return len(self._waiting)

    @property
    def is_failing(self) -> bool:
        """Return whether the store did not take the last entries."""
        return self._is_failing

    def note(self, noted: Noted) -> None:
        """Take an entry that may be lost with the last ``flush_ms`` before a crash."""
        count = self._take(noted)
        if count == 1:
            self._some.set()
        elif count % ROW_ENTRIES_MAX == 0 and self._group is not None and not self._is_failing:
            self._group.create_task(self.flush(), name="audit")

    def _take(self, noted: Noted) -> int:
        """Let an entry wait; return how many do."""
        self._waiting.append(noted)
        self.entries += 1
        if len(self._waiting) > WAITING_MAX:
            self._push_out()
        return len(self._waiting)

    def _push_out(self) -> None:
        """Lose the oldest entries: memory is bounded, whatever the store does."""
        if not self.lost:
            _log.error("the audit trail loses entries: the store does not take them")
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1

    async def settle(self, noted: Noted) -> None:
        """Take an entry and return when it is durable, with all that waited before it."""
        self._take(noted)
        await self.flush()

    def riding(self, store: Store, ride: Ride) -> Store:
        """Return a store whose first commit carries an entry."""
        return _RidingStore(store, ride, self)

    def carry(self, tr: Transaction, ride: Ride) -> None:
        """Let an entry be durable with a transaction that changes what it speaks of."""
        if ride.item is None:
            self.entries += 1
            ride.item = ride.noted()
        if self._is_carried:
            self._riders.append(ride)
            return
        tr.append(row_prefix(ride.account, self._clock.now_ms()), _row([ride.item]))

    def put_off(self, ride: Ride) -> None:
        """Take back an entry whose transaction was not committed."""
        ride.item = None
        if ride in self._riders:
            self._riders.remove(ride)

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Return the rows of the entries that ride with the group that begins."""
        riders = self._riders
        if not riders:
            return []
        self._boarding, self._riders = riders, []
        now_ms = self._clock.now_ms()
        items = [each.item for each in riders if each.item is not None]
        return [(row_prefix(account, now_ms), row) for account, row in rows_of(items)]

    def boarded(self, waiter: asyncio.Future[Any]) -> None:
        """Tell the entries that ride when they are durable."""
        for ride in self._boarding:
            ride.waiter = waiter
        self._boarding = []

    async def flush(self) -> None:
        """Write what waits; when the store does not take it, it goes on waiting."""
        items = list(self._waiting)
        now_ms = self._clock.now_ms()
        if not items or now_ms < self._retry_ms:
            return
        self._waiting.clear()
        rows = rows_of(items)
        denials = [item for item in items if item.denial is not None]

        async def body(tr: Transaction) -> None:
            for account, row in rows:
                tr.append(row_prefix(account, now_ms), row)
            for item in denials:
                await _put_denial(tr, item)

        try:
            await self._store.transact(body)
        except Weather as error:
            self._waiting.extendleft(reversed(items))
            if not self._is_failing:
                _log.error("the audit trail waits for the store: %s", error)
            self._is_failing = True
            self._retry_ms = now_ms + self.settings.flush_ms
            if len(self._waiting) > WAITING_MAX:
                self._push_out()
        else:
            self._is_failing = False

    async def run(self) -> None:
        """Write what waits every ``flush_ms``, until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while True:
                    await self._some.wait()
                    self._some.clear()
                    now_ms = self._clock.now_ms()
                    await self._clock.sleep_until(now_ms + self.settings.flush_ms)
                    await self.flush()
                    if self._waiting:
                        self._some.set()
        finally:
            self._group = None


async def _put_denial(tr: Transaction, item: Noted) -> None:
    """Write a refusal over the oldest of its account."""
    assert item.denial is not None
    raw = await tr.get(next_key(item.account))
    slot = 0 if raw is None else decode_next(raw).slot
    tr.put(slot_key(item.account, slot), encode(item.denial))
    tr.put(next_key(item.account), encode(NextRecord((slot + 1) % DENIALS_MAX)))


class Ride:
    """An entry that may ride in a commit of its call."""

    __slots__ = ("account", "item", "noted", "waiter")

    def __init__(self, account: str, noted: Callable[[], Noted]) -> None:
        self.account = account or STRANGERS
        self.noted = noted
        """Makes the entry, as of now."""
        self.item: Noted | None = None
        """The entry that is carried; None: nothing was committed yet."""
        self.waiter: asyncio.Future[Any] | None = None
        """What is done when the entry is durable, where it rides with a group."""


class _RidingStore:
    """A store whose first commit carries an entry; otherwise the store itself."""

    __slots__ = ("_ride", "_store", "_trail")

    def __init__(self, store: Store, ride: Ride, trail: Trail) -> None:
        self._store = store
        self._ride = ride
        self._trail = trail

    @property
    def limits(self) -> StoreLimits:
        return self._store.limits

    async def transact(self, body: Body[T], *, token: Any = None) -> T:
        ride = self._ride
        if ride.item is not None:
            return await self._store.transact(body, token=token)

        async def carrying(tr: Transaction) -> T:
            result = await body(tr)
            self._trail.carry(tr, ride)
            return result

        try:
            result = await self._store.transact(carrying, token=token)
        except BaseException:
            # Nothing was committed, or nobody knows: the call's end says how.
            self._trail.put_off(ride)
            raise
        waiter = ride.waiter
        if waiter is not None and not waiter.done():
            # More was committed at once than one group holds.
            await asyncio.shield(waiter)
        return result

    async def read(self, body: Body[T]) -> T:
        return await self._store.read(body)

    async def claim(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        move: Callable[[bytes, bytes], tuple[bytes, bytes]],
    ) -> list[tuple[bytes, bytes]]:
        return await self._store.claim(begin, end, limit, move)

    async def tail(
        self, prefix: bytes, after: Stamp | None, limit: int
    ) -> list[tuple[Stamp, bytes]]:
        return await self._store.tail(prefix, after, limit)

    def watch(self, prefix: bytes) -> AsyncIterator[None]:
        return self._store.watch(prefix)
