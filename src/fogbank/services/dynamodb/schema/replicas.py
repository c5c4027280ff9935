"""What is kept of global tables: their replicas, the versions of items, and how far each was brought."""

from __future__ import annotations

import msgspec

from fogbank.platform.store.records import Record, Table
from fogbank.services.dynamodb.schema.insights import InsightsRecord


class ReplicaRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A replica of a global table; fields are only added at the end, with a default."""

    region: str
    status: str
    """``CREATING``, ``ACTIVE``, ``DELETING`` or ``DISASSOCIATING``."""
    source: str = ""
    """The region in which it was asked for, whose items were copied; empty: it was the first."""
    since_ms: int = 0
    """When it was asked for."""
    read_units: int = 0
    """``ProvisionedThroughputOverride``; 0: those of the others."""
    table_class: str = ""
    """``TableClassOverride``; empty: that of the others."""
    index_read_units: dict[str, int] = {}
    """The same of global indexes, by their names."""


class ReplicaStreamRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The stream of a replica whose items lie in another's domain, where its records lie too."""

    log: str
    """The id under which they lie."""
    view: str
    """``StreamViewType``; empty: it was closed."""
    created_ms: int


class ReplicaRecoveryRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far back a replica can be restored whose items, and their history, lie at home."""

    since_ms: int
    """As ``TableRecord.recovery_ms``; 0: it cannot."""
    days: int


class StrongRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a table is a replica of whose items all regions share; kept with each replica's table.

    Fields are only added at the end, with a default.
    """

    id: str
    """That of the table in whose domain the items lie, which every replica knows."""
    home: str
    """The region of that table."""
    replicas: tuple[ReplicaRecord, ...]
    """All of them, the one at home first."""
    witness: str = ""
    """The region of the witness; empty: there are three replicas."""
    witness_status: str = ""
    streams: dict[str, ReplicaStreamRecord] = {}
    """The latest streams of the other replicas, by their regions."""
    revision: int = 0
    """How often the table at home was written: of two that a replica hears of the later holds."""
    recoveries: dict[str, ReplicaRecoveryRecord] = {}
    """How far back the other replicas can be restored, by their regions."""
    insights: dict[str, dict[int, InsightsRecord]] = {}
    """Whose keys are counted of what the other replicas are asked, by their regions: of global indexes
    by their numbers, of the table under -1."""


class GroupRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.group/1"):
    """A global table: which replicas it has. It is kept in the domain of its first region."""

    id: str
    name: str
    """Of the table of each replica."""
    replicas: tuple[ReplicaRecord, ...]


class VersionRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.version/1"):
    """When an item of a replica was last written or deleted, and where (``rules/versions``)."""

    at: int
    region: str
    partition: bytes = b""
    """The content of the partition key of an item that was deleted; empty: it was written."""


class ReplicationRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.replication/1"
):
    """That an item was written here, for the other replicas: which, and when."""

    place: bytes
    """Where within the table it lies."""
    partition: bytes
    """The content of its partition key."""
    at_ms: int


class TombstoneRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.tombstone/1"
):
    """That a version of an item that is gone is kept: where it lies, and which it is."""

    place: bytes
    at: int
    region: str
    at_ms: int
    """When it was written here."""


class PairRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.pair/1"):
    """How far a replica has brought its writes to another."""

    cursor: bytes = b""
    """The stamp of the last row of the log that has arrived."""
    copying: str = ""
    """What is copied that was there before: ``ITEMS``, then ``GONE``; empty: it is all there."""
    next_place: bytes = b""
    """Where within the table the copy goes on."""
    everything: bool = False
    """Whether items that were last written in other regions are copied too."""
    settings: tuple[int, str] = (0, "")
    """The version of the settings that has arrived."""
    latency_ms: int = 0
    """How long ago what arrived last had been written, when it arrived."""


class FetchRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.fetch/1"):
    """A large item that a replica is to read in another's domain by itself."""

    table: str
    group: str
    region: str
    """Where it lies."""
    place: bytes
    """Where within the table of that region."""
    partition: bytes
    """The content of its partition key."""


class LentCutRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.lentcut/1"):
    """A moment of a table that somebody reads from another region."""

    table: bytes
    """The ``TableRecord`` of which it is."""
    region: str
    reader: tuple[str, ...]
    """What reads it there: a kind, and the key of its record."""
    cut: str
    """The name of the moment."""


class LinkRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.link/1"):
    """What a consumer of the log of a replica reads, and for which other."""

    table: str
    table_id: str
    region: str


GROUPS = Table("dynamodb", 0x50, GroupRecord)
"""id of the global table"""
VERSIONS = Table("dynamodb", 0x51, VersionRecord)
"""like the items"""
REPLICATION = Table("dynamodb", 0x52, ReplicationRecord)
"""id of the table; then the stamp's 12 bytes"""
TOMBSTONES = Table("dynamodb", 0x53, TombstoneRecord)
"""likewise"""
PAIRS = Table("dynamodb", 0x54, PairRecord)
"""id of the table, region of the other"""
