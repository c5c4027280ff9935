"""Tables that are being restored: filled in pieces from a backup, or from the past of another.

A table is CREATING until its last piece; each item goes through ``writing``, so that the indexes have
it. How far it has got is kept with each piece.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.contract.quota import Quota
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    TableAlreadyExistsException,
    TableInUseException,
)
from fogbank.services.dynamodb.rules import items, keys, measures
from fogbank.services.dynamodb.rules.backups import BackupName
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, ItemKey
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import ACTIVE, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import RESTORES, RestoreRecord
from fogbank.services.dynamodb.state import (
    backups,
    bodies,
    encryption,
    history,
    tables,
    writing,
)
from fogbank.services.dynamodb.state.afar import Origin

RESTORED_TABLES: Final = "dynamodb.restored_tables"
"""The work list of tables that are being filled."""
_UNLIMITED: Final = 1 << 62


def cut_name(target_id: str) -> str:
    """Return the name of the cut that a table of some id is filled from."""
    return f"restore/{target_id}"


async def require_target(tr: Transaction, name: str, source: str, restores_max: int) -> None:
    """Refuse to restore into a table that is there, or more tables at once than may be.

    Args:
        tr: The transaction.
        name: Of the table that is to be made.
        source: What it is made of, as the error says it.
        restores_max: The value of a quota.
    """
    table = await TABLES.find(tr, name)
    if table is not None:
        if await find_restore(tr, table) is not None:
            raise TableInUseException(f"Table: {name} is already being restored from {source}")
        raise TableAlreadyExistsException(f"Table already exists: {name}")
    prefix = RESTORES.prefix(tr.domain)
    if len(await tr.range(prefix, after_prefix(prefix), limit=restores_max)) == restores_max:
        raise LimitExceededException(
            f"Only {restores_max} restore operations can be in progress at a time"
        )


async def begin(
    tr: Transaction, target: TableRecord, restore: RestoreRecord, tables_max: int
) -> None:
    """Write a table that is to be filled, and queue that.

    Raises:
        LimitExceededException: There are too many tables.
    """
    now_ms = target.created_ms
    await tables.create_table(tr, target, tables_max, now_ms + measures.PERIOD_MS)
    RESTORES.put(tr, restore, target.id)
    tables.queue(tr, RESTORED_TABLES, target, now_ms)


async def begin_from_past(
    tr: Transaction,
    source: TableRecord,
    target: TableRecord,
    second: int | None,
    tables_max: int,
) -> RestoreRecord:
    """Likewise, from the past of a table: the end of a second, or None for what it is now."""
    now_ms = target.created_ms
    source = await history.take_cut(tr, source, cut_name(target.id), now_ms, second=second)
    at_ms = now_ms if second is None else second * 1_000
    restore = RestoreRecord(source=encode(source), at_ms=at_ms)
    await begin(tr, target, restore, tables_max)
    return restore


async def begin_from_afar(
    tr: Transaction,
    member: TableRecord,
    target: TableRecord,
    origin: Origin,
    second: int | None,
    tables_max: int,
) -> RestoreRecord:
    """Likewise, from a moment that was taken at the home of a strongly consistent table.

    Args:
        tr: The transaction.
        member: The table of this region.
        target: What is to be filled.
        origin: The moment.
        second: Of which it is; None: of when it was asked for.
        tables_max: The value of a quota.
    """
    restore = RestoreRecord(
        source=encode(member),
        at_ms=target.created_ms if second is None else second * 1_000,
        home=origin.home,
        origin=encode(origin.table),
    )
    await begin(tr, target, restore, tables_max)
    return restore


async def find_restore(tr: Transaction, table: TableRecord) -> RestoreRecord | None:
    """Return how far the filling of a table has got, or None if it is not being restored."""
    return None if table.status == ACTIVE else await RESTORES.find(tr, table.id)


def _unlimited(_quota: Quota) -> int:
    """Return the limit of a collection that was within it when its items were written."""
    return _UNLIMITED


async def find_filled(
    tr: Transaction, entry: WorkEntry
) -> tuple[TableRecord, RestoreRecord] | None:
    """Return the table of a work entry, and how far it is filled; None: it is filled, or gone."""
    target = await tables.find_queued_table(tr, entry)
    restore = None if target is None else await find_restore(tr, target)
    return None if target is None or restore is None else (target, restore)


async def fill_on(tr: Transaction, entry: WorkEntry, clock: Clock, limit: int) -> bool:
    """Write the next items of a table that is being restored; return whether it has all of them."""
    found = await find_filled(tr, entry)
    if found is None:
        return True
    target, restore = found
    left = KeyRange(restore.next_place)
    read = await _read(tr, target, restore, left, limit)
    return await _fill(tr, target, restore, read.first(left, backups.STEP_BYTES), clock)


async def fill_from_afar(
    tr: Transaction, entry: WorkEntry, before: RestoreRecord, piece: history.Piece, clock: Clock
) -> bool:
    """Write items that were read in another region; return whether the table has all of them.

    Args:
        tr: The transaction.
        entry: The entry of the work.
        before: How far the table was filled when they were read: otherwise they are left.
        piece: What was read, whole.
        clock: The time.
    """
    found = await find_filled(tr, entry)
    if found is None or found[1] != before:
        return found is None
    return await _fill(tr, *found, piece, clock)


async def _fill(
    tr: Transaction,
    target: TableRecord,
    restore: RestoreRecord,
    piece: history.Piece,
    clock: Clock,
) -> bool:
    """Write the next items of a table, and how far it is filled; return whether it has all."""
    filled = encryption.served(tr, target)
    source = encryption.served(tr, TABLES.decode(restore.source))
    written: list[tuple[bytes, ItemRecord]] = []
    for place, record in piece.items:
        whole = await bodies.opened(tr, record)
        if target.indexes or target.sse is not None or source.sse is not None:
            bodies.require_open(whole)
        plain = items.plain_of(source, whole)
        key = _key_of(target, place, plain)
        kept = items.kept_of(filled, key, plain)
        await writing.write_item(tr, filled, key, None, kept, clock=clock, limit=_unlimited)
        written.append((key.place, kept))
    measure = measures.counted(await tables.measure_of(tr, target), filled, written)
    if piece.rest is None:
        tables.put_measure(tr, target, measures.finished(measure))
        await _end(tr, target, restore, clock.now_ms())
        return True
    # The places of the new table have an order of their own: the count has none to go on at.
    tables.put_measure(tr, target, msgspec.structs.replace(measure, next_place=b""))
    begun = msgspec.structs.replace(restore, next_place=piece.rest.begin)
    RESTORES.put(tr, begun, target.id)
    return False


async def _read(
    tr: Transaction, target: TableRecord, restore: RestoreRecord, left: KeyRange, limit: int
) -> history.Piece:
    """Return the next items of what a table is filled from."""
    if restore.backup:
        return await backups.list_items(tr, restore.rows, left, limit)
    source = TABLES.decode(restore.source)
    moment = await history.require_cut(tr, source, cut_name(target.id))
    return await history.list_items_as_of(tr, source, moment, left, limit=limit)


def _key_of(target: TableRecord, place: bytes, record: ItemRecord) -> ItemKey:
    """Return the key in a table of an item that lies at a place of another with the same key."""
    digest = keys.digest_of(target, record.partition)
    return ItemKey(record.partition, digest, place[DIGEST_BYTES:])


async def _end(tr: Transaction, target: TableRecord, restore: RestoreRecord, now_ms: int) -> None:
    """Make a table that is filled ACTIVE, and let go of what it was filled from."""
    tables.put_table(tr, msgspec.structs.replace(target, status=ACTIVE))
    RESTORES.delete(tr, target.id)
    source = TABLES.decode(restore.source)
    if restore.home:
        return  # its moment is let go where it is kept
    if not restore.backup:
        await history.release_cut(tr, source, cut_name(target.id), now_ms)
        return
    backup = await backups.find_backup(tr, BackupName(source.name, restore.backup))
    assert backup is not None, "a backup stays while a table is restored from it"
    backups.put_backup(tr, msgspec.structs.replace(backup, restoring=""))
