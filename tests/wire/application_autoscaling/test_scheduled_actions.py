"""Scheduled scaling: Application Auto Scaling User Guide, "Scheduled scaling"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.wire.application_autoscaling.conftest import OF_TABLE

from fogbank.testing.cloud import Cloud

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


@pytest.fixture
def now(cloud: Cloud) -> Callable[[], datetime]:
    return lambda: datetime.fromtimestamp(cloud.clock.now_ms() / 1000, UTC)


@pytest.fixture
def put(scaling: Any, table: str, register: Callable[..., str]) -> Callable[..., None]:
    assert table == "tab"
    register(1, 4)

    def putting(
        schedule: str, low: int | None = None, high: int | None = None, **given: Any
    ) -> None:
        bounds = {"MinCapacity": low, "MaxCapacity": high}
        action = {key: value for key, value in bounds.items() if value is not None}
        scaling.put_scheduled_action(
            **{
                **OF_TABLE,
                "ScheduledActionName": "act",
                "Schedule": schedule,
                "ScalableTargetAction": action,
                **given,
            }
        )

    return putting


def test_an_action_is_done_at_its_time_and_once(
    cloud: Cloud,
    put: Callable[..., None],
    now: Callable[[], datetime],
    units: Callable[..., tuple[int, int]],
    activities: Callable[..., list[Any]],
    scaling: Any,
) -> None:
    """Source: the words of the activities are those of DescribeScalingActivities, "Examples"."""
    cloud.settle()
    due = (now() + timedelta(hours=2)).replace(microsecond=0)
    put(f"at({due:%Y-%m-%dT%H:%M:%S})", 15, 20)
    cloud.advance(2 * HOUR_MS - 2_000)
    assert units() == (5, 4)
    cloud.advance(2_000)
    assert units() == (5, 15)
    found = [
        (each["Description"], each["Cause"], each["StatusMessage"]) for each in activities()[:2]
    ]
    assert sorted(found) == [
        (
            "Setting min capacity to 15 and max capacity to 20",
            "scheduled action name act was triggered",
            "Successfully set min capacity to 15 and max capacity to 20",
        ),
        (
            "Setting write capacity units to 15.",
            "minimum capacity was set to 15",
            "Successfully set write capacity units to 15. Change successfully fulfilled by dynamodb.",
        ),
    ]
    [told] = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (15, 20)
    before = len(activities())
    scaling.register_scalable_target(**OF_TABLE, MinCapacity=1)
    cloud.advance(3 * HOUR_MS)
    assert (units(), len(activities())) == ((5, 15), before)


def test_a_cron_expression_is_of_its_time_zone(
    cloud: Cloud, put: Callable[..., None], now: Callable[[], datetime], units: Callable[..., tuple[int, int]]
) -> None:  # fmt: skip
    """Berlin is an hour or two ahead of UTC, and Kolkata five and a half."""
    local = now() + timedelta(hours=5, minutes=30) + timedelta(minutes=10)
    put(f"cron({local.minute} {local.hour} * * ? *)", 12, 20, Timezone="Asia/Kolkata")
    cloud.advance(9 * MINUTE_MS)
    assert units() == (5, 4)
    cloud.advance(MINUTE_MS)
    assert units() == (5, 12)


def test_a_rate_repeats_between_its_start_and_its_end(
    cloud: Cloud,
    put: Callable[..., None],
    now: Callable[[], datetime],
    activities: Callable[..., list[Any]],
) -> None:
    start = now() + timedelta(minutes=10)
    put("rate(5 minutes)", 2, 8, StartTime=start, EndTime=start + timedelta(minutes=11))
    cloud.advance(9 * MINUTE_MS)
    assert not [each for each in activities() if "scheduled" in each["Cause"]]
    cloud.advance(60 * MINUTE_MS)
    found = [each["StartTime"] for each in activities() if "scheduled" in each["Cause"]]
    assert len(found) == 3
    assert found[0] - found[2] == timedelta(minutes=10)


def test_one_bound_alone_takes_the_other_along(
    cloud: Cloud, put: Callable[..., None], scaling: Any
) -> None:
    put("rate(1 hour)", 30)
    cloud.advance(1_000)
    [told] = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (30, 30)


def test_a_suspended_schedule_does_nothing(
    cloud: Cloud, put: Callable[..., None], scaling: Any, units: Callable[..., tuple[int, int]]
) -> None:
    scaling.register_scalable_target(**OF_TABLE, SuspendedState={"ScheduledScalingSuspended": True})
    put("rate(1 hour)", 30, 40)
    cloud.advance(30 * MINUTE_MS)
    assert units() == (5, 4)
    scaling.register_scalable_target(
        **OF_TABLE, SuspendedState={"ScheduledScalingSuspended": False}
    )
    cloud.advance(31 * MINUTE_MS)
    assert units() == (5, 30)


def test_an_action_that_is_put_again_or_deleted_is_not_done_as_it_was(
    cloud: Cloud, put: Callable[..., None], scaling: Any, units: Callable[..., tuple[int, int]],
    refusal: Any,
) -> None:  # fmt: skip
    later = "at(2999-01-01T00:00:00)"
    put("rate(1 hour)", 30, 40, StartTime=datetime(2998, 1, 1, tzinfo=UTC))
    put(later, 31, 41)
    name = {"ServiceNamespace": "dynamodb", "ScheduledActionNames": ["act"]}
    [told] = scaling.describe_scheduled_actions(**name)["ScheduledActions"]
    assert (told["Schedule"], told["ScalableTargetAction"]) == (
        later,
        {"MinCapacity": 31, "MaxCapacity": 41},
    )
    # API Reference, PutScheduledAction: the old times are deleted if none are given.
    assert "StartTime" not in told
    assert told["ScheduledActionARN"].endswith(
        ":resource/dynamodb/table/tab:scheduledActionName/act"
    )
    scaling.delete_scheduled_action(**OF_TABLE, ScheduledActionName="act")
    assert scaling.describe_scheduled_actions(**name)["ScheduledActions"] == []
    cloud.advance(2 * HOUR_MS)
    assert units() == (5, 4)
    code, _ = refusal(scaling.delete_scheduled_action, **OF_TABLE, ScheduledActionName="act")
    assert code == "ObjectNotFoundException"


def test_a_target_that_goes_takes_its_actions_along(
    cloud: Cloud, put: Callable[..., None], scaling: Any, register: Callable[..., str],
    units: Callable[..., tuple[int, int]],
) -> None:  # fmt: skip
    put("rate(1 hour)", 30, 40, StartTime=datetime(2998, 1, 1, tzinfo=UTC))
    scaling.deregister_scalable_target(**OF_TABLE)
    told = scaling.describe_scheduled_actions(ServiceNamespace="dynamodb")
    assert told["ScheduledActions"] == []
    register(1, 4)
    cloud.advance(2 * HOUR_MS)
    assert units() == (5, 4)


@pytest.mark.parametrize(
    ("schedule", "given"),
    [
        ("soon", {}),
        ("rate(0 minutes)", {}),
        ("cron(61 * * * ? *)", {}),
        ("at(2001-01-01T00:00:00)", {}),
        ("rate(1 hour)", {"Timezone": "Mars/Olympus"}),
        ("rate(1 hour)", {"EndTime": datetime(2001, 1, 1, tzinfo=UTC)}),
        ("rate(1 hour)", {"ScalableTargetAction": {}}),
        ("rate(1 hour)", {"ScalableTargetAction": {"MinCapacity": 4, "MaxCapacity": 3}}),
    ],
)
def test_what_is_never_due_or_does_nothing_is_refused(
    put: Callable[..., None], refusal: Any, schedule: str, given: dict[str, Any]
) -> None:
    code, message = refusal(put, schedule=schedule, low=2, high=3, **given)
    assert code == "ValidationException"
    assert message


def test_an_action_needs_a_target(scaling: Any, table: str, refusal: Any) -> None:
    assert table == "tab"
    code, message = refusal(
        scaling.put_scheduled_action,
        **OF_TABLE,
        ScheduledActionName="act",
        Schedule="rate(1 hour)",
        ScalableTargetAction={"MinCapacity": 1},
    )
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scalable target registered for service namespace: dynamodb")


def test_what_the_resource_refuses_is_told(
    cloud: Cloud,
    put: Callable[..., None],
    deny_table: Callable[[str], None],
    units: Callable[..., tuple[int, int]],
    activities: Callable[..., list[Any]],
) -> None:
    cloud.settle()
    deny_table("dynamodb:UpdateTable")
    put("rate(1 hour)", 30, 40)
    cloud.advance(1_000)
    assert units() == (5, 4)
    told = next(each for each in activities() if each["StatusCode"] == "Failed")
    assert told["StatusMessage"].startswith(
        "Failed to set write capacity units to 30. Reason: User: arn:aws:sts::"
    )
    assert "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable" in told["StatusMessage"]
    assert "explicit deny" in told["StatusMessage"]
