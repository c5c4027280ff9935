"""Events in order, out of rows that overlap.

Rows come in the order of their first events; a row that comes later may hold events that belong
before some of an earlier row. Theory: going up, nothing still to come lies before the last row's
first event; going down, nothing still to come is later than that event by more than a row spans.
What is beyond that edge can be told; the rest waits in a heap.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from fogbank.services.logs import quotas
from fogbank.services.logs.rules.positions import Edge, Position
from fogbank.services.logs.schema import EventsRecord

Rank = tuple[int, int, int]


class Row(NamedTuple):
    """A row as it lies in the store."""

    first_ms: int
    stamp: int
    record: EventsRecord


class Found(NamedTuple):
    """An event that was found."""

    position: Position
    message: str
    ingested_ms: int
    parts: bytes
    row_ms: int


class Span(NamedTuple):
    """Which events are wanted: from ``begin_ms`` up to ``end_ms``, on the far side of ``edge``."""

    begin_ms: int
    end_ms: int
    """Not included."""
    edge: Edge

    @property
    def descending(self) -> bool:
        """Return whether the newest come first."""
        return self.edge.descending

    @property
    def first_ms(self) -> int:
        """Return the earliest time of a wanted event."""
        if self.descending:
            return self.begin_ms
        return max(self.begin_ms, self.edge.position.time_ms)

    @property
    def rows_begin_ms(self) -> int:
        """Return the earliest first event of a row that may hold a wanted one."""
        return max(0, self.first_ms - quotas.ROW_SPAN_MS)

    @property
    def rows_end_ms(self) -> int:
        """Return the time before which such a row begins."""
        if self.descending:
            return min(self.end_ms, self.edge.position.time_ms + 1)
        return self.end_ms

    def rank(self, position: Position) -> Rank:
        """Return what orders events as they are told."""
        if not self.descending:
            return position
        return (-position.time_ms, -position.stamp, -position.number)

    def wants(self, position: Position) -> bool:
        """Return whether an event is wanted."""
        if not self.begin_ms <= position.time_ms < self.end_ms:
            return False
        if self.descending:
            return position < self.edge.position
        return position > self.edge.position


FIRST = Position(0, 0, 0)
"""Before every event."""
LAST = Position(10**14 - 1, 10**30 - 1, 10**12 - 1)
"""Behind every event."""


def start_of(*, descending: bool) -> Edge:
    """Return the edge at which reading begins without a token."""
    return Edge(LAST if descending else FIRST, descending)


def edge_of_hour(hour: int, *, descending: bool) -> Position:
    """Return the position from which an hour is told whole, and what lies behind it."""
    if descending:
        return Position((hour + 1) * quotas.HOUR_MS - 1, LAST.stamp, LAST.number)
    return Position(hour * quotas.HOUR_MS, 0, 0)


class Sorter:
    """Takes rows in order of their keys and gives events in order of their positions."""

    __slots__ = ("_heap", "_safe", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._heap: list[tuple[Rank, Found]] = []
        self._safe: Rank | None = (-LAST.time_ms, 0, 0)
        """Events at or before this rank can be told; None: all can."""

    def feed(self, rows: list[Row], *, last: bool) -> None:
        """Take the next rows; ``last`` says that none will follow."""
        for row in rows:
            for number, event in enumerate(row.record.events):
                position = Position(row.first_ms + event.offset_ms, row.stamp, number)
                if self._span.wants(position):
                    found = Found(
                        position, event.message, row.record.ingested_ms, event.parts, row.first_ms
                    )
                    heapq.heappush(self._heap, (self._span.rank(position), found))
        if last:
            self._safe = None
        elif rows:
            edge = rows[-1]
            if self._span.descending:
                self._safe = (-(edge.first_ms + quotas.ROW_SPAN_MS) - 1, 0, 0)
            else:
                self._safe = (edge.first_ms, edge.stamp, LAST.number)

    def next(self) -> Found | None:
        """Return the next event, or None if more rows are needed first or there is none."""
        if not self._heap or (self._safe is not None and self._heap[0][0] > self._safe):
            return None
        return heapq.heappop(self._heap)[1]
