"""Backups: copied from a cut of their table in pieces, kept, and removed.

A backup has its rows to itself and nothing of the table's, so that it outlives the table. Its cut is
named after it; how far it has been copied is kept with each piece.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.errors import LimitExceededException
from fogbank.services.dynamodb.quotas import CLIENT_CUTS_MAX
from fogbank.services.dynamodb.rules import backups
from fogbank.services.dynamodb.rules.backups import BackupName
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import AVAILABLE, BACKUP_ITEMS, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import BACKUPS, BackupRecord
from fogbank.services.dynamodb.state import bodies, history, rows, tables

MADE_BACKUPS: Final = "dynamodb.made_backups"
"""The work list of backups whose items are still to be copied."""
EXPIRING_BACKUPS: Final = "dynamodb.expiring_backups"
"""The work list of backups that are removed by themselves, each due at its time."""
STEP_BYTES: Final = 1 << 20
"""Of items that are copied in one step, but for one."""


def cut_name(backup: BackupRecord) -> str:
    """Return the name of the cut that a backup is of."""
    return f"backup/{backup.id}"


def _put(tr: Transaction, backup: BackupRecord, table: str) -> None:
    BACKUPS.put(tr, backup, table, backup.id)


def put_backup(tr: Transaction, backup: BackupRecord) -> None:
    """Write a backup that was changed."""
    _put(tr, backup, backups.table_of(backup).name)


async def begin(
    tr: Transaction, table: TableRecord, backup: BackupRecord, now_ms: int
) -> BackupRecord:
    """Take the cut of a table that a backup is of, and queue its copying; return the backup.

    Args:
        tr: The transaction.
        table: The table, as this transaction read it.
        backup: Of that table.
        now_ms: The time.
    """
    table = await history.take_cut(tr, table, cut_name(backup), now_ms)
    return begin_afar(tr, table, msgspec.structs.replace(backup, table=encode(table)), now_ms)


def begin_afar(
    tr: Transaction, table: TableRecord, backup: BackupRecord, now_ms: int
) -> BackupRecord:
    """Queue the copying of a backup whose cut was taken; return it."""
    _put(tr, backup, table.name)
    _queue(tr, MADE_BACKUPS, table.name, backup, now_ms)
    if backup.expires_ms:
        _queue(tr, EXPIRING_BACKUPS, table.name, backup, backup.expires_ms)
    return backup


def _queue(tr: Transaction, work: str, table: str, backup: BackupRecord, due_ms: int) -> None:
    worklist.put(
        tr,
        WorkEntry(
            list=work,
            id=backup.rows,
            domain=tr.domain.name,
            payload=tuples.pack(table, backup.id),
            created_ms=backup.created_ms,
            visible_ms=due_ms,
        ),
    )


async def find_backup(tr: Transaction, name: BackupName) -> BackupRecord | None:
    """Return the backup of a name, or None."""
    return await BACKUPS.find(tr, *name)


async def require_backup(tr: Transaction, name: BackupName, arn: str) -> BackupRecord:
    """Return the backup of a name, or refuse the ARN that it came from."""
    backup = await find_backup(tr, name)
    if backup is None:
        raise backups.not_found(arn)
    return backup


async def require_room(tr: Transaction, table: TableRecord) -> None:
    """Refuse one more backup of a table of which very many are being made."""
    if await history.count_cuts(tr, table.id, CLIENT_CUTS_MAX) == CLIENT_CUTS_MAX:
        raise LimitExceededException(
            f"Only {CLIENT_CUTS_MAX} backups of a table can be in progress at a time"
        )


async def find_queued(tr: Transaction, entry: WorkEntry) -> BackupRecord | None:
    """Return the backup of a work entry, or None if it has been removed."""
    return await BACKUPS.find(tr, *tuples.unpack(entry.payload))


async def list_backups(
    tr: Transaction, table: str | None, after: BackupName | None, limit: int
) -> list[BackupRecord]:
    """Return up to ``limit`` backups, of one table or of all, in order, those behind one."""
    if table is None:
        return [each for _, each in await BACKUPS.list(tr, limit=limit, after=after)]
    start = None if after is None or after.table != table else (after.id,)
    return [each for _, each in await BACKUPS.list(tr, table, limit=limit, after=start)]


async def copy_on(tr: Transaction, entry: WorkEntry, now_ms: int, limit: int) -> bool:
    """Copy the next items into a backup; return whether it has all of them."""
    backup = await find_queued(tr, entry)
    if backup is None or backup.status == AVAILABLE:
        return True
    table = backups.table_of(backup)
    moment = await history.require_cut(tr, table, cut_name(backup))
    keys = KeyRange(backup.next_place)
    read = await history.list_items_as_of(tr, table, moment, keys, limit=limit)
    piece = read.first(keys, STEP_BYTES)
    await bodies.retain(tr, *(record.body for _, record in piece.items))
    if not _keep(tr, table, backup, piece):
        return False
    await history.release_cut(tr, table, cut_name(backup), now_ms)
    return True


async def keep_from_afar(
    tr: Transaction, entry: WorkEntry, before: BackupRecord, piece: history.Piece
) -> bool:
    """Keep items of a backup that were read in another region; return whether it has all of them.

    Args:
        tr: The transaction.
        entry: The entry of the work.
        before: The backup as it was when they were read: otherwise they are left.
        piece: What was read, whole.
    """
    backup = await find_queued(tr, entry)
    if backup is None or backup != before:
        return backup is None or backup.status == AVAILABLE
    table = backups.table_of(backup)
    placed = [(place, await bodies.placed(tr, table, record)) for place, record in piece.items]
    return _keep(tr, table, backup, piece._replace(items=placed))


def _keep(tr: Transaction, table: TableRecord, backup: BackupRecord, piece: history.Piece) -> bool:
    """Keep items whose bodies are counted, and how far the backup has come; return whether it is all."""
    prefix = rows.prefix_of(tr, BACKUP_ITEMS, backup.rows)
    for place, record in piece.items:
        tr.put(prefix + place, encode(bodies.closed(record)))
    copied = msgspec.structs.replace(
        backup,
        items=backup.items + len(piece.items),
        size=backup.size + sum(record.size for _, record in piece.items),
    )
    if piece.rest is not None:
        _put(tr, msgspec.structs.replace(copied, next_place=piece.rest.begin), table.name)
        return False
    _put(tr, msgspec.structs.replace(copied, next_place=b"", status=AVAILABLE), table.name)
    return True


async def list_items(tr: Transaction, rows_id: str, keys: KeyRange, limit: int) -> history.Piece:
    """Return up to ``limit`` items of a range of a backup, with what is left of the range."""
    prefix = rows.prefix_of(tr, BACKUP_ITEMS, rows_id)
    found = await tr.range(prefix + keys.begin, tuples.after_prefix(prefix), limit=limit)
    items: list[tuple[bytes, ItemRecord]] = [
        (key[len(prefix) :], BACKUP_ITEMS.decode(value)) for key, value in found
    ]
    if len(items) < limit:
        return history.Piece(items, None)
    return history.Piece(items, keys._replace(begin=items[-1][0] + b"\0"))


def remove(tr: Transaction, backup: BackupRecord, now_ms: int) -> None:
    """Remove a backup, and queue the removal of its items."""
    table = backups.table_of(backup)
    BACKUPS.delete(tr, table.name, backup.id)
    tables.queue_rows_removal(tr, backup.rows, table.name, now_ms)
    tables.queue_retirement(tr, table, now_ms)


async def expire(tr: Transaction, entry: WorkEntry, now_ms: int) -> bool:
    """Remove a backup that goes by itself; return whether it is gone."""
    backup = await find_queued(tr, entry)
    if backup is None:
        return True
    if backup.restoring or backup.status != AVAILABLE:
        return False
    remove(tr, backup, now_ms)
    return True
