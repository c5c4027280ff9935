"""What Application Auto Scaling keeps, and under which numbers.

A target lies by what it scales: namespace, resource and dimension. Its policies and scheduled actions
lie likewise, each by its name behind that; a mark finds the target by the id in its ARN. What was done lies by its target and time, and
as a mark by time alone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.store.records import Record, Table

SUCCESSFUL: Final = "Successful"
FAILED: Final = "Failed"
PENDING: Final = "Pending"

Place = tuple[str, str, str]
"""Namespace, resource and dimension."""


class TargetRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="application-autoscaling.target/1"
):
    """Something that can be scaled, and between which bounds."""

    id: str
    """What its ARN ends in."""
    place: Place
    created_ms: int
    min_capacity: int
    max_capacity: int
    role_arn: str
    suspended_in: bool = False
    """Policies lower nothing."""
    suspended_out: bool = False
    """Policies raise nothing."""
    suspended_schedules: bool = False
    """Scheduled actions do nothing."""
    tags: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    policies: int = 0
    """How many it has."""
    actions: int = 0
    """How many scheduled actions it has."""
    pending: str = ""
    """The activity that a policy has begun and that is under way; empty: none is."""
    failures: int = 0
    """How many activities of policies have failed in a row."""
    retry_ms: int = 0
    """Policies begin none before."""


class PolicyRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="application-autoscaling.policy/1"
):
    """A policy that keeps a metric near a value."""

    id: str
    name: str
    created_ms: int
    metric: str
    """The predefined metric, such as ``DynamoDBReadCapacityUtilization``."""
    target_value: float
    out_cooldown_s: int | None = None
    in_cooldown_s: int | None = None
    disable_scale_in: bool | None = None
    """As they were given; None: they were not."""
    changed_ms: int = 0
    """When its settings were given last."""
    out_ms: int = 0
    """When it raised last; 0: never."""
    out_added: int = 0
    """By how much."""
    in_ms: int = 0
    """When it lowered last, unless it has raised since."""


class ActionRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="application-autoscaling.action/1"
):
    """A scheduled action: other bounds from a time on."""

    id: str
    """That of its schedule too (``platform/scheduler/schedules``)."""
    name: str
    created_ms: int
    schedule: str
    zone: str = ""
    """As it was given; empty: it was not."""
    start_ms: int = 0
    end_ms: int = 0
    min_capacity: int | None = None
    max_capacity: int | None = None


class ActivityRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="application-autoscaling.activity/1"
):
    """Something that was done, or why nothing was."""

    id: str
    place: Place
    started_ms: int
    description: str
    cause: str
    status: str
    ended_ms: int = 0
    message: str = ""
    reason: str = ""
    """The code of why nothing was done; empty: something was, or was tried."""
    capacity: int = 0
    """What was already reached, where the reason is about that."""


class OrderRecord(
    Record, frozen=True, array_like=True, kw_only=True, tag="application-autoscaling.order/1"
):
    """An entry of the work list: a capacity to be set; its id is the activity's."""

    target_id: str
    place: Place
    capacity: int = 0
    """What a policy wants; 0: the nearest within the target's bounds."""
    policy: str = ""
    """The name of the policy; empty: none, the bounds have changed."""
    before: int = 0
    """What the policy has found."""


class PlaceRecord(Record, frozen=True, array_like=True, tag="application-autoscaling.place/1"):
    """What a mark leads to."""

    place: Place


class CountRecord(Record, frozen=True, array_like=True, tag="application-autoscaling.count/1"):
    """How many there are."""

    number: int


class DueRecord(Record, frozen=True, array_like=True, tag="application-autoscaling.due/1"):
    """The payload of a schedule, and of the timer of an activity: what it is about."""

    place: Place
    name: str
    """Of the scheduled action; of the activity its id."""
    started_ms: int = 0


TARGETS = Table("application-autoscaling", 0x01, TargetRecord)
"""place"""
TARGET_IDS = Table("application-autoscaling", 0x02, PlaceRecord)
"""target id"""
COUNTS = Table("application-autoscaling", 0x03, CountRecord)
"""namespace: how many targets; place: how many activities"""
POLICIES = Table("application-autoscaling", 0x04, PolicyRecord)
"""place, name"""
ACTIONS = Table("application-autoscaling", 0x05, ActionRecord)
"""place, name"""
ACTIVITIES = Table("application-autoscaling", 0x06, ActivityRecord)
"""place, time of its begin, id"""
BY_TIME = Table("application-autoscaling", 0x07, PlaceRecord)
"""namespace, time of its begin, id"""
TABLES = (TARGETS, TARGET_IDS, COUNTS, POLICIES, ACTIONS, ACTIVITIES, BY_TIME)
