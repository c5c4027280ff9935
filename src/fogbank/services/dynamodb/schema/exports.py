"""What is kept of exports to S3: how far each has come, and the files that it has written."""

from __future__ import annotations

import msgspec

from fogbank.platform.identity.principal import Principal
from fogbank.platform.store.records import Record, Table

IN_PROGRESS = "IN_PROGRESS"


class ExportProgress(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far an export has come."""

    next_place: bytes = b""
    """Where within the table the next file begins."""
    is_read: bool = False
    """Whether the last file was written."""
    files: int = 0
    items: int = 0
    size: int = 0
    """What the sizes of the items add up to, in bytes."""


class ExportRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.export/1"):
    """An export to S3, and how far it has come."""

    id: str
    table: bytes
    """The ``TableRecord`` as it was when the moment was kept that is exported."""
    name: str
    """That of the table."""
    table_id: str
    principal: Principal
    """Who asked for it, and in whose name it writes."""
    region: str
    request: bytes
    """MessagePack: ExportTableToPointInTime's request as it was decoded."""
    started_ms: int
    export_ms: int
    """The point in time; of an incremental export its end, which is not in it."""
    from_ms: int = 0
    """Where an incremental export begins; 0: it is a full one."""
    status: str = IN_PROGRESS
    ended_ms: int = 0
    failure_code: str = ""
    failure_message: str = ""
    progress: ExportProgress = ExportProgress()
    home: str = ""
    """The region in which the items of the table lie, and ``table`` is, if not in its own."""


class ExportFileRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.export_file/1"
):
    """A file that an export has written, until its manifest tells of it."""

    key: str
    items: int
    md5: str
    """In base64."""
    etag: str


EXPORTS = Table("dynamodb", 0x49, ExportRecord)
"""name of the table and a slash, so that they order as their ARNs do; id of the export"""
EXPORT_FILES = Table("dynamodb", 0x4A, ExportFileRecord)
"""id of the export, number of the file"""
