"""The audit trail: entries of calls on their way to the store, and what keeps it small.

Three ways in, and what is durable when:

- *riding*: the entry of a call that changes data is durable with the first transaction that the
  call commits: as a passenger of its group where the engine takes them (``Carrier``: one row for
  all calls of a group), else appended by the transaction itself;
- ``settle``: an entry is durable when this returns (management calls, refusals of access): the
  reply waits for it;
- ``note``: an entry joins a bounded buffer that is written every ``flush_ms`` or when it is full
  (reads of data, calls that proved nobody): a crash loses at most that much of them.

While the store takes nothing (no space, a failing disk), entries wait in the buffer, at most
``WAITING_MAX`` of them; what is pushed out is counted in ``lost`` and said once in the log. A call
that has happened is answered all the same.

A call may leave two entries: one that rode, and one that says how the call failed after it. The
later one counts (``reading``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.platform.metering.drafts import Draft, Drafts
from fogbank.platform.metering.records import (
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
    Store,
    Transaction,
)
from fogbank.platform.store.passing import PassingStore
from fogbank.platform.store.records import encode

T = TypeVar("T")

WAITING_MAX: Final = 8_192
"""Entries that wait for the store; beyond, the oldest are lost and counted."""
FIELD_BYTES_MAX: Final = 16 << 10
"""Of what was asked or answered; what is longer is left out, which the record says."""
OMITTED: Final = "HIDDEN_DUE_TO_SIZE"
DENIALS_MAX: Final = 1_000
"""Refusals that are kept of an account; the oldest goes first."""
_pack: Final = msgspec.msgpack.Encoder(enc_hook=str).encode
_log = logging.getLogger(__name__)


class TrailSettings(NamedTuple):
    """How long entries may wait, and how much of them is kept."""

    flush_ms: int = 200
    age_ms_max: int = 90 * 86_400_000
    account_bytes_max: int = 1 << 30
    """Of each account, and of all strangers together."""
    denials_age_ms_max: int = 14 * 86_400_000


def packed(value: Any) -> bytes:
    """Return what was asked or answered as an entry keeps it."""
    raw = _pack(value)
    if len(raw) > FIELD_BYTES_MAX:
        return msgspec.msgpack.encode({OMITTED: len(raw)})
    return raw


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
        self._waiting = Drafts()
        self._denials: list[tuple[str, DenialRecord]] = []
        self._some = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._riding = Drafts()
        self._passage = Passage()
        self._carrier = placement if isinstance(placement, Carrier) else None
        if self._carrier is not None:
            self._carrier.carry(self)
        self._is_failing = False
        self._retry_ms = 0
        """Until when nothing is tried: a store that refuses is not asked by every call."""

    @property
    def waiting(self) -> int:
        """Return how many entries wait for the store."""
        return self._waiting.count

    @property
    def is_failing(self) -> bool:
        """Return whether the store did not take the last entries."""
        return self._is_failing

    def note(
        self, account: str, caller: Caller, entry: Entry, denial: DenialRecord | None = None
    ) -> None:
        """Take an entry that may be lost with the last ``flush_ms`` before a crash."""
        waiting = self._waiting
        is_first = not waiting.count
        if denial is None and waiting.count < WAITING_MAX:
            self.entries += 1
            is_full = waiting.add(account, caller, entry)
        else:
            is_full = self._take(account, caller, entry, denial)
        if is_first:
            self._some.set()
        if is_full and self._group is not None and not self._is_failing:
            self._group.create_task(self.flush(), name="audit")

    def _take(
        self, account: str, caller: Caller, entry: Entry, denial: DenialRecord | None
    ) -> bool:
        """Let an entry wait; return whether enough wait to be written."""
        self.entries += 1
        if denial is not None:
            self._denials.append((account, denial))
        is_full = self._waiting.add(account, caller, entry)
        if self._waiting.count > WAITING_MAX:
            self._push_out()
        return is_full

    def _push_out(self) -> None:
        """Lose the oldest entries: memory is bounded, whatever the store does."""
        if not self.lost:
            _log.error("the audit trail loses entries: the store does not take them")
        while self._waiting.count > WAITING_MAX:
            self.lost += self._waiting.push_out()
        del self._denials[:-DENIALS_MAX]

    async def settle(
        self, account: str, caller: Caller, entry: Entry, denial: DenialRecord | None = None
    ) -> None:
        """Take an entry and return when it is durable, with all that waited before it."""
        self._take(account, caller, entry, denial)
        await self.flush()

    # Entries that ride.

    def riding(self, store: Store, ride: Ride) -> Store:
        """Return a store whose first commit carries the entry of a call."""
        if self._carrier is None:
            return _RidingStore(store, ride, self)
        return self._carrier.riding(store, lambda: self._board(ride))

    def _board(self, ride: Ride) -> None:
        """Let the entry of a call be durable with the group of a commit that has just been made."""
        if ride.rode:
            return
        ride.rode = True
        ride.passage = self._passage
        self.entries += 1
        self._riding.add(*ride.entry())

    def append(self, tr: Transaction, ride: Ride) -> None:
        """Let the entry of a call be durable with a transaction."""
        account, caller, entry = ride.entry()
        draft = Draft(account)
        draft.add(caller, entry)
        tr.append(row_prefix(account, self._clock.now_ms()), draft.row())

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Return the rows of the entries that ride with the group that begins."""
        now_ms = self._clock.now_ms()
        return [(row_prefix(each.account, now_ms), each.row()) for each in self._riding.take()]

    def boarded(self, waiter: asyncio.Future[Any]) -> None:
        """Tell the calls whose entries ride when these are durable."""
        self._passage.waiter = waiter
        self._passage = Passage()

    async def flush(self) -> None:
        """Write what waits; when the store does not take it, it goes on waiting."""
        now_ms = self._clock.now_ms()
        if not self._waiting.count or now_ms < self._retry_ms:
            return
        drafts, denials = self._waiting.take(), self._denials
        self._denials = []

        async def body(tr: Transaction) -> None:
            for draft in drafts:
                tr.append(row_prefix(draft.account, now_ms), draft.row())
            for account, denial in denials:
                await _put_denial(tr, account, denial)

        try:
            await self._store.transact(body)
        except Weather as error:
            self._waiting.put_back(drafts)
            self._denials[:0] = denials
            if not self._is_failing:
                _log.error("the audit trail waits for the store: %s", error)
            self._is_failing = True
            self._retry_ms = now_ms + self.settings.flush_ms
            if self._waiting.count > WAITING_MAX:
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
                    if self._waiting.count:
                        self._some.set()
        finally:
            self._group = None


async def _put_denial(tr: Transaction, account: str, denial: DenialRecord) -> None:
    """Write a refusal over the oldest of its account."""
    raw = await tr.get(next_key(account))
    slot = 0 if raw is None else decode_next(raw).slot
    tr.put(slot_key(account, slot), encode(denial))
    tr.put(next_key(account), encode(NextRecord((slot + 1) % DENIALS_MAX)))


class Passage:
    """The way of all entries that ride with one group."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: asyncio.Future[Any] | None = None
        """What is done when they are durable; None: the group has not begun."""


class Ride(msgspec.Struct, eq=False):
    """A call whose entry may ride with its first commit."""

    rode: bool = False
    """Whether a commit of the call carried the entry."""
    passage: Passage | None = None
    """With what it rides; None: it lies in the transaction itself."""

    def entry(self) -> tuple[str, Caller, Entry]:
        """Return the account, the caller and the entry, as of now."""
        raise NotImplementedError

    async def arrived(self) -> None:
        """Return when an entry that rode is durable."""
        arriving = self.arriving()
        if arriving is not None:
            await arriving

    def arriving(self) -> Awaitable[object] | None:
        """Return what ends when an entry that rode is durable; None if it is.

        It is at once, unless more was committed together than one group holds.
        """
        waiter = None if self.passage is None else self.passage.waiter
        return None if waiter is None or waiter.done() else asyncio.shield(waiter)


class _RidingStore(PassingStore):
    """A store whose first commit carries an entry; otherwise the store itself."""

    __slots__ = ("_ride", "_trail")

    def __init__(self, store: Store, ride: Ride, trail: Trail) -> None:
        super().__init__(store)
        self._ride = ride
        self._trail = trail

    async def transact(self, body: Body[T], *, token: Any = None) -> T:
        ride = self._ride
        if ride.rode:
            return await self._store.transact(body, token=token)

        async def carrying(tr: Transaction) -> T:
            result = await body(tr)
            self._trail.append(tr, ride)
            return result

        # Until it returns nothing was committed, or nobody knows: then the call's end says how.
        result = await self._store.transact(carrying, token=token)
        ride.rode = True
        self._trail.entries += 1
        return result
