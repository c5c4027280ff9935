"""Scaling policies: what one may be, and how they are told of.

Source: API Reference, PutScalingPolicy and TargetTrackingScalingPolicyConfiguration; which kinds of
policy a dimension takes: PutScalingPolicy, ``PolicyType``. Words: as in terraform-provider-aws, issue 41179.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.services.application_autoscaling import arns
from fogbank.services.application_autoscaling.errors import (
    ObjectNotFoundException,
    ValidationException,
)
from fogbank.services.application_autoscaling.rules import targets
from fogbank.services.application_autoscaling.rules.dimensions import Dimension, dimension_of
from fogbank.services.application_autoscaling.schema import Place, PolicyRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import application_autoscaling as shapes

TRACKING: Final = "TargetTrackingScaling"
CONFIGURATION: Final = "TargetTrackingScalingPolicyConfiguration"
ONE_METRIC: Final = (
    "Only one TargetTrackingScaling policy for a given metric specification is allowed."
)


def not_found(place: Place, name: str) -> ObjectNotFoundException:
    """Return the error for a policy that is to be removed."""
    return ObjectNotFoundException(
        f"No scaling policy found for {targets.named(place)}, policy name: {name}"
    )


def put(request: Request, place: Place, before: PolicyRecord | None, now_ms: int) -> PolicyRecord:
    """Return a policy as a request wants it; a new one has no id yet.

    Raises:
        ValidationException: It is no policy of its dimension.
        NotBuilt: Its metric is the customer's own.
    """
    dimension = dimension_of(place)
    kind: str = request.get("PolicyType", TRACKING if before is not None else "")
    if not kind:
        raise ValidationException("PolicyType must be specified")
    if kind != TRACKING:
        raise ValidationException(
            f"{kind} policies are not supported for service namespace {dimension.namespace}"
        )
    given: dict[str, Any] | None = request.get(CONFIGURATION)
    if given is None:
        if before is None:
            raise ValidationException(f"{CONFIGURATION} must be specified")
        return before
    policy = before or PolicyRecord(
        id="", name=request["PolicyName"], created_ms=now_ms, metric="", target_value=0.0
    )
    changed = msgspec.structs.replace(
        policy,
        metric=_metric_of(given, dimension, policy),
        target_value=_value_of(given, dimension),
        out_cooldown_s=_cooldown_of(given, "ScaleOutCooldown"),
        in_cooldown_s=_cooldown_of(given, "ScaleInCooldown"),
        disable_scale_in=given.get("DisableScaleIn"),
    )
    if changed == policy:
        return policy
    return msgspec.structs.replace(changed, changed_ms=now_ms)


def _metric_of(given: dict[str, Any], dimension: Dimension, before: PolicyRecord) -> str:
    """Return the predefined metric of a configuration."""
    if "CustomizedMetricSpecification" in given:
        raise NotBuilt.member(
            arns.SERVICE, "PutScalingPolicy", f"{CONFIGURATION}.CustomizedMetricSpecification"
        )
    metric = given.get("PredefinedMetricSpecification")
    if metric is None:
        if not before.metric:
            raise ValidationException(
                "A predefined metric or a customized metric must be specified"
            )
        return before.metric
    if "ResourceLabel" in metric:
        raise ValidationException("ResourceLabel is only supported for ALBRequestCountPerTarget")
    if metric["PredefinedMetricType"] != dimension.metric:
        raise ValidationException(
            f"The predefined metric type {metric['PredefinedMetricType']} is not supported for the"
            f" scalable dimension {dimension.name}"
        )
    return dimension.metric


def _value_of(given: dict[str, Any], dimension: Dimension) -> float:
    """Return the value at which a metric is to be kept."""
    value: float = given["TargetValue"]
    low, high = dimension.values
    if not low <= value <= high:
        raise ValidationException(
            f"The target value of {dimension.metric} must be between {low:g} and {high:g}"
        )
    return value


def _cooldown_of(given: dict[str, Any], member: str) -> int | None:
    """Return a cooldown, in seconds, as it is given."""
    seconds: int | None = given.get(member)
    if seconds is not None and seconds < 0:
        raise ValidationException(f"{member} cannot be less than 0")
    return seconds


def require_one(policy: PolicyRecord, others: list[PolicyRecord]) -> None:
    """Refuse a second policy for one metric.

    Raises:
        ValidationException: There is one.
    """
    if any(each.metric == policy.metric and each.name != policy.name for each in others):
        raise ValidationException(ONE_METRIC)


def arn_of(scope: Scope, place: Place, policy: PolicyRecord) -> str:
    """Return the ARN of a policy."""
    return arns.policy_arn(
        scope.region, scope.account, policy.id, f"{place[0]}/{place[1]}", policy.name
    )


def described(scope: Scope, place: Place, policy: PolicyRecord) -> shapes.ScalingPolicy:
    """Return what DescribeScalingPolicies says of a policy."""
    namespace, resource, dimension = place
    configuration: shapes.TargetTrackingScalingPolicyConfiguration = {
        "TargetValue": policy.target_value,
        "PredefinedMetricSpecification": {"PredefinedMetricType": policy.metric},
    }
    if policy.out_cooldown_s is not None:
        configuration["ScaleOutCooldown"] = policy.out_cooldown_s
    if policy.in_cooldown_s is not None:
        configuration["ScaleInCooldown"] = policy.in_cooldown_s
    if policy.disable_scale_in is not None:
        configuration["DisableScaleIn"] = policy.disable_scale_in
    return {
        "PolicyARN": arn_of(scope, place, policy),
        "PolicyName": policy.name,
        "ServiceNamespace": namespace,
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "PolicyType": TRACKING,
        "TargetTrackingScalingPolicyConfiguration": configuration,
        "Alarms": [],
        "CreationTime": policy.created_ms,
    }
