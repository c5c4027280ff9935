"""Several tables as they were at one moment, for whoever reads all of them: the reader of SQL.

Rule: one transaction takes the cuts of all tables, so that what is read of them later, in pieces and
beside their writes, is of one moment. The cuts go when the reader is done; a work entry lets them go
if it died, ``READ_MS`` after they were taken, by when nobody reads them any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt
from fogbank.platform.blobs.port import BlobReader
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.errors import LimitExceededException, ResourceNotFoundException
from fogbank.services.dynamodb.rules import items, strong
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ACTIVE, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.state import bodies, history, tables
from fogbank.services.dynamodb.state.history import EVERYTHING, Piece

READ_CUTS: Final = "dynamodb.read_cuts"
"""The work list of cuts that are let go at the latest when they are due."""
READ_MS: Final = 3_600_000
"""How long a moment may be read."""
READERS_MAX: Final = 100
"""Moments of one table that are kept at once for readers of SQL, dead ones among them."""
ITEMS_PER_PIECE: Final = 16


async def take(
    tr: Transaction, names: Sequence[str], reader: str, now_ms: int
) -> list[TableRecord]:
    """Keep the present moment of some tables to be read; return them, in order.

    Args:
        tr: The transaction.
        names: Of the tables, each once.
        reader: An id that no other reader has.
        now_ms: The time.

    Raises:
        LimitExceededException: Too many moments of a table are kept already.
        ResourceNotFoundException: There is no such table.
    """
    found: list[TableRecord] = []
    for name in names:
        table = await TABLES.find(tr, name)
        if table is None or table.status != ACTIVE:
            raise ResourceNotFoundException(
                f"Requested resource not found: Table: {name} not found"
            )
        strong.require_home(table, tr.domain.name[-1])
        if await history.count_cuts(tr, table.id, READERS_MAX) == READERS_MAX:
            raise LimitExceededException(f"Too many readers of the table {name}")
        table = await history.take_cut(tr, table, _cut_of(reader), now_ms)
        tables.queue(tr, READ_CUTS, table, now_ms + READ_MS, part=reader, payload=encode(table))
        found.append(table)
    return found


def _cut_of(reader: str) -> str:
    return f"sql/{reader}"


def reader_of(entry_id: str) -> str:
    """Return the reader whose cut a work entry of the list is about."""
    return entry_id.partition("/")[2]


async def release(tr: Transaction, table: TableRecord, reader: str, now_ms: int) -> None:
    """Let the moment of a table go that a reader has kept; harmless to repeat."""
    await history.release_cut(tr, table, _cut_of(reader), now_ms)


async def read(
    store: Store, blobs: BlobReader, table: TableRecord, reader: str, clock: Clock
) -> AsyncGenerator[tuple[Item, int]]:
    """Yield every item of a table, opened, with its size in bytes, as of the moment that a reader keeps.

    It gives way between.

    Raises:
        LimitExceededException: It has been read for too long.
        Corrupt: A row is damaged, or a body that it refers to.
    """
    rest: KeyRange | None = EVERYTHING
    until_ms, missing = clock.now_ms() + READ_MS // 2, b""
    while rest is not None:
        if clock.now_ms() >= until_ms:
            raise LimitExceededException("The tables were read for too long")

        async def body(tr: Transaction, keys: KeyRange = rest) -> Piece:
            moment = await history.require_cut(tr, table, _cut_of(reader))
            return await history.list_items_as_of(tr, table, moment, keys, limit=ITEMS_PER_PIECE)

        piece = await store.read(body)
        rest = piece.rest
        for place, record in piece.items:
            try:
                whole = record if bodies.is_open(record) else await _fetched(blobs, record)
            except Corrupt:
                # The item was written since its row was read: by now its history has what it was.
                if place == missing:
                    raise
                missing, rest = place, EVERYTHING._replace(begin=place)
                break
            yield items.item_of(table, whole), record.size
        await asyncio.sleep(0)  # noqa: TID251 (no time passes; the loop turns)


async def _fetched(blobs: BlobReader, record: ItemRecord) -> ItemRecord:
    """Return a record whose attributes lie in a blob, with them."""
    found = await bodies.fetched_row(blobs, record)
    assert isinstance(found, ItemRecord), "what is fetched is what it was"
    return found
