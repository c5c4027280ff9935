"""What a table and its global indexes may consume, and in which words more is refused.

A table with provisioned units earns so many each second and saves what it does not use for five
minutes; its indexes likewise, each for itself. Local indexes consume their table's. An on-demand
table is held to its maxima (``OnDemandThroughput``) only. One partition key may take all that its
table has, but no more than AWS's partitions take.

Source: Amazon DynamoDB Developer Guide, "Burst and adaptive capacity", "DynamoDB maximum throughput
for on-demand tables", "Diagnosing throttling" and "Using global secondary indexes", on write
throttling; API Reference, ThrottlingReason and TransactionCanceledException, which has the words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from fogbank.base.errors import ServiceError
from fogbank.contract.action import Scope
from fogbank.contract.quota import Quota
from fogbank.platform.metering.throughput import Rate
from fogbank.services.dynamodb import arns, quotas
from fogbank.services.dynamodb.errors import (
    ProvisionedThroughputExceededException,
    ThrottlingException,
)
from fogbank.services.dynamodb.schema import PROVISIONED, IndexRecord, TableRecord

_PROVISIONED: Final = "ProvisionedThroughputExceeded"
_MAXIMUM: Final = "MaxOnDemandThroughputExceeded"
_ACCOUNT: Final = "AccountLimitExceeded"
_PARTITION: Final = "KeyRangeThroughputExceeded"
_TABLE_TEXT: Final = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing"
    " your provisioning level with the UpdateTable API."
)
_INDEXES_TEXT: Final = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the"
    " table was exceeded. Consider increasing your provisioning level for the under-provisioned"
    " global secondary indexes with the UpdateTable API."
)
_MAXIMUM_TEXT: Final = (
    "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
)
_CURRENT_TEXT: Final = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically"
    " scaling your table or index so please try again shortly. If exceptions persist, check if you"
    " have a hot key: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
    "bp-partition-key-design.html."
)
_MAXIMUM_BURST_S: Final = 1
"""AWS gives no burst beyond a maximum; what comes in a second may come at once."""

Limit = Callable[[Quota], int]


class Bound(NamedTuple):
    """What holds for one throughput of a table or an index."""

    rate: Rate
    limit: str
    """The last part of a ``ThrottlingReason``: what was exceeded."""


def bound_of(
    table: TableRecord, index: IndexRecord | None, limit: Limit, *, writes: bool
) -> Bound | None:
    """Return what holds for the reads or writes of a table, or of a global index; None: nothing."""
    owner = table if index is None else index
    if table.billing_mode == PROVISIONED:
        units = owner.write_units if writes else owner.read_units
        return Bound(Rate(units, units * max(1, limit(quotas.BURST_S))), _PROVISIONED)
    maxima = owner.throughput
    units = maxima.write_max if writes else maxima.read_max
    if units:
        return Bound(Rate(units, units * _MAXIMUM_BURST_S), _MAXIMUM)
    units = limit(quotas.ON_DEMAND_WRITE_UNITS if writes else quotas.ON_DEMAND_READ_UNITS)
    return Bound(Rate(units, units * _MAXIMUM_BURST_S), _ACCOUNT) if units else None


def partition_bound(whole: Bound, limit: Limit, *, writes: bool) -> Bound | None:
    """Return what holds for one partition key of what a bound is of; None: the whole is less."""
    units = limit(quotas.PARTITION_WRITE_UNITS if writes else quotas.PARTITION_READ_UNITS)
    if not units or whole.rate.per_second <= units:
        return None
    return Bound(Rate(units, units), _PARTITION)


class Exceeded(NamedTuple):
    """A throughput that is used up."""

    of_index: str
    """The name of the index whose it is; empty: the table's."""
    writes: bool
    limit: str


def error_of(scope: Scope, table: TableRecord, found: list[Exceeded]) -> ServiceError:
    """Return the error for throughputs of a table that are used up."""
    arn = arns.table_arn(scope.region, scope.account, table.name)
    reasons = [
        {
            "reason": f"{'Index' if each.of_index else 'Table'}{'Write' if each.writes else 'Read'}"
            f"{each.limit}",
            "resource": arns.index_arn(arn, each.of_index) if each.of_index else arn,
        }
        for each in found
    ]
    first = found[0]
    if table.billing_mode == PROVISIONED:
        text = _INDEXES_TEXT if first.of_index and first.writes else _TABLE_TEXT
        return ProvisionedThroughputExceededException(text, ThrottlingReasons=reasons)
    text = _MAXIMUM_TEXT if first.limit == _MAXIMUM else _CURRENT_TEXT
    return ThrottlingException(text, throttlingReasons=reasons)


THROTTLED: Final = (ProvisionedThroughputExceededException, ThrottlingException)
"""The errors for throughput that is used up."""
