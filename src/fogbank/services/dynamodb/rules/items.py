"""Items between the wire and the store: encoding, and what a write gives back.

An item is stored as it goes over the wire, which makes reads cheap. Attributes of more than 16 KiB
are a body of their own, which a record refers to (``platform/blobs/chunks``): they are written once
for the item, its stream and its history. Records of before may have them deflated instead. Where KMS
has the table's key they are sealed (``sealing``), the partition key among them.

Source: Amazon DynamoDB API Reference, ``ReturnValues`` of PutItem, UpdateItem and DeleteItem.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.platform.blobs import chunks
from fogbank.platform.blobs.chunks import BodyRef
from fogbank.platform.blobs.held import Unheld
from fogbank.platform.blobs.port import BlobRef
from fogbank.services.dynamodb.errors import ConditionalCheckFailedException, ValidationException
from fogbank.services.dynamodb.rules import keys, paths, sealing, sizes
from fogbank.services.dynamodb.rules.expressions.conditions import BoundCondition
from fogbank.services.dynamodb.rules.expressions.projections import ItemProjection
from fogbank.services.dynamodb.rules.expressions.updates import BoundUpdate
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import NO_VALUE, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.encryption import EncryptionRecord

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, dict[str, object]]).decode
_decode_stored: Final = msgspec.msgpack.Decoder(dict[str, dict[str, object]] | bytes).decode

TOO_LARGE: Final = "Item size has exceeded the maximum allowed size"
TOO_LARGE_AFTER_UPDATE: Final = "Item size to update has exceeded the maximum allowed size"


def record_of(table: TableRecord, key: ItemKey, item: Item, size: int) -> ItemRecord:
    """Return the record of an item of a size that was measured.

    The body of a large one has no place yet: the write of the record gives it one.
    """
    if sealing.seals(table):
        return _sealed_record(table, key, item, size)
    others = {**item}
    del others[table.partition.name]
    attributes = _encode(others)
    length = len(attributes)
    return ItemRecord(
        size=size,
        partition=key.partition,
        attributes=msgspec.Raw(attributes),
        body=BodyRef(length) if length > chunks.INLINE_BYTES_MAX else None,
    )


def _sealed_record(table: TableRecord, key: ItemKey, item: Item, size: int) -> ItemRecord:
    """Return the record of an item whose attributes are sealed, all of them."""
    assert table.sse is not None, "who seals has keys"
    attributes = sealing.sealed(table.sse, sealing.ITEM, _encode(item), key.place)
    length = len(attributes)
    return ItemRecord(
        size=size,
        partition=sealing.guard_of(table, key.partition),
        attributes=attributes,
        body=BodyRef(length) if length > chunks.INLINE_BYTES_MAX else None,
    )


def plain_of(table: TableRecord, record: ItemRecord) -> ItemRecord:
    """Return the record of an item as it is where nothing is sealed: for another table."""
    if table.sse is None or not _is_sealed(record):
        return record
    item = item_of(table, record)
    attributes = _encode({name: item[name] for name in item if name != table.partition.name})
    return ItemRecord(
        size=record.size,
        partition=keys.partition_bytes(table.partition, item[table.partition.name]),
        attributes=msgspec.Raw(attributes),
        body=BodyRef(len(attributes)) if len(attributes) > chunks.INLINE_BYTES_MAX else None,
    )


def kept_of(table: TableRecord, key: ItemKey, record: ItemRecord) -> ItemRecord:
    """Return a record, which may come from a table where nothing is sealed, as a table keeps it."""
    if not sealing.seals(table) or _is_sealed(record):
        return record
    return _sealed_record(table, key, item_of(table, record), record.size)


def found_kept(table: TableRecord, key: ItemKey, record: ItemRecord | None) -> ItemRecord | None:
    """Return a record as a table keeps it, or None if there is none; see ``kept_of``."""
    return None if record is None else kept_of(table, key, record)


def _is_sealed(record: ItemRecord) -> bool:
    """Return whether a record is sealed, of which the body is at hand.

    Raises:
        Unheld: The body lies in a blob that was not read.
    """
    _require_whole(record.attributes, record.body)
    return sealing.is_sealed(record.attributes)


def key_of_record(table: TableRecord, place: bytes, record: ItemRecord) -> ItemKey:
    """Return the key of the item that lies at a place within a table."""
    partition = record.partition
    if table.sse is not None and _is_sealed(record):
        item = item_of(table, record)
        partition = keys.partition_bytes(table.partition, item[table.partition.name])
    return ItemKey(partition, place[: keys.DIGEST_BYTES], place[keys.DIGEST_BYTES :])


def is_of(table: TableRecord, record: ItemRecord, partition: bytes) -> bool:
    """Return whether a record is of an item with a partition key."""
    if record.partition == partition:
        return True
    return table.sse is not None and record.partition == sealing.guard_of(table, partition)


def item_of(table: TableRecord, record: ItemRecord) -> Item:
    """Return the item of a record, ready for the wire."""
    if table.sse is not None and _is_sealed(record):
        return _decode(sealing.opened(table.sse, sealing.ITEM, record.attributes))
    item = attributes_of(record.attributes, record.body)
    name, kind = table.partition.name, table.partition.type
    item[name] = {kind: record.partition if kind == "B" else record.partition.decode()}
    return item


def attributes_of(
    stored: msgspec.Raw, body: BodyRef | None, sse: EncryptionRecord | None = None
) -> Item:
    """Return the attributes that a record of an item has: those beside the partition key, at least.

    Args:
        stored: What the record has of them.
        body: Where they lie if that is nothing.
        sse: What they may be sealed by.

    Raises:
        Unheld: They lie in a blob that was not read.
    """
    if body is not None:
        _require_whole(stored, body)
    if sse is not None and sealing.is_sealed(stored):
        return _decode(sealing.opened(sse, sealing.ITEM, stored))
    found = _decode_stored(stored)
    return _decode(zlib.decompress(found)) if isinstance(found, bytes) else found


def _require_whole(stored: msgspec.Raw, body: BodyRef | None) -> None:
    """Refuse to look at attributes that lie elsewhere.

    Raises:
        Unheld: They lie in a blob.
    """
    if body is not None and stored == NO_VALUE:
        assert body.blob is not None, "other bodies are read with their records"
        raise Unheld(BlobRef(*body.blob))


def found_item(table: TableRecord, record: ItemRecord | None) -> Item | None:
    """Return the item of a record that was looked for, or None if there is none."""
    return None if record is None else item_of(table, record)


def shown_item(table: TableRecord, record: ItemRecord, projection: ItemProjection | None) -> Item:
    """Return the item of a record, or what a projection asks for of it."""
    item = item_of(table, record)
    return item if projection is None else projection.of(item)


def found_size(record: ItemRecord | None) -> int:
    """Return the size of a record that was looked for; 0 if there is none."""
    return 0 if record is None else record.size


def require_size(item: Item, limit: int, message: str) -> int:
    """Return the size of an item, or refuse it."""
    size = sizes.item_size(item)
    if size > limit:
        raise ValidationException(message)
    return size


def require_return_values(request: Request) -> str:
    """Return ``ReturnValues`` of an operation that replaces or deletes a whole item."""
    wanted: str = request.get("ReturnValues", "NONE")
    if wanted not in ("NONE", "ALL_OLD"):
        raise ValidationException("ReturnValues can only be ALL_OLD or NONE")
    return wanted


def require_condition(condition: BoundCondition | None, old: Item | None, request: Request) -> None:
    """Refuse a write whose condition does not hold for the item as it is.

    Args:
        condition: What must hold; None holds always.
        old: The item, or None if there is none: then every attribute is missing.
        request: With ``ReturnValuesOnConditionCheckFailure``.
    """
    if condition is not None and not condition.holds(old or {}):
        # Not kept in a local variable: with its traceback that would be a cycle.
        raise _unmet(old, request)


def _unmet(old: Item | None, request: Request) -> ConditionalCheckFailedException:
    """Return the refusal of a write, with the item where the request wants it."""
    error = ConditionalCheckFailedException("The conditional request failed")
    wanted = request.get("ReturnValuesOnConditionCheckFailure", "NONE")
    if wanted == "ALL_OLD" and old is not None:
        error.members["Item"] = old
    return error


def returned_attributes(
    wanted: str, update: BoundUpdate | None, old: Item | None, new: Item | None
) -> Wire:
    """Return the ``Attributes`` member of a reply, or nothing.

    Args:
        wanted: ``ReturnValues``.
        update: What the request changed, for the values that return only that.
        old: The item before, or None.
        new: The item after, or None.
    """
    shown = new if wanted.endswith("NEW") else old
    if wanted == "NONE" or shown is None:
        return {}
    if wanted.startswith("UPDATED"):
        shown = {} if update is None else paths.cut(shown, update.tree)
    return {"Attributes": shown} if shown else {}
