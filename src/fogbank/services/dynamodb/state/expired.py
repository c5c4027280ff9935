"""Items whose time has come: deleted if it still has, each in the transaction that finds it so."""

from __future__ import annotations

from collections.abc import Sequence

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb.rules import items, ttl
from fogbank.services.dynamodb.schema import TABLES, ExpiryRecord
from fogbank.services.dynamodb.state import encryption, expiries, rows, writing
from fogbank.services.dynamodb.state.entries import Limit


async def delete_expired(
    tr: Transaction, entries: Sequence[ExpiryRecord], clock: Clock, limit: Limit
) -> int:
    """Delete the items of some entries that have expired by now, and the entries themselves.

    An entry whose table, attribute or item is another by now is removed and nothing else; so is that
    of an item whose key is not to be had.

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
        try:
            table = encryption.served(tr, table)
        except Unavailable:
            # When its key comes back a walk gives its items their entries again (``jobs/keys``).
            encryption.put_inaccessible(tr, table, clock.now_ms())
            continue
        record = await rows.find_at(tr, table, entry.place)
        if record is None:
            continue
        size += record.size
        expiry_s = ttl.expiry_of(table, entry.attribute, record)
        if expiry_s == entry.expiry_s and ttl.has_expired(entry.expiry_s, now_s):
            key = items.key_of_record(table, entry.place, record)
            await writing.write_item(
                tr, table, key, record, None, clock=clock, limit=limit, by=ttl.SERVICE_PRINCIPAL
            )
    return len(entries)
