"""Primary keys: which item a request means, and where it lies.

Source: Amazon DynamoDB Developer Guide, "Core components: Primary key" and "Constraints".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX
from fogbank.services.dynamodb.rules import numbers
from fogbank.services.dynamodb.rules.values import Item, Value, type_of
from fogbank.services.dynamodb.schema import KeyAttribute, TableRecord

DIGEST_BYTES: Final = 16
_MISMATCH: Final = "The provided key element does not match the schema"
_INVALID: Final = "One or more parameter values were invalid: "
# AWS: there is no space before the number (architect/dynalite, db/index.js).
PARTITION_TOO_LONG: Final = (
    f"{_INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"
)
SORT_TOO_LONG: Final = (
    f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
)


class ItemKey(msgspec.Struct, frozen=True):
    """The key of one item of one table."""

    partition: bytes
    """The content of the partition key; of texts and numbers their UTF-8."""
    digest: bytes
    """What stands for it in the store."""
    sort: bytes
    """The sort key in bytes that order as its values do; empty if the table has none."""

    @property
    def place(self) -> bytes:
        """Return where the item lies within its table."""
        return self.digest + self.sort


def key_of_item(table: TableRecord, item: Item) -> ItemKey:
    """Return the key of an item that is to be stored, or refuse the item."""
    for attribute in table.key_attributes:
        value = item.get(attribute.name)
        if value is None:
            raise ValidationException(f"{_INVALID}Missing the key {attribute.name} in the item")
        if attribute.type not in value:
            raise ValidationException(
                f"{_INVALID}Type mismatch for key {attribute.name} expected: {attribute.type}"
                f" actual: {type_of(value)}"
            )
    return _key(table, item)


def key_of(table: TableRecord, key: Item) -> ItemKey:
    """Return the key that a request names, or refuse it: it has the table's attributes only."""
    if len(key) != (1 if table.sort is None else 2):
        raise ValidationException(_MISMATCH)
    require_key_types(table, key)
    return _key(table, key)


def require_key_types(table: TableRecord, key: Item) -> None:
    """Refuse a key that lacks an attribute of the table's key, or has it in another type."""
    for attribute in table.key_attributes:
        if attribute.type not in key.get(attribute.name, {}):
            raise ValidationException(_MISMATCH)


def require_types(wanted: Mapping[str, str], key: Item) -> None:
    """Refuse values of which one is not of the type that its name is to have."""
    for name, kind in wanted.items():
        if kind not in key[name]:
            raise ValidationException(_MISMATCH)


def _key(table: TableRecord, item: Item) -> ItemKey:
    """Return the key of an item whose key attributes are there and of their types."""
    partition = partition_bytes(table.partition, item[table.partition.name])
    return ItemKey(
        partition,
        digest_of(table, partition),
        b"" if table.sort is None else sort_bytes(table.sort, item[table.sort.name]),
    )


def partition_bytes(attribute: KeyAttribute, value: Value) -> bytes:
    """Return the content of a partition key in bytes."""
    raw = _content_bytes(attribute, value)
    if attribute.type != "N" and len(raw) > PARTITION_KEY_BYTES_MAX:
        raise ValidationException(PARTITION_TOO_LONG)
    return raw


def digest_of(table: TableRecord, partition: bytes) -> bytes:
    """Return what stands for a partition key in the store."""
    return blake2b(partition, digest_size=DIGEST_BYTES, key=table.digest_key).digest()


def sort_bytes(attribute: KeyAttribute, value: Value) -> bytes:
    """Return bytes that order as the values of a sort key do."""
    if attribute.type == "N":
        return numbers.sort_bytes(value["N"])
    raw = _content_bytes(attribute, value)
    if len(raw) > SORT_KEY_BYTES_MAX:
        raise ValidationException(SORT_TOO_LONG)
    return raw


def content_of(attribute: KeyAttribute, value: Value) -> bytes:
    """Return the content of a value of an attribute's type as bytes."""
    content: Any = value[attribute.type]
    return content if attribute.type == "B" else content.encode()


def _content_bytes(attribute: KeyAttribute, value: Value) -> bytes:
    """Return the bytes of a key attribute; they are not empty."""
    raw = content_of(attribute, value)
    if not raw:
        kind = "binary" if attribute.type == "B" else "string"
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute"
            f" cannot contain an empty {kind} value. Key: {attribute.name}"
        )
    return raw


def key_attributes_of(table: TableRecord, item: Item) -> Item:
    """Return the attributes of an item that are its key."""
    return {attribute.name: item[attribute.name] for attribute in table.key_attributes}


def require_distinct(named: Iterable[tuple[str, ItemKey]], message: str) -> None:
    """Refuse keys of which one stands twice, each with the name of its table."""
    seen: set[tuple[str, bytes]] = set()
    for name, key in named:
        place = (name, key.place)
        if place in seen:
            raise ValidationException(message)
        seen.add(place)


def require_unchanged_keys(table: TableRecord, changed: Iterable[str | int]) -> None:
    """Refuse an update that changes an attribute of the key."""
    names = set(changed)
    for attribute in table.key_attributes:
        if attribute.name in names:
            raise ValidationException(
                f"{_INVALID}Cannot update attribute {attribute.name}."
                " This attribute is part of the key"
            )


def require_scalar_keys(table: TableRecord, nested: frozenset[str]) -> None:
    """Refuse expressions that look inside an attribute of the key."""
    if not nested:
        return
    for attribute in table.key_attributes:
        if attribute.name in nested:
            raise ValidationException(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are"
                f" not allowed: Key: {attribute.name}"
            )
