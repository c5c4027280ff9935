"""Scalable targets: what registering one may say, and how they are told of.

Source: API Reference, RegisterScalableTarget, ScalableTarget and SuspendedState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.services.application_autoscaling import arns, quotas
from fogbank.services.application_autoscaling.errors import (
    ObjectNotFoundException,
    TooManyTagsException,
    ValidationException,
)
from fogbank.services.application_autoscaling.rules.dimensions import dimension_of
from fogbank.services.application_autoscaling.schema import Place, TargetRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

_TAGGED = (
    "The scalable target that you tried to tag already exists. To update tags on an existing scalable"
    " target, use the TagResource API."
)
_SUSPENDED = {
    "DynamicScalingInSuspended": "suspended_in",
    "DynamicScalingOutSuspended": "suspended_out",
    "ScheduledScalingSuspended": "suspended_schedules",
}


def named(place: Place) -> str:
    """Return how refusals name a target."""
    namespace, resource, dimension = place
    return (
        f"service namespace: {namespace}, resource ID: {resource}, scalable dimension: {dimension}"
    )


def not_registered(place: Place) -> ObjectNotFoundException:
    """Return the error for something that a target is needed for."""
    # AWS: in these words (ansible, issue 40237).
    return ObjectNotFoundException(f"No scalable target registered for {named(place)}")


def not_found(place: Place) -> ObjectNotFoundException:
    """Return the error for a target that is to be removed."""
    return ObjectNotFoundException(f"No scalable target found for {named(place)}")


def require_role(request: Request) -> None:
    """Refuse what can be the ARN of no role."""
    role: str | None = request.get("RoleARN")
    if role is not None and find_arn(role) is None:
        raise ValidationException(f"'{role}' is not a valid ARN")


def registered(
    scope: Scope, place: Place, request: Request, before: TargetRecord | None, now_ms: int
) -> TargetRecord:
    """Return a target as a request wants it.

    Raises:
        ValidationException: Its bounds are none, or an existing one is tagged.
    """
    if before is None:
        for member, what in (("MinCapacity", "Minimum"), ("MaxCapacity", "Maximum")):
            if member not in request:
                raise ValidationException(f"{what} capacity must be specified")
        before = TargetRecord(
            id=arns.target_id(scope.region, scope.account, place),
            place=place,
            created_ms=now_ms,
            min_capacity=request["MinCapacity"],
            max_capacity=request["MaxCapacity"],
            role_arn=dimension_of(place).role.arn(scope.partition, scope.account),
            tags=with_tags({}, request.get("Tags") or {}),
        )
    elif request.get("Tags"):
        raise ValidationException(_TAGGED)
    changes: dict[str, Any] = {
        "min_capacity": request.get("MinCapacity", before.min_capacity),
        "max_capacity": request.get("MaxCapacity", before.max_capacity),
    }
    suspended: dict[str, bool] = request.get("SuspendedState") or {}
    changes |= {_SUSPENDED[member]: value for member, value in suspended.items()}
    target = msgspec.structs.replace(before, **changes)
    require_bounds(target.min_capacity, target.max_capacity)
    return target


def require_bounds(low: int, high: int) -> None:
    """Refuse bounds between which no capacity of DynamoDB lies."""
    if low < 0:
        raise ValidationException("Minimum capacity cannot be less than 0")
    if low < 1:
        raise ValidationException("Minimum capacity must be at least 1 for DynamoDB")
    if high < low:
        raise ValidationException("Maximum capacity cannot be less than minimum capacity")


def bounded(target: TargetRecord, capacity: int) -> int:
    """Return the nearest capacity within the bounds of a target."""
    return max(target.min_capacity, min(target.max_capacity, capacity))


def with_tags(before: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """Return tags with others put over them.

    Raises:
        ValidationException: A key is one that only AWS gives.
        TooManyTagsException: There would be too many.
    """
    for key in given:
        if key.lower().startswith("aws:"):
            raise ValidationException(f"Tag key {key} begins with the reserved prefix aws:")
    after = {**before, **given}
    if len(after) > quotas.TAGS_MAX:
        raise TooManyTagsException(f"A scalable target may have {quotas.TAGS_MAX} tags.")
    return after


def described(scope: Scope, target: TargetRecord) -> shapes.ScalableTarget:
    """Return what DescribeScalableTargets says of a target."""
    namespace, resource, dimension = target.place
    return {
        "ServiceNamespace": namespace,
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "MinCapacity": target.min_capacity,
        "MaxCapacity": target.max_capacity,
        "RoleARN": target.role_arn,
        "CreationTime": target.created_ms,
        "SuspendedState": {
            "DynamicScalingInSuspended": target.suspended_in,
            "DynamicScalingOutSuspended": target.suspended_out,
            "ScheduledScalingSuspended": target.suspended_schedules,
        },
        "ScalableTargetARN": arns.target_arn(scope.region, scope.account, target.id),
    }
