"""What resources have consumed in each of the last minutes: for whoever scales them.

Rule: the service that has a resource writes its minutes, in its own domain, and whoever may read another
domain reads them there; neither imports the other. A minute that is not written was one in which nothing
was consumed. A row holds so many minutes and no more.

Source: Amazon DynamoDB Developer Guide, "DynamoDB metrics and dimensions", on
``ConsumedReadCapacityUnits``, whose ``Sum`` over a minute this is, and ``ProvisionedReadCapacityUnits``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table

MINUTE_MS: Final = 60_000
MINUTES_MAX: Final = 20
"""Kept of each measure; target tracking looks at fifteen."""
ROWS_MAX: Final = 200
"""Rows of one resource that are removed at once: its measures and those of its parts."""


class ConsumptionRecord(Record, frozen=True, array_like=True, tag="platform.consumption/1"):
    """What was consumed of one measure of a resource."""

    minutes: tuple[tuple[int, float], ...]
    """Minutes since the epoch with what was consumed in each, in order; none without consumption."""
    provisioned: int
    """What the resource had a second when the last of them was over."""


CONSUMPTION: Final = Table("platform", 0x12, ConsumptionRecord)
"""resource, part of it, measure"""


async def add(
    tr: Transaction,
    resource: tuple[str, str],
    measure: str,
    minute: int,
    consumed: float,
    provisioned: int,
) -> None:
    """Add what was consumed in a minute, in a transaction of the resource's domain.

    Args:
        tr: The transaction.
        resource: Its name, and that of its part; empty: all of it.
        measure: Of what.
        minute: Minutes since the epoch.
        consumed: How much.
        provisioned: What the resource has a second.
    """
    before = await CONSUMPTION.find(tr, *resource, measure)
    sums = dict(before.minutes) if before is not None else {}
    sums[minute] = sums.get(minute, 0.0) + consumed
    kept = tuple(sorted(each for each in sums.items() if each[0] > minute - MINUTES_MAX))
    CONSUMPTION.put(tr, ConsumptionRecord(kept, provisioned), *resource, measure)


async def find(
    tr: Transaction, resource: tuple[str, str], measure: str
) -> ConsumptionRecord | None:
    """Return what was consumed of a resource, or None if nothing ever was."""
    return await CONSUMPTION.find(tr, *resource, measure)


async def forget(tr: Transaction, resource: str) -> None:
    """Remove what was consumed of a resource that goes, and of its parts."""
    for key, _ in await CONSUMPTION.list(tr, resource, limit=ROWS_MAX):
        CONSUMPTION.delete(tr, resource, *key)


async def forget_older(tr: Transaction, resource: str, minute: int) -> None:
    """Remove what was consumed of parts of a resource that have not been heard of since a minute."""
    for key, record in await CONSUMPTION.list(tr, resource, limit=ROWS_MAX):
        if record.minutes[-1][0] < minute:
            CONSUMPTION.delete(tr, resource, *key)


def consumed_in(record: ConsumptionRecord | None, minutes: Sequence[int]) -> list[float]:
    """Return what was consumed in each of some minutes."""
    sums = dict(record.minutes) if record is not None else {}
    return [sums.get(minute, 0.0) for minute in minutes]


def provisioned_at(record: ConsumptionRecord | None, minute: int) -> int:
    """Return what a resource had a second, if that was noted in a minute or since; 0: it was not."""
    if record is None or record.minutes[-1][0] < minute:
        return 0
    return record.provisioned
