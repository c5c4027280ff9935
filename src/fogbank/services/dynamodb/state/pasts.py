"""Whether backups and histories hold what they say: what ``fogbank check`` asks of a store at rest.

Rule: a backup has as many items, and of such sizes, as its record counts, made or half made; what a
history has of a place was of an item whose key lies there.
"""

from __future__ import annotations

from collections.abc import Iterator

from fogbank.platform.store.engine import STAMP_BYTES, StoredRows
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import backups, history, keys
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES
from fogbank.services.dynamodb.schema import BACKUP_ITEMS, HISTORY, ITEMS, NO_VALUE, TableRecord
from fogbank.services.dynamodb.schema.backups import BACKUPS, BackupRecord

_WHEN_BYTES = 8


def _id_bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


def backup_damage(stored: StoredRows, domain: bytes) -> Iterator[str]:
    """Yield which backups of a domain have other items than are counted."""
    prefix = domain + BACKUPS.subspace
    for _, raw in stored.rows(prefix, after_prefix(prefix)):
        backup = BACKUPS.decode(raw)
        yield from _count_damage(stored, domain, backup)


def _count_damage(stored: StoredRows, domain: bytes, backup: BackupRecord) -> Iterator[str]:
    """Yield whether a backup has another number of items, or of bytes, than it says."""
    prefix = domain + BACKUP_ITEMS.subspace + _id_bytes(backup.rows)
    items = size = 0
    for _, raw in stored.rows(prefix, after_prefix(prefix)):
        items += 1
        size += BACKUP_ITEMS.decode(raw).size
    if (items, size) != (backup.items, backup.size):
        yield (
            f"the backup {backup.id} of the table {backups.table_of(backup).name} has {items} items"
            f" of {size} bytes, and says {backup.items} of {backup.size}"
        )


def history_damage(stored: StoredRows, domain: bytes, table: TableRecord) -> Iterator[str]:
    """Yield at which places the history of a table has items of other keys."""
    if not table.history_ms or table.sse is not None:
        return
    prefix = (
        domain + HISTORY.subspace + _id_bytes(table.id) + table.history_ms.to_bytes(_WHEN_BYTES)
    )
    for key, raw in stored.rows(prefix, after_prefix(prefix)):
        before = HISTORY.decode(raw).before
        if before == NO_VALUE:
            continue
        place = history.place_in(key[len(prefix) : -STAMP_BYTES])
        if keys.digest_of(table, ITEMS.decode(bytes(before)).partition) != place[:DIGEST_BYTES]:
            yield f"the history of the table {table.name} has another item at {place.hex()}"
