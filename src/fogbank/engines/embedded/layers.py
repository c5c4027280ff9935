"""What is committed, as a body sees it: generations of the overlay over the settled rows.

The layers, topmost first: the active generation, the frozen ones (whose segments are being applied,
newest first), and a snapshot of the settled rows as of the last applied segment. Together they are
the newest committed state; only the active generation can hold what is not durable yet, and beside
it the keys that *vanished*: came and went in one generation, the going not yet durable.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple, cast

import lmdb

from fogbank.base.errors import Corrupt
from fogbank.engines.bodies import LIMITS, Row
from fogbank.engines.embedded.overlay import MISSING, Generation, Heads
from fogbank.engines.embedded.rows import Environment
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import Writes
from fogbank.platform.store.engine import SYSTEM_PREFIX

_MANY_DEAD: Final = 64
"""A range that steps over more removed rows than this notes where the live ones begin."""
_FRESH_PARTS_MAX: Final = 512
"""With more transactions than this not yet in the index, it is brought up to date early."""


class Span(NamedTuple):
    """What a range asks for."""

    begin: bytes
    end: bytes
    limit: int
    reverse: bool


class Layers:
    """The committed state; written by the core, read by transactions."""

    __slots__ = (
        "_env",
        "_heads",
        "_ranged",
        "_reader",
        "_seals",
        "_unseal",
        "active",
        "frozen",
        "now_ms",
        "settled_get",
        "vanished",
    )

    def __init__(self, env: Environment, seals: RowSeals, now_ms: Callable[[], int]) -> None:
        self._env = env
        self._seals = seals
        self.now_ms = now_ms
        self._heads = Heads()
        self._ranged = False
        self.active = Generation()
        self.frozen: tuple[Generation, ...] = ()
        self.vanished: dict[bytes, int] = {}
        self._read_anew()

    def lay_removals(self, writes: Writes, version: int) -> None:
        """Lay writes with removals over the active generation."""
        for key in self.active.lay_removals(writes, self.is_below):
            self.vanished[key] = version

    def is_durable(self, version: int) -> None:
        """Forget the vanished keys of the transactions up to a version."""
        if self.vanished:
            left = {key: gone for key, gone in self.vanished.items() if gone > version}
            self.vanished = left

    def freeze(self, pending: Iterable[Writes]) -> None:
        """Begin a generation; it starts with the writes that are not in a segment yet."""
        # Nothing but these heads would need the index of the frozen generation now.
        self._heads = Heads()
        self.frozen = (self.active, *self.frozen)
        self.active = Generation()
        for writes in pending:
            self.active.lay({key: value for key, value in writes.items() if value is not None})
            for key, value in writes.items():
                if value is None:
                    # The removed row may lie in the segment that is about to be applied, and in
                    # no layer: only a tombstone keeps it from coming back.
                    self.active.bury(key)

    def thaw(self) -> Generation:
        """Read the rows as they are now, drop the oldest frozen generation and return it."""
        self.renew()
        oldest = self.frozen[-1]
        self.frozen = self.frozen[:-1]
        return oldest

    def renew(self) -> None:
        """Read the rows as they are now: what they hold is the same, and old pages become free."""
        self._reader.abort()
        self._read_anew()

    def _read_anew(self) -> None:
        """Take a snapshot of the rows as they are now."""
        self._reader = self._env.begin()
        self.settled_get = self._reader.get
        self._unseal = self._seals.opener(self._reader.get)

    def close(self) -> None:
        """End the snapshot of the rows."""
        self._reader.abort()

    def is_below(self, key: bytes) -> bool:
        """Return whether the layers below the active one have a row at the key."""
        for generation in self.frozen:
            value = generation.rows.get(key, MISSING)
            if value is not MISSING:
                return value is not None
        return self.settled_get(key) is not None

    def find_settled(self, key: bytes) -> bytes | None:
        """Return the value that the layers below the active one have at the key."""
        for generation in self.frozen:
            value = generation.rows.get(key, MISSING)
            if value is not MISSING:
                return cast("bytes | None", value)
        try:
            raw = self.settled_get(key)
        except lmdb.BadValsizeError:
            # No row has a key that LMDB cannot hold.
            return None
        except lmdb.Error as error:
            raise Corrupt(f"the rows cannot be read at {key!r}: {error}") from error
        return None if raw is None else self._unseal(key, raw)

    def settle_early(self) -> None:
        """Keep the index close to the rows if ranges are read, so that none has to wait long."""
        if self._ranged and self.active.fresh_parts > _FRESH_PARTS_MAX:
            self._heads.came(self.active.settle())

    def range(self, span: Span, own: Writes) -> tuple[list[Row], bool]:
        """Return the rows of a range under a transaction's own writes.

        The second value says whether the active generation had a say in it.
        """
        self._ranged = True
        self._heads.came(self.active.settle())
        lowest = max(span.begin, SYSTEM_PREFIX)
        start = lowest if span.reverse else min(self._heads.find(lowest), span.end)
        laid, touched = self._laid_keys(start, span, own)
        with self._reader.cursor() as cursor:
            try:
                rows, dead = self._found(laid, _settled_rows(cursor, start, span), span, own)
            except lmdb.Error as error:
                raise Corrupt(f"the rows cannot be read from {start!r}: {error}") from error
        if dead > _MANY_DEAD and not own and not span.reverse:
            self._heads.note(lowest, rows[0][0] if rows else span.end)
        # Rows that were stepped over, or are gone without a trace, may have been removed just now.
        stepped = start > lowest or any(span.begin <= key < span.end for key in self.vanished)
        return rows, touched or stepped

    def _laid_keys(self, start: bytes, span: Span, own: Writes) -> tuple[Iterator[bytes], bool]:
        """Return the keys above the settled rows in order, and whether the active layer has any."""
        begin, end, _limit, reverse = span
        above: list[Iterator[bytes]] = []
        if mine := sorted((key for key in own if begin <= key < end), reverse=reverse):
            above.append(iter(mine))
        active = _if_any(self.active.range(start, end, reverse=reverse))
        if active is not None:
            above.append(active)
        for generation in self.frozen:
            generation.settle()
            keys = _if_any(generation.range(start, end, reverse=reverse))
            if keys is not None:
                above.append(keys)
        if len(above) <= 1:
            return (above[0] if above else iter(())), active is not None
        return _distinct(heapq.merge(*above, reverse=reverse)), active is not None

    def _found(
        self, laid: Iterator[bytes], settled: Iterator[Row], span: Span, own: Writes
    ) -> tuple[list[Row], int]:
        """Return what ``_merged`` returns; rows of the active generation alone need no merging."""
        first = next(settled, None)
        if first is not None:
            return self._merged(laid, chain((first,), settled), span, own)
        if own or self.frozen:
            return self._merged(laid, settled, span, own)
        return self._active_rows(laid, span.limit)

    def _merged(
        self, laid: Iterator[bytes], settled: Iterator[Row], span: Span, own: Writes
    ) -> tuple[list[Row], int]:
        """Return the live rows, and how many removed keys came before the first one."""
        out: list[Row] = []
        dead = 0
        limit, reverse = span.limit, span.reverse
        unseal, laid_rows = self._unseal, self.active.rows
        key, row = next(laid, None), next(settled, None)
        while len(out) < limit:
            if key is None:
                if row is not None:
                    out.append((row[0], unseal(*row)))
                    rest = islice(settled, limit - len(out))
                    out += [(name, unseal(name, raw)) for name, raw in rest]
                break
            if row is not None:
                if row[0] == key:
                    row = next(settled, None)
                elif (row[0] > key) if reverse else (row[0] < key):
                    out.append((row[0], unseal(*row)))
                    row = next(settled, None)
                    continue
            value = None if own else laid_rows.get(key)
            if value is None:
                value = self._value_above(key, own)
            if value is not None:
                out.append((key, value))
            elif not out:
                dead += 1
            key = next(laid, None)
        return out, dead

    def _active_rows(self, keys: Iterator[bytes], limit: int) -> tuple[list[Row], int]:
        """Return the live rows of the active generation, and how many removed keys came before."""
        rows, out, dead = self.active.rows, list[Row](), 0
        for key in keys:
            value = rows[key]
            if value is not None:
                out.append((key, value))
                if len(out) == limit:
                    break
            elif not out:
                dead += 1
        return out, dead

    def _value_above(self, key: bytes, own: Writes) -> bytes | None:
        """Return the value of a key that one of the layers above the settled rows has."""
        if key in own:
            return own[key]
        for generation in (self.active, *self.frozen):
            value = generation.rows.get(key, MISSING)
            if value is not MISSING:
                return cast("bytes | None", value)
        raise AssertionError("the key was found in a layer")


def _if_any(keys: Iterator[bytes]) -> Iterator[bytes] | None:
    """Return the keys, or None if there are none."""
    for first in keys:
        return _chained(first, keys)
    return None


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield one key and then the others."""
    yield first
    yield from rest


def _distinct(keys: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ordered keys once each."""
    last = None
    for key in keys:
        if key != last:
            yield key
            last = key


def _clipped(key: bytes) -> bytes:
    """Return a bound that LMDB can hold and that divides the keys of rows as this one does."""
    if len(key) <= LIMITS.key_bytes_max:
        return key
    return key[: LIMITS.key_bytes_max] + b"\0"


def _settled_rows(cursor: lmdb.Cursor[bytes], start: bytes, span: Span) -> Iterator[Row]:
    """Yield the stored settled rows of a range."""
    if span.reverse:
        # The cursor steps back over the first row that is not in the range, or from the last row.
        above = cursor.set_range(_clipped(span.end))
        rows = cursor.iterprev(keys=True, values=True)
        if above:
            next(rows, None)
        for key, raw in rows:
            if key < start:
                return
            yield key, raw
    elif cursor.set_range(_clipped(start)):
        end = span.end
        for key, raw in cursor.iternext(keys=True, values=True):
            if key >= end:
                return
            yield key, raw
