"""The one way in which an item changes, and all that changes with it in the same transaction."""

from __future__ import annotations

from fogbank.base.clock import Clock
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.rules import items
from fogbank.services.dynamodb.rules.capacity import NOTHING, Followed
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.replicas import VersionRecord
from fogbank.services.dynamodb.state import (
    bodies,
    changes,
    entries,
    expiries,
    history,
    rows,
    versions,
)
from fogbank.services.dynamodb.state.entries import Limit


async def write_item(  # noqa: PLR0913 (a write has these parts)
    tr: Transaction,
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    after: ItemRecord | None,
    *,
    clock: Clock,
    limit: Limit,
    by: str = "",
    version: VersionRecord | None = None,
) -> Followed:
    """Replace what lies at a key; return what changed with it.

    Args:
        tr: The transaction that read ``before``.
        table: The table, as this transaction read it, opened if it is sealed (``encryption``).
        key: The key of both records.
        before: What lies there now, or None.
        after: What is to lie there, or None to remove what does.
        clock: Says when, to a stream and to the history.
        limit: The value of a quota.
        by: The service that writes by itself, such as ``dynamodb.amazonaws.com``; empty for a
            client's write.
        version: The write's, if it was made in another region and is brought here.

    Raises:
        ItemCollectionSizeLimitExceededException: The table has local indexes, and what it keeps of
            the partition key would grow too large.
        Unheld: A blob is to be read or written first.
    """
    after = after if table.sse is None else items.found_kept(table, key, after)
    if after is not None and after.body is not None:
        after = await bodies.placed(tr, table, after)
    if table.stream_view or table.strong is not None:
        await changes.tell(tr, table, key, before, after, at_ms=clock.now_ms(), by=by)
    released = None if before is None else before.body
    if table.history_ms and await history.append(tr, table, key, before, after, clock.now_ms()):
        released = None  # the history refers to it in the place of the item
    if table.ttl_attribute:
        expiries.follow(tr, table, key.place, before, after)
    if table.replicas:
        await versions.follow(tr, table, key, after, now_ms=clock.now_ms(), by=by, version=version)
    if after is not None:
        assert items.is_of(table, after, key.partition), "an item lies where its key says"
        tr.put(rows.place_of(tr, table, key), encode(bodies.closed(after)))
    elif before is not None:
        tr.delete(rows.place_of(tr, table, key))
    if released is not None:
        await bodies.release(tr, released)
    if not table.indexes:
        return NOTHING
    return await entries.follow(tr, table, key, before, after, limit)
