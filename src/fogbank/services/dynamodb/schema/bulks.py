"""What is kept of bulk puts: how far each has come, and what its reports have still to tell."""

from __future__ import annotations

import msgspec

from fogbank.platform.identity.principal import Principal
from fogbank.platform.store.records import Record, Table
from fogbank.services.dynamodb.schema.exports import IN_PROGRESS, ExportFileRecord
from fogbank.services.dynamodb.schema.imports import ImportCounts, ImportPlace

CANCELLING = "CANCELLING"
CANCELLED = "CANCELLED"
COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"

ERROR = "ERROR"
UNMET = "CONDITION_CHECK_FAILURE"
OUTPUT_TYPES = (ERROR, UNMET)
"""In the order of their numbers."""


class BulkUsage(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the writes of a bulk put have cost, in bytes."""

    table: int = 0
    local: dict[str, int] = msgspec.field(default_factory=dict)
    """By the name of the local index."""
    overall: dict[str, int] = msgspec.field(default_factory=dict)
    """Of global indexes."""
    vectors: dict[str, int] = msgspec.field(default_factory=dict)


class BulkOutput(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far the report of one type has come."""

    lines: int = 0
    """That there are."""
    told: int = 0
    """Of these, in files."""
    size: int = 0
    """What the others have together, in bytes or so."""
    files: int = 0


class BulkRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.bulk/1"):
    """A bulk put, and how far it has come."""

    id: str
    table: str
    table_id: str
    definition: bytes
    """The ``TableRecord`` as it was when it began: how what the reports tell is keyed."""
    principal: Principal
    """Who asked for it, and in whose name it reads and writes objects."""
    region: str
    request: bytes
    """MessagePack: StartBulkPutItems's request as it was decoded."""
    started_ms: int
    status: str = IN_PROGRESS
    ended_ms: int = 0
    failure_code: str = ""
    failure_message: str = ""
    place: ImportPlace = ImportPlace()
    counts: ImportCounts = ImportCounts()
    """What was neither imported nor an error has not met its condition."""
    read_bytes: int = 0
    """Of the objects, as they lie in their bucket."""
    done_bytes: int = 0
    """What the objects have together that will not be read any more."""
    usage: BulkUsage = BulkUsage()
    outputs: tuple[BulkOutput, ...] = (BulkOutput(), BulkOutput())
    """Of each type of ``OUTPUT_TYPES``."""
    ending: str = ""
    """The status with which it ends when its reports are written; empty: it is not over yet."""
    is_told: bool = False
    """Whether its reports are written, or given up."""

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self.ended_ms > 0


class BulkLineRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.bulk_line/1"
):
    """A record of an object that was not written, until a file of a report tells of it."""

    key: str
    """Of the object."""
    number: int
    """That of the record in its object, from 0 on."""
    message: str = ""
    """Why it is no item of the table."""
    attempted: msgspec.Raw = msgspec.Raw(b"\xc0")
    """The ``ItemRecord`` that was to be written, as the store has it; or nothing."""
    existing: msgspec.Raw = msgspec.Raw(b"\xc0")
    """Likewise what lay at its key."""


BULKS = Table("dynamodb", 0x60, BulkRecord)
"""id of the bulk put, which orders as time does"""
BULK_LINES = Table("dynamodb", 0x61, BulkLineRecord)
"""id of the bulk put, number of the type of output, number of the line"""
BULK_FILES = Table("dynamodb", 0x62, ExportFileRecord)
"""id of the bulk put, number of the type of output, number of the file"""
