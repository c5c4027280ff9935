"""What the engines share about transaction bodies: how one is driven, and what it appended.

Rule: a body awaits its transaction only. The transactions of these engines never wait, so a body
that suspends awaited something else: a bug that is raised, and the body leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Sequence
from types import CoroutineType
from typing import Final, TypeVar, cast

from fogbank.base.errors import TransactionTooLarge
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import (
    STAMP_BYTES,
    Body,
    Stamp,
    StoreLimits,
    Token,
    Transaction,
)

T = TypeVar("T")
Row = tuple[bytes, bytes]

LIMITS: Final = StoreLimits()
RANGE_ROWS_MAX: Final = 10_000
"""The largest ``limit`` of a range: more is read in pages, by further transactions."""
APPENDS_MAX: Final = 1 << 16
"""Entries that one transaction may append: the index of a stamp has two bytes."""


class PendingEntry:
    """An appended entry; the engine fills in the stamp at the commit."""

    __slots__ = ("_stamp", "prefix", "value")

    def __init__(self, prefix: bytes, value: bytes) -> None:
        self.prefix = prefix
        self.value = value
        self._stamp: Stamp | None = None

    @property
    def stamp(self) -> Stamp:
        """Return the stamp; raise ``RuntimeError`` before the commit."""
        if self._stamp is None:
            raise RuntimeError("an appended entry has no stamp before its commit")
        return self._stamp

    def resolve(self, stamp: Stamp) -> None:
        """Give the entry the stamp of its commit."""
        assert self._stamp is None, "an entry is committed once"
        self._stamp = stamp


class BodySuspendedError(RuntimeError):
    """A body awaited something other than its transaction."""


def drive(awaitable: Awaitable[T]) -> T:
    """Run a body's awaitable to its end; it must not suspend.

    Raises:
        BodySuspendedError: It awaited something other than its transaction.
    """
    # Types do not know that coroutines have ``send`` as well; a ``cast`` would cost every body a call.
    if type(awaitable) is CoroutineType:
        steps: Generator[object, None, T] = awaitable  # pyright: ignore[reportAssignmentType, reportUnknownVariableType]
    else:
        steps = awaitable.__await__()
    try:
        awaited = steps.send(None)
    except StopIteration as stop:
        return stop.value
    raise suspended(steps, awaited)


def suspended(steps: Generator[object, None, object], awaited: object) -> BodySuspendedError:
    """Close a body that suspended, and return the error that says so."""
    name = getattr(steps, "__qualname__", "a body")
    if isinstance(awaited, asyncio.Future):
        cast("asyncio.Future[object]", awaited).cancel()
    steps.close()
    return BodySuspendedError(
        f"{name} awaited something other than its transaction ({awaited!r}); bodies may not wait"
    )


def claiming(
    begin: bytes, end: bytes, limit: int, move: Callable[[bytes, bytes], Row]
) -> Body[list[Row]]:
    """Return the body of a claim: each of the first entries goes where ``move`` says."""

    async def claim(tr: Transaction) -> list[Row]:
        moved: list[Row] = []
        for key, value in await tr.range(begin, end, limit=limit):
            new_key, new_value = move(key, value)
            if new_key != key:
                tr.delete(key)
            tr.put(new_key, new_value)
            moved.append((new_key, new_value))
        return moved

    return claim


def tailing(prefix: bytes, after: Stamp | None, limit: int) -> Body[list[tuple[Stamp, bytes]]]:
    """Return the body of a tail: the entries under the prefix behind a stamp."""
    begin = prefix if after is None else prefix + after.pack() + b"\0"
    end = tuples.after_prefix(prefix)
    skip = len(prefix)

    async def tail(tr: Transaction) -> list[tuple[Stamp, bytes]]:
        entries: list[tuple[Stamp, bytes]] = []
        for key, value in await tr.range(begin, end, limit=limit):
            assert len(key) == skip + STAMP_BYTES, f"{key!r} was not appended under {prefix!r}"
            entries.append((Stamp.unpack(key[skip:]), value))
        return entries

    return tail


class BodyStore(ABC):
    """What every store that runs bodies has alike: its limits, work lists and tails."""

    __slots__ = ()

    @property
    def limits(self) -> StoreLimits:
        """Return the limits that hold for every transaction."""
        return LIMITS

    @abstractmethod
    async def transact(self, body: Body[T], *, token: Token | None = None) -> T:
        """Run the body and commit what it wrote."""

    @abstractmethod
    async def read(self, body: Body[T]) -> T:
        """Run the body over one snapshot; writing raises."""

    async def claim(
        self, begin: bytes, end: bytes, limit: int, move: Callable[[bytes, bytes], Row]
    ) -> list[Row]:
        """Move up to ``limit`` of the first entries of a work list, each to one caller."""
        return await self.transact(claiming(begin, end, limit, move))

    async def tail(
        self, prefix: bytes, after: Stamp | None, limit: int
    ) -> list[tuple[Stamp, bytes]]:
        """Return appended entries in commit order."""
        return await self.read(tailing(prefix, after, limit))


def lay_entries(
    writes: dict[bytes, bytes | None], entries: Sequence[PendingEntry], stamp: Stamp
) -> None:
    """Add appended entries to the writes of their transaction, from this stamp on."""
    assert len(entries) <= APPENDS_MAX, f"a transaction appends at most {APPENDS_MAX} entries"
    incarnation, version, _index = stamp
    for index, entry in enumerate(entries):
        writes[entry.prefix + Stamp(incarnation, version, index).pack()] = entry.value


def resolve_entries(entries: Sequence[PendingEntry], stamp: Stamp) -> None:
    """Give appended entries their stamps, once the transaction has its place."""
    incarnation, version, _index = stamp
    for index, entry in enumerate(entries):
        entry.resolve(Stamp(incarnation, version, index))


def check_size(writes: dict[bytes, bytes | None]) -> None:
    """Refuse writes that pass the limits of a transaction.

    Raises:
        TransactionTooLarge: They do.
    """
    size = sum(len(key) + len(value or b"") for key, value in writes.items())
    if size > LIMITS.transaction_bytes_max:
        raise TransactionTooLarge(f"a transaction writes {size} bytes")
