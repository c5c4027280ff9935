"""Scaling activities: in which words they say what was done, why, and why nothing was.

Source: API Reference, DescribeScalingActivities and its examples; Application Auto Scaling User Guide,
"Scaling activities for Application Auto Scaling"; what others measured on AWS in October 2026
(ack-api-quirks, DDB-TABLE-314 and 321).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.services.application_autoscaling.rules import actions
from fogbank.services.application_autoscaling.rules.dimensions import Dimension, dimension_of
from fogbank.services.application_autoscaling.schema import (
    FAILED,
    PENDING,
    SUCCESSFUL,
    ActionRecord,
    ActivityRecord,
    Place,
    TargetRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

AT_MAX: Final = "AlreadyAtMaxCapacity"
AT_MIN: Final = "AlreadyAtMinCapacity"
AT_DESIRED: Final = "AlreadyAtDesiredCapacity"
_MEMBERS: Final = {AT_MAX: "MaxCapacity", AT_MIN: "MinCapacity", AT_DESIRED: "CurrentCapacity"}


def derived_id(*parts: object) -> str:
    """Return an id that follows from what it is of: a body that runs again finds it again."""
    return str(UUID(bytes=blake2b(repr(parts).encode(), digest_size=16).digest()))


def of_bounds(target: TargetRecord, activity_id: str, capacity: int, now_ms: int) -> ActivityRecord:
    """Return the activity that brings a capacity within the bounds of its target."""
    which = "minimum" if capacity == target.min_capacity else "maximum"
    return _setting(
        target.place,
        activity_id,
        capacity,
        f"{which} capacity was set to {capacity}",
        now_ms,
    )


def of_policy(
    place: Place, activity_id: str, capacity: int, cause: str, now_ms: int
) -> ActivityRecord:
    """Return the activity that a policy begins."""
    return _setting(place, activity_id, capacity, cause, now_ms)


def cause_of(monitor: str, policy: str) -> str:
    """Return why a policy does something."""
    return f"monitor alarm {monitor} in state ALARM triggered policy {policy}"


def monitor_of(place: Place, policy_id: str, *, is_high: bool) -> str:
    """Return the name of what watches a metric for a policy."""
    return f"TargetTracking-{place[1]}-Alarm{'High' if is_high else 'Low'}-{policy_id}"


def _setting(
    place: Place, activity_id: str, capacity: int, cause: str, now_ms: int
) -> ActivityRecord:
    return ActivityRecord(
        id=activity_id,
        place=place,
        started_ms=now_ms,
        description=f"Setting {dimension_of(place).words} to {capacity}.",
        cause=cause,
        status=PENDING,
    )


def of_action(place: Place, action: ActionRecord, activity_id: str, now_ms: int) -> ActivityRecord:
    """Return what a scheduled action has done."""
    words = actions.words_of(action)
    return ActivityRecord(
        id=activity_id,
        place=place,
        started_ms=now_ms,
        description=f"Setting {words}",
        cause=f"scheduled action name {action.name} was triggered",
        status=SUCCESSFUL,
        message=f"Successfully set {words}",
    )


def not_scaled(
    place: Place, activity_id: str, cause: str, reason: str, capacity: int, now_ms: int
) -> ActivityRecord:
    """Return why a policy does nothing."""
    return ActivityRecord(
        id=activity_id,
        place=place,
        started_ms=now_ms,
        description="Attempting to scale due to alarm triggered",
        cause=cause,
        status=SUCCESSFUL if reason == AT_DESIRED else FAILED,
        reason=reason,
        capacity=capacity,
    )


def fulfilled(activity: ActivityRecord, capacity: int, now_ms: int) -> ActivityRecord:
    """Return an activity that is done."""
    dimension = dimension_of(activity.place)
    return msgspec.structs.replace(
        activity,
        status=SUCCESSFUL,
        ended_ms=now_ms,
        message=f"Successfully set {dimension.words} to {capacity}. Change successfully fulfilled by"
        f" {dimension.namespace}.",
    )


def failed(
    activity: ActivityRecord, capacity: int, error: ServiceError, now_ms: int
) -> ActivityRecord:
    """Return an activity that was refused."""
    dimension: Dimension = dimension_of(activity.place)
    return msgspec.structs.replace(
        activity,
        status=FAILED,
        ended_ms=now_ms,
        message=f"Failed to set {dimension.words} to {capacity}. Reason: {error.message} (Service:"
        f" {dimension.service}; Error Code: {error.code})",
    )


def described(activity: ActivityRecord) -> shapes.ScalingActivity:
    """Return what DescribeScalingActivities says of an activity."""
    namespace, resource, dimension = activity.place
    told: shapes.ScalingActivity = {
        "ActivityId": activity.id,
        "ServiceNamespace": namespace,
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_ms,
        "StatusCode": activity.status,
    }
    if activity.ended_ms:
        told["EndTime"] = activity.ended_ms
    if activity.message:
        told["StatusMessage"] = activity.message
    if activity.reason:
        reason: shapes.NotScaledReason = {"Code": activity.reason}
        reason[_MEMBERS[activity.reason]] = activity.capacity
        told["NotScaledReasons"] = [reason]
    return told
