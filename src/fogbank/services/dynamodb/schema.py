"""What DynamoDB keeps, and under which numbers.

Tables lie by name and hold the id under which their items lie, so that a deleted table is gone
with its name and a new one of that name sees nothing of it. The items of a table lie at

    table id (16 bytes) + digest of the partition key (16 bytes) + sort key

whose parts need no marks, because all but the last have one length. The digest is keyed with a
secret of the table, so that nobody can make two partition keys meet; the record holds the
partition key itself all the same, and it is compared whole wherever an item is read.

Source: DESIGN section 6, points 12 and 13.
"""

from __future__ import annotations

import msgspec

from fogbank.platform.store.records import Record, Table

PAY_PER_REQUEST = "PAY_PER_REQUEST"
PROVISIONED = "PROVISIONED"


class KeyAttribute(msgspec.Struct, frozen=True, array_like=True):
    """An attribute of a key: its name and its type, ``S``, ``N`` or ``B``."""

    name: str
    type: str


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
    """When the provisioned units were last changed; 0 if never."""

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """Return the attributes of the key, the partition key's first."""
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


class ItemRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.item/1"):
    """An item, of which the partition key stands apart.

    The other attributes stay encoded until someone looks at them: counting, paging and removing
    need only what stands before them.
    """

    size: int
    """The size that DynamoDB's rules give the whole item, in bytes."""
    partition: bytes
    """The content of the partition key; of texts and numbers their UTF-8."""
    attributes: msgspec.Raw
    """MessagePack: the other attributes as they go over the wire, or bytes: that, deflated."""


class MeasureRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.measure/1"):
    """How much a table held when it was last counted, and how far the next count has got."""

    items: int = 0
    size: int = 0
    """What the sizes of the items add up to, in bytes."""
    next_items: int = 0
    next_size: int = 0
    next_place: bytes = b""
    """Where within the table the count goes on."""


class TagsRecord(Record, frozen=True, array_like=True, kw_only=True, tag="dynamodb.tags/1"):
    """The tags of a table, by its id."""

    tags: dict[str, str]


TABLES = Table("dynamodb", 0x01, TableRecord, remembered=1_024)
ITEMS = Table("dynamodb", 0x02, ItemRecord)
MEASURES = Table("dynamodb", 0x03, MeasureRecord)
TAGS = Table("dynamodb", 0x04, TagsRecord)
