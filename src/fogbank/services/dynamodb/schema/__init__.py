"""What DynamoDB keeps, and under which numbers.

Tables lie by name and hold the id under which their items lie, so that a deleted table is gone
with its name and a new one of that name sees nothing of it. The items of a table lie at

    table id (16 bytes) + digest of the partition key (16 bytes) + sort key

whose parts need no marks, because all but the last have one length. The digest is keyed with a
secret of the table, so that nobody can make two partition keys meet; the record holds the
partition key itself all the same, and it is compared whole wherever an item is read.

The entries of an index lie under its table, at

    table id + number of the index (4) + digest of its partition key (16) + its sort key + digest (16)

whose sort key is encoded as tuples are, so that each of its values ends and all of them order, and
whose last digest is of the item's own place: several items may share a key of an index. Those of a
vector index lie likewise, in rows of another kind.

Source: DESIGN section 6, points 12 and 13.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.blobs.chunks import BodyRef
from fogbank.platform.iam.bound import Bound
from fogbank.platform.store.records import Record, Table
from fogbank.services.dynamodb.schema.backups import BACKUPS, RESTORES
from fogbank.services.dynamodb.schema.bulks import BULK_FILES, BULK_LINES, BULKS
from fogbank.services.dynamodb.schema.encryption import SEALINGS, EncryptionRecord
from fogbank.services.dynamodb.schema.exports import EXPORT_FILES, EXPORTS
from fogbank.services.dynamodb.schema.imports import IMPORTS
from fogbank.services.dynamodb.schema.insights import NO_INSIGHTS, InsightsRecord
from fogbank.services.dynamodb.schema.replicas import (
    GROUPS,
    PAIRS,
    REPLICATION,
    TOMBSTONES,
    VERSIONS,
    ReplicaRecord,
    StrongRecord,
)

PAY_PER_REQUEST = "PAY_PER_REQUEST"
PROVISIONED = "PROVISIONED"
STANDARD = "STANDARD"

ACTIVE = "ACTIVE"
CREATING = "CREATING"
DELETING = "DELETING"
DISASSOCIATING = "DISASSOCIATING"
"""Of a replica that goes and stays as a table of its own."""
AVAILABLE = "AVAILABLE"
DELETED = "DELETED"

USER = "USER"
SYSTEM = "SYSTEM"

COMPLETED = "COMPLETED"
FAILED = "FAILED"

ALL = "ALL"
KEYS_ONLY = "KEYS_ONLY"
INCLUDE = "INCLUDE"


class KeyAttribute(msgspec.Struct, frozen=True, array_like=True):
    """An attribute of a key: its name and its type, ``S``, ``N`` or ``B``."""

    name: str
    type: str


class ThroughputRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is kept of a throughput beside its provisioned units: of a table or a global index."""

    decreased_ms: int = 0
    """When provisioned units were last lowered; 0 if never."""
    decreases: int = 0
    """How often they were lowered on the day of that, in UTC."""
    read_max: int = 0
    """``OnDemandThroughput``, in units per second; 0: none."""
    write_max: int = 0
    warm_reads: int = 0
    """The highest ``WarmThroughput`` that was asked for or implied; 0: none yet."""
    warm_writes: int = 0

    @property
    def has_maxima(self) -> bool:
        """Return whether there is an ``OnDemandThroughput``."""
        return self.read_max > 0 or self.write_max > 0


NO_THROUGHPUT: Final = ThroughputRecord()


class VectorShape(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a vector index compares; fields are only added at the end, with a default."""

    attribute: str
    """Which holds the vectors."""
    dimensions: int
    distance: str
    """``COSINE``, ``EUCLIDEAN`` or ``DOT_PRODUCT``."""
    schema: tuple[KeyAttribute, ...] = ()
    """``SearchSchema`` in its order; the one that is the index's partition key among them."""


class IndexRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A secondary index, kept with its table; fields are only added at the end, with a default."""

    name: str
    number: int
    """Under which its entries lie; no other index of the table ever has it."""
    is_local: bool
    partition: tuple[KeyAttribute, ...]
    sort: tuple[KeyAttribute, ...]
    projection: str
    """``ALL``, ``KEYS_ONLY`` or ``INCLUDE``."""
    included: tuple[str, ...] = ()
    """``NonKeyAttributes``."""
    read_units: int = 0
    write_units: int = 0
    status: str = ACTIVE
    """``CREATING`` while the entries of older items are written, ``DELETING`` while they go."""
    units_changed_ms: int = 0
    """When the provisioned units were last raised; 0 if never."""
    throughput: ThroughputRecord = NO_THROUGHPUT
    vector: VectorShape | None = None
    """What makes it a vector index, whose partition key may be empty; None: it is none."""
    insights: InsightsRecord = NO_INSIGHTS

    @property
    def is_global(self) -> bool:
        """Return whether it is a global secondary index."""
        return not self.is_local and self.vector is None

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes of the key, those of the partition key first."""
        return self.partition + self.sort

    @property
    def defined_attributes(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes that ``AttributeDefinitions`` must give a type."""
        return self.key_attributes if self.vector is None else self.vector.schema


class TableRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.table/1"):
    """A table: how its items are keyed and what it promises."""

    name: str
    id: str
    """A UUID; its 16 bytes begin the keys of the items."""
    digest_key: bytes
    """The secret under which partition keys are digested."""
    partition: KeyAttribute
    sort: KeyAttribute | None
    billing_mode: str
    read_units: int
    write_units: int
    deletion_protected: bool
    created_ms: int
    on_demand_since_ms: int = 0
    """When the billing mode last became PAY_PER_REQUEST; 0 if it never was."""
    units_changed_ms: int = 0
    """When the provisioned units were last raised; 0 if never."""
    stream_view: str = ""
    """What its stream shows of items (``StreamViewType``); empty: it has none."""
    stream_ms: int = 0
    """When its latest stream was made, which may be closed by now; 0 if it never had one."""
    indexes: tuple[IndexRecord, ...] = ()
    """Empty: a write of an item is one row and no more."""
    indexes_made: int = 0
    """How many indexes the table ever had: the number of the next."""
    ttl_attribute: str = ""
    """What items expire by; empty: they do not."""
    table_class: str = ""
    """What it is billed by (``TableClass``); empty: STANDARD, of which nobody ever spoke."""
    class_changed_ms: int = 0
    """When that was last changed; 0 if never."""
    status: str = ACTIVE
    """``CREATING`` while background work fills it: until then its items are nobody's. ``DELETING``
    while the last writes of a replica that goes are brought to the others."""
    history_ms: int = 0
    """Since when its history is kept (``state/history``), by which that lies; 0: it is not."""
    recovery_ms: int = 0
    """Since when it can be restored to a point in time; 0: it cannot."""
    recovery_days: int = 0
    """How many days back (``RecoveryPeriodInDays``)."""
    has_policy: bool = False
    """Whether it has a policy, which says who may reach it and its indexes."""
    policy_ms: int = 0
    """The revision of the last policy that it had: when it was put, later than any before."""
    throughput: ThroughputRecord = NO_THROUGHPUT
    is_bounded: bool = False
    """Whether it, or an index of it, has an ``OnDemandThroughput``."""
    insights: InsightsRecord = NO_INSIGHTS
    is_watched: bool = False
    """Whether its keys, or those of an index of it, are counted."""
    group: str = ""
    """The id of the global table that it is a replica of; empty: of none."""
    home: str = ""
    """The region whose domain keeps which replicas the global table has."""
    replicas: tuple[ReplicaRecord, ...] = ()
    """Those of the global table, itself among them; empty: a write of an item knows of no other."""
    settings: tuple[int, str] = (0, "")
    """The version of the settings that all replicas share: a time of ``rules/versions``, and the
    region that changed them."""
    sse: EncryptionRecord | None = None
    """What seals its items; None: what seals every row of the store, and nothing beside."""
    strong: StrongRecord | None = None
    """The strongly consistent global table that it is a replica of; its items lie at that one's home."""
    may_leave: bool = False
    """Whether it may be disassociated from its global table (``DisassociationProtectionEnabled``)."""

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes of the key, the partition key's first."""
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


NO_VALUE: Final = msgspec.Raw(b"\xc0")
"""MessagePack of nothing."""


class ItemRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.item/1"):
    """An item, of which the partition key stands apart.

    The other attributes stay encoded until someone looks at them: counting, paging and removing
    need only what stands before them.
    """

    size: int
    """The size that DynamoDB's rules give the whole item, in bytes."""
    partition: bytes
    """The content of the partition key, of texts and numbers their UTF-8; of a sealed item a digest."""
    attributes: msgspec.Raw
    """MessagePack: the other attributes as they go over the wire, or bytes: that, deflated, or an
    extension: all attributes, sealed; nil as long as they lie elsewhere."""
    body: BodyRef | None = None
    """Where they lie if they are large."""


class MeasureRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.measure/1"):
    """How much a table held when it was last counted, and how far the next count has got."""

    items: int = 0
    size: int = 0
    """What the sizes of the items add up to, in bytes."""
    next_items: int = 0
    next_size: int = 0
    next_place: bytes = b""
    """Where within the table the count goes on."""
    indexes: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Entries of each index by its number, and what their sizes add up to."""
    next_indexes: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)


class EntryRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.entry/1"):
    """An entry of an index: the projected attributes of an item, or where the item lies.

    ``rules/indexes`` says which, and why.
    """

    size: int
    """The size that DynamoDB's rules give the projected attributes, in bytes; 0 if the item is meant:
    then a change of the item, whose key in the index stays, leaves the entry as it is."""
    place: bytes
    """Where the item lies within the table; empty if its attributes are here."""
    attributes: msgspec.Raw = msgspec.Raw(b"\xc0")
    """MessagePack: the projected attributes as they go over the wire, or an extension: that, sealed; nil
    if the item is meant."""


class VectorRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.vector/1"):
    """An entry of a vector index: like an ``EntryRecord``, with what a search looks at before it."""

    vector: bytes
    """Its numbers in 32 bits each, IEEE 754, the lowest byte first."""
    filters: tuple[bytes | None, ...]
    """The contents of the attributes that a search may ask for, in the order of the schema; None:
    the item lacks it."""
    size: int
    """That of the vector in 32 bits a number and of the projected attributes, in bytes; 0 if the item
    is meant."""
    place: bytes
    attributes: msgspec.Raw = msgspec.Raw(b"\xc0")
    """As in an ``EntryRecord``, without the vector; of a sealed one vector and filters are here too."""


class BuildRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.build/1"):
    """How far the entries of older items have been written into a new index."""

    next_place: bytes = b""
    """Where within the table it goes on."""


class CollectionRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.collection/1"
):
    """The items of one partition key, in a table with local indexes."""

    size: int
    """What the sizes of the items and of their entries in local indexes add up to, in bytes."""


class PolicyRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.policy/1"):
    """The policy of a table by its id, or of a stream by that and when the stream was made."""

    document: str
    """JSON."""
    bound: Bound = ()
    """Whom its names of users and roles mean."""


class TagsRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.tags/1"):
    """The tags of a table, by its id."""

    tags: dict[str, str]


class ExpiryRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.expiry/1"):
    """An item that expires at a second, in the system subspace of such (``state/expiries``)."""

    domain: tuple[str, ...]
    table: str
    table_id: str
    attribute: str
    """What the item expires by."""
    place: bytes
    """Where within the table it lies."""
    expiry_s: int
    """Seconds since the Unix epoch."""


class WalkRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.walk/1"):
    """A walk over a table whose time to live was changed, and how far it has got."""

    table: str
    table_id: str
    attribute: str
    """What the items expire by, or did."""
    next_place: bytes = b""
    """Where within the table it goes on."""


class StreamRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.stream/1"):
    """A stream of a table; it outlives the table as long as its records are kept."""

    table: str
    table_id: str
    created_ms: int
    view: str
    """``StreamViewType``."""
    partition: KeyAttribute
    sort: KeyAttribute | None
    closed_ms: int = 0
    """When nothing more was to come; 0: it is open."""
    trimmed: bytes = b""
    """The stamp of the last record that was removed for its age; empty: none was."""
    has_policy: bool = False
    """Whether it has a policy, which says who may reach it."""
    policy_ms: int = 0
    """The revision of the last policy that it had: when it was put, later than any before."""
    sse: EncryptionRecord | None = None
    """What seals its changes: what sealed the items of its table."""
    region: str = ""
    """That of the replica whose it is, where the items of a strongly consistent table lie in this
    domain; empty: of this one."""
    home: str = ""
    """The region in whose domain its shards and changes lie, if not in this: then this says that it
    stands, and what is said of who may reach it."""


class ShardRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.shard/1"):
    """Where in a stream a shard begins, and so the one before it ends."""

    opened_ms: int
    parent: bytes = b""
    """The stamp at which the shard before it begins; empty: it is the first."""
    closes: bool = False
    """None begins here: the stream was closed."""


class ChangeRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.change/1"):
    """One change of one item, as its stream tells it.

    Images that are too large to stand here follow in rows of their own, each a record without
    event that has one image.
    """

    event: str
    """``INSERT``, ``MODIFY`` or ``REMOVE``; empty: it has an image of the record before it."""
    at_ms: int
    size: int = 0
    """The sizes that DynamoDB's rules give key and images together, in bytes."""
    partition: bytes = b""
    """The content of the partition key."""
    sort: msgspec.Raw = NO_VALUE
    """MessagePack: the value of the sort key as it goes over the wire, or nothing; or an extension: both
    attributes of the key, sealed."""
    old: msgspec.Raw = NO_VALUE
    """The attributes before, as an ``ItemRecord`` has them, or nothing."""
    new: msgspec.Raw = NO_VALUE
    """The attributes after, likewise."""
    images: int = 0
    """How many rows with images follow."""
    by: str = ""
    """The service that made the change by itself, such as ``dynamodb.amazonaws.com``."""
    old_body: BodyRef | None = None
    """Where the attributes before lie if they are large; ``old`` is nil as long as they lie there."""
    new_body: BodyRef | None = None
    """Likewise those after."""


class HistoryRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.history/1"):
    """What lay at a place of a table before a write, by the stamp of that write."""

    at_ms: int
    """When it was written."""
    before: msgspec.Raw = NO_VALUE
    """The ``ItemRecord`` that lay there, as it was stored; nothing if none did."""


class MarkRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.mark/1"):
    """The first write of a second in the history of a table, by second and stamp."""

    at_ms: int


class CutRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.cut/1"):
    """A moment of a table that someone reads, by the first stamp that is not in it."""

    at_ms: int
    """When it was taken."""


class TrimRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.trim/1"):
    """How far a walk over the history of a table has got that removes what nobody needs."""

    next_key: bytes = b""
    """Where within the history it goes on."""


TABLES = Table("dynamodb", 0x01, TableRecord, remembered=1_024)
ITEMS = Table("dynamodb", 0x02, ItemRecord)
MEASURES = Table("dynamodb", 0x03, MeasureRecord)
TAGS = Table("dynamodb", 0x04, TagsRecord)
WALKS = Table("dynamodb", 0x05, WalkRecord)
"""id of the walk"""
STREAMS = Table("dynamodb", 0x10, StreamRecord)
"""name of the table, when the stream was made"""
REPLICA_STREAMS = Table("dynamodb", 0x13, StreamRecord)
"""region of the replica, name of the table, when the stream was made"""
POLICIES = Table("dynamodb", 0x40, PolicyRecord)
"""id of the table, when the stream was made; 0 for the table itself"""
SHARDS = Table("dynamodb", 0x11, ShardRecord)
"""id of the table, when the stream was made; then the stamp's 12 bytes"""
CHANGES = Table("dynamodb", 0x12, ChangeRecord)
"""likewise"""
ENTRIES = Table("dynamodb", 0x20, EntryRecord)
COLLECTIONS = Table("dynamodb", 0x21, CollectionRecord)
BUILDS = Table("dynamodb", 0x22, BuildRecord)
"""id of the table, number of the index"""
HISTORY = Table("dynamodb", 0x30, HistoryRecord)
"""id of the table, since when its history is kept, place of the item (``rules/history``), stamp"""
MARKS = Table("dynamodb", 0x31, MarkRecord)
"""id of the table, since when its history is kept, second, stamp"""
CUTS = Table("dynamodb", 0x32, CutRecord)
"""id of the table, name of the cut, stamp"""
TRIMS = Table("dynamodb", 0x33, TrimRecord)
"""id of the walk"""
VECTORS = Table("dynamodb", 0x23, VectorRecord)
BACKUP_ITEMS = Table("dynamodb", 0x35, ItemRecord)
"""id of the rows, place of the item"""
ALL_TABLES = (
    TABLES,
    ITEMS,
    MEASURES,
    TAGS,
    WALKS,
    SEALINGS,
    POLICIES,
    STREAMS,
    REPLICA_STREAMS,
    SHARDS,
    CHANGES,
    ENTRIES,
    COLLECTIONS,
    BUILDS,
    HISTORY,
    MARKS,
    CUTS,
    TRIMS,
    VECTORS,
    IMPORTS,
    EXPORTS,
    EXPORT_FILES,
    BULKS,
    BULK_LINES,
    BULK_FILES,
    GROUPS,
    VERSIONS,
    REPLICATION,
    TOMBSTONES,
    PAIRS,
    BACKUPS,
    BACKUP_ITEMS,
    RESTORES,
)
