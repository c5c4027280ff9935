"""Searches of vectors, read piece by piece: no step holds the loop, and none of its rows stay.

Entries that change between two pieces are seen before or after the change, each whole, as items of a
page are; an item that an entry refers to is shown as it is when the search has ended.
"""

from __future__ import annotations

from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import indexes
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.searches import Hit, Nearest, Search
from fogbank.services.dynamodb.schema import VECTORS, ItemRecord, VectorRecord
from fogbank.services.dynamodb.state import bodies, entries, rows


async def find_nearest(call: Call, search: Search) -> Nearest:
    """Look at every entry that a search is about; return the nearest of them."""
    nearest, rest, limit = Nearest(search), search.keys, search.rows_next
    while not search.contradicts:
        found = await _read_step(call, search, rest, limit)
        nearest.add(found)
        if len(found) < limit:
            break
        rest = rest.behind(found[-1][0], forward=True)
        await call.give_way()
    return nearest


async def _read_step(
    call: Call, search: Search, keys: KeyRange, limit: int
) -> list[tuple[bytes, VectorRecord]]:
    """Return the next entries of a range, each with where it lies within the index."""

    async def body(tr: Transaction) -> list[tuple[bytes, VectorRecord]]:
        prefix = entries.index_prefix(tr, search.table, search.index)
        end = after_prefix(prefix) if keys.end is None else prefix + keys.end
        found = await tr.range(prefix + keys.begin, end, limit=limit)
        skip = len(prefix)
        return [
            (key[skip:], indexes.opened_vector(search.table, VECTORS.decode(value)))
            for key, value in found
        ]

    return await call.store.read(body)


async def find_base(call: Call, search: Search, hit: Hit) -> ItemRecord | None:
    """Return the item that an entry refers to; None: it is gone by now, or the entry has it all."""
    if not hit.record.place:
        return None

    async def body(tr: Transaction) -> ItemRecord | None:
        record = await rows.find_at(tr, search.table, hit.record.place)
        bodies.require_open(record)
        return record

    return await call.store.read(body)
