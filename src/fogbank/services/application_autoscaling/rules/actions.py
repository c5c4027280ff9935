"""Scheduled actions: what one may be, what it does to its target, and how they are told of.

Source: API Reference, PutScheduledAction and ScheduledAction; Application Auto Scaling User Guide,
"Scheduled scaling" and "Schedule recurring scaling actions using cron expressions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.scheduler import expressions
from fogbank.platform.scheduler.expressions import InvalidExpression
from fogbank.platform.scheduler.schedules import Schedule
from fogbank.platform.store.records import encode
from fogbank.services.application_autoscaling import arns
from fogbank.services.application_autoscaling.errors import (
    ObjectNotFoundException,
    ValidationException,
)
from fogbank.services.application_autoscaling.rules import targets
from fogbank.services.application_autoscaling.schema import (
    ActionRecord,
    DueRecord,
    Place,
    TargetRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

SCHEDULE: Final = "application-autoscaling.action"
"""The kind of the schedules of scheduled actions."""
_UTC: Final = "UTC"


def not_found(place: Place, name: str) -> ObjectNotFoundException:
    """Return the error for a scheduled action that is to be removed."""
    return ObjectNotFoundException(
        f"No scheduled action found for {targets.named(place)}, scheduled action name: {name}"
    )


def put(request: Request, before: ActionRecord | None, action_id: str, now_ms: int) -> ActionRecord:
    """Return a scheduled action as a request wants it.

    What it does not say stays as it is, but for its start and its end: those go.

    Raises:
        ValidationException: It can never be due, or does nothing.
    """
    if before is None:
        if "Schedule" not in request:
            raise ValidationException("Schedule must be specified")
        if "ScalableTargetAction" not in request:
            raise ValidationException("Scalable target action must be specified")
        before = ActionRecord(
            id=action_id, name=request["ScheduledActionName"], created_ms=now_ms, schedule=""
        )
    changes: dict[str, Any] = {
        "schedule": request.get("Schedule", before.schedule),
        "zone": request.get("Timezone", before.zone),
        "start_ms": request.get("StartTime", 0),
        "end_ms": request.get("EndTime", 0),
    }
    if "ScalableTargetAction" in request:
        bounds = request["ScalableTargetAction"]
        changes["min_capacity"] = bounds.get("MinCapacity")
        changes["max_capacity"] = bounds.get("MaxCapacity")
    action = msgspec.structs.replace(before, **changes)
    _require_bounds(action)
    _require_due(action, now_ms)
    return action


def _require_bounds(action: ActionRecord) -> None:
    """Refuse an action that gives no bounds, or none between which a capacity lies."""
    low, high = action.min_capacity, action.max_capacity
    if low is None and high is None:
        raise ValidationException("MinCapacity or MaxCapacity must be specified")
    known = [each for each in (low, high) if each is not None]
    targets.require_bounds(known[0], known[-1])


def _require_due(action: ActionRecord, now_ms: int) -> None:
    """Refuse an action that is never due."""
    try:
        expression = expressions.parse(action.schedule)
        zone = expressions.zone_of(action.zone or _UTC)
    except InvalidExpression as error:
        raise ValidationException(str(error)) from error
    if action.end_ms and action.end_ms <= max(action.start_ms, now_ms):
        raise ValidationException("The end time must be later than the start time and than now")
    anchor_ms = action.start_ms or now_ms
    next_ms = expression.next_ms(max(now_ms, anchor_ms) - 1, anchor_ms, zone)
    if next_ms is None or (action.end_ms and next_ms > action.end_ms):
        raise ValidationException("The schedule names no time in the future")


def schedule_of(action: ActionRecord, place: Place, now_ms: int) -> Schedule:
    """Return when an action is due."""
    return Schedule(
        id=action.id,
        kind=SCHEDULE,
        expression=action.schedule,
        zone=action.zone or _UTC,
        created_ms=now_ms,
        start_ms=action.start_ms,
        end_ms=action.end_ms,
        payload=encode(DueRecord(place, action.name)),
    )


def done(action: ActionRecord, target: TargetRecord) -> TargetRecord:
    """Return a target with the bounds that an action gives; one that is alone takes the other along."""
    low = target.min_capacity if action.min_capacity is None else action.min_capacity
    high = target.max_capacity if action.max_capacity is None else action.max_capacity
    if action.min_capacity is None:
        low = min(low, high)
    high = max(low, high)
    return msgspec.structs.replace(target, min_capacity=low, max_capacity=high)


def words_of(action: ActionRecord) -> str:
    """Return what an activity says that an action sets."""
    found = (("min", action.min_capacity), ("max", action.max_capacity))
    return " and ".join(f"{kind} capacity to {each}" for kind, each in found if each is not None)


def described(scope: Scope, place: Place, action: ActionRecord) -> shapes.ScheduledAction:
    """Return what DescribeScheduledActions says of an action."""
    namespace, resource, dimension = place
    bounds: shapes.ScalableTargetAction = {}
    if action.min_capacity is not None:
        bounds["MinCapacity"] = action.min_capacity
    if action.max_capacity is not None:
        bounds["MaxCapacity"] = action.max_capacity
    told: shapes.ScheduledAction = {
        "ScheduledActionName": action.name,
        "ScheduledActionARN": arns.action_arn(
            scope.region, scope.account, action.id, f"{namespace}/{resource}", action.name
        ),
        "ServiceNamespace": namespace,
        "Schedule": action.schedule,
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "ScalableTargetAction": bounds,
        "CreationTime": action.created_ms,
    }
    if action.zone:
        told["Timezone"] = action.zone
    if action.start_ms:
        told["StartTime"] = action.start_ms
    if action.end_ms:
        told["EndTime"] = action.end_ms
    return told
