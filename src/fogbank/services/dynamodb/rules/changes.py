"""Changes of items: what a stream is told of one, and how it shows it.

Rules: a write that changes nothing is no change, however the item is spelled; a record shows what
the view of the stream asks for, and always the key.

Source: Amazon DynamoDB API Reference, Record and StreamRecord; Developer Guide, "Time to Live
deletions and DynamoDB Streams".
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, cast

import msgspec

from fogbank.platform.store.records import encode
from fogbank.services.dynamodb.rules import items, keys, sealing, shards, sizes, values
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.pages import ROWS_FIRST, ROWS_GROWTH, ROWS_MAX
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import (
    NO_VALUE,
    ChangeRecord,
    ItemRecord,
    StreamRecord,
    TableRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodbstreams as shapes

ROW_BYTES_MAX: Final = 256 << 10
"""A row of the store takes 512 KiB; two images may have more."""
ROWS_MIN: Final = 5
"""A change may take three rows, and two images of the one before it may lie before it."""
_OLD_VIEWS: Final = frozenset({"OLD_IMAGE", "NEW_AND_OLD_IMAGES"})
_NEW_VIEWS: Final = frozenset({"NEW_IMAGE", "NEW_AND_OLD_IMAGES"})
_EVENT_ID_BYTES: Final = 16
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_value: Final = msgspec.msgpack.Decoder(dict[str, object] | None).decode
_decode_key: Final = msgspec.msgpack.Decoder(dict[str, dict[str, object]]).decode


def find_change(
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    after: ItemRecord | None,
    *,
    at_ms: int,
    by: str,
) -> ChangeRecord | None:
    """Return what a stream is told of a write, or None if the write changes nothing.

    Args:
        table: The table, which has a stream.
        key: The key of the item.
        before: What lay there, or None.
        after: What is to lie there, or None.
        at_ms: The time.
        by: The service that writes by itself; empty for a client's write.
    """
    if before is not None and after is not None and before.attributes == after.attributes:
        return None
    old, new = items.found_item(table, before), items.found_item(table, after)
    item = new or old
    if item is None or (old and new and values.equal({"M": old}, {"M": new})):
        return None
    size = sizes.item_size(keys.key_attributes_of(table, item))
    shown_old = before if table.stream_view in _OLD_VIEWS else None
    shown_new = after if table.stream_view in _NEW_VIEWS else None
    return ChangeRecord(
        event="REMOVE" if new is None else "INSERT" if old is None else "MODIFY",
        at_ms=at_ms,
        size=size + items.found_size(shown_old) + items.found_size(shown_new),
        partition=b"" if sealing.seals(table) else key.partition,
        sort=_sort_of(table, key, item),
        old=_image_of(shown_old),
        new=_image_of(shown_new),
        by=by,
        old_body=None if shown_old is None else shown_old.body,
        new_body=None if shown_new is None else shown_new.body,
    )


def _sort_of(table: TableRecord, key: ItemKey, item: Item) -> msgspec.Raw:
    """Return what a change has of a sort key; of one that is sealed of both attributes of the key."""
    if sealing.seals(table):
        assert table.sse is not None, "who seals has keys"
        named = _encode(keys.key_attributes_of(table, item))
        return sealing.sealed(table.sse, sealing.KEYS, named, key.place)
    return NO_VALUE if table.sort is None else msgspec.Raw(_encode(item[table.sort.name]))


def _image_of(record: ItemRecord | None) -> msgspec.Raw:
    """Return what a change has of a record itself: what does not lie elsewhere."""
    return NO_VALUE if record is None or record.body is not None else record.attributes


def rows_of(change: ChangeRecord) -> Iterator[bytes]:
    """Yield the rows of a change: one, or one and each of its images for itself."""
    images = [each for each in (change.old, change.new) if each != NO_VALUE]
    if sum(map(len, map(bytes, images))) <= ROW_BYTES_MAX:
        yield encode(change)
        return
    yield encode(msgspec.structs.replace(change, old=NO_VALUE, new=NO_VALUE, images=len(images)))
    if change.old != NO_VALUE:
        yield encode(ChangeRecord(event="", at_ms=change.at_ms, old=change.old))
    if change.new != NO_VALUE:
        yield encode(ChangeRecord(event="", at_ms=change.at_ms, new=change.new))


def changes_in(rows: list[tuple[int, ChangeRecord]]) -> list[tuple[int, ChangeRecord]]:
    """Return the changes that rows of a stream are, each with its place.

    Images of a change that was passed already stand at the begin, if at all, and a change whose
    images were not read stands at the end; neither is taken.
    """
    found: list[tuple[int, ChangeRecord]] = []
    missing = 0
    for place, row in rows:
        if row.event:
            found.append((place, row))
            missing = row.images
        elif missing:
            at, change = found[-1]
            old = change.old if row.old == NO_VALUE else row.old
            new = change.new if row.new == NO_VALUE else row.new
            found[-1] = at, msgspec.structs.replace(change, old=old, new=new)
            missing -= 1
    return found[:-1] if missing else found


class ChangePage:
    """A page of changes, as it is read.

    Args:
        iterator: Where it begins.
        items_max: So many records at most, those that are passed over among them.
        bytes_max: It ends before the record with which it would be larger, unless that is its first.
    """

    def __init__(self, iterator: shards.Iterator, items_max: int, bytes_max: int) -> None:
        self.iterator = iterator
        self.changes: list[tuple[int, ChangeRecord]] = []
        self.full = False
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._scanned = 0
        self._size = 0

    @property
    def rows_next(self) -> int:
        """Return how many rows to read in the next step; they are enough for one change."""
        if not self._scanned:
            return ROWS_FIRST
        left = self._bytes_max - self._size
        wanted = left * self._scanned // max(1, self._size) + 1
        return max(ROWS_MIN, min(ROWS_MAX, ROWS_GROWTH * self._scanned, wanted))

    def add(self, place: int, change: ChangeRecord) -> None:
        """Take a change, or end the page before it and take none behind it."""
        is_passed = change.at_ms // 1_000 * 1_000 < self.iterator.since_ms
        size = 0 if is_passed else change.size
        larger = bool(self.changes) and self._size + size > self._bytes_max
        self.full = self.full or larger or self._scanned == self._items_max
        if self.full:
            return
        self._scanned += 1
        self._size += size
        since_ms = self.iterator.since_ms if is_passed else 0
        self.iterator = self.iterator._replace(after=place, since_ms=since_ms, horizon=False)
        if not is_passed:
            self.changes.append((place, change))


def record_of(region: str, stream: StreamRecord, place: int, change: ChangeRecord) -> shapes.Record:
    """Return a change as GetRecords shows it."""
    found = _key_of(stream, change)
    told: shapes.StreamRecord = {
        # AWS: "rounded down to the closest second".
        "ApproximateCreationDateTime": change.at_ms // 1_000 * 1_000,
        "Keys": _shown(found),
        "SequenceNumber": shards.sequence_number(place),
        "SizeBytes": change.size,
        "StreamViewType": stream.view,
    }
    if change.new != NO_VALUE or change.new_body is not None:
        image = items.attributes_of(change.new, change.new_body, stream.sse)
        told["NewImage"] = _shown({**image, **found})
    if change.old != NO_VALUE or change.old_body is not None:
        image = items.attributes_of(change.old, change.old_body, stream.sse)
        told["OldImage"] = _shown({**image, **found})
    record: shapes.Record = {
        "eventID": _event_id(stream, place),
        "eventName": change.event,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": told,
    }
    if change.by:
        record["userIdentity"] = {"Type": "Service", "PrincipalId": change.by}
    return record


def _key_of(stream: StreamRecord, change: ChangeRecord) -> Item:
    """Return the attributes of the key of a change."""
    if stream.sse is not None and sealing.is_sealed(change.sort):
        return _decode_key(sealing.opened(stream.sse, sealing.KEYS, change.sort))
    name, kind = stream.partition.name, stream.partition.type
    found: Item = {name: {kind: change.partition if kind == "B" else change.partition.decode()}}
    sort = _decode_value(change.sort)
    if stream.sort is not None and sort is not None:
        found[stream.sort.name] = sort
    return found


def _shown(item: Item) -> dict[str, shapes.AttributeValue]:
    """Return an item as the model types it: items are as they go over the wire."""
    return cast("dict[str, shapes.AttributeValue]", item)


def _event_id(stream: StreamRecord, place: int) -> str:
    """Return the id of the event at a place of a stream: the same whenever it is read."""
    named = f"{stream.table_id}/{stream.created_ms}/{place}"
    return blake2b(named.encode(), digest_size=_EVENT_ID_BYTES).hexdigest()
