"""Items by the second in which they expire, in a system subspace: of all tables that a store has.

An entry is written and removed with its item (``writing``). Entries of items that were there
before their table had a time to live are written by a walk over them, which also removes those of
a table that has none any more (``jobs``). An entry promises nothing: whether its item has expired
is decided anew when its second has come (``expired``), and an entry of nothing is removed then.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.keyspace import (
    EXPIRIES,
    PARTITIONS,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.dynamodb.rules import ttl
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import (
    TABLES,
    WALKS,
    ExpiryRecord,
    ItemRecord,
    TableRecord,
    WalkRecord,
)
from fogbank.services.dynamodb.state import encryption, rows

WALKED_TABLES: Final = "dynamodb.walked_tables"
"""The work list of tables whose time to live was changed, each with its attribute."""

STEP_BYTES: Final = 256 << 10
"""Items that are looked into in one step, but for one."""

_decode: Final = RecordDecoder(ExpiryRecord).decode


def follow(
    tr: Transaction,
    table: TableRecord,
    place: bytes,
    before: ItemRecord | None,
    after: ItemRecord | None,
) -> None:
    """Move the entry of an item of a table with a time to live as the item changes.

    Args:
        tr: The transaction that changes it.
        table: The table.
        place: Where within it the item lies.
        before: The item, or None.
        after: The item as it will be, or None.
    """
    old = ttl.expiry_of(table, table.ttl_attribute, before)
    new = ttl.expiry_of(table, table.ttl_attribute, after)
    if old == new:
        return
    if old is not None:
        remove(tr, _entry(tr, table, table.ttl_attribute, place, old))
    if new is not None:
        _put(tr, _entry(tr, table, table.ttl_attribute, place, new))


def _entry(
    tr: Transaction, table: TableRecord, attribute: str, place: bytes, expiry_s: int
) -> ExpiryRecord:
    """Return the entry of an item that expires at a second."""
    return ExpiryRecord(
        domain=tr.domain.name,
        table=table.name,
        table_id=table.id,
        attribute=attribute,
        place=place,
        expiry_s=expiry_s,
    )


def _put(tr: Transaction, entry: ExpiryRecord) -> None:
    """Write an entry."""
    tr.put(key_of(tr.domain, entry), encode(entry))


def remove(tr: Transaction, entry: ExpiryRecord) -> None:
    """Remove an entry; it is no error if there is none."""
    tr.delete(key_of(tr.domain, entry))


def key_of(domain: Domain, entry: ExpiryRecord) -> bytes:
    """Return where an entry lies; the digest is of all that names it beside its second."""
    named = tuples.pack(domain.prefix, entry.table_id, entry.attribute, entry.place)
    return (
        system_prefix(EXPIRIES, partition_of(domain))
        + tuples.pack(entry.expiry_s)
        + blake2b(named, digest_size=DIGEST_BYTES).digest()
    )


async def list_due(store: Store, partition: int, now_s: int, limit: int) -> list[ExpiryRecord]:
    """Return up to ``limit`` entries of a partition whose second has come, the oldest first."""
    prefix = system_prefix(EXPIRIES, partition)

    async def body(tr: Transaction) -> list[ExpiryRecord]:
        found = await tr.range(prefix, prefix + tuples.pack(now_s + 1), limit=limit)
        return [_decode(value) for _, value in found]

    return await store.read(body)


async def find_next_s(store: Store) -> int | None:
    """Return the second of the first entry of a store, or None if it has none."""

    async def body(tr: Transaction) -> list[int]:
        found: list[int] = []
        for partition in range(PARTITIONS):
            prefix = system_prefix(EXPIRIES, partition)
            rows_found = await tr.range(prefix, tuples.after_prefix(prefix), limit=1)
            found += [_decode(value).expiry_s for _, value in rows_found]
        return found

    return min(await store.read(body), default=None)


async def forget(tr: Transaction, table: TableRecord, limit: int) -> None:
    """Remove the entries of the first ``limit`` items of a table that was dropped."""
    for place, record in await rows.list_items(tr, table, KeyRange(), limit=limit):
        follow(tr, table, place, record, None)


# The walk over a table whose time to live was changed.


def queue_walk(tr: Transaction, table: TableRecord, attribute: str, walk: str, now_ms: int) -> None:
    """Have the entries of a table and an attribute written or removed, as the table is by then.

    Args:
        tr: The transaction that changes the table.
        table: The table.
        attribute: What its items expire by, or did.
        walk: A new id.
        now_ms: The time.
    """
    worklist.put(
        tr,
        WorkEntry(
            list=WALKED_TABLES,
            id=walk,
            domain=tr.domain.name,
            payload=encode(WalkRecord(table=table.name, table_id=table.id, attribute=attribute)),
            created_ms=now_ms,
            visible_ms=now_ms,
        ),
    )


async def walk_on(tr: Transaction, entry: WorkEntry, limit: int) -> bool:
    """Bring the entries of the next items of a table in line with it; return whether all are.

    How far it has got is kept with them: a walk that a crash cuts short goes on there.
    """
    walk = await WALKS.find(tr, entry.id) or WALKS.decode(entry.payload)
    table = await TABLES.find(tr, walk.table)
    if table is None or table.id != walk.table_id:
        WALKS.delete(tr, entry.id)
        return True
    table = encryption.served(tr, table)
    found = await rows.list_items(tr, table, KeyRange(walk.next_place), limit=limit)
    left, last = STEP_BYTES, b""
    for place, record in found:
        if left < 0:
            break
        left, last = left - record.size, place
        expiry_s = ttl.expiry_of(table, walk.attribute, record)
        if expiry_s is None:
            continue
        item_entry = _entry(tr, table, walk.attribute, place, expiry_s)
        if table.ttl_attribute == walk.attribute:
            _put(tr, item_entry)
        else:
            remove(tr, item_entry)
    else:
        if len(found) < limit:
            WALKS.delete(tr, entry.id)
            return True
    WALKS.put(tr, msgspec.structs.replace(walk, next_place=last + b"\0"), entry.id)
    return False
