"""Places of items in the history of their table, and how long what lies there is needed.

Theory: the history of a place lies at the place and the stamps of the writes there. Sort keys have
no end of their own, so they are encoded as tuples are, which order as they do: then the rows of one
place lie side by side, and those of two places in the order of the places.

Source: Amazon DynamoDB Developer Guide, "Point-in-time recovery: how it works".
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES
from fogbank.services.dynamodb.schema import TableRecord

DAY_MS: Final = 86_400_000
SECOND_MS: Final = 1_000
_BEHIND_STAMPS: Final = b"\xff" * (STAMP_BYTES + 1)
_COMMIT_BYTES: Final = 10
"""Of a stamp: what all rows of a commit share."""


def packed_place(place: bytes) -> bytes:
    """Return a place as the history has it."""
    sort = place[DIGEST_BYTES:]
    return place[:DIGEST_BYTES] + tuples.pack(sort) if sort else place


def place_in(packed: bytes) -> bytes:
    """Return the place of which the history has this."""
    rest = packed[DIGEST_BYTES:]
    if not rest:
        return packed
    [sort] = tuples.unpack(rest)
    assert isinstance(sort, bytes), "a sort key is bytes"
    return packed[:DIGEST_BYTES] + sort


def packed_edge(table: TableRecord, edge: bytes) -> bytes:
    """Return where in the history the places begin that are not before an edge of a range."""
    digest, sort = edge[:DIGEST_BYTES], edge[DIGEST_BYTES:]
    if not sort:
        return edge
    return digest + (_BEHIND_STAMPS if table.sort is None else tuples.pack(sort))


def commit_of(stamp: bytes) -> bytes:
    """Return the first stamp of a commit: none of its rows lies before."""
    return stamp[:_COMMIT_BYTES].ljust(STAMP_BYTES, b"\0")


class Needed(NamedTuple):
    """What of a history somebody may ask for."""

    since_ms: int | None
    """What was written from then on is needed, for recovery; None: none of it is."""
    moment: bytes | None
    """What was written at this stamp or behind it is needed, for cuts; None: none of it is."""

    def holds(self, at_ms: int, stamp: bytes) -> bool:
        """Return whether a row of the history is needed."""
        if self.since_ms is not None and at_ms >= self.since_ms:
            return True
        return self.moment is not None and stamp >= self.moment


def needed_since_ms(table: TableRecord, now_ms: int) -> int | None:
    """Return from when on the history of a table is needed for recovery, of whichever replica.

    AWS: of strongly consistent tables recovery is each region's own (Developer Guide, "Settings
    synchronization"); the history of all lies where the items do. None: nobody needs it.
    """
    found = [earliest_ms(each, now_ms) for each in recoveries_of(table)]
    return min((each for each in found if each is not None), default=None)


def window_ms(table: TableRecord) -> int:
    """Return how far back somebody can restore a table; 0: nobody can."""
    return max((each.recovery_days * DAY_MS for each in recoveries_of(table)), default=0)


def recoveries_of(table: TableRecord) -> list[TableRecord]:
    """Return a table as each of its replicas that can be restored to a moment has it."""
    others = {} if table.strong is None else table.strong.recoveries
    seen = [
        msgspec.structs.replace(table, recovery_ms=each.since_ms, recovery_days=each.days)
        for each in others.values()
    ]
    return [each for each in (table, *seen) if each.recovery_ms]


def earliest_ms(table: TableRecord, now_ms: int) -> int | None:
    """Return the first moment to which a table can be restored, a whole second; None: it cannot.

    In the second in which recovery was turned on it is as it was when that was done.
    """
    if not table.recovery_ms:
        return None
    earliest_ms = max(table.recovery_ms, now_ms - table.recovery_days * DAY_MS)
    return earliest_ms // SECOND_MS * SECOND_MS
