"""Schedules: timers that repeat by an expression, in a time zone, between a start and an end.

A schedule lies in its domain beside a timer for its next occurrence. When that is due, one
transaction removes the timer, lets the schedule's kind do its work (which leaves through the
outbox) and sets the next timer: every occurrence takes effect exactly once, whatever dies.

What fell due while no server ran takes effect once, late, for the newest missed time; older missed
times are skipped and counted. A flexible window delays each occurrence by a part of it that differs
from schedule to schedule and from occurrence to occurrence.

Source: Amazon EventBridge Scheduler User Guide, "Schedule types", "Configuring flexible time
windows", "Start and end date".
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from fogbank.platform.scheduler import expressions
from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table

TIMER: Final = "platform.schedule"
STEP_MS: Final = 60_000
"""The least time between two occurrences of any expression."""


class Schedule(Record, frozen=True, array_like=True, tag="platform.schedule/1"):
    """What is due when."""

    id: str
    """Unique in its domain."""
    kind: str
    """A declared ``ScheduleKind``."""
    expression: str
    zone: str = "UTC"
    """A name of the IANA time zone database."""
    created_ms: int = 0
    start_ms: int = 0
    """Nothing is due before; 0: from the creation on."""
    end_ms: int = 0
    """Nothing is due behind; 0: no end."""
    window_ms: int = 0
    """Length of the flexible window; 0: on time."""
    payload: bytes = b""
    """What the kind understands."""
    enabled: bool = True
    scheduled_ms: int = 0
    """The next occurrence by the expression; 0: there is none."""
    due_ms: int = 0
    """When its timer rings: later by a part of the flexible window."""


SCHEDULES: Final = Table("platform", 0x03, Schedule)


class Occurrence(NamedTuple):
    """One time at which a schedule is due."""

    schedule: Schedule
    scheduled_ms: int
    """The time that the expression names."""
    missed: bool
    """Whether there were earlier ones for which no server was there."""
    last: bool
    """Whether the schedule never becomes due again."""


def put(tr: Transaction, timers: Timers, schedule: Schedule, now_ms: int) -> Schedule:
    """Add a new schedule to the transaction's domain; ``replace`` changes one.

    Raises:
        InvalidExpression: Its expression or time zone is none.
    """
    anchor_ms = schedule.start_ms or schedule.created_ms
    # A rate is due at its anchor too, which may be this very moment.
    armed = _armed(tr, schedule, max(now_ms, anchor_ms) - 1)
    SCHEDULES.put(tr, armed, armed.id)
    _set_timer(tr, timers, armed)
    return armed


async def replace(tr: Transaction, timers: Timers, schedule: Schedule, now_ms: int) -> Schedule:
    """Change a schedule: what it said before is not due any more."""
    await remove(tr, timers, schedule.id)
    return put(tr, timers, schedule, now_ms)


async def find(tr: Transaction, schedule_id: str) -> Schedule | None:
    """Return a schedule of the transaction's domain, or None."""
    return await SCHEDULES.find(tr, schedule_id)


async def remove(tr: Transaction, timers: Timers, schedule_id: str) -> None:
    """Remove a schedule and its timer, if it is there."""
    found = await SCHEDULES.find(tr, schedule_id)
    if found is None:
        return
    SCHEDULES.delete(tr, schedule_id)
    if found.due_ms:
        timers.delete(tr, _timer(tr, found))


async def take_due(tr: Transaction, timer: Timer, timers: Timers, now_ms: int) -> Occurrence | None:
    """Return what is due at a timer that rang, with the next timer set; None if it is stale."""
    found = await SCHEDULES.find(tr, timer.key.decode())
    if found is None or found.due_ms != timer.due_ms or not found.enabled:
        return None
    scheduled_ms = _newest_due(found, now_ms)
    after = _armed(tr, found, scheduled_ms)
    SCHEDULES.put(tr, after, after.id)
    _set_timer(tr, timers, after)
    missed = scheduled_ms != found.scheduled_ms
    return Occurrence(found, scheduled_ms, missed, last=after.due_ms == 0)


def _newest_due(schedule: Schedule, now_ms: int) -> int:
    """Return the newest occurrence that is due, by halving the time since the one that rang.

    However long no server ran, that is some thirty looks at the expression.
    """
    newest_ms, end_ms = schedule.scheduled_ms, now_ms - schedule.window_ms
    later_ms = end_ms
    while later_ms - newest_ms >= STEP_MS:
        middle_ms = (newest_ms + later_ms) // 2
        next_ms = _next_ms(schedule, middle_ms)
        if next_ms and next_ms <= end_ms:
            newest_ms = next_ms
        else:
            later_ms = middle_ms
    next_ms = _next_ms(schedule, newest_ms)
    return next_ms if next_ms and next_ms <= end_ms else newest_ms


def _next_ms(schedule: Schedule, after_ms: int) -> int:
    """Return the first occurrence behind a time, or 0."""
    expression = expressions.parse(schedule.expression)
    anchor_ms = schedule.start_ms or schedule.created_ms
    next_ms = expression.next_ms(after_ms, anchor_ms, expressions.zone_of(schedule.zone))
    if next_ms is None or (schedule.end_ms and next_ms > schedule.end_ms):
        return 0
    return next_ms


def _armed(tr: Transaction, schedule: Schedule, after_ms: int) -> Schedule:
    """Return a schedule with its first occurrence behind a time."""
    scheduled_ms = _next_ms(schedule, after_ms)
    due_ms = scheduled_ms
    if scheduled_ms and schedule.window_ms:
        due_ms += _chance(tr, schedule, scheduled_ms) % schedule.window_ms
    return msgspec.structs.replace(schedule, scheduled_ms=scheduled_ms, due_ms=due_ms)


def _chance(tr: Transaction, schedule: Schedule, scheduled_ms: int) -> int:
    """Return a number that no one chose, and that a body which runs again finds again."""
    named = repr((tr.domain.name, schedule.id, schedule.created_ms, scheduled_ms))
    return int.from_bytes(blake2b(named.encode(), digest_size=8).digest())


def _timer(tr: Transaction, schedule: Schedule) -> Timer:
    """Return the timer of a schedule's next occurrence."""
    return Timer(TIMER, tr.domain.name, schedule.id.encode(), schedule.due_ms)


def _set_timer(tr: Transaction, timers: Timers, schedule: Schedule) -> None:
    """Set the timer of the next occurrence, if there is one."""
    if schedule.enabled and schedule.due_ms:
        timers.put(tr, _timer(tr, schedule))
