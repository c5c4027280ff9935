"""Scaling policies: by target and name, and whether a target is watched for them.

A target that has a policy has a consumer (``platform/scheduler/consumers``): who looks at its metric each
minute for as long as there is one.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.scheduler import consumers
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.application_autoscaling import quotas
from fogbank.services.application_autoscaling.schema import (
    POLICIES,
    DueRecord,
    Place,
    PolicyRecord,
    TargetRecord,
)

WATCHED: Final = "application-autoscaling.watched"
"""The kind of the consumers."""


async def find(tr: Transaction, place: Place, name: str) -> PolicyRecord | None:
    """Return a policy of a target, or None."""
    return await POLICIES.find(tr, *place, name)


async def list_of(tr: Transaction, place: Place) -> list[PolicyRecord]:
    """Return the policies of a target in order of name."""
    return [each for _, each in await POLICIES.list(tr, *place, limit=quotas.POLICIES_MAX)]


def put(tr: Transaction, place: Place, policy: PolicyRecord) -> None:
    """Write a policy."""
    POLICIES.put(tr, policy, *place, policy.name)


def remove(tr: Transaction, place: Place, name: str) -> None:
    """Remove a policy."""
    POLICIES.delete(tr, *place, name)


async def remove_all(tr: Transaction, target: TargetRecord) -> None:
    """Remove all policies of a target."""
    for policy in await list_of(tr, target.place):
        remove(tr, target.place, policy.name)
    unwatch(tr, target)


def watch(tr: Transaction, target: TargetRecord) -> None:
    """Have the metric of a target looked at."""
    payload = encode(DueRecord(target.place, target.id))
    consumers.put(tr, Consumer(WATCHED, target.id, tr.domain.name, payload))


def unwatch(tr: Transaction, target: TargetRecord) -> None:
    """Have nobody look any more."""
    consumers.remove(tr, WATCHED, target.id)
