"""What was done: by target and time, so many of each, for six weeks.

A timer forgets each one when its time is over; the oldest of a target goes when it has too many.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.scheduler.timers import Timer, Timers
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.schema import (
    ACTIVITIES,
    BY_TIME,
    COUNTS,
    ActivityRecord,
    CountRecord,
    DueRecord,
    Place,
    PlaceRecord,
)

FORGET: Final = "application-autoscaling.forget"
"""The kind of the timers that end activities."""
LOOKED_AT_MAX: Final = 500
"""A page looks at so many, whatever of them it may tell."""
Key = tuple[int, str]
"""The time of its begin, and its id."""
decode_due: Final = RecordDecoder(DueRecord).decode


async def add(tr: Transaction, timers: Timers, activity: ActivityRecord, limit: int) -> None:
    """Write a new activity; the oldest of its target goes if there are too many."""
    place = activity.place
    count = await COUNTS.find(tr, *place)
    number = (0 if count is None else count.number) + 1
    if number > limit:
        for _, oldest in await ACTIVITIES.list(tr, *place, limit=1):
            _delete(tr, timers, oldest)
            number -= 1
    COUNTS.put(tr, CountRecord(number), *place)
    BY_TIME.put(tr, PlaceRecord(place), place[0], activity.started_ms, activity.id)
    put(tr, activity)
    timers.put(tr, _timer(tr, activity))


def put(tr: Transaction, activity: ActivityRecord) -> None:
    """Write an activity that was there."""
    ACTIVITIES.put(tr, activity, *activity.place, activity.started_ms, activity.id)


async def find(
    tr: Transaction, place: Place, started_ms: int, activity_id: str
) -> ActivityRecord | None:
    """Return an activity, or None."""
    return await ACTIVITIES.find(tr, *place, started_ms, activity_id)


async def forget(tr: Transaction, timers: Timers, due: Timer) -> None:
    """Remove the activity whose timer rang, if it is there still."""
    about = decode_due(due.payload)
    activity = await find(tr, about.place, about.started_ms, about.name)
    if activity is None:
        return
    _delete(tr, timers, activity)
    count = await COUNTS.find(tr, *about.place)
    assert count is not None, "an activity that stands is counted"
    if count.number > 1:
        COUNTS.put(tr, CountRecord(count.number - 1), *about.place)
    else:
        COUNTS.delete(tr, *about.place)


def _delete(tr: Transaction, timers: Timers, activity: ActivityRecord) -> None:
    """Remove an activity, its mark and its timer."""
    ACTIVITIES.delete(tr, *activity.place, activity.started_ms, activity.id)
    BY_TIME.delete(tr, activity.place[0], activity.started_ms, activity.id)
    timers.delete(tr, _timer(tr, activity))


def _timer(tr: Transaction, activity: ActivityRecord) -> Timer:
    """Return the timer that ends an activity."""
    return Timer(
        FORGET,
        tr.domain.name,
        activity.id.encode(),
        activity.started_ms + quotas.ACTIVITIES_MS,
        encode(DueRecord(activity.place, activity.id, activity.started_ms)),
    )


async def find_last(tr: Transaction, place: Place) -> ActivityRecord | None:
    """Return the newest activity of a target, or None."""
    rows = await ACTIVITIES.list(tr, *place, limit=1, reverse=True)
    return rows[0][1] if rows else None


async def list_of(
    tr: Transaction, places: list[Place], before: Key | None, limit: int
) -> list[ActivityRecord]:
    """Return up to ``limit`` activities of some targets of one resource, the newest first."""
    found: list[ActivityRecord] = []
    for place in places:
        rows = await ACTIVITIES.list(tr, *place, limit=limit, after=before, reverse=True)
        found += [activity for _, activity in rows]
    return sorted(found, key=key_of, reverse=True)[:limit]


async def list_all(
    tr: Transaction, namespace: str, before: Key | None, limit: int
) -> list[ActivityRecord]:
    """Return up to ``limit`` activities of a namespace, the newest first."""
    found: list[ActivityRecord] = []
    for key, mark in await BY_TIME.list(tr, namespace, limit=limit, after=before, reverse=True):
        activity = await ACTIVITIES.find(tr, *mark.place, *key)
        assert activity is not None, "a mark leads to an activity"
        found.append(activity)
    return found


def key_of(activity: ActivityRecord) -> Key:
    """Return where an activity stands in the order of times."""
    return activity.started_ms, activity.id
