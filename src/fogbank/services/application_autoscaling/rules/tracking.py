"""Target tracking: which capacity keeps a metric near its value, and when it is set.

Theory: what is consumed in a minute is compared with two marks. Two minutes in a row above the target raise
the capacity to what keeps the higher of them at the target; fifteen in a row below the lower mark,
twenty points under the target, lower it to what keeps the highest of them there. So what was just set
is not undone by the same minutes. A policy that has raised waits for its cooldown with anything that is no
larger than what it has added; one that has lowered waits before it lowers again, and raises at once.

Source: DynamoDB Developer Guide, "Managing throughput capacity automatically with DynamoDB auto scaling";
Application Auto Scaling User Guide, "How target tracking scaling for Application Auto Scaling works",
"Define cooldown periods"; the marks as others measured them on AWS in October 2026 (ack-api-quirks,
DDB-TABLE-314: 5 units and a target of 70 make 210 and 150 a minute, of 2 and of 15 minutes).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

import msgspec

from fogbank.services.application_autoscaling.rules import activities
from fogbank.services.application_autoscaling.schema import PolicyRecord, TargetRecord

HIGH_MINUTES: Final = 2
LOW_MINUTES: Final = 15
MINUTE_S: Final = 60
MINUTE_MS: Final = 60_000
COOLDOWN_S: Final = 0
"""User Guide, "Define cooldown periods": the default of tables and indexes of DynamoDB."""
_BELOW: Final = 20.0
"""So many points under the target lies the lower mark."""
_PAUSE_MS: Final = 60_000
_PAUSES_MAX: Final = 6
_DIGITS: Final = 6
"""Of a capacity before it is rounded up: what is beyond comes of binary fractions."""


def pause_ms(failures: int) -> int:
    """Return for how long policies rest that have failed, once more than so often before."""
    return _PAUSE_MS << min(failures, _PAUSES_MAX)


class Seen(NamedTuple):
    """What is known of a resource."""

    capacity: int
    """What it has now, in units a second."""
    consumed: Sequence[float]
    """What was consumed in each of the last minutes that are over, the newest last."""
    settled: int
    """How many of them have been since the policy was put: a new one lowers nothing at once."""
    now_ms: int


class Move(NamedTuple):
    """What a policy wants."""

    policy: PolicyRecord
    capacity: int
    is_high: bool
    """Whether the metric is too high."""
    reason: str = ""
    """Why nothing is done; empty: the capacity is to be set."""
    reached: int = 0
    """The capacity that the reason is about."""


def _needed(consumed: float, target_value: float) -> int:
    """Return the capacity of which so many units a minute are just what a policy wants used."""
    return ceil(round(consumed / MINUTE_S * 100 / target_value, _DIGITS))


def move_of(policy: PolicyRecord, target: TargetRecord, seen: Seen) -> Move | None:
    """Return what a policy wants of its target; None: nothing."""
    a_percent = seen.capacity * MINUTE_S / 100
    newest = seen.consumed[-HIGH_MINUTES:]
    high = policy.target_value * a_percent
    if len(newest) == HIGH_MINUTES and min(newest) > high:
        return _raised(policy, target, seen, max(newest))
    whole = seen.consumed[-LOW_MINUTES:]
    low = (policy.target_value - _BELOW) * a_percent
    if (
        min(len(whole), seen.settled) >= LOW_MINUTES
        and max(whole) < low
        and not policy.disable_scale_in
    ):
        return _lowered(policy, target, seen, max(whole))
    return None


def _raised(policy: PolicyRecord, target: TargetRecord, seen: Seen, consumed: float) -> Move | None:
    """Return what a policy wants whose metric is too high."""
    if target.suspended_out:
        return None
    if seen.capacity >= target.max_capacity:
        return Move(policy, seen.capacity, True, activities.AT_MAX, target.max_capacity)  # noqa: FBT003 (a tuple)
    wanted = _needed(consumed, policy.target_value)
    cooldown_s = COOLDOWN_S if policy.out_cooldown_s is None else policy.out_cooldown_s
    if policy.out_ms and seen.now_ms < policy.out_ms + cooldown_s * 1_000:
        # What was added counts as a part of what is to be added now.
        wanted -= policy.out_added
    wanted = min(wanted, target.max_capacity)
    return Move(policy, wanted, True) if wanted > seen.capacity else None  # noqa: FBT003 (a tuple)


def _lowered(
    policy: PolicyRecord, target: TargetRecord, seen: Seen, consumed: float
) -> Move | None:
    """Return what a policy wants whose metric is too low."""
    if target.suspended_in:
        return None
    if seen.capacity <= target.min_capacity:
        return Move(policy, seen.capacity, False, activities.AT_MIN, target.min_capacity)  # noqa: FBT003 (a tuple)
    cooldown_s = COOLDOWN_S if policy.in_cooldown_s is None else policy.in_cooldown_s
    if policy.in_ms and seen.now_ms < policy.in_ms + cooldown_s * 1_000:
        return None
    wanted = max(target.min_capacity, _needed(consumed, policy.target_value))
    if wanted >= seen.capacity:
        return Move(policy, seen.capacity, False, activities.AT_DESIRED, seen.capacity)  # noqa: FBT003 (a tuple)
    return Move(policy, wanted, False)  # noqa: FBT003 (a tuple)


def chosen(moves: Sequence[Move | None]) -> Move | None:
    """Return which of the wishes of a target's policies has its way: the largest capacity.

    A capacity is lowered only where all policies want that.

    Args:
        moves: What each policy wants; None: nothing.
    """
    raising = [each for each in moves if each is not None and each.is_high]
    if raising:
        return max(raising, key=lambda each: (not each.reason, each.capacity))
    lowering = [each for each in moves if each is not None]
    if not lowering or len(lowering) < len(moves):
        return None
    return max(lowering, key=lambda each: each.capacity)


def moved(policy: PolicyRecord, before: int, after: int, now_ms: int) -> PolicyRecord:
    """Return a policy that has changed a capacity; raising ends the cooldown of lowering."""
    if after > before:
        return msgspec.structs.replace(policy, out_ms=now_ms, out_added=after - before, in_ms=0)
    return msgspec.structs.replace(policy, in_ms=now_ms)
