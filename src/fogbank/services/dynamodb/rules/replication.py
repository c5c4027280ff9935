"""What one replica brings to another: writes in the order of its log, and what was there before.

Rule: a region brings what was last written in it, as it is by then, so that many writes of an item may
come as one; what another region has written since is that region's to bring. A copy for a new replica
goes over the items, then over what is kept of those that are gone; the region in which the replica was
asked for copies also what was last written elsewhere, or before the table was global.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.platform.blobs.chunks import CHUNK_BYTES_MAX, BodyRef
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, ItemKey, digest_of
from fogbank.services.dynamodb.rules.versions import UNKNOWN
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.replicas import PairRecord, VersionRecord

ITEMS: Final = "ITEMS"
GONE: Final = "GONE"
"""The parts of a copy, in their order."""
_DIGESTS: Final = 1 << 16


class Change(NamedTuple):
    """A write of an item on its way to another replica."""

    partition: bytes
    """The content of its partition key."""
    sort: bytes
    """Its sort key in the bytes of the store; empty: it has none."""
    version: VersionRecord
    item: ItemRecord | None
    """The item; None: it is gone."""
    place: bytes
    """Where it lies within the table that it is brought from."""
    at_ms: int = 0
    """When it was written; 0: it is copied, whenever that was."""

    @property
    def is_blob(self) -> bool:
        """Return whether the item is so large that its attributes are a blob."""
        body = None if self.item is None else self.item.body
        return body is not None and body.size > CHUNK_BYTES_MAX


class Step(NamedTuple):
    """What one step brings, and what the pair is when it has arrived."""

    pair: PairRecord
    changes: list[Change]
    is_last: bool
    """Whether there was no more at the time."""


def change_of(
    place: bytes,
    partition: bytes,
    version: VersionRecord | None,
    item: ItemRecord | None,
    at_ms: int = 0,
) -> Change:
    """Return the change that brings what lies at a place of a replica.

    The body of a large item goes with it, and is given another place where it arrives.
    """
    if item is not None and item.body is not None:
        item = msgspec.structs.replace(item, body=BodyRef(len(bytes(item.attributes))))
    return Change(partition, place[DIGEST_BYTES:], version or UNKNOWN, item, place, at_ms)


def is_brought(region: str, pair: PairRecord, version: VersionRecord | None) -> bool:
    """Return whether a region copies an item of a version to the other of a pair."""
    return pair.everything or (version is not None and version.region == region)


def key_in(table: TableRecord, change: Change) -> ItemKey:
    """Return the key of a change in another replica, whose digests are its own."""
    return ItemKey(change.partition, digest_of(table, change.partition), change.sort)


def copied_further(pair: PairRecord, last: bytes, *, ended: bool) -> PairRecord:
    """Return a pair whose copy has passed a place, or come to the end of its part."""
    if not ended:
        return msgspec.structs.replace(pair, next_place=last + b"\0")
    return msgspec.structs.replace(
        pair, copying=GONE if pair.copying == ITEMS else "", next_place=b""
    )


def percent_of(pair: PairRecord) -> int:
    """Return how much of a copy has been made: digests are spread evenly over a table."""
    if pair.copying == ITEMS:
        return int.from_bytes(pair.next_place[:2].ljust(2, b"\0")) * 100 // _DIGESTS
    return 99 if pair.copying else 100
