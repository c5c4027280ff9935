"""What PutLogEvents takes, and the rows it becomes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fogbank.services.logs import quotas
from fogbank.services.logs.errors import InvalidParameterException
from fogbank.services.logs.schema import Event, EventsRecord, PartRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import logs as shapes


class Limits(NamedTuple):
    """The quotas in force."""

    event_bytes: int
    batch_bytes: int


class Accepted(NamedTuple):
    """Which events of a batch are stored, and what is told of the rest."""

    begin: int
    end: int
    rejected: shapes.RejectedLogEventsInfo
    """``rejectedLogEventsInfo``; empty if nothing was rejected."""


class RowDraft(NamedTuple):
    """One row to append, and the parts of its large messages."""

    first_ms: int
    last_ms: int
    record: EventsRecord
    parts: Sequence[tuple[bytes, int, PartRecord]]
    """(name, number, content)."""


def size_of(event: shapes.InputLogEvent) -> int:
    """Return what an event counts for."""
    message: str = event["message"]
    return len(message.encode()) + quotas.EVENT_OVERHEAD_BYTES


def checked_sizes(events: Sequence[shapes.InputLogEvent], limits: Limits) -> list[int]:
    """Return what each event of a batch counts for; refuse one out of order or too large."""
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        raise InvalidParameterException(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    sizes = list(map(size_of, events))
    largest, total = max(sizes), sum(sizes)
    if largest > limits.event_bytes + quotas.EVENT_OVERHEAD_BYTES:
        raise InvalidParameterException(
            f"Log event too large: {largest} bytes exceeds limit of {limits.event_bytes}"
        )
    if total > limits.batch_bytes:
        raise InvalidParameterException(
            f"Upload too large: {total} bytes exceeds limit of {limits.batch_bytes}"
        )
    return sizes


def accepted_of(
    events: Sequence[shapes.InputLogEvent], now_ms: int, kept_since_ms: int
) -> Accepted:
    """Return which events are neither too old nor too new; the batch is in order."""
    times = [event["timestamp"] for event in events]
    too_old = bisect_left(times, now_ms - quotas.EVENT_AGE_MS_MAX)
    expired = bisect_left(times, kept_since_ms)
    in_time = bisect_right(times, now_ms + quotas.EVENT_AHEAD_MS_MAX)
    rejected: shapes.RejectedLogEventsInfo = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    if in_time < len(events):
        rejected["tooNewLogEventStartIndex"] = in_time
    begin = max(too_old, expired)
    if begin < in_time and times[in_time - 1] - times[begin] > quotas.BATCH_SPAN_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours."
        )
    return Accepted(begin, max(begin, in_time), rejected)


def rows_of(
    events: Sequence[shapes.InputLogEvent],
    sizes: Sequence[int],
    ingested_ms: int,
    part_name: Callable[[], bytes],
) -> list[RowDraft]:
    """Return the rows of a batch: of some seconds each, never across a full hour, not too large."""
    rows: list[RowDraft] = []
    begin = size = 0
    latest_ms = -1
    for index, event in enumerate(events):
        now_ms: int = event["timestamp"]
        full = size + min(sizes[index], quotas.PART_BYTES) > quotas.ROW_BYTES
        if index > begin and (full or now_ms > latest_ms):
            rows.append(_row_of(events[begin:index], size, ingested_ms, part_name))
            begin, size = index, 0
        if index == begin:
            hour_end_ms = (hour_of(now_ms) + 1) * quotas.HOUR_MS
            latest_ms = min(now_ms + quotas.ROW_SPAN_MS, hour_end_ms - 1)
        size += sizes[index]
    if events:
        rows.append(_row_of(events[begin:], size, ingested_ms, part_name))
    return rows


def _row_of(
    events: Sequence[shapes.InputLogEvent],
    size: int,
    ingested_ms: int,
    part_name: Callable[[], bytes],
) -> RowDraft:
    """Return one row; large messages go into parts."""
    first_ms: int = events[0]["timestamp"]
    kept: list[Event] = []
    parts: list[tuple[bytes, int, PartRecord]] = []
    for event in events:
        message: str = event["message"]
        offset_ms = event["timestamp"] - first_ms
        raw = message.encode() if len(message) > quotas.PART_BYTES // 4 else b""
        if len(raw) <= quotas.PART_BYTES:
            kept.append(Event(offset_ms, message))
            continue
        name = part_name()
        kept.append(Event(offset_ms, "", name))
        for number, at in enumerate(range(0, len(raw), quotas.PART_BYTES)):
            parts.append((name, number, PartRecord(raw[at : at + quotas.PART_BYTES])))
    record = EventsRecord(ingested_ms, size, tuple(kept))
    return RowDraft(first_ms, events[-1]["timestamp"], record, parts)


def hour_of(time_ms: int) -> int:
    """Return the full hours since 1970."""
    return time_ms // quotas.HOUR_MS
