"""The versions of the items of a replica, and the log of what was written in its region.

A write of an item puts its version beside it and, if it was made here, a row into the log, all in the
item's own transaction; what has come from another replica brings its version, and is not told of
again: each region brings its own writes to every other, so that nothing goes round. The version of an
item that is gone is kept as long as an older write of it may still come (``state/tombstones``).
"""

from __future__ import annotations

from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.rules import ttl, versions
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.replicas import (
    REPLICATION,
    TOMBSTONES,
    VERSIONS,
    ReplicationRecord,
    TombstoneRecord,
    VersionRecord,
)
from fogbank.services.dynamodb.state import rows


async def find_version(tr: Transaction, table: TableRecord, place: bytes) -> VersionRecord | None:
    """Return the version of the item at a place; None if it has none."""
    raw = await tr.get(rows.prefix_of(tr, VERSIONS, table.id) + place)
    return None if raw is None else VERSIONS.decode(raw)


async def follow(  # noqa: PLR0913 (a write has these parts)
    tr: Transaction,
    table: TableRecord,
    key: ItemKey,
    after: ItemRecord | None,
    *,
    now_ms: int,
    by: str,
    version: VersionRecord | None,
) -> None:
    """Keep the version of an item of a replica as the item is written.

    Args:
        tr: The transaction that writes it.
        table: The replica.
        key: The key of the item.
        after: The item as it will be, or None.
        now_ms: The time.
        by: The service that writes by itself; empty for a client's write.
        version: The write's, if it was made in another region.
    """
    if version is None:
        known = await find_version(tr, table, key.place)
        is_expired = by == ttl.SERVICE_PRINCIPAL
        at = versions.expired_at(known) if is_expired else versions.next_at(known, now_ms)
        version = VersionRecord(at=at, region=tr.domain.name[-1])
        row = ReplicationRecord(place=key.place, partition=key.partition, at_ms=now_ms)
        tr.append(rows.prefix_of(tr, REPLICATION, table.id), encode(row))
    elif version.at == 0:
        return
    gone = b"" if after is not None else key.partition
    kept = VersionRecord(at=version.at, region=version.region, partition=gone)
    tr.put(rows.prefix_of(tr, VERSIONS, table.id) + key.place, encode(kept))
    if gone:
        tombstone = TombstoneRecord(
            place=key.place, at=version.at, region=version.region, at_ms=now_ms
        )
        tr.append(rows.prefix_of(tr, TOMBSTONES, table.id), encode(tombstone))
