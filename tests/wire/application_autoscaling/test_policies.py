"""Target tracking: DynamoDB Developer Guide, "Managing throughput capacity automatically"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.application_autoscaling.conftest import OF_TABLE, READS, TRACKED

from fogbank.testing.cloud import Cloud

MINUTE_MS = 60_000
CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
Units = Callable[..., tuple[int, int]]
Activities = Callable[..., list[Any]]


@pytest.fixture
def load(cloud: Cloud, dynamodb: Any) -> Callable[..., None]:
    """Let minutes pass in each of which so many units a second are written."""

    def loaded(minutes: int, a_second: float) -> None:
        body = "x" * (round(a_second * 60) * 1_024 - 100)
        for _ in range(minutes):
            dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "b": {"S": body}})
            cloud.advance(MINUTE_MS)

    return loaded


@pytest.fixture
def track(scaling: Any, table: str, register: Callable[..., str]) -> Callable[..., None]:
    """Register the writes of the table, and keep what is used of them at 70 percent."""

    def tracked(low: int = 1, high: int = 100, **given: Any) -> None:
        assert table == "tab"
        register(low, high)
        policy = {**TRACKED, CONFIGURATION: {**TRACKED[CONFIGURATION], **given}}  # type: ignore[dict-item]
        scaling.put_scaling_policy(**OF_TABLE, **policy)

    return tracked


def test_a_policy_is_put_told_of_and_deleted(
    scaling: Any, track: Callable[..., None], account: str, refusal: Any
) -> None:
    track(ScaleInCooldown=60)
    [told] = scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
    assert told.pop("CreationTime")
    arn = told.pop("PolicyARN")
    assert arn.startswith(f"arn:aws:autoscaling:us-east-1:{account}:scalingPolicy:")
    assert arn.endswith(":resource/dynamodb/table/tab:policyName/keep")
    configuration = {**TRACKED[CONFIGURATION], "ScaleInCooldown": 60}  # type: ignore[dict-item]
    assert told == {**OF_TABLE, **TRACKED, CONFIGURATION: configuration, "Alarms": []}
    again = scaling.put_scaling_policy(**OF_TABLE, **TRACKED)
    assert again["PolicyARN"] == arn
    [told] = scaling.describe_scaling_policies(
        ServiceNamespace="dynamodb", PolicyNames=["keep", "none"]
    )["ScalingPolicies"]
    assert told[CONFIGURATION] == TRACKED[CONFIGURATION]
    scaling.delete_scaling_policy(**OF_TABLE, PolicyName="keep")
    assert not scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
    code, _ = refusal(scaling.delete_scaling_policy, **OF_TABLE, PolicyName="keep")
    assert code == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"TargetValue": 10.0}, "ValidationException", "must be between 20 and 90"),
        ({"TargetValue": 95.0}, "ValidationException", "must be between 20 and 90"),
        ({"ScaleOutCooldown": -1}, "ValidationException", "cannot be less than 0"),
        (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}},
            "ValidationException",
            "is not supported for the scalable dimension",
        ),
        ({"CustomizedMetricSpecification": {"MetricName": "m"}}, "NotImplemented", "CustomizedMetric"),
    ],
)  # fmt: skip
def test_what_can_be_no_policy_is_refused(
    scaling: Any, table: str, register: Callable[..., str], refusal: Any,
    given: dict[str, Any], code: str, message: str,
) -> None:  # fmt: skip
    assert table == "tab"
    register()
    configuration = {**TRACKED[CONFIGURATION], **given}  # type: ignore[dict-item]
    refused = refusal(
        scaling.put_scaling_policy, **OF_TABLE, **{**TRACKED, CONFIGURATION: configuration}
    )
    assert refused[0] == code
    assert message in refused[1]


def test_kinds_of_policy_that_tables_do_not_take_are_refused(
    scaling: Any, table: str, register: Callable[..., str], refusal: Any
) -> None:
    """Source: API Reference, PutScalingPolicy, ``PolicyType``."""
    assert table == "tab"
    register()
    given = {**OF_TABLE, "PolicyName": "p", "PolicyType": "StepScaling"}
    code, _ = refusal(scaling.put_scaling_policy, **given)
    assert code == "ValidationException"
    steps = {"StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity"}}
    assert refusal(scaling.put_scaling_policy, **given, **steps)[0] == "NotImplemented"
    forecast = {"StartTime": 0, "EndTime": 1, "PolicyName": "p", **OF_TABLE}
    code, _ = refusal(scaling.get_predictive_scaling_forecast, **forecast)
    assert code == "NotImplemented"


def test_a_metric_has_one_policy_and_a_policy_a_target(
    scaling: Any, track: Callable[..., None], refusal: Any
) -> None:
    track()
    assert refusal(scaling.put_scaling_policy, **OF_TABLE, **{**TRACKED, "PolicyName": "other"}) == (
        "ValidationException",
        "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
    )  # fmt: skip
    reads = {**OF_TABLE, "ScalableDimension": READS}
    code, message = refusal(scaling.put_scaling_policy, **reads, **TRACKED)
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scalable target registered for service namespace: dynamodb")


@pytest.mark.slow
def test_load_above_the_target_raises_the_capacity_within_three_minutes(
    track: Callable[..., None], load: Callable[..., None], units: Units, activities: Activities
) -> None:
    track()
    load(1, 4.6)
    assert units() == (5, 5)
    load(2, 4.6)
    # 4.6 units a second are 70 percent of 6.57.
    assert units() == (5, 7)
    [told] = activities()
    assert (told["Description"], told["StatusCode"]) == (
        "Setting write capacity units to 7.",
        "Successful",
    )
    assert told["Cause"].startswith("monitor alarm TargetTracking-table/tab-AlarmHigh-")
    assert told["Cause"].endswith(" in state ALARM triggered policy keep")
    load(3, 4.6)
    assert (units(), len(activities())) == ((5, 7), 1)


@pytest.mark.slow
def test_quiet_lowers_the_capacity_after_fifteen_minutes_down_to_the_minimum(
    track: Callable[..., None],
    cloud: Cloud,
    load: Callable[..., None],
    units: Units,
    activities: Activities,
) -> None:
    track(2)
    load(14, 0.2)
    assert units() == (5, 5)
    load(3, 0.2)
    assert units() == (5, 2)
    assert "-AlarmLow-" in activities()[0]["Cause"]
    cloud.advance(30 * MINUTE_MS)
    assert len(activities()) == 1
    unscaled = activities(IncludeNotScaledActivities=True)[0]
    assert (unscaled["Description"], unscaled["StatusCode"], unscaled["NotScaledReasons"]) == (
        "Attempting to scale due to alarm triggered",
        "Failed",
        [{"Code": "AlreadyAtMinCapacity", "MinCapacity": 2}],
    )
    assert len(activities(IncludeNotScaledActivities=True)) == 2


@pytest.mark.slow
def test_a_table_that_nobody_uses_is_lowered_too(
    track: Callable[..., None], cloud: Cloud, units: Units
) -> None:
    track()
    cloud.advance(18 * MINUTE_MS)
    assert units() == (5, 1)


@pytest.mark.slow
def test_reads_are_tracked_by_what_is_read(
    scaling: Any,
    table: str,
    register: Callable[..., str],
    cloud: Cloud,
    dynamodb: Any,
    units: Units,
) -> None:
    assert table == "tab"
    register(ScalableDimension=READS)
    metric = {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
    configuration = {"TargetValue": 50.0, "PredefinedMetricSpecification": metric}
    given = {**TRACKED, CONFIGURATION: configuration}
    scaling.put_scaling_policy(**{**OF_TABLE, "ScalableDimension": READS}, **given)
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "b": {"S": "x" * 327_000}})
    for _ in range(3):
        for _ in range(3):
            # 80 units each.
            dynamodb.get_item(TableName="tab", Key={"p": {"S": "a"}}, ConsistentRead=True)
        cloud.advance(MINUTE_MS)
    assert units() == (8, 5)


@pytest.mark.slow
def test_a_capacity_at_its_maximum_says_so(
    track: Callable[..., None], load: Callable[..., None], units: Units, activities: Activities
) -> None:
    track(1, 5)
    load(4, 4.6)
    assert units() == (5, 5)
    assert activities() == []
    [told] = activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 5}]


@pytest.mark.slow
def test_what_is_suspended_or_disabled_is_not_done(
    scaling: Any, track: Callable[..., None], cloud: Cloud, load: Callable[..., None], units: Units
) -> None:
    track(DisableScaleIn=True)
    cloud.advance(20 * MINUTE_MS)
    assert units() == (5, 5)
    suspended = {"DynamicScalingOutSuspended": True}
    scaling.register_scalable_target(**OF_TABLE, SuspendedState=suspended)
    load(4, 4.6)
    assert units() == (5, 5)
    scaling.register_scalable_target(
        **OF_TABLE, SuspendedState={"DynamicScalingOutSuspended": False}
    )
    load(1, 4.6)
    assert units() == (5, 7)


@pytest.mark.slow
def test_what_the_table_refuses_is_told_and_tried_again_later(
    track: Callable[..., None],
    deny_table: Callable[[str], None],
    dynamodb: Any,
    cloud: Cloud,
    load: Callable[..., None],
    units: Units,
    activities: Activities,
) -> None:
    track()
    deny_table("dynamodb:UpdateTable")
    load(4, 4.6)
    assert units() == (5, 5)
    told = activities()
    assert {each["StatusCode"] for each in told} == {"Failed"}
    assert "explicit deny" in told[0]["StatusMessage"]
    assert len(told) < 3
    arn = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    dynamodb.delete_resource_policy(ResourceArn=arn)
    load(3, 4.6)
    assert units() == (5, 7)


@pytest.mark.slow
def test_decreases_are_those_that_dynamodb_allows_in_a_day(
    scaling: Any, dynamodb: Any, track: Callable[..., None], cloud: Cloud, units: Units,
    activities: Activities,
) -> None:  # fmt: skip
    track(1, 5)
    for writes in (9, 8, 7, 6, 5):
        throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": writes}
        if units() != (5, writes):
            dynamodb.update_table(TableName="tab", ProvisionedThroughput=throughput)
    assert scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    cloud.advance(25 * MINUTE_MS)
    assert units() == (5, 5)
    [told] = {each["StatusMessage"].partition("Number of")[0] for each in activities()}
    assert "Provisioned throughput decreases are limited within a given UTC day" in told
    cloud.advance(120 * MINUTE_MS)
    assert units() == (5, 1)


@pytest.mark.slow
def test_a_policy_that_is_gone_does_nothing(
    scaling: Any, track: Callable[..., None], cloud: Cloud, units: Units, table: str
) -> None:
    assert table == "tab"
    track()
    scaling.delete_scaling_policy(**OF_TABLE, PolicyName="keep")
    cloud.advance(20 * MINUTE_MS)
    assert units() == (5, 5)
    scaling.put_scaling_policy(**OF_TABLE, **TRACKED)
    scaling.deregister_scalable_target(**OF_TABLE)
    cloud.advance(20 * MINUTE_MS)
    assert units() == (5, 5)
    assert not scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]


@pytest.mark.slow
def test_a_table_that_is_gone_leaves_its_targets_alone(
    dynamodb: Any, track: Callable[..., None], cloud: Cloud, activities: Activities, scaling: Any
) -> None:
    """Source: Developer Guide, "DynamoDB auto scaling": they are not deleted with their table."""
    track()
    dynamodb.delete_table(TableName="tab")
    cloud.advance(20 * MINUTE_MS)
    assert activities(IncludeNotScaledActivities=True) == []
    assert scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
