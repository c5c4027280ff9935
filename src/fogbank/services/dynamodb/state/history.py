"""What a table held at any moment of its history, exactly, though it is written meanwhile.

Theory: as long as its history is kept, each write of an item leaves in its own transaction a row
with what lay at the item's place before, at that place and the write's stamp. So a table as of a
moment has at each place what the first row behind the moment says, and what lies there now if there
is none. That may be read in pieces, in as many transactions: a write between two of them leaves its
row, and every answer is of the moment. Nobody holds a long read transaction; a restart changes
nothing; a table whose history is not kept pays a comparison.

A *moment* is a stamp of twelve bytes, the first that is not in it, so that it lies between two commits
whatever clocks do. It is had from a *cut*: a durable row of a name, which also keeps what is behind it
from being removed. How to read a table:

    async def begin(tr):                                    # once; the name is yours: "export/<id>"
        table = await tables.require_backed_table(tr, name)
        return await history.take_cut(tr, table, name_of_cut, now_ms)      # as it is now, or:
        return await history.take_cut(tr, table, name_of_cut, now_ms, second=at_ms // 1_000)

    keep encode(table) in a record of yours, as ``take_cut`` returned it; then, in each piece:

    async def piece(tr):
        moment = await history.require_cut(tr, table, name_of_cut)
        return await history.list_items_as_of(tr, table, moment, rest, limit=8)

    (an item whose attributes are a blob comes closed: ``bodies.is_open``, ``bodies.fetched_row``)
    until ``Piece.rest`` is None, and at the end, in the transaction that keeps it:

        await history.release_cut(tr, table, name_of_cut, now_ms)

With ``second`` the cut is of the end of that second, which must be one to which the table can be
restored (``rules/history.earliest_ms``); what was written within the second is in it. A second that is
not over, or lies ahead, is now. Two cuts have what changed between them (``list_changes_between``); that
between the ends of the seconds ``a - 1`` and ``b - 1`` is what was written in the seconds from ``a`` to
``b``, the last not among them. A table may be deleted while it has cuts: its rows stay until the last
of them is released.

The time of a write is its second: the first write of each leaves a *mark*, which says what stamp the
second has.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import msgspec

from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix, pack
from fogbank.services.dynamodb.rules import history
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import (
    CUTS,
    HISTORY,
    ITEMS,
    MARKS,
    NO_VALUE,
    TABLES,
    CutRecord,
    HistoryRecord,
    ItemRecord,
    MarkRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import bodies, rows, tables

Moment: TypeAlias = bytes
"""The first stamp that is not in it, in twelve bytes."""

Row: TypeAlias = tuple[bytes, bytes]
EVERYTHING: Final = KeyRange()

KEPT_HISTORIES: Final = "dynamodb.kept_histories"
"""The work list of histories, each due when what nobody needs of it is to be removed."""
TRIM_FIRST_MS: Final = 3_600_000
"""When a history is looked at first: sooner than any of it can be too old."""
CUTS_MAX: Final = 1_000
"""So many cuts of a table at once; those who take them have lower limits of their own."""
_PREFIXES_REMEMBERED_MAX: Final = 1_024
_WHEN_BYTES: Final = 8


class Piece(NamedTuple):
    """Some items of a range, as of a moment."""

    items: list[tuple[bytes, ItemRecord]]
    """Where within the table, in order, and what; there may be none though the range has more."""
    rest: KeyRange | None
    """What is left of the range; None: that was all."""

    def first(self, keys: KeyRange, bytes_max: int) -> Piece:
        """Return the first items up to some bytes, one at least, and what else the range has."""
        size = 0
        for number, (place, record) in enumerate(self.items):
            size += len(bytes(record.attributes))
            if size >= bytes_max and number + 1 < len(self.items):
                return Piece(self.items[: number + 1], keys._replace(begin=place + b"\0"))
        return self


class Change(NamedTuple):
    """What became of an item between two moments."""

    place: bytes
    """Where within the table."""
    before: ItemRecord | None
    after: ItemRecord | None
    """Both None: it came and went between."""
    at_ms: int
    """When it was written last before the second moment."""


class Changes(NamedTuple):
    """Some changes of a range."""

    changes: list[Change]
    rest: KeyRange | None
    """What is left of the range; None: that was all."""


@lru_cache(maxsize=_PREFIXES_REMEMBERED_MAX)
def _prefix_of(domain_prefix: bytes, subspace: bytes, table_id: str, history_ms: int) -> bytes:
    place = bytes.fromhex(table_id.replace("-", "")) + history_ms.to_bytes(_WHEN_BYTES)
    return domain_prefix + subspace + place


def history_prefix(tr: Transaction, table: TableRecord) -> bytes:
    """Return what the keys of a table's history begin with."""
    return _prefix_of(tr.domain.prefix, HISTORY.subspace, table.id, table.history_ms)


def marks_prefix(tr: Transaction, table: TableRecord) -> bytes:
    """Return what the keys of the marks in a table's history begin with."""
    return _prefix_of(tr.domain.prefix, MARKS.subspace, table.id, table.history_ms)


def mark_of(tr: Transaction, table: TableRecord, at_ms: int) -> bytes:
    """Return what the keys of the marks of a time's second begin with, as do no others."""
    return marks_prefix(tr, table) + (at_ms // history.SECOND_MS).to_bytes(_WHEN_BYTES)


async def append(
    tr: Transaction,
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    after: ItemRecord | None,
    at_ms: int,
) -> bool:
    """Keep what lay at a key before a write, if the write changes it; return whether it does.

    What is kept refers to the body of a large item, in the place of the item itself.
    """
    if before == after:
        return False
    mark = mark_of(tr, table, at_ms)
    if not await tr.range(mark, after_prefix(mark), limit=1):
        tr.append(mark, encode(MarkRecord(at_ms=at_ms)))
    old = NO_VALUE if before is None else msgspec.Raw(encode(bodies.closed(before)))
    place = history_prefix(tr, table) + history.packed_place(key.place)
    tr.append(place, encode(HistoryRecord(at_ms=at_ms, before=old)))
    return True


# Who reads a history, and so whether it is kept.


async def keep(tr: Transaction, table: TableRecord, now_ms: int) -> TableRecord:
    """Return a table whose history is kept from now on, if it was not before; it is written."""
    if table.history_ms:
        return table
    kept = msgspec.structs.replace(table, history_ms=now_ms)
    while await _has_history(tr, kept):
        kept = msgspec.structs.replace(kept, history_ms=kept.history_ms + 1)
    tables.put_table(tr, kept)
    part = str(kept.history_ms)
    tables.queue(tr, KEPT_HISTORIES, kept, now_ms + TRIM_FIRST_MS, part=part)
    return kept


async def _has_history(tr: Transaction, table: TableRecord) -> bool:
    """Return whether something lies where the history of a table is to begin."""
    prefix = marks_prefix(tr, table)
    return bool(await tr.range(prefix, after_prefix(prefix), limit=1))


async def settle(tr: Transaction, table: TableRecord, now_ms: int) -> TableRecord:
    """Return a table whose history is kept no longer if nobody needs it; it is written then.

    Args:
        tr: The transaction, which has written or removed what needed it.
        table: The table as it is now.
        now_ms: The time.
    """
    if not table.history_ms or history.recoveries_of(table) or await has_cuts(tr, table.id):
        return table
    part = f"{table.history_ms}/off"
    tables.queue(tr, KEPT_HISTORIES, table, now_ms, part=part)
    table = msgspec.structs.replace(table, history_ms=0)
    tables.put_table(tr, table)
    return table


async def has_cuts(tr: Transaction, table_id: str) -> bool:
    """Return whether somebody reads a moment of a table; of a cut of this transaction it knows nothing."""
    return await oldest_moment(tr, table_id) is not None


async def count_cuts(tr: Transaction, table_id: str, limit: int) -> int:
    """Return how many moments of a table are read, ``limit`` if there are more."""
    prefix = rows.prefix_of(tr, CUTS, table_id)
    return len(await tr.range(prefix, after_prefix(prefix), limit=limit))


async def oldest_moment(tr: Transaction, table_id: str) -> Moment | None:
    """Return the first of the moments of a table that are read, or None if none is."""
    prefix = rows.prefix_of(tr, CUTS, table_id)
    found = await tr.range(prefix, after_prefix(prefix), limit=CUTS_MAX)
    return min((key[-STAMP_BYTES:] for key, _ in found), default=None)


def _cut_prefix(tr: Transaction, table_id: str, name: str) -> bytes:
    return rows.prefix_of(tr, CUTS, table_id) + pack(name)


async def take_cut(
    tr: Transaction, table: TableRecord, name: str, now_ms: int, *, second: int | None = None
) -> TableRecord:
    """Keep a moment of a table to be read, its history with it; return the table, which is written.

    Args:
        tr: The transaction; what it writes itself is not in the cut.
        table: The table, as this transaction read it.
        name: Of the cut, which the table has not got yet.
        now_ms: The time.
        second: The cut is of the end of this second (since the Unix epoch); None, or a second that is
            not over: it is of what the transaction finds.
    """
    assert await count_cuts(tr, table.id, CUTS_MAX) < CUTS_MAX, (
        "whoever takes cuts has a limit below"
    )
    table = await keep(tr, table, now_ms)
    at, cut = _cut_prefix(tr, table.id, name), encode(CutRecord(at_ms=now_ms))
    moment = None if second is None else await _end_of(tr, table, second)
    if moment is None:
        tr.append(at, cut)
    else:
        tr.put(at + moment, cut)
    return table


async def _end_of(tr: Transaction, table: TableRecord, second: int) -> Moment | None:
    """Return where the first second behind one begins in which a table was written; None: nowhere."""
    begin = mark_of(tr, table, (second + 1) * history.SECOND_MS)
    found = await tr.range(begin, after_prefix(marks_prefix(tr, table)), limit=1)
    return history.commit_of(found[0][0][-STAMP_BYTES:]) if found else None


async def require_cut(tr: Transaction, table: TableRecord, name: str) -> Moment:
    """Return the moment of a cut that was taken in an earlier transaction and not released."""
    prefix = _cut_prefix(tr, table.id, name)
    found = await tr.range(prefix, after_prefix(prefix), limit=1)
    assert found, f"the cut {name} is there until it is released"
    return found[0][0][-STAMP_BYTES:]


async def release_cut(tr: Transaction, table: TableRecord, name: str, now_ms: int) -> None:
    """Let a moment of a table go, and its history if nobody else needs it; harmless to repeat.

    Args:
        tr: The transaction.
        table: The table as ``take_cut`` returned it; it may be gone by now.
        name: Of the cut.
        now_ms: The time.
    """
    prefix = _cut_prefix(tr, table.id, name)
    found = await tr.range(prefix, after_prefix(prefix), limit=1)
    if not found:
        return
    tr.delete(found[0][0])
    standing = await TABLES.find(tr, table.name)
    if standing is not None and standing.id == table.id:
        await settle(tr, standing, now_ms)
    elif not await has_cuts(tr, table.id):
        tables.queue_removal(tr, table, now_ms)


# Tables as of a moment.


async def _image(tr: Transaction, row: Row) -> ItemRecord | None:
    """Return what lay at the place of a row of the history before its write."""
    before = HISTORY.decode(row[1]).before
    return None if before == NO_VALUE else await bodies.opened(tr, ITEMS.decode(bytes(before)))


async def _list_first(
    tr: Transaction, table: TableRecord, moment: Moment, keys: KeyRange, limit: int
) -> tuple[list[tuple[bytes, Row]], bytes | None]:
    """Return the first row behind a moment of each of the next places that have one, in order.

    Returns:
        Places and rows; and, if the history of more than ``limit`` places was to be looked into,
        the first place that was not reached.
    """
    prefix = history_prefix(tr, table)
    begin = prefix + history.packed_edge(table, keys.begin)
    end = after_prefix(prefix)
    if keys.end is not None:
        end = prefix + history.packed_edge(table, keys.end)
    rows_found: list[tuple[bytes, Row]] = []
    place = keys.begin
    for _ in range(limit):
        found = await tr.range(begin, end, limit=1)
        if not found:
            return rows_found, None
        packed = found[0][0][:-STAMP_BYTES]
        begin = after_prefix(packed)
        place = history.place_in(packed[len(prefix) :])
        if found[0][0][-STAMP_BYTES:] < moment:
            found = await tr.range(packed + moment, begin, limit=1)
        rows_found += [(place, row) for row in found]
    return rows_found, place + b"\0"


async def list_items_as_of(
    tr: Transaction,
    table: TableRecord,
    moment: Moment,
    keys: KeyRange = EVERYTHING,
    *,
    limit: int,
) -> Piece:
    """Return the next items of a range as they were at a moment.

    Args:
        tr: The transaction; each piece may have its own.
        table: The table as ``take_cut`` returned it.
        moment: Of a cut of the table that was not released.
        keys: The range; where it was read in part, what is left of it.
        limit: How many items that are there now are read at most, and into how many places of the
            history is looked: twice as many records, each of up to 480 KiB.

    Raises:
        Corrupt: An item in the range of one partition key is of another.
    """
    now = await rows.list_items(tr, table, keys, limit=limit)
    reach = now[-1][0] + b"\0" if len(now) == limit else None
    looked = keys if reach is None else keys._replace(end=reach)
    changed, left = await _list_first(tr, table, moment, looked, limit)
    reach = left or reach
    items: dict[bytes, ItemRecord | None] = dict(now)
    items |= {place: await _image(tr, row) for place, row in changed}
    found = sorted(
        (place, record)
        for place, record in items.items()
        if record is not None and (reach is None or place < reach)
    )
    return Piece(found, None if reach is None else keys._replace(begin=reach))


async def list_changes_between(
    tr: Transaction,
    table: TableRecord,
    window: tuple[Moment, Moment],
    keys: KeyRange = EVERYTHING,
    *,
    limit: int,
) -> Changes:
    """Return what became of the next items of a range that were written between two moments.

    Args:
        tr: The transaction; each piece may have its own.
        table: The table as ``take_cut`` returned it.
        window: The moments, each of a cut of the table that was not released, the first before the
            second.
        keys: The range; where it was read in part, what is left of it.
        limit: Into how many places of the history is looked at most: up to three records of each.
    """
    after, until = window
    found, left = await _list_first(tr, table, after, keys, limit)
    changes = [
        await _change_from(tr, table, place, row, until)
        for place, row in found
        if row[0][-STAMP_BYTES:] < until
    ]
    return Changes(changes, None if left is None else keys._replace(begin=left))


async def _change_from(
    tr: Transaction, table: TableRecord, place: bytes, row: Row, until: Moment
) -> Change:
    """Return what became of the item at a place from the write of a row on, up to a moment."""
    packed = row[0][:-STAMP_BYTES]
    [last] = await tr.range(row[0], packed + until, limit=1, reverse=True)
    behind = await tr.range(packed + until, after_prefix(packed), limit=1)
    after = await _image(tr, behind[0]) if behind else await rows.find_at(tr, table, place)
    return Change(place, await _image(tr, row), after, HISTORY.decode(last[1]).at_ms)
