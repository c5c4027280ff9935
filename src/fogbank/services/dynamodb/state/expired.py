"""Items whose time has come: deleted if it still has, each in the transaction that finds it so."""

from __future__ import annotations

from collections.abc import Sequence

from fogbank.base.clock import Clock
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.rules import ttl
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, ItemKey
from fogbank.services.dynamodb.schema import TABLES, ExpiryRecord, ItemRecord
from fogbank.services.dynamodb.state import expiries, rows, writing
from fogbank.services.dynamodb.state.entries import Limit


async def delete_expired(
    tr: Transaction, entries: Sequence[ExpiryRecord], clock: Clock, limit: Limit
) -> int:
    """Delete the items of some entries that have expired by now, and the entries themselves.

    An entry whose table, attribute or item is another by now is removed and nothing else.

    Returns:
        How many entries were seen to: fewer than there are if their items are large.
    """
    size, now_s = 0, clock.now_ms() // 1_000
    for done, entry in enumerate(entries):
        if size > expiries.STEP_BYTES:
            return done
        expiries.remove(tr, entry)
        table = await TABLES.find(tr, entry.table)
        if table is None or (table.id, table.ttl_attribute) != (entry.table_id, entry.attribute):
            continue
        record = await rows.find_at(tr, table, entry.place)
        if record is None:
            continue
        size += record.size
        expiry_s = ttl.expiry_of(table, entry.attribute, record)
        if expiry_s == entry.expiry_s and ttl.has_expired(entry.expiry_s, now_s):
            key = _key_of(entry, record)
            await writing.write_item(
                tr, table, key, record, None, clock=clock, limit=limit, by=ttl.SERVICE_PRINCIPAL
            )
    return len(entries)


def _key_of(entry: ExpiryRecord, record: ItemRecord) -> ItemKey:
    """Return the key of the item at an entry's place."""
    return ItemKey(record.partition, entry.place[:DIGEST_BYTES], entry.place[DIGEST_BYTES:])
