"""Operations on events: storing them, reading one stream, searching a group.

Reading goes through short transactions, a few rows each; decoding, sorting and matching happen
between them, so that a long search holds up nobody. What is past its retention is not told, whether
or not it has been removed yet.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import ANY, BodyLimit, operation
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.logs import quotas, state
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.rules import (
    access,
    batches,
    names,
    patterns,
    positions,
    retention,
    sorting,
    views,
)
from fogbank.services.logs.rules.batches import RowDraft
from fogbank.services.logs.rules.positions import Edge, Position
from fogbank.services.logs.rules.sorting import Found, Rank, Row, Sorter, Span
from fogbank.services.logs.schema import EVENTS, GroupRecord
from fogbank.services.logs.state import ActiveStream, RawRow, RowRange

if TYPE_CHECKING:
    from fogbank.wire.shapes import logs as shapes

_PART_NAME_BYTES: Final = 8
_ROWS_PER_WRITE: Final = 256
_ROWS_PER_READ: Final = 16
_ROWS_PER_STREAM: Final = 4
_STREAMS_PER_READ: Final = 500


@operation(
    access=access.on_stream("PutLogEvents"),
    unhonoured={"entity": None, "sequenceToken": ANY},
    body=BodyLimit(quotas.EVENTS_REQUEST_BYTES),
)
async def put_log_events(
    call: Call, request: shapes.PutLogEventsRequest
) -> shapes.PutLogEventsResponse:
    """Store a batch of events; sequence tokens are ignored, as AWS does."""
    now_ms = call.clock.now_ms()
    events = request["logEvents"]
    limits = batches.Limits(call.limit(quotas.EVENT_BYTES), call.limit(quotas.BATCH_BYTES))
    sizes = batches.checked_sizes(events, limits)

    async def look(tr: Transaction) -> GroupRecord:
        group = await state.require_group(tr, request["logGroupName"])
        await state.require_stream(tr, group, request["logStreamName"])
        return group

    group = await call.store.read(look)
    accepted = batches.accepted_of(events, now_ms, retention.kept_since_ms(group, now_ms))
    stored = slice(accepted.begin, accepted.end)
    rows = batches.rows_of(
        events[stored], sizes[stored], now_ms, lambda: call.ids.random_bytes(_PART_NAME_BYTES)
    )
    for at in range(0, len(rows), _ROWS_PER_WRITE):
        await _append(call, group, request["logStreamName"], rows[at : at + _ROWS_PER_WRITE])
    reply: shapes.PutLogEventsResponse = {"nextSequenceToken": views.sequence_token(now_ms)}
    if accepted.rejected:
        reply["rejectedLogEventsInfo"] = accepted.rejected
    return reply


async def _append(call: Call, group: GroupRecord, stream: str, rows: Sequence[RowDraft]) -> None:
    """Store some rows of a batch."""

    async def body(tr: Transaction) -> None:
        await state.append(tr, group, stream, rows)

    await call.store.transact(body)


@operation(
    access=access.on_stream("GetLogEvents"),
    unhonoured={"unmask": False},
    reply=quotas.EVENT_BYTES,
)
async def get_log_events(
    call: Call, request: shapes.GetLogEventsRequest
) -> shapes.GetLogEventsResponse:
    """Return a page of one stream's events, the newest page unless told otherwise."""
    name = names.group_name_of(call.scope, request)
    edge = sorting.start_of(descending=not request.get("startFromHead", False))
    if token := request.get("nextToken"):
        edge = positions.edge_of_stream_token(token)

    async def look(tr: Transaction) -> tuple[GroupRecord, ActiveStream]:
        group = await state.require_group(tr, name)
        stream = await state.require_stream(tr, group, request["logStreamName"])
        return group, ActiveStream(stream.id, stream.name)

    group, stream = await call.store.read(look)
    begin_ms = _begin_ms(call, group, request)
    span = Span(begin_ms, request.get("endTime", sorting.LAST.time_ms), edge)
    reader = _Reader(call.store, group, stream, span, _ROWS_PER_READ)
    found: list[tuple[Position, shapes.OutputLogEvent]] = []
    room = quotas.PAGE_BYTES
    while len(found) < request.get("limit", quotas.PAGE_EVENTS):
        event = await reader.next()
        if event is None:
            break
        message = await reader.message(event)
        room -= len(message.encode())
        if found and room < 0:
            break
        found.append((event.position, views.event_view(event, message)))
    if edge.descending:
        found.reverse()
    empty = edge.position if token else Position(begin_ms, 0, 0)
    return {
        "events": [event for _, event in found],
        "nextForwardToken": positions.stream_token(found[-1][0] if found else empty, "f"),
        "nextBackwardToken": positions.stream_token(found[0][0] if found else empty, "b"),
    }


def _begin_ms(call: Call, group: GroupRecord, request: Request) -> int:
    """Return the time before which no event is told."""
    kept_since_ms = retention.kept_since_ms(group, call.clock.now_ms())
    return max(kept_since_ms, request.get("startTime", 0))


class _Reader:
    """Reads the events of one stream in order."""

    def __init__(
        self, store: Store, group: GroupRecord, stream: ActiveStream, span: Span, rows: int
    ) -> None:
        self.stream = stream
        self._store = store
        self._range = RowRange(
            group.id, stream.id, span.rows_begin_ms, span.rows_end_ms, span.descending
        )
        self._rows = rows
        self._sorter = Sorter(span)
        self._last: RawRow | None = None
        self._ended = False

    async def next(self) -> Found | None:
        """Return the next event, or None at the end."""
        while (found := self._sorter.next()) is None:
            if self._ended:
                return None
            await self._read()
        return found

    async def _read(self) -> None:
        """Read some more rows."""
        last = self._last

        async def body(tr: Transaction) -> list[RawRow]:
            return await state.read_rows(tr, self._range, last, self._rows)

        rows = await self._store.read(body)
        self._ended = len(rows) < self._rows
        self._last = rows[-1] if rows else last
        decoded = [Row(row.first_ms, row.stamp, EVENTS.decode(row.value)) for row in rows]
        self._sorter.feed(decoded, last=self._ended)

    async def message(self, found: Found) -> str:
        """Return the message of an event, from its parts if it lies in parts."""
        if not found.parts:
            return found.message

        async def body(tr: Transaction) -> list[bytes]:
            stream = (self._range.group_id, self.stream.id)
            return await state.read_parts(tr, *stream, found.row_ms, found.parts)

        return b"".join(await self._store.read(body)).decode()


@operation(
    access=access.on_group("FilterLogEvents"),
    unhonoured={"unmask": False, "interleaved": ANY},
    reply=quotas.SCAN_BYTES,
)
async def filter_log_events(
    call: Call, request: shapes.FilterLogEventsRequest
) -> shapes.FilterLogEventsResponse:
    """Search the streams of a group; a page may be short or empty and still not be the last."""
    name = names.group_name_of(call.scope, request)
    pattern = patterns.pattern_of(request.get("filterPattern", ""))
    edge = sorting.start_of(descending=not request.get("startFromHead", True))
    if token := request.get("nextToken"):
        edge = positions.edge_of_filter_token(token)

    async def look(tr: Transaction) -> GroupRecord:
        return await state.require_group(tr, name)

    group = await call.store.read(look)
    end_ms = min(request.get("endTime", sorting.LAST.time_ms), sorting.LAST.time_ms - 1) + 1
    span = Span(_begin_ms(call, group, request), end_ms, edge)
    limit: int = request.get("limit", quotas.PAGE_EVENTS)
    scan_max = call.limit(quotas.SCAN_BYTES)
    search = _Search(call.store, group, request, span)
    events: list[shapes.FilteredLogEvent] = []
    room, last, scanned = quotas.PAGE_BYTES, edge.position, 0
    while (pair := await search.next()) is not None:
        reader, found = pair
        message = await reader.message(found)
        scanned += len(message) + quotas.EVENT_OVERHEAD_BYTES
        if pattern.matches(message):
            room -= len(message.encode())
            if len(events) == limit or (events and room < 0):
                break
            events.append(views.filtered_view(found, message, reader.stream.name))
        last = found.position
        if scanned > scan_max:
            break
    else:
        if search.stopped_at is None:
            return {"events": events, "searchedLogStreams": []}
        last = search.stopped_at
    next_token = positions.filter_token(Edge(last, edge.descending))
    return {"events": events, "searchedLogStreams": [], "nextToken": next_token}


class _Search:
    """Gives the events of all streams that a search is about, in one order.

    Named streams are merged whole; otherwise hour by hour, those that have events in the hour. One
    search looks at a limited number of hours; ``stopped_at`` says where the next one goes on.
    """

    def __init__(self, store: Store, group: GroupRecord, request: Request, span: Span) -> None:
        self._store = store
        self._group = group
        self._span = span
        self._prefix: str = request.get("logStreamNamePrefix", "")
        self._listed: Sequence[str] | None = request.get("logStreamNames")
        if self._prefix and self._listed:
            raise InvalidParameterException(
                "logStreamNamePrefix and logStreamNames are mutually exclusive parameters."
            )
        self.stopped_at: Position | None = None
        self._hours_left = quotas.SEARCH_HOURS
        self._begin = batches.hour_of(span.first_ms)
        self._end = batches.hour_of(span.rows_end_ms - 1) + 1
        self._ended = False
        self._heap: list[tuple[Rank, int, _Reader, Found]] = []

    async def next(self) -> tuple[_Reader, Found] | None:
        """Return the next event and the reader of its stream, or None at the end."""
        while not self._heap:
            if self._ended:
                return None
            for number, reader in enumerate(await self._more()):
                await self._push(number, reader)
        _, number, reader, found = heapq.heappop(self._heap)
        await self._push(number, reader)
        return reader, found

    async def _push(self, number: int, reader: _Reader) -> None:
        """Put the next event of a stream in its place among the others."""
        found = await reader.next()
        if found is not None:
            rank = self._span.rank(found.position)
            heapq.heappush(self._heap, (rank, number, reader, found))

    async def _more(self) -> list[_Reader]:
        """Return readers of the next streams to be merged."""
        if self._listed is not None:
            self._ended = True
            return self._readers(await self._named(self._listed), self._span)
        hour = await self._next_hour()
        if hour is None or self._hours_left == 0:
            self._ended = True
            return []
        self._hours_left -= 1
        span, hour_ms = self._span, hour * quotas.HOUR_MS
        begin_ms, end_ms = max(span.begin_ms, hour_ms), min(span.end_ms, hour_ms + quotas.HOUR_MS)
        return self._readers(await self._active(hour), Span(begin_ms, end_ms, span.edge))

    def _readers(self, streams: Sequence[ActiveStream], span: Span) -> list[_Reader]:
        """Return a reader for each stream; the more there are, the less each reads ahead."""
        rows = _ROWS_PER_READ if len(streams) <= _ROWS_PER_READ else _ROWS_PER_STREAM
        return [_Reader(self._store, self._group, stream, span, rows) for stream in streams]

    async def _named(self, listed: Sequence[str]) -> list[ActiveStream]:
        """Return the streams of a list of names, all of which must stand."""

        async def body(tr: Transaction) -> list[ActiveStream]:
            names_once = dict.fromkeys(listed)
            found = [await state.require_stream(tr, self._group, name) for name in names_once]
            return [ActiveStream(stream.id, stream.name) for stream in found]

        return await self._store.read(body)

    async def _next_hour(self) -> int | None:
        """Return the next hour in which the group has events, and go on behind it."""
        begin, end, descending = self._begin, self._end, self._span.descending
        if begin >= end:
            return None

        async def body(tr: Transaction) -> int | None:
            return await state.next_hour(tr, self._group.id, begin, end, reverse=descending)

        hour = await self._store.read(body)
        if hour is None:
            return None
        if self._hours_left == 0:
            self.stopped_at = sorting.edge_of_hour(hour, descending=descending)
        self._begin, self._end = (begin, hour) if descending else (hour + 1, end)
        return hour

    async def _active(self, hour: int) -> list[ActiveStream]:
        """Return the streams that have events in an hour and the right name."""
        found: list[ActiveStream] = []
        after: bytes | None = None
        while True:
            page, after = await self._active_page(hour, after)
            found += [stream for stream in page if stream.name.startswith(self._prefix)]
            if after is None:
                return found

    async def _active_page(
        self, hour: int, after: bytes | None
    ) -> tuple[list[ActiveStream], bytes | None]:
        """Return some of the streams that have events in an hour, and where to go on."""

        async def body(tr: Transaction) -> tuple[list[ActiveStream], bytes | None]:
            return await state.streams_in_hour(tr, self._group.id, hour, after, _STREAMS_PER_READ)

        return await self._store.read(body)
