"""Indexes: which entry an item has in an index, and what its keys must be.

Theory: an entry is a function of the item alone, so that whoever writes an item knows the entry
before and the entry after, and an index agrees with its table if every item's entry, and no other,
is there. An item without some attribute of the index's key, or with one that cannot be a key, has
none: the index is sparse.

An entry holds the projected attributes themselves while they are small, so that a query reads one
range of rows, and says where the item lies when they are large: then a change of an attribute that
is no key of the index writes nothing, and no body is kept twice. Both are read in the transaction
that reads the entry, and an item and its entries change in one, so that the answer is the same.

The entry of a vector index (``vectors``) has what a search compares beside that.

Source: Amazon DynamoDB Developer Guide, "Using Global Secondary Indexes in DynamoDB", "Local
secondary indexes" and "Detecting and correcting index key violations".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.store import tuples
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX
from fogbank.services.dynamodb.rules import items, keys, numbers, sealing, sizes, vectors
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, ItemKey
from fogbank.services.dynamodb.rules.values import Item, Value, type_of
from fogbank.services.dynamodb.schema import (
    ALL,
    DELETING,
    NO_VALUE,
    EntryRecord,
    IndexRecord,
    ItemRecord,
    KeyAttribute,
    TableRecord,
    VectorRecord,
    VectorShape,
)

COPY_BYTES_MAX: Final = 4 << 10
"""Projected attributes of so many encoded bytes are kept in the entry itself."""
NUMBER_BYTES: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, dict[str, object]]).decode
_decode_entry: Final = RecordDecoder(EntryRecord).decode
_decode_vector: Final = RecordDecoder(VectorRecord).decode
_decode_inner: Final = msgspec.msgpack.Decoder(
    tuple[bytes, tuple[bytes | None, ...], msgspec.Raw]
).decode
_INVALID: Final = "One or more parameter values were invalid: "


class Entry(NamedTuple):
    """The entry that an item has in an index."""

    place: bytes
    """Where it lies within the index."""
    shown: Item
    """The projected attributes; without the vector, if it is of a vector index."""
    size: int
    """Their size, with that of the vector."""
    vector: bytes = vectors.NO_VECTOR
    filters: vectors.Filters = ()
    """What a search of vectors looks at."""


class IndexRow(NamedTuple):
    """An entry as it was read, with its item if the answer needs that."""

    size: int
    """What reading the entry costs."""
    entry: EntryRecord
    base: ItemRecord | None

    @property
    def fetched(self) -> int:
        """Return the size of the item, if it was asked for beside its entry."""
        return 0 if self.base is None else self.base.size


def find_index(table: TableRecord, name: str) -> IndexRecord | None:
    """Return the index of a name, or None if the table has none."""
    return next((index for index in table.indexes if index.name == name), None)


def kept_indexes(table: TableRecord) -> list[IndexRecord]:
    """Return the indexes that follow what is written: all but those that are on their way out."""
    return [index for index in table.indexes if index.status != DELETING]


def has_collections(table: TableRecord) -> bool:
    """Return whether the items of a partition key are counted: local indexes bound their size."""
    return any(index.is_local for index in table.indexes)


# Keys.


def entry_of(
    table: TableRecord, index: IndexRecord, key: ItemKey, item: Item | None, made: vectors.Packed
) -> Entry | None:
    """Return the entry that the item with a key has in an index, or None if it has none.

    Args:
        table: The table.
        index: The index.
        key: The item's key.
        item: The item, or None if there is none.
        made: The item's vectors, which several indexes may have in common.
    """
    if item is None:
        return None
    for attribute in index.key_attributes:
        if fault_of(attribute, item.get(attribute.name)):
            return None
    if not _fits(index, item):
        return None
    shown = projected(table, index, item)
    digest = keys.digest_of(table, partition_content(index, item))
    place = digest + tuples.pack(*sort_contents(index, item)) + tail_of(table, key.place)
    entry = Entry(place, shown, sizes.item_size(shown))
    return entry if index.vector is None else _with_vector(index, index.vector, entry, item, made)


def _with_vector(
    index: IndexRecord, shape: VectorShape, entry: Entry, item: Item, made: vectors.Packed
) -> Entry | None:
    """Return an entry with what a search of vectors looks at, or None if the item has no vector."""
    vector, filters = vectors.vector_of(shape, item, made), vectors.filters_of(index, item)
    if not vector or filters is None:
        return None
    return entry._replace(size=entry.size + vectors.size_of(shape), vector=vector, filters=filters)


def entries_of(
    table: TableRecord, place: bytes, record: ItemRecord
) -> Iterator[tuple[IndexRecord, Entry]]:
    """Yield the entries of the item at a place, each with its index."""
    key = items.key_of_record(table, place, record)
    item = items.item_of(table, record)
    made: vectors.Packed = {}
    for index in kept_indexes(table):
        entry = entry_of(table, index, key, item, made)
        if entry is not None:
            yield index, entry


def fault_of(attribute: KeyAttribute, value: Value | None) -> str:
    """Return why a value cannot stand in the key of an index; empty: it can."""
    if value is None:
        return "missing"
    if attribute.type not in value:
        return "type"
    return "" if value[attribute.type] else "empty"


def _fits(index: IndexRecord, item: Item) -> bool:
    """Return whether the values of a key are short enough together, as AWS counts them."""
    partition = sum(len(raw_bytes(each, item[each.name])) for each in index.partition)
    sort = sum(len(raw_bytes(each, item[each.name])) for each in index.sort)
    return partition <= PARTITION_KEY_BYTES_MAX and sort <= SORT_KEY_BYTES_MAX


def raw_bytes(attribute: KeyAttribute, value: Value) -> bytes:
    """Return what a key attribute counts in the limits of keys; numbers are always short."""
    content: Any = value[attribute.type]
    if attribute.type == "N":
        return b""
    return content if attribute.type == "B" else content.encode()


def partition_content(index: IndexRecord, item: Mapping[str, Value]) -> bytes:
    """Return the content of an index's partition key; of several attributes their tuple."""
    contents = [keys.content_of(each, item[each.name]) for each in index.partition]
    return contents[0] if len(contents) == 1 else tuples.pack(*contents)


def sort_contents(index: IndexRecord, item: Mapping[str, Value]) -> list[bytes]:
    """Return bytes for each attribute of an index's sort key that order as the values do."""
    return [sort_content(each, item[each.name]) for each in index.sort]


def sort_content(attribute: KeyAttribute, value: Value) -> bytes:
    """Return bytes that order as the values of an attribute of a sort key do."""
    if attribute.type == "N":
        return numbers.sort_bytes(value["N"])
    return keys.content_of(attribute, value)


def tail_of(table: TableRecord, place: bytes) -> bytes:
    """Return what sets an entry apart from those of other items under the same key."""
    return blake2b(place, digest_size=DIGEST_BYTES, key=table.digest_key).digest()


# What a write must keep.


def require_keys(table: TableRecord, item: Item) -> None:
    """Refuse an item whose attributes cannot be the keys of the table's indexes.

    AWS: of several indexes that one attribute is a key of, the first by name is told (paritysuite,
    dynamodb-conformance, measured).
    """
    made: vectors.Packed = {}
    for index in _by_name(table):
        vectors.require_vector(index, item, {}, made)
        for attribute in index.key_attributes:
            value = item.get(attribute.name)
            if value is not None:
                _require_type(index, attribute, value)
                if fault_of(attribute, value):
                    raise ValidationException(
                        "One or more parameter values are not valid. A value specified for a"
                        " secondary index key is not supported. The AttributeValue for a key"
                        f" attribute cannot contain an empty {_kind(attribute)} value."
                        f" IndexName: {index.name}, IndexKey: {attribute.name}"
                    )
        _require_short(index, item)


def require_changed_keys(table: TableRecord, old: Item | None, new: Item) -> None:
    """Refuse an update that gives an index a key which it cannot have.

    What an item had before there was the index, and keeps, is no fault of the update.
    """
    before, made = old or {}, vectors.Packed()
    for index in _by_name(table):
        vectors.require_vector(index, new, before, made)
        changed = False
        for attribute in index.key_attributes:
            value = new.get(attribute.name)
            if value is None or value == before.get(attribute.name):
                continue
            changed = True
            _require_type(index, attribute, value)
            if fault_of(attribute, value):
                raise ValidationException(
                    "One or more parameter values are not valid. The update expression attempted"
                    " to update a secondary index key to a value that is not supported. The"
                    " AttributeValue for a key attribute cannot contain an empty"
                    f" {_kind(attribute)} value."
                )
        if changed:
            _require_short(index, new)


def require_scalars(table: TableRecord, nested: frozenset[str]) -> None:
    """Refuse an update that looks inside an attribute of an index's key."""
    if not nested:
        return
    for index in _by_name(table):
        for attribute in index.key_attributes:
            if attribute.name in nested:
                raise ValidationException(
                    "Key attributes must be scalars; list random access '[]' and map lookup '.'"
                    f" are not allowed: IndexKey: {attribute.name}"
                )


def _by_name(table: TableRecord) -> list[IndexRecord]:
    """Return the indexes that follow what is written, by name."""
    return sorted(kept_indexes(table), key=lambda index: index.name)


def _kind(attribute: KeyAttribute) -> str:
    """Return the type of a key attribute that may be empty, in a word."""
    return "binary" if attribute.type == "B" else "string"


def _require_type(index: IndexRecord, attribute: KeyAttribute, value: Value) -> None:
    """Refuse a value of another type than the index defines."""
    if attribute.type not in value:
        raise ValidationException(
            f"{_INVALID}Type mismatch for Index Key {attribute.name} Expected: {attribute.type}"
            f" Actual: {type_of(value)} IndexName: {index.name}"
        )


def _require_short(index: IndexRecord, item: Item) -> None:
    """Refuse keys that are too long, if they are whole: otherwise there is no entry."""
    for attributes, limit, message in (
        (index.partition, PARTITION_KEY_BYTES_MAX, keys.PARTITION_TOO_LONG),
        (index.sort, SORT_KEY_BYTES_MAX, keys.SORT_TOO_LONG),
    ):
        found = [
            (each, item[each.name])
            for each in attributes
            if each.name in item and each.type in item[each.name]
        ]
        if sum(len(raw_bytes(each, value)) for each, value in found) > limit:
            raise ValidationException(message)


# What an entry shows.


def projected_names(table: TableRecord, index: IndexRecord) -> frozenset[str] | None:
    """Return the attributes that an index shows; None: all of them."""
    if index.projection == ALL:
        return None
    named = {each.name for each in table.key_attributes + index.defined_attributes}
    return frozenset(named.union(index.included))


def projected(table: TableRecord, index: IndexRecord, item: Item) -> Item:
    """Return the part of an item that an index shows; a vector index has its vectors apart."""
    names = projected_names(table, index)
    hidden = None if index.vector is None else index.vector.attribute
    if names is None and hidden is None:
        return item
    return {
        name: value
        for name, value in item.items()
        if name != hidden and (names is None or name in names)
    }


def record_of(entry: Entry, place: bytes) -> bytes:
    """Return the bytes of an entry, whose item lies at a place of its table."""
    attributes, size = msgspec.Raw(_encode(entry.shown)), entry.size
    if len(attributes) > COPY_BYTES_MAX:
        attributes, size = NO_VALUE, 0
    place = b"" if size else place
    if not entry.vector:
        return encode(EntryRecord(size=size, place=place, attributes=attributes))
    return encode(
        VectorRecord(
            vector=entry.vector,
            filters=entry.filters,
            size=size,
            place=place,
            attributes=attributes,
        )
    )


def kept_record(table: TableRecord, entry: Entry, place: bytes) -> bytes:
    """Return the bytes of an entry as its table keeps it: sealed, if that is."""
    raw = record_of(entry, place)
    if not sealing.seals(table):
        return raw
    assert table.sse is not None, "who seals has keys"
    if entry.vector:
        record = _decode_vector(raw)
        inner = (record.vector, record.filters, record.attributes)
        attributes = sealing.sealed(table.sse, sealing.ENTRY, _encode(inner), place)
        return encode(
            msgspec.structs.replace(record, vector=b"", filters=(), attributes=attributes)
        )
    plain = _decode_entry(raw)
    if plain.place:
        return raw
    attributes = sealing.sealed(table.sse, sealing.ENTRY, bytes(plain.attributes), place)
    return encode(msgspec.structs.replace(plain, attributes=attributes))


def opened_entry(table: TableRecord, entry: EntryRecord) -> EntryRecord:
    """Return an entry as it was read with its attributes in the clear."""
    if table.sse is None or not sealing.is_sealed(entry.attributes):
        return entry
    plain = sealing.opened(table.sse, sealing.ENTRY, entry.attributes)
    return msgspec.structs.replace(entry, attributes=msgspec.Raw(plain))


def opened_vector(table: TableRecord, record: VectorRecord) -> VectorRecord:
    """Return an entry of a vector index likewise, with its vector."""
    if table.sse is None or not sealing.is_sealed(record.attributes):
        return record
    inner = _decode_inner(sealing.opened(table.sse, sealing.ENTRY, record.attributes))
    vector, filters, attributes = inner
    return msgspec.structs.replace(
        record, vector=vector, filters=filters, attributes=msgspec.Raw(bytes(attributes))
    )


def place_in_table(table: TableRecord, entry: EntryRecord) -> bytes:
    """Return where the item of an entry lies within its table."""
    return entry.place or keys.key_of_item(table, _decode(entry.attributes)).place


def row_of(
    table: TableRecord, index: IndexRecord, entry: EntryRecord, base: ItemRecord | None
) -> IndexRow:
    """Return an entry as it was read, with its item if that was read too."""
    if not entry.place:
        return IndexRow(entry.size, entry, base)
    assert base is not None, "an item was read with the entry that refers to it"
    if index.projection == ALL:
        return IndexRow(base.size, entry, base)
    shown = projected(table, index, items.item_of(table, base))
    return IndexRow(sizes.item_size(shown), entry, base)


def item_of(
    table: TableRecord,
    index: IndexRecord,
    partition: bytes | None,
    row: IndexRow,
    *,
    whole: bool,
) -> Item:
    """Return what is read of an entry, ready for the wire.

    Args:
        table: The table.
        index: The index.
        partition: The partition key that the entry must have; None: any.
        row: The entry.
        whole: Whether the whole item is wanted, which then was read with the entry.

    Raises:
        Corrupt: It lies under the digest of another partition key.
    """
    if whole or row.entry.place:
        assert row.base is not None, "the item was read with its entry"
        item = items.item_of(table, row.base)
        item = item if whole else projected(table, index, item)
    else:
        item = _decode(row.entry.attributes)
    if partition is not None and partition_content(index, item) != partition:
        raise Corrupt("an entry lies under the digest of another partition key")
    return item
