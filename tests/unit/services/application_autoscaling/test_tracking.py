"""Target tracking: Application Auto Scaling User Guide, "Define cooldown periods"."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.services.application_autoscaling.rules import activities, tracking
from fogbank.services.application_autoscaling.rules.tracking import Move, Seen
from fogbank.services.application_autoscaling.schema import PolicyRecord, TargetRecord

TARGET = TargetRecord(
    id="t",
    place=("dynamodb", "table/tab", "dynamodb:table:WriteCapacityUnits"),
    created_ms=0,
    min_capacity=1,
    max_capacity=1_000,
    role_arn="r",
)
POLICY = PolicyRecord(id="p", name="keep", created_ms=0, metric="m", target_value=70.0)


def moved(*consumed: float, capacity: int = 5, now_s: int = 10_000, **changed: Any) -> Move | None:
    policy = msgspec.structs.replace(POLICY, **changed)
    return tracking.move_of(policy, TARGET, Seen(capacity, consumed, 99, now_s * 1_000))


def test_the_marks_are_those_that_others_measured_on_aws() -> None:
    """Source: ack-api-quirks, DDB-TABLE-314: 5 units and a target of 70 make 210 and 150."""
    assert moved(210, 210) is None
    raised = moved(211, 211)
    assert raised is not None
    assert (raised.capacity, raised.is_high) == (6, True)
    assert moved(*[150.0] * 15) is None
    lowered = moved(*[149.0] * 15)
    assert lowered is not None
    assert (lowered.capacity, lowered.is_high) == (4, False)


def test_a_peak_of_one_minute_changes_nothing() -> None:
    assert moved(0, 900) is None
    assert moved(900, 0) is None
    assert moved(900) is None
    assert moved(*[0.0] * 14) is None


def test_a_policy_that_was_just_put_lowers_nothing() -> None:
    assert tracking.move_of(POLICY, TARGET, Seen(5, [0.0] * 15, 14, 0)) is None
    assert tracking.move_of(POLICY, TARGET, Seen(5, [0.0] * 15, 15, 0)) is not None


def test_binary_fractions_add_no_unit() -> None:
    """420 a minute are just 70 percent of 10, of which 10.000000000000002 comes."""
    found = moved(420, 420)
    assert found is not None
    assert found.capacity == 10


def test_what_was_just_added_counts_as_a_part_of_what_is_to_be_added() -> None:
    since = {"out_cooldown_s": 60, "out_ms": 9_990_000, "out_added": 3}
    # 800 a minute want 20 units; three of them came ten seconds ago.
    smaller = moved(440, 440, capacity=8, **since)
    assert smaller is None
    larger = moved(800, 800, capacity=8, **since)
    assert larger is not None
    assert larger.capacity == 17
    over = moved(440, 440, capacity=8, now_s=10_051, **since)
    assert over is not None
    assert over.capacity == 11


def test_lowering_waits_for_its_cooldown_and_raising_does_not() -> None:
    since = {"in_cooldown_s": 60, "in_ms": 9_990_000}
    assert moved(*[0.0] * 15, **since) is None
    assert moved(*[0.0] * 15, now_s=10_050, **since) is not None
    assert moved(900, 900, **since) is not None
    raised = tracking.moved(msgspec.structs.replace(POLICY, in_ms=5), 5, 9, 7)
    assert (raised.out_ms, raised.out_added, raised.in_ms) == (7, 4, 0)


def test_of_several_policies_the_largest_capacity_has_its_way() -> None:
    """Source: API Reference, PutScalingPolicy."""
    small, large = (Move(POLICY, each, is_high=True) for each in (6, 9))
    low, lower = (Move(POLICY, each, is_high=False) for each in (4, 2))
    at_max = Move(POLICY, 10, is_high=True, reason=activities.AT_MAX, reached=10)
    assert tracking.chosen([small, large, low]) == large
    assert tracking.chosen([at_max, small]) == small
    assert tracking.chosen([low, lower]) == low
    assert tracking.chosen([low, None]) is None
    assert tracking.chosen([None, None]) is None


@pytest.mark.parametrize(("failures", "minutes"), [(0, 1), (1, 2), (5, 32), (6, 64), (60, 64)])
def test_policies_rest_longer_each_time_they_fail(failures: int, minutes: int) -> None:
    assert tracking.pause_ms(failures) == minutes * 60_000


@given(
    capacity=st.integers(1, 2_000),
    consumed=st.lists(st.floats(0, 1e6), min_size=15, max_size=15),
    value=st.floats(20, 90),
    low=st.integers(1, 2_000),
    room=st.integers(0, 2_000),
)
def test_a_capacity_moves_towards_its_target_and_never_out_of_its_bounds(
    capacity: int, consumed: list[float], value: float, low: int, room: int
) -> None:
    target = msgspec.structs.replace(TARGET, min_capacity=low, max_capacity=low + room)
    policy = msgspec.structs.replace(POLICY, target_value=value)
    move = tracking.move_of(policy, target, Seen(capacity, consumed, 15, 0))
    if move is None or move.reason:
        return
    assert (move.capacity > capacity) is move.is_high
    if move.is_high:
        assert move.capacity <= target.max_capacity
    else:
        assert move.capacity >= target.min_capacity
        # The same minutes want nothing more of what was just set.
        again = tracking.move_of(policy, target, Seen(move.capacity, consumed, 15, 0))
        assert again is None or bool(again.reason)
