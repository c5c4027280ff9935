"""Versions of items of global tables: whose write is the last.

Theory: a version is a time and a region, and the greater wins, so that replicas that have seen the
same writes have the same items in whatever order these came. The time is the clock's millisecond
with a count behind it (a hybrid logical clock: Kulkarni and others, 2014): a write in a region is
later than every write that it replaces there, even if that came from a region whose clock is ahead,
and the writes of one millisecond have an order.

A deletion of what has expired is later than what it deletes and no later: whoever wrote the item
anew meanwhile, in whatever region, meant it.

Source: Amazon DynamoDB Developer Guide, "Global tables: how it works": the modification with the
latest internal timestamp of each item wins.
"""

from __future__ import annotations

from typing import Final

from fogbank.services.dynamodb.schema.replicas import VersionRecord

COUNT_BITS: Final = 20
"""Of a time: so many writes of one item fit into a millisecond before its time runs ahead."""
UNKNOWN: Final = VersionRecord(at=0, region="")
"""Of an item that was there before its table was global: every write is later."""


def next_at(known: VersionRecord | None, now_ms: int) -> int:
    """Return the time of a write that replaces what has a version, if anything."""
    return max(now_ms << COUNT_BITS, 0 if known is None else known.at + 1)


def expired_at(known: VersionRecord | None) -> int:
    """Return the time of a deletion of an item that has expired."""
    return 1 if known is None else known.at + 1


def is_later(version: VersionRecord, known: VersionRecord | None) -> bool:
    """Return whether a write wins over what is known of its item; one that came before does not."""
    return known is None or (version.at, version.region) > (known.at, known.region)
