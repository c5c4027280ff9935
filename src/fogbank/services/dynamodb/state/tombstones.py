"""Versions of items that are gone, and when they may go too.

Rule: the version of a deletion is kept until every write that is older has arrived here, and until the
deletion has arrived in every other region: then nothing that can still come is older. How far each pair
has come is known in the domain of the one that brings; a pair whose last write has arrived has brought all
that was written until it was looked at.
"""

from __future__ import annotations

from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.schema import TABLES, TableRecord
from fogbank.services.dynamodb.schema.replicas import TOMBSTONES, VERSIONS, PairRecord
from fogbank.services.dynamodb.state import replication, rows


async def brought_until_ms(
    tr: Transaction, table: TableRecord, pair: PairRecord | None, now_ms: int
) -> int:
    """Return until when all that a replica wrote has been brought to another.

    Args:
        tr: A transaction of the domain of the one that brings.
        table: That one.
        pair: How far it has come; None: it has not begun.
        now_ms: The time before the transaction.
    """
    if pair is None or pair.copying:
        return 0
    oldest_ms = await replication.oldest_ms(tr, table, pair)
    return now_ms if oldest_ms is None else oldest_ms


async def find_brought_ms(tr: Transaction, name: str, group: str, region: str, now_ms: int) -> int:
    """Return until when all has been brought from this region to another; 0: nobody knows."""
    table = await TABLES.find(tr, name)
    if table is None or table.group != group:
        return 0
    pair = await replication.find_pair(tr, table, region)
    return await brought_until_ms(tr, table, pair, now_ms)


async def remove_passed(tr: Transaction, table: TableRecord, until_ms: int, limit: int) -> int:
    """Remove up to ``limit`` tombstones written before a time, with their versions; return how many.

    A version that belongs to a later write stays.
    """
    prefix = rows.prefix_of(tr, TOMBSTONES, table.id)
    versions = rows.prefix_of(tr, VERSIONS, table.id)
    removed = 0
    for key, raw in await tr.range(prefix, after_prefix(prefix), limit=limit):
        tombstone = TOMBSTONES.decode(raw)
        if tombstone.at_ms >= until_ms:
            break
        assert len(key) == len(prefix) + STAMP_BYTES, "a tombstone lies at its stamp"
        tr.delete(key)
        removed += 1
        known = await tr.get(versions + tombstone.place)
        version = None if known is None else VERSIONS.decode(known)
        if version is not None and (version.at, version.region) == (tombstone.at, tombstone.region):
            tr.delete(versions + tombstone.place)
    return removed
