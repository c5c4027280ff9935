"""Rows of the audit trail that are being put together: entries become bytes as they come.

Rule: a row ends before it passes what the store takes as one value, and a draft holds no entry as
an object: a waiting entry costs its bytes and nothing else, and a row is written without a walk
over its entries.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.metering.records import BatchRecord, Caller, Entry

ROW_ENTRIES_MAX: Final = 256
ROW_BYTES_MAX: Final = 256 << 10
"""A row is full with so many bytes of entries."""
ROW_CALLERS_MAX: Final = 32
"""Callers of a row, each of up to three kilobytes."""
ROWS_WAITING_MAX: Final = 8
"""Full rows that wait for more: one transaction for all of them costs little more than for one."""
_TAG: Final = BatchRecord.__struct_config__.tag
_encoder: Final = msgspec.msgpack.Encoder()
_LIST_16: Final = b"\xdc"
"""What begins a MessagePack list with a length of 16 bits."""


class Draft:
    """The next row of one account."""

    __slots__ = ("_callers", "_entries", "_places", "account", "count")

    def __init__(self, account: str) -> None:
        self.account = account
        self.count = 0
        self._callers: list[Caller] = []
        # By identity, which is cheaper than a comparison of twenty texts; equal ones are one
        # object. The list holds them, so none is another one's while the draft stands.
        self._places: dict[int, int] = {}
        self._entries = bytearray()

    def add(self, caller: Caller, entry: Entry) -> bool:
        """Take an entry, whose caller's place is found here; return whether the row is full."""
        place = self._places.get(id(caller))
        if place is None:
            place = self._places[id(caller)] = len(self._callers)
            self._callers.append(caller)
        entry.caller = place
        _encoder.encode_into(entry, self._entries, -1)
        self.count += 1
        return (
            self.count == ROW_ENTRIES_MAX
            or len(self._entries) >= ROW_BYTES_MAX
            or place + 1 == ROW_CALLERS_MAX
        )

    def row(self) -> bytes:
        """Return the bytes of a ``BatchRecord``."""
        entries = msgspec.Raw(_LIST_16 + self.count.to_bytes(2) + self._entries)
        return _encoder.encode((_TAG, self._callers, entries))


class Drafts:
    """Rows of all accounts, in the order in which they were begun."""

    __slots__ = ("_full", "_open", "count")

    def __init__(self) -> None:
        self.count = 0
        """How many entries there are."""
        self._full: list[Draft] = []
        self._open: dict[str, Draft] = {}

    def add(self, account: str, caller: Caller, entry: Entry) -> bool:
        """Take an entry; return whether there are as many full rows now as shall wait."""
        self.count += 1
        draft = self._open.get(account)
        if draft is None:
            draft = self._open[account] = Draft(account)
        if not draft.add(caller, entry):
            return False
        self._full.append(self._open.pop(account))
        return len(self._full) >= ROWS_WAITING_MAX

    def take(self) -> list[Draft]:
        """Return all rows and hold none."""
        drafts = [*self._full, *self._open.values()]
        self._full, self._open, self.count = [], {}, 0
        return drafts

    def put_back(self, drafts: list[Draft]) -> None:
        """Hold rows again that were taken, before all others."""
        self._full[:0] = drafts
        self.count += sum(draft.count for draft in drafts)

    def push_out(self) -> int:
        """Drop the oldest row and return how many entries it had."""
        dropped = self._full.pop(0) if self._full else self._open.pop(next(iter(self._open)))
        self.count -= dropped.count
        return dropped.count
