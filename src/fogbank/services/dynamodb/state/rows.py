"""Where the items of a table lie; keys are put together from parts of fixed length (``schema``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from fogbank.base.errors import Corrupt
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.records import Table
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import items
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import (
    BACKUP_ITEMS,
    COLLECTIONS,
    CUTS,
    ENTRIES,
    HISTORY,
    ITEMS,
    MARKS,
    VECTORS,
    ItemRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.replicas import REPLICATION, TOMBSTONES, VERSIONS
from fogbank.services.dynamodb.state import bodies

_PREFIXES_REMEMBERED_MAX: Final = 4_096
_VERSIONS: Final = (VERSIONS, REPLICATION, TOMBSTONES)
"""What lies there while the table is a replica."""
_KINDS: Final = (
    ITEMS,
    ENTRIES,
    COLLECTIONS,
    VECTORS,
    HISTORY,
    MARKS,
    CUTS,
    BACKUP_ITEMS,
    *_VERSIONS,
)
"""Everything that lies under the id of a table or of a backup's rows, and goes with it."""


def prefix_of(tr: Transaction, kind: Table[Any], table_id: str) -> bytes:
    """Return what the keys of a kind of rows of a table begin with."""
    return _prefix_of(tr.domain.prefix, kind.subspace, table_id)


def log_prefix(domain: Domain, table_id: str) -> bytes:
    """Return what the keys of the log of a replica begin with."""
    return _prefix_of(domain.prefix, REPLICATION.subspace, table_id)


@lru_cache(maxsize=_PREFIXES_REMEMBERED_MAX)
def _prefix_of(domain_prefix: bytes, subspace: bytes, table_id: str) -> bytes:
    """Return the same; the 16 bytes of a table's id end it."""
    return domain_prefix + subspace + bytes.fromhex(table_id.replace("-", ""))


def place_of(tr: Transaction, table: TableRecord, key: ItemKey) -> bytes:
    """Return where an item lies."""
    place = _prefix_of(tr.domain.prefix, ITEMS.subspace, table.id) + key.digest
    return place + key.sort if key.sort else place


async def find_item(tr: Transaction, table: TableRecord, key: ItemKey) -> ItemRecord | None:
    """Return the record of the item with a key, or None."""
    raw = await tr.get(place_of(tr, table, key))
    if raw is None:
        return None
    record = ITEMS.decode(raw)
    require_partition(table, record, key.partition)
    return record if record.body is None else await bodies.opened(tr, record)


async def find_whole(tr: Transaction, table: TableRecord, key: ItemKey) -> ItemRecord | None:
    """Return the record of the item with a key, to be shown, or None.

    Raises:
        Unheld: Its attributes lie in a blob that the transaction does not hold.
    """
    record = await find_item(tr, table, key)
    if record is not None and record.body is not None:
        bodies.require_open(record)
    return record


async def find_at(tr: Transaction, table: TableRecord, place: bytes) -> ItemRecord | None:
    """Return the record of the item that lies at a place within a table, or None."""
    raw = await tr.get(prefix_of(tr, ITEMS, table.id) + place)
    return None if raw is None else await bodies.opened(tr, ITEMS.decode(raw))


def require_partition(table: TableRecord, record: ItemRecord, partition: bytes) -> None:
    """Refuse to take an item for one of another partition key."""
    if record.partition != partition and not items.is_of(table, record, partition):
        raise Corrupt("an item lies under the digest of another partition key")


async def list_items(
    tr: Transaction, table: TableRecord, keys: KeyRange, *, limit: int, forward: bool = True
) -> list[tuple[bytes, ItemRecord]]:
    """Return up to ``limit`` items of a range in order: where within the table, and what.

    Raises:
        Corrupt: An item in the range of one partition key is of another.
    """
    prefix = prefix_of(tr, ITEMS, table.id)
    end = after_prefix(prefix) if keys.end is None else prefix + keys.end
    rows = await tr.range(prefix + keys.begin, end, limit=limit, reverse=not forward)
    skip = len(prefix)
    found = [(key[skip:], ITEMS.decode(value)) for key, value in rows]
    if any(record.body is not None for _, record in found):
        found = [(place, await bodies.opened(tr, record)) for place, record in found]
    if keys.partition is not None:
        for _, record in found:
            require_partition(table, record, keys.partition)
    return found


async def remove_rows(tr: Transaction, table_id: str, limit: int) -> int:
    """Remove up to ``limit`` rows of a dropped table or backup; return how many."""
    return await _remove_kinds(tr, table_id, _KINDS, limit)


async def remove_versions(tr: Transaction, table_id: str, limit: int) -> int:
    """Remove up to ``limit`` rows that a table had as a replica; return how many."""
    return await _remove_kinds(tr, table_id, _VERSIONS, limit)


async def _remove_kinds(
    tr: Transaction, table_id: str, kinds: Sequence[Table[Any]], limit: int
) -> int:
    """Remove up to ``limit`` rows of some kinds; return how many."""
    removed = 0
    for kind in kinds:
        if removed == limit:
            break
        prefix = prefix_of(tr, kind, table_id)
        found = await tr.range(prefix, after_prefix(prefix), limit=limit - removed)
        for key, value in found:
            tr.delete(key)
            await bodies.release_of(tr, kind, value)
        removed += len(found)
    return removed
