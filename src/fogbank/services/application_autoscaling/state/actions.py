"""Scheduled actions, each with the schedule that makes it due (``platform/scheduler/schedules``)."""

from __future__ import annotations

from fogbank.platform.scheduler import schedules
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.store.engine import Transaction
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.rules import actions
from fogbank.services.application_autoscaling.schema import ACTIONS, ActionRecord, Place


async def find(tr: Transaction, place: Place, name: str) -> ActionRecord | None:
    """Return a scheduled action of a target, or None."""
    return await ACTIONS.find(tr, *place, name)


async def put(
    tr: Transaction, timers: Timers, place: Place, action: ActionRecord, now_ms: int
) -> None:
    """Write a scheduled action, and when it is due; what it was before is not due any more."""
    ACTIONS.put(tr, action, *place, action.name)
    await schedules.replace(tr, timers, actions.schedule_of(action, place, now_ms), now_ms)


async def remove(tr: Transaction, timers: Timers, place: Place, action: ActionRecord) -> None:
    """Remove a scheduled action."""
    ACTIONS.delete(tr, *place, action.name)
    await schedules.remove(tr, timers, action.id)


async def remove_all(tr: Transaction, timers: Timers, place: Place) -> None:
    """Remove all scheduled actions of a target."""
    for _, action in await ACTIONS.list(tr, *place, limit=quotas.ACTIONS_MAX):
        await remove(tr, timers, place, action)
