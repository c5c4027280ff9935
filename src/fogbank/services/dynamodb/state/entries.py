"""Where the entries of indexes lie, and what changes there with an item.

Keys are put together from parts of fixed length, as those of items are (``schema``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fogbank.base.errors import Corrupt
from fogbank.contract.quota import Quota
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import ItemCollectionSizeLimitExceededException
from fogbank.services.dynamodb.rules import indexes, items, sizes
from fogbank.services.dynamodb.rules.capacity import Followed, IndexUnits
from fogbank.services.dynamodb.rules.indexes import Entry, IndexRow
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.pages import Step
from fogbank.services.dynamodb.rules.vectors import Packed
from fogbank.services.dynamodb.schema import (
    COLLECTIONS,
    ENTRIES,
    ITEMS,
    VECTORS,
    CollectionRecord,
    EntryRecord,
    IndexRecord,
    ItemRecord,
    TableRecord,
)
from fogbank.services.dynamodb.state import bodies, rows

Limit: TypeAlias = Callable[[Quota], int]
"""What the value of a quota is; asked only where one may be passed."""


def index_prefix(tr: Transaction, table: TableRecord, index: IndexRecord) -> bytes:
    """Return what the keys of an index's entries begin with."""
    kind = ENTRIES if index.vector is None else VECTORS
    number = index.number.to_bytes(indexes.NUMBER_BYTES)
    return rows.prefix_of(tr, kind, table.id) + number


async def follow(
    tr: Transaction,
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    after: ItemRecord | None,
    limit: Limit,
) -> Followed:
    """Bring the entries of an item, and the size of its collection, to what it is now.

    Raises:
        ItemCollectionSizeLimitExceededException: The collection would grow too large.
    """
    old, new = items.found_item(table, before), items.found_item(table, after)
    old_vectors: Packed = {}
    new_vectors: Packed = {}
    units = IndexUnits({}, {}, {})
    growth = items.found_size(after) - items.found_size(before)
    for index in indexes.kept_indexes(table):
        was = indexes.entry_of(table, index, key, old, old_vectors)
        will = indexes.entry_of(table, index, key, new, new_vectors)
        _change(tr, table, index, key, was, will)
        if index.vector is not None:
            named, consumed = units.vectors, _vector_bytes_of(was, will)
        else:
            named = units.local if index.is_local else units.overall
            consumed = _units_of(was, will)
        if consumed:
            named[index.name] = consumed
        if index.is_local:
            growth += (will.size if will else 0) - (was.size if was else 0)
    if not indexes.has_collections(table):
        return Followed(units)
    place = rows.prefix_of(tr, COLLECTIONS, table.id) + key.digest
    size = await _grow(tr, place, growth)
    if growth > 0 and size > limit(quotas.COLLECTION_BYTES):
        raise ItemCollectionSizeLimitExceededException("Collection size exceeded.")
    return Followed(units, size)


def _change(
    tr: Transaction,
    table: TableRecord,
    index: IndexRecord,
    key: ItemKey,
    was: Entry | None,
    will: Entry | None,
) -> None:
    """Put the entry that an item has now in place of the one that it had."""
    prefix = index_prefix(tr, table, index)
    if was is not None and (will is None or was.place != will.place):
        tr.delete(prefix + was.place)
    if will is None:
        return
    record = indexes.record_of(will, key.place)
    if was is None or was.place != will.place or indexes.record_of(was, key.place) != record:
        if table.sse is not None:
            record = indexes.kept_record(table, will, key.place)
        tr.put(prefix + will.place, record)


def _units_of(was: Entry | None, will: Entry | None) -> float:
    """Return what a change of an entry consumes.

    AWS: an entry that moves is written twice, one that shows what it did is not written (Developer
    Guide, "Write capacity units" of global secondary indexes).
    """
    if was is None or will is None:
        entry = was or will
        return 0.0 if entry is None else sizes.write_units(entry.size)
    if was.place != will.place:
        return sizes.write_units(was.size) + sizes.write_units(will.size)
    return 0.0 if was.shown == will.shown else sizes.write_units(was.size, will.size)


def _vector_bytes_of(was: Entry | None, will: Entry | None) -> float:
    """Return what a change of an entry of a vector index consumes, in bytes.

    AWS: what the entry has, at least 1 KB; nothing if the index keeps what it did (measured,
    nubo-db/dynamodb-conformance, tests/tier2/vectorSearch/consumedCapacity.test.ts, and dynoxide).
    """
    if was is not None and will is not None and was == will:
        return 0.0
    size = max((entry.size for entry in (was, will) if entry is not None), default=0)
    return float(max(size, quotas.VECTOR_WRITE_BYTES_MIN)) if size else 0.0


async def _grow(tr: Transaction, place: bytes, growth: int) -> int:
    """Count what the collection at a place gained or lost; return its size."""
    raw = await tr.get(place)
    size = growth + (0 if raw is None else COLLECTIONS.decode(raw).size)
    assert size >= 0, "a collection is counted as its items come and go"
    if size == 0:
        tr.delete(place)
    elif growth:
        tr.put(place, encode(CollectionRecord(size=size)))
    return size


async def list_entries(
    tr: Transaction, table: TableRecord, index: IndexRecord, step: Step
) -> list[tuple[bytes, IndexRow]]:
    """Return the entries of a step in order: where within the index, and what.

    Raises:
        Corrupt: An entry refers to an item that is not there.
    """
    keys = step.keys
    prefix = index_prefix(tr, table, index)
    end = after_prefix(prefix) if keys.end is None else prefix + keys.end
    raw = await tr.range(prefix + keys.begin, end, limit=step.limit, reverse=not step.forward)
    skip = len(prefix)
    entries = [(key[skip:], ENTRIES.decode(value)) for key, value in raw]
    if table.sse is not None:
        entries = [(place, indexes.opened_entry(table, entry)) for place, entry in entries]
    wanted = [entry for _, entry in entries if step.fetches or entry.place]
    found = await _find_items(tr, table, wanted) if wanted else {}
    return [
        (place, indexes.row_of(table, index, entry, found.get(id(entry))))
        for place, entry in entries
    ]


async def _find_items(
    tr: Transaction, table: TableRecord, entries: list[EntryRecord]
) -> dict[int, ItemRecord]:
    """Return the items of entries by the identity of each."""
    prefix = rows.prefix_of(tr, ITEMS, table.id)
    places = [prefix + indexes.place_in_table(table, entry) for entry in entries]
    found = await tr.get_many(places)
    if len(found) < len(set(places)):
        raise Corrupt("an entry of an index refers to an item that is not there")
    return {
        id(entry): await bodies.opened(tr, ITEMS.decode(found[place]))
        for entry, place in zip(entries, places, strict=True)
    }


def put_entry(
    tr: Transaction, table: TableRecord, index: IndexRecord, place: bytes, entry: Entry
) -> None:
    """Write the entry of the item at a place of the table."""
    tr.put(index_prefix(tr, table, index) + entry.place, indexes.kept_record(table, entry, place))


async def remove_entries(
    tr: Transaction, table: TableRecord, index: IndexRecord, limit: int
) -> int:
    """Remove up to ``limit`` entries of an index; return how many."""
    prefix = index_prefix(tr, table, index)
    found = await tr.range(prefix, after_prefix(prefix), limit=limit)
    for key, _ in found:
        tr.delete(key)
    return len(found)
