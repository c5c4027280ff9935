"""What CloudWatch Logs keeps, and under which numbers.

Names map to ids: groups lie by name, streams by their group's id and their own name, and all that
belongs to them lies under the ids, so that what was deleted is out of reach at once and removed
later (``jobs``).

Events lie in rows of some seconds each at

    group id, stream id, time of the first event + stamp of the commit

so that a stream reads in order of time, and events of one millisecond in order of arrival. A row
never crosses a full hour and spans ``ROW_SPAN_MS`` at most. ``HOURS`` says which streams have
events in an hour of a group: readers of a whole group look only at those, and expiry goes by them.
"""

from __future__ import annotations

import msgspec

from fogbank.platform.store.records import Record, RecordDecoder, Table


class GroupRecord(Record, frozen=True, array_like=True, kw_only=True, tag="logs.group/1"):
    """A log group."""

    name: str
    id: bytes
    created_ms: int
    retention_days: int = 0
    """0: events are kept for ever."""
    expiry_ms: int = 0
    """When its expiry timer is due; another timer of the group is stale."""


class StreamRecord(Record, frozen=True, array_like=True, kw_only=True, tag="logs.stream/1"):
    """A log stream."""

    name: str
    id: bytes
    created_ms: int
    first_event_ms: int = -1
    last_event_ms: int = -1
    """-1: there are no events."""
    last_ingested_ms: int = -1


class MarkRecord(Record, frozen=True, array_like=True, tag="logs.mark/1"):
    """That something is in a list; its key says what."""


class HourRecord(Record, frozen=True, array_like=True, tag="logs.hour/1"):
    """That a stream has events in an hour of its group."""

    stream_name: str


class BytesRecord(Record, frozen=True, array_like=True, tag="logs.bytes/1"):
    """How much a part of a group's streams holds."""

    bytes: int


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event of a row."""

    offset_ms: int
    """After the row's first event."""
    message: str
    """Empty if the message lies in parts."""
    parts: bytes = b""
    """The name of the parts that hold the message, or empty."""


class EventsRecord(Record, frozen=True, array_like=True, tag="logs.events/1"):
    """Some events of a stream, in order of time."""

    ingested_ms: int
    bytes: int
    """As PutLogEvents counts them."""
    events: tuple[Event, ...]


class PartRecord(Record, frozen=True, array_like=True, tag="logs.part/1"):
    """A piece of a large message."""

    content: bytes


class DroppedRecord(Record, frozen=True, array_like=True, tag="logs.dropped/1"):
    """What a work entry removes: a stream's events, or all that lies under a group."""

    group_id: bytes
    stream_id: bytes
    """Empty: the whole group."""


GROUPS = Table("logs", 0x01, GroupRecord)
"""name"""
STREAMS = Table("logs", 0x02, StreamRecord)
"""group id, name"""
EVENTS = Table("logs", 0x03, EventsRecord)
"""group id, stream id, first event's time; then the stamp's 12 bytes"""
HOURS = Table("logs", 0x04, HourRecord)
"""group id, hours since 1970, stream id"""
PARTS = Table("logs", 0x05, PartRecord)
"""group id, stream id, first event's time of the row, name of the parts, number"""
RECENT = Table("logs", 0x06, MarkRecord)
"""group id, time of the last event, name of the stream"""
BYTES = Table("logs", 0x07, BytesRecord)
"""group id, shard"""
TABLES = (GROUPS, STREAMS, EVENTS, HOURS, PARTS, RECENT, BYTES)
UNDER_GROUP = (STREAMS, EVENTS, HOURS, PARTS, RECENT, BYTES)
"""What goes with a group."""

decode_dropped = RecordDecoder(DroppedRecord).decode
