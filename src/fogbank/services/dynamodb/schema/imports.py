"""What is kept of imports from S3: how far each has read the objects of its bucket."""

from __future__ import annotations

import msgspec

from fogbank.platform.identity.principal import Principal
from fogbank.platform.store.records import Record, Table
from fogbank.services.dynamodb.schema.exports import IN_PROGRESS


class ImportPlace(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far an import has read the objects of its bucket."""

    key: str = ""
    """Of the object; empty: none was begun."""
    etag: str = ""
    """With its quotes; empty: the object was read to its end, or given up."""
    size: int = 0
    """What the object has in its bucket, in bytes."""
    offset: int = 0
    """Where the next record begins, in bytes of what the object stands for uncompressed."""
    index: int = 0
    """The number of that record among the items of the object."""
    header: tuple[str, ...] = ()
    """The names of the columns that the object began with."""


class ImportCounts(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What an import has done so far."""

    processed_bytes: int = 0
    """Uncompressed."""
    processed: int = 0
    """Items that were read, errors among them."""
    imported: int = 0
    errors: int = 0
    objects: int = 0
    """Objects that were found before the first was read."""
    object_bytes: int = 0
    last_key: str = ""
    """The last of them in order."""
    is_listed: bool = False
    """Whether all were found."""


class ImportRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.import/1"):
    """An import from S3, and how far it has come."""

    id: str
    table: str
    table_id: str
    principal: Principal
    """Who asked for it, and in whose name it reads."""
    region: str
    request: bytes
    """MessagePack: ImportTable's request as it went over the wire."""
    started_ms: int
    status: str = IN_PROGRESS
    ended_ms: int = 0
    failure_code: str = ""
    failure_message: str = ""
    place: ImportPlace = ImportPlace()
    counts: ImportCounts = ImportCounts()


IMPORTS = Table("dynamodb", 0x48, ImportRecord)
"""name of the table and a slash, so that they order as their ARNs do; id of the import"""
