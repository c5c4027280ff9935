"""Where the records of CloudWatch Logs lie: the only room that knows keys.

Functions take the transaction first and compose. A body looks at a bounded number of rows; decoding
many events is left to the caller, outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.records import Table, encode
from fogbank.platform.store.tuples import Element
from fogbank.services.logs import quotas
from fogbank.services.logs.errors import (
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from fogbank.services.logs.rules import batches, names, retention
from fogbank.services.logs.schema import (
    BYTES,
    EVENTS,
    GROUPS,
    HOURS,
    PARTS,
    RECENT,
    STREAMS,
    UNDER_GROUP,
    BytesRecord,
    DroppedRecord,
    GroupRecord,
    HourRecord,
    MarkRecord,
    StreamRecord,
)

DROPPED: Final = "logs.dropped"
"""The work list of groups and streams whose events are still to be removed."""
EXPIRE: Final = "logs.expire"
"""The kind of the timers that remove events past their retention."""
_SHARDS: Final = 16
_ROWS_PER_STEP: Final = 16
_KEYS_PER_STEP: Final = 200
_MARK: Final = MarkRecord()


class RawRow(NamedTuple):
    """A row of events as it lies in the store, not yet decoded."""

    first_ms: int
    stamp: int
    value: bytes


class ActiveStream(NamedTuple):
    """A stream that has events in some hour."""

    id: bytes
    name: str


# Groups.


async def find_group(tr: Transaction, name: str) -> GroupRecord | None:
    """Return a group, or None."""
    return await GROUPS.find(tr, name)


async def require_group(tr: Transaction, name: str) -> GroupRecord:
    """Return a group or refuse the call."""
    group = await GROUPS.find(tr, name)
    if group is None:
        raise ResourceNotFoundException(names.NO_GROUP)
    return group


async def create_group(tr: Transaction, group: GroupRecord) -> None:
    """Write a new group."""
    if await GROUPS.find(tr, group.name) is not None:
        raise ResourceAlreadyExistsException("The specified log group already exists")
    GROUPS.put(tr, group, group.name)


async def list_groups(
    tr: Transaction, prefix: str, after: str | None, limit: int
) -> list[GroupRecord]:
    """Return up to ``limit`` groups in order of name; what has another prefix ends the list."""
    base = GROUPS.prefix(tr.domain)
    begin, end = base + tuples.text_prefix(prefix), tuples.after_prefix(base)
    if prefix:
        end = tuples.after_prefix(begin)
    if after is not None:
        begin = max(begin, tuples.after_prefix(GROUPS.key(tr.domain, after)))
    rows = await tr.range(begin, end, limit=limit)
    return [GROUPS.decode(value) for _, value in rows]


async def stored_bytes(tr: Transaction, group_id: bytes) -> int:
    """Return what the events of a group count for."""
    rows = await BYTES.list(tr, group_id, limit=_SHARDS)
    return sum(row.bytes for _, row in rows)


async def _add_bytes(tr: Transaction, group_id: bytes, stream_id: bytes, delta: int) -> None:
    """Change what is counted for a group, in the stream's shard of it."""
    shard = stream_id[-1] % _SHARDS
    row = await BYTES.find(tr, group_id, shard)
    total = max(0, (0 if row is None else row.bytes) + delta)
    BYTES.put(tr, BytesRecord(total), group_id, shard)


async def delete_group(tr: Transaction, name: str, work_id: str, now_ms: int) -> None:
    """Unlink a group and queue the removal of all that lies under it."""
    group = await require_group(tr, name)
    GROUPS.delete(tr, name)
    _drop(tr, DroppedRecord(group.id, b""), work_id, now_ms)


def put_retention(tr: Transaction, group: GroupRecord, days: int, now_ms: int) -> Timer | None:
    """Set how long a group keeps its events; return the timer to set, if it expires any."""
    due_ms = now_ms if days else 0
    return _schedule(tr, group, days, due_ms)


def _schedule(tr: Transaction, group: GroupRecord, days: int, due_ms: int) -> Timer | None:
    """Write a group with its next expiry and return the timer for it."""
    after = GroupRecord(
        name=group.name,
        id=group.id,
        created_ms=group.created_ms,
        retention_days=days,
        expiry_ms=due_ms,
    )
    GROUPS.put(tr, after, group.name)
    if not due_ms:
        return None
    return Timer(
        kind=EXPIRE,
        domain=tr.domain.name,
        key=group.id,
        due_ms=due_ms,
        payload=group.name.encode(),
    )


async def expire(tr: Transaction, timer: Timer, now_ms: int) -> Timer | None:
    """Remove some events past their retention; return the timer for the next time.

    A timer that is no longer the group's own does nothing.
    """
    group = await GROUPS.find(tr, timer.payload.decode())
    if group is None or group.id != timer.key or group.expiry_ms != timer.due_ms:
        return None
    rows = await HOURS.list(tr, group.id, limit=1)
    if not rows:
        next_ms = retention.next_expiry_ms(group, None, now_ms)
        return _schedule(tr, group, group.retention_days, next_ms)
    hour, stream_id = rows[0][0]
    assert isinstance(hour, int)
    assert isinstance(stream_id, bytes)
    end_ms = (hour + 1) * quotas.HOUR_MS
    if end_ms > retention.kept_since_ms(group, now_ms):
        next_ms = retention.next_expiry_ms(group, hour, now_ms)
    else:
        if not await _remove_rows(tr, group.id, stream_id, end_ms):
            HOURS.delete(tr, group.id, hour, stream_id)
        next_ms = now_ms
    return _schedule(tr, group, group.retention_days, next_ms)


# Streams.


async def require_stream(tr: Transaction, group: GroupRecord, name: str) -> StreamRecord:
    """Return a stream or refuse the call."""
    stream = await STREAMS.find(tr, group.id, name)
    if stream is None:
        raise ResourceNotFoundException(names.NO_STREAM)
    return stream


async def create_stream(tr: Transaction, group: GroupRecord, stream: StreamRecord) -> None:
    """Write a new stream."""
    if await STREAMS.find(tr, group.id, stream.name) is not None:
        raise ResourceAlreadyExistsException("The specified log stream already exists")
    STREAMS.put(tr, stream, group.id, stream.name)
    RECENT.put(tr, _MARK, group.id, stream.last_event_ms, stream.name)


async def delete_stream(
    tr: Transaction, group: GroupRecord, name: str, work_id: str, now_ms: int
) -> None:
    """Unlink a stream and queue the removal of its events."""
    stream = await require_stream(tr, group, name)
    STREAMS.delete(tr, group.id, name)
    RECENT.delete(tr, group.id, stream.last_event_ms, name)
    _drop(tr, DroppedRecord(group.id, stream.id), work_id, now_ms)


async def list_streams(
    tr: Transaction,
    group: GroupRecord,
    prefix: str,
    after: str | None,
    limit: int,
    *,
    reverse: bool,
) -> list[StreamRecord]:
    """Return up to ``limit`` streams in order of name."""
    base = STREAMS.prefix(tr.domain, group.id)
    begin, end = base, tuples.after_prefix(base)
    if prefix:
        begin = base + tuples.text_prefix(prefix)
        end = tuples.after_prefix(begin)
    if after is not None:
        edge = STREAMS.key(tr.domain, group.id, after)
        begin, end = (begin, edge) if reverse else (tuples.after_prefix(edge), end)
    rows = await tr.range(begin, end, limit=limit, reverse=reverse)
    return [STREAMS.decode(value) for _, value in rows]


async def list_recent(
    tr: Transaction, group: GroupRecord, after: tuple[int, str] | None, limit: int, *, reverse: bool
) -> list[StreamRecord]:
    """Return up to ``limit`` streams in order of their last events."""
    rows = await RECENT.list(tr, group.id, limit=limit, after=after, reverse=reverse)
    found = [await STREAMS.find(tr, group.id, key[1]) for key, _ in rows]
    assert all(stream is not None for stream in found), "every stream in the list stands"
    return [stream for stream in found if stream is not None]


# Events.


async def append(
    tr: Transaction, group: GroupRecord, stream_name: str, rows: Sequence[batches.RowDraft]
) -> None:
    """Append rows of events to a stream and note its newest event."""
    stream = await require_stream(tr, group, stream_name)
    added = 0
    for row in rows:
        prefix = EVENTS.prefix(tr.domain, group.id, stream.id, row.first_ms)
        tr.append(prefix, encode(row.record))
        HOURS.put(tr, HourRecord(stream.name), group.id, batches.hour_of(row.first_ms), stream.id)
        for name, number, part in row.parts:
            PARTS.put(tr, part, group.id, stream.id, row.first_ms, name, number)
        added += row.record.bytes
    first_ms = min(row.first_ms for row in rows)
    after = StreamRecord(
        name=stream.name,
        id=stream.id,
        created_ms=stream.created_ms,
        first_event_ms=min(first_ms, stream.first_event_ms)
        if stream.first_event_ms >= 0
        else first_ms,
        last_event_ms=max(stream.last_event_ms, *(row.last_ms for row in rows)),
        last_ingested_ms=rows[0].record.ingested_ms,
    )
    STREAMS.put(tr, after, group.id, stream.name)
    if after.last_event_ms != stream.last_event_ms:
        RECENT.delete(tr, group.id, stream.last_event_ms, stream.name)
        RECENT.put(tr, _MARK, group.id, after.last_event_ms, stream.name)
    await _add_bytes(tr, group.id, stream.id, added)


class RowRange(NamedTuple):
    """Rows of one stream whose first events lie in a time."""

    group_id: bytes
    stream_id: bytes
    begin_ms: int
    end_ms: int
    reverse: bool


async def read_rows(
    tr: Transaction, wanted: RowRange, after: RawRow | None, limit: int
) -> list[RawRow]:
    """Return up to ``limit`` rows of a range, behind ``after``."""
    stream = (wanted.group_id, wanted.stream_id)
    begin = EVENTS.key(tr.domain, *stream, wanted.begin_ms)
    end = EVENTS.key(tr.domain, *stream, wanted.end_ms)
    if after is not None:
        edge = EVENTS.key(tr.domain, *stream, after.first_ms) + after.stamp.to_bytes(STAMP_BYTES)
        begin, end = (begin, edge) if wanted.reverse else (edge + b"\0", end)
    base = len(EVENTS.key(tr.domain, *stream))
    rows = await tr.range(begin, end, limit=limit, reverse=wanted.reverse)
    return [_raw_row(key[base:], value) for key, value in rows]


def _raw_row(rest: bytes, value: bytes) -> RawRow:
    """Return a row from the end of its key."""
    (first_ms,) = tuples.unpack(rest[:-STAMP_BYTES])
    assert isinstance(first_ms, int)
    return RawRow(first_ms, int.from_bytes(rest[-STAMP_BYTES:]), value)


async def read_parts(
    tr: Transaction, group_id: bytes, stream_id: bytes, row_ms: int, name: bytes
) -> list[bytes]:
    """Return the pieces of a large message."""
    rows = await PARTS.list(tr, group_id, stream_id, row_ms, name, limit=_KEYS_PER_STEP)
    return [row.content for _, row in rows]


async def next_hour(
    tr: Transaction, group_id: bytes, begin: int, end: int, *, reverse: bool
) -> int | None:
    """Return the first hour of [begin, end) in which any stream has events; the last in reverse."""
    first, behind = HOURS.key(tr.domain, group_id, begin), HOURS.key(tr.domain, group_id, end)
    rows = await tr.range(first, behind, limit=1, reverse=reverse)
    if not rows:
        return None
    hour = tuples.unpack(rows[0][0][len(HOURS.key(tr.domain, group_id)) :])[0]
    assert isinstance(hour, int)
    return hour


async def streams_in_hour(
    tr: Transaction, group_id: bytes, hour: int, after: bytes | None, limit: int
) -> tuple[list[ActiveStream], bytes | None]:
    """Return the standing streams with events in an hour, a page at a time, and where it ended."""
    behind = None if after is None else (after,)
    rows = await HOURS.list(tr, group_id, hour, limit=limit, after=behind)
    listed = [(key[0], row.stream_name) for key, row in rows]
    keys = {name: STREAMS.key(tr.domain, group_id, name) for _, name in listed}
    standing = await tr.get_many(keys.values())
    found: list[ActiveStream] = []
    for stream_id, name in listed:
        assert isinstance(stream_id, bytes)
        raw = standing.get(keys[name])
        if raw is not None and STREAMS.decode(raw).id == stream_id:
            found.append(ActiveStream(stream_id, name))
    last = listed[-1][0] if len(listed) == limit else None
    assert last is None or isinstance(last, bytes)
    return found, last


# What was deleted.


def _drop(tr: Transaction, dropped: DroppedRecord, work_id: str, now_ms: int) -> None:
    """Queue the removal of what a name led to."""
    entry = WorkEntry(
        list=DROPPED,
        id=work_id,
        domain=tr.domain.name,
        payload=encode(dropped),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


async def remove_dropped(tr: Transaction, dropped: DroppedRecord) -> bool:
    """Remove some of what was dropped; return whether there is more."""
    if dropped.stream_id:
        return await _remove_rows(tr, dropped.group_id, dropped.stream_id, None)
    for table in UNDER_GROUP:
        if await _remove_some(tr, table, dropped.group_id):
            return True
    return False


async def _remove_some(tr: Transaction, table: Table[Any], *parts: Element) -> int:
    """Remove some of the rows below a prefix; return how many."""
    prefix = table.prefix(tr.domain, *parts)
    limit = _ROWS_PER_STEP if table in (EVENTS, PARTS) else _KEYS_PER_STEP
    rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=limit)
    for key, _ in rows:
        tr.delete(key)
    return len(rows)


async def _remove_rows(
    tr: Transaction, group_id: bytes, stream_id: bytes, end_ms: int | None
) -> bool:
    """Remove some of a stream's oldest events; return whether there are more.

    Without ``end_ms`` the stream is gone: all of its events go, and with them its hours.
    """
    base = EVENTS.key(tr.domain, group_id, stream_id)
    end = tuples.after_prefix(base)
    if end_ms is not None:
        end = EVENTS.key(tr.domain, group_id, stream_id, end_ms)
    rows = await tr.range(base, end, limit=_ROWS_PER_STEP)
    removed = 0
    for key, value in rows:
        record = EVENTS.decode(value)
        first_ms = _raw_row(key[len(base) :], value).first_ms
        if any(event.parts for event in record.events):
            await _remove_some(tr, PARTS, group_id, stream_id, first_ms)
        if end_ms is None:
            HOURS.delete(tr, group_id, batches.hour_of(first_ms), stream_id)
        tr.delete(key)
        removed += record.bytes
    if removed:
        await _add_bytes(tr, group_id, stream_id, -removed)
    return len(rows) == _ROWS_PER_STEP
