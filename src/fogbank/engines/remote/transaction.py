"""Transactions over a link: reads are asked, writes kept aside, and both are remembered.

Rule: a body awaits its transaction only, here as everywhere. What it awaits is a question that its
driver (``store.py``) takes to the owner; whatever else it awaits is a bug that is raised. A key that
was read once answers the same again, and own writes lie over everything.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable
from typing import Any, Final

from fogbank.base.errors import TransactionTooLarge
from fogbank.engines.bodies import LIMITS, RANGE_ROWS_MAX, PendingEntry
from fogbank.engines.remote import words
from fogbank.engines.remote.words import Row, digest_of, rows_digest
from fogbank.platform.store.engine import STAMP_BYTES, SYSTEM_PREFIX, Domain

READS_MAX: Final = 20_000
"""Questions of one transaction: what the owner has to ask itself again in one body."""


class Question:
    """What a body awaits: one question to the owner, asked by the body's driver."""

    __slots__ = ("method", "value")

    def __init__(self, method: str, value: Any) -> None:
        self.method = method
        self.value = value

    def __await__(self) -> Generator[Question, Any, Any]:
        return (yield self)


class RemoteTransaction:
    """One run of one body."""

    __slots__ = (
        "_homes",
        "_now_ms",
        "_open",
        "_seen",
        "domain",
        "entries",
        "ranges",
        "writable",
        "writes",
    )

    def __init__(self, domain: Domain, *, writable: bool) -> None:
        self.domain = domain
        self.writes: dict[bytes, bytes | None] = {}
        self.entries: list[PendingEntry] = []
        self.ranges: list[tuple[bytes, bytes, int, bool, bytes]] = []
        """Ranges as they were asked, each with a digest of the answer."""
        self.writable = writable
        self._seen: dict[bytes, bytes | None] = {}
        self._homes = (domain.prefix, SYSTEM_PREFIX)
        self._open = True
        self._now_ms: int | None = None

    @property
    def gets(self) -> list[tuple[bytes, bytes | None]]:
        """Return the keys that were read, each with a digest of its value."""
        return [(key, digest_of(value)) for key, value in self._seen.items()]

    def close(self) -> None:
        """End the transaction: whoever kept it can do nothing with it."""
        self._open = self.writable = False

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("the transaction is over")

    def _ask(self, method: str, *value: Any) -> Question:
        """Return a question about the domain."""
        self._check_open()
        if len(self._seen) + len(self.ranges) >= READS_MAX:
            raise TransactionTooLarge(f"a transaction asks another store {READS_MAX} times at most")
        return Question(method, (words.named_of(self.domain), *value))

    async def now_ms(self) -> int:
        """Return the owner's time; a body sees one."""
        now_ms = self._now_ms
        if now_ms is None:
            now_ms = self._now_ms = int(await self._ask(words.NOW))
        return now_ms

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        self._check_open()
        if key in self.writes:
            return self.writes[key]
        if key not in self._seen:
            (value,) = await self._ask(words.GET, [key])
            self._seen[key] = value
        return self._seen[key]

    async def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that exist."""
        wanted = list(keys)
        missing = [key for key in wanted if key not in self.writes and key not in self._seen]
        for at in range(0, len(missing), words.GET_KEYS_MAX):
            part = missing[at : at + words.GET_KEYS_MAX]
            self._seen.update(zip(part, await self._ask(words.GET, part), strict=True))
        found = {key: await self.get(key) for key in wanted}
        return {key: value for key, value in found.items() if value is not None}

    async def range(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[Row]:
        """Return up to ``limit`` rows of the half-open range in key order."""
        assert 0 <= limit <= RANGE_ROWS_MAX, f"a range has a limit of 0 to {RANGE_ROWS_MAX}"
        if begin >= end or limit == 0:
            return []
        own = sorted((key for key in self.writes if begin <= key < end), reverse=reverse)
        # So many of the owner's rows may be hidden by our own writes.
        theirs = await self._rows(begin, end, limit + len(own), reverse=reverse)
        kept = (row for row in theirs if row[0] not in self.writes)
        ours = ((key, value) for key in own if (value := self.writes[key]) is not None)
        merged = heapq.merge(kept, ours, key=lambda row: row[0], reverse=reverse)
        return [row for row, _ in zip(merged, range(limit), strict=False)]

    async def _rows(self, begin: bytes, end: bytes, limit: int, *, reverse: bool) -> list[Row]:
        """Return the owner's rows, page by page."""
        rows: list[Row] = []
        while True:
            wanted = min(limit - len(rows), RANGE_ROWS_MAX)
            asked = (begin, end, wanted, reverse)
            page, more = await self._ask(words.RANGE, *asked)
            self.ranges.append((*asked, rows_digest(page, more=more)))
            rows += [(key, value) for key, value in page]
            if len(rows) >= limit or (not more and len(page) < wanted):
                return rows
            last = rows[-1][0]
            begin, end = (begin, last) if reverse else (last + b"\0", end)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at the key."""
        self._check(key, value)
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove the key if it is there."""
        self._check(key, b"")
        self.writes[key] = None

    def append(self, prefix: bytes, value: bytes) -> PendingEntry:
        """Add an entry at ``prefix`` + the commit's stamp; invisible to this body itself."""
        self._check(prefix, value, STAMP_BYTES)
        entry = PendingEntry(prefix, value)
        self.entries.append(entry)
        return entry

    def _check(self, key: bytes, value: bytes, more: int = 0) -> None:
        """Refuse rows that no engine would have to keep."""
        assert self.writable, "this transaction only reads, or is over"
        assert type(key) is bytes, f"a key is bytes, not {type(key).__name__}"
        assert type(value) is bytes, f"a value is bytes, not {type(value).__name__}"
        assert key.startswith(self._homes), (
            f"the key {key!r} is outside {self.domain!r} and the system subspaces"
        )
        if len(key) + more > LIMITS.key_bytes_max:
            raise TransactionTooLarge(
                f"a key has {len(key) + more} of {LIMITS.key_bytes_max} bytes"
            )
        if len(value) > LIMITS.value_bytes_max:
            raise TransactionTooLarge(f"a value has {len(value)} of {LIMITS.value_bytes_max} bytes")
