"""Scalable targets: by what they scale, and by the id in their ARN."""

from __future__ import annotations

from collections.abc import Mapping

from fogbank.contract.action import ContextValue
from fogbank.platform.store.engine import Transaction
from fogbank.platform.tags import borne
from fogbank.services.application_autoscaling.errors import LimitExceededException
from fogbank.services.application_autoscaling.rules import access, targets
from fogbank.services.application_autoscaling.schema import (
    COUNTS,
    TARGET_IDS,
    TARGETS,
    CountRecord,
    Place,
    PlaceRecord,
    TargetRecord,
)


async def find(tr: Transaction, place: Place) -> TargetRecord | None:
    """Return the target of a place, or None."""
    return await TARGETS.find(tr, *place)


async def require_registered(tr: Transaction, place: Place) -> TargetRecord:
    """Return the target that something is put on, or refuse the call."""
    target = await find(tr, place)
    if target is None:
        raise targets.not_registered(place)
    return target


async def find_by_id(tr: Transaction, target_id: str) -> TargetRecord | None:
    """Return the target with an id, or None."""
    mark = await TARGET_IDS.find(tr, target_id)
    return None if mark is None else await find(tr, mark.place)


async def add(tr: Transaction, target: TargetRecord, limit: int) -> None:
    """Write a new target.

    Raises:
        LimitExceededException: There are as many as there may be.
    """
    namespace = target.place[0]
    count = await COUNTS.find(tr, namespace)
    number = 0 if count is None else count.number
    if number >= limit:
        raise LimitExceededException(
            f"There are {limit} scalable targets of {namespace} in this account and region"
        )
    COUNTS.put(tr, CountRecord(number + 1), namespace)
    TARGET_IDS.put(tr, PlaceRecord(target.place), target.id)
    put(tr, target)


def put(tr: Transaction, target: TargetRecord) -> None:
    """Write a target that was there."""
    TARGETS.put(tr, target, *target.place)


async def remove(tr: Transaction, target: TargetRecord) -> None:
    """Remove a target; what it has is removed beside it."""
    namespace = target.place[0]
    count = await COUNTS.find(tr, namespace)
    assert count is not None, "a target that stands is counted"
    COUNTS.put(tr, CountRecord(count.number - 1), namespace)
    TARGET_IDS.delete(tr, target.id)
    TARGETS.delete(tr, *target.place)


async def list_all(
    tr: Transaction, namespace: str, after: tuple[str, str] | None, limit: int
) -> list[TargetRecord]:
    """Return up to ``limit`` targets of a namespace, in order of resource and dimension."""
    rows = await TARGETS.list(tr, namespace, limit=limit, after=after)
    return [target for _, target in rows]


async def find_tags(tr: Transaction, arn: str) -> Mapping[str, ContextValue]:
    """Return the condition keys of the tags of a target's ARN; none if it does not stand."""
    target = await find_by_id(tr, access.target_id_in(arn))
    return {} if target is None else borne(target.tags)
