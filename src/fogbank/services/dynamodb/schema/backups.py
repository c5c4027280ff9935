"""Backups of tables, and tables that are being restored."""

from __future__ import annotations

from fogbank.platform.store.records import Record, Table


class BackupRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.backup/1"):
    """A backup of a table, which may be gone since."""

    id: str
    """As its ARN ends: the time and something at random."""
    name: str
    kind: str
    """``BackupType``: ``USER``, or ``SYSTEM`` for that of a deleted table."""
    created_ms: int
    table: bytes
    """The ``TableRecord`` as it was."""
    rows: str
    """A UUID, whose 16 bytes begin the keys of its items."""
    status: str = "CREATING"
    """``AVAILABLE`` once all items are copied."""
    items: int = 0
    """How many are copied."""
    size: int = 0
    """What their sizes add up to, in bytes."""
    next_place: bytes = b""
    """Where within the table the copying goes on."""
    expires_ms: int = 0
    """When it is removed; 0: when somebody does so."""
    restoring: str = ""
    """The table that is filled from it; empty: none is."""
    home: str = ""
    """The region in which the items of its table lie, if not in its own."""
    origin: bytes = b""
    """The ``TableRecord`` of that region of which its cut is, if so."""


class RestoreRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.restore/1"):
    """A table that is filled from a backup or from the past of another, and how far."""

    source: bytes
    """The ``TableRecord`` of the table whose items these are, as it was."""
    at_ms: int
    """The moment of which they are (``RestoreDateTime``)."""
    backup: str = ""
    """The id of the backup; empty: they are read at the cut of the source that is named after the
    target."""
    rows: str = ""
    """Under which the items of the backup lie."""
    next_place: bytes = b""
    """Where within the source it goes on."""
    home: str = ""
    """The region in which the items of the source lie, if not in its own."""
    origin: bytes = b""
    """The ``TableRecord`` of that region of which the cut is, if so."""


BACKUPS = Table("dynamodb", 0x34, BackupRecord)
"""name of the table, id of the backup"""
RESTORES = Table("dynamodb", 0x36, RestoreRecord)
"""id of the table that is filled"""
