"""What is set of throughput: provisioned units, maxima of on-demand tables, and warm throughput.

A table and each global index of it have their own. Units are raised at any time; they are lowered
four times a day in UTC, and then once an hour. A maximum is removed by -1. Warm throughput is what
is ready at once: it is never lower than what is provisioned or than a new on-demand table has, and
never gets less. Nothing here needs warming, so it is kept and told.

Source: Amazon DynamoDB API Reference, ProvisionedThroughput, OnDemandThroughput, WarmThroughput and
DescribeLimits; Developer Guide, "Quotas", on capacity units, and "Understanding DynamoDB warm
throughput". What is refused, and the words, were measured on AWS by others (ack-api-quirks,
DDB-TABLE-051, DDB-TABLE-059, DDB-TABLE-179, DDB-TABLE-182 and DDB-TABLE-326).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.contract.quota import Quota
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import LimitExceededException, ValidationException
from fogbank.services.dynamodb.schema import (
    PAY_PER_REQUEST,
    PROVISIONED,
    IndexRecord,
    TableRecord,
    ThroughputRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

MAXIMA: Final = "OnDemandThroughput"
WARM: Final = "WarmThroughput"
_INVALID: Final = "One or more parameter values were invalid: "
_ON_DEMAND_WARM: Final = (12_000, 4_000)
"""What a new on-demand table is ready for, in units a second."""
_NO_MAXIMUM: Final = -1
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_KINDS: Final = (
    ("MaxReadRequestUnits", "ReadUnitsPerSecond", "ReadCapacityUnits", quotas.TABLE_READ_UNITS),
    ("MaxWriteRequestUnits", "WriteUnitsPerSecond", "WriteCapacityUnits", quotas.TABLE_WRITE_UNITS),
)
"""Of reads, and of writes: the members, and the limit of a table."""
_SEE_GUIDE: Final = (
    "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher"
    " limits."
)
Units = tuple[int, int]
"""Of reads and of writes, in units a second."""
Limit = Callable[[Quota], int]


class Owner(NamedTuple):
    """A table or a global index as the words of refusals name it."""

    name: str = ""
    """The name of the index; empty: the table."""

    @property
    def whose(self) -> str:
        """Return what stands behind a member."""
        return f" for index : {self.name}" if self.name else " for table"

    @property
    def warm_whose(self) -> str:
        """Return the same where it is about warm throughput."""
        return f" for index {self.name}" if self.name else " for table"


THE_TABLE: Final = Owner()


# What a request sets.


def throughput_of_new(
    given: Request, billing_mode: str, units: Units, owner: Owner
) -> ThroughputRecord:
    """Return the throughput of a new table or index.

    Args:
        given: What the request says of it, with ``OnDemandThroughput`` and ``WarmThroughput``.
        billing_mode: That of the table.
        units: Its provisioned units.
        owner: Whose it is.

    Raises:
        ValidationException: A maximum is none, or the warm throughput is too low.
    """
    maxima = given.get(MAXIMA, {})
    _require_on_demand(maxima, billing_mode, owner)
    found = [
        maxima.get(maximum, 0) for maximum, *_ in _KINDS if _in_range(maxima, maximum, 1, owner)
    ]
    warm = given.get(WARM, {})
    least = _ON_DEMAND_WARM if billing_mode == PAY_PER_REQUEST else units
    for (_, member, unit, _), low in zip(_KINDS, least, strict=True):
        if member in warm and warm[member] < low:
            what = (
                "initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/"
                "latest/developerguide/warm-throughput.html"
                if billing_mode == PAY_PER_REQUEST
                else f"{unit} of ProvisionedThroughput"
            )
            raise ValidationException(
                f"{_INVALID}Requested {member} for WarmThroughput{owner.warm_whose} is lower than"
                f" {what}"
            )
    reads, writes = (
        warm.get(member, low) for (_, member, _, _), low in zip(_KINDS, least, strict=True)
    )
    return ThroughputRecord(
        read_max=found[0], write_max=found[1], warm_reads=reads, warm_writes=writes
    )


def _require_on_demand(maxima: Wire, billing_mode: str, owner: Owner) -> None:
    """Refuse a maximum of what has provisioned units."""
    if billing_mode == PROVISIONED:
        for maximum, *_ in _KINDS:
            if maximum in maxima:
                whose = owner.whose if owner.name else ""
                raise ValidationException(
                    f"{_INVALID}{maximum} for OnDemandThroughput{whose} cannot be specified when the"
                    " table BillingMode is PROVISIONED"
                )


def _in_range(maxima: Wire, maximum: str, least: int, owner: Owner) -> bool:
    """Refuse a maximum that is none; return that it may be."""
    given = maxima.get(maximum, 1)
    if given < least or given == 0:
        raise ValidationException(
            f"{_INVALID}Requested {maximum} for OnDemandThroughput{owner.whose} is outside of valid"
            " range"
        )
    return True


def with_maxima(
    throughput: ThroughputRecord, maxima: Wire, billing_mode: str, owner: Owner
) -> ThroughputRecord:
    """Return a throughput with other maxima; -1 removes one, and what is not named stays.

    Raises:
        ValidationException: The table has provisioned units, or a maximum is none.
    """
    _require_on_demand(maxima, billing_mode, owner)
    found = [throughput.read_max, throughput.write_max]
    for place, (maximum, *_) in enumerate(_KINDS):
        if _in_range(maxima, maximum, _NO_MAXIMUM, owner) and maximum in maxima:
            found[place] = max(0, maxima[maximum])
    return msgspec.structs.replace(throughput, read_max=found[0], write_max=found[1])


def with_warm(
    throughput: ThroughputRecord, warm: Wire, billing_mode: str, units: Units, owner: Owner
) -> ThroughputRecord:
    """Return a throughput that is warmer.

    Raises:
        ValidationException: It would be colder.
    """
    now = warm_of(throughput, billing_mode, units)
    for (_, member, _, _), low in zip(_KINDS, now, strict=True):
        if member in warm and warm[member] < low:
            raise ValidationException(
                f"{_INVALID}Requested {member} for WarmThroughput{owner.warm_whose} is lower than"
                " current WarmThroughput, decreasing WarmThroughput is not supported"
            )
    reads, writes = (
        warm.get(member, low) for (_, member, _, _), low in zip(_KINDS, now, strict=True)
    )
    return msgspec.structs.replace(throughput, warm_reads=reads, warm_writes=writes)


def warm_of(throughput: ThroughputRecord, billing_mode: str, units: Units) -> Units:
    """Return the warm throughput of a table or an index."""
    least = _ON_DEMAND_WARM if billing_mode == PAY_PER_REQUEST else units
    return max(throughput.warm_reads, least[0]), max(throughput.warm_writes, least[1])


def changed_units(
    owner: TableRecord | IndexRecord, units: Units, now_ms: int, decreases_max: int
) -> dict[str, Any]:
    """Return the changed fields of a table or an index that gets other units.

    Args:
        owner: What has others now.
        units: What it gets.
        now_ms: The time.
        decreases_max: How often units may be lowered in a day.

    Raises:
        LimitExceededException: They would be lowered too often.
    """
    before = (owner.read_units, owner.write_units)
    throughput = owner.throughput
    changes: dict[str, Any] = {"read_units": units[0], "write_units": units[1]}
    if units[0] > before[0] or units[1] > before[1]:
        changes["units_changed_ms"] = now_ms
    if units[0] < before[0] or units[1] < before[1]:
        count = decreases_today(throughput, now_ms)
        if count >= decreases_max:
            _require_an_hour(throughput, count, now_ms, decreases_max)
        throughput = msgspec.structs.replace(throughput, decreased_ms=now_ms, decreases=count + 1)
    reads, writes = warm_of(throughput, PROVISIONED, before)
    changes["throughput"] = msgspec.structs.replace(
        throughput, warm_reads=max(reads, units[0]), warm_writes=max(writes, units[1])
    )
    return changes


def decreases_today(throughput: ThroughputRecord, now_ms: int) -> int:
    """Return how often units were lowered on this day, in UTC."""
    same_day = throughput.decreased_ms // _DAY_MS == now_ms // _DAY_MS
    return throughput.decreases if same_day else 0


def _require_an_hour(
    throughput: ThroughputRecord, count: int, now_ms: int, decreases_max: int
) -> None:
    """Refuse another decrease within an hour of the last."""
    last_ms = throughput.decreased_ms
    next_ms = min(last_ms + _HOUR_MS, (now_ms // _DAY_MS + 1) * _DAY_MS)
    if now_ms < next_ms:
        raise LimitExceededException(
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given"
            f" UTC day. After the first {decreases_max} decreases, each subsequent decrease in the"
            " same UTC day can be performed at most once every 3600 seconds. Number of decreases"
            f" today: {count}. Last decrease at {_moment(last_ms)}. Next decrease can be made at"
            f" {_moment(next_ms)}"
        )


def _moment(at_ms: int) -> str:
    """Return a time as AWS's sentence has it."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    hour = at.hour % 12 or 12
    return (
        f"{at:%A}, {at:%B} {at.day}, {at.year} at {hour}:{at:%M:%S %p} Coordinated Universal Time"
    )


def on_demand(throughput: ThroughputRecord, units: Units) -> ThroughputRecord:
    """Return a throughput whose table has no provisioned units any more."""
    reads, writes = warm_of(throughput, PROVISIONED, units)
    return msgspec.structs.replace(
        throughput,
        warm_reads=max(reads, _ON_DEMAND_WARM[0]),
        warm_writes=max(writes, _ON_DEMAND_WARM[1]),
    )


def provisioned(throughput: ThroughputRecord) -> ThroughputRecord:
    """Return a throughput whose table gets provisioned units: what is on demand only goes."""
    reads, writes = warm_of(throughput, PAY_PER_REQUEST, (0, 0))
    return msgspec.structs.replace(
        throughput, read_max=0, write_max=0, warm_reads=reads, warm_writes=writes
    )


def is_bounded(table: TableRecord) -> bool:
    """Return whether a table or an index of it has a maximum on demand."""
    return table.throughput.has_maxima or any(
        index.throughput.has_maxima for index in table.indexes
    )


# What accounts and tables may have.


class _Asked(NamedTuple):
    """What a table or an index of it may consume, as a request wants it."""

    owner: Owner
    units: Units
    maxima: Units
    warm: Units


def _asked_of(table: TableRecord) -> list[_Asked]:
    """Return what a table and each of its global indexes may consume."""
    owners: list[tuple[Owner, TableRecord | IndexRecord]] = [(THE_TABLE, table)]
    owners += [(Owner(each.name), each) for each in table.indexes if each.is_global]
    return [
        _Asked(
            owner,
            (each.read_units, each.write_units),
            (each.throughput.read_max, each.throughput.write_max),
            (each.throughput.warm_reads, each.throughput.warm_writes),
        )
        for owner, each in owners
    ]


def require_table_limits(
    table: TableRecord, before: TableRecord | None, region: str, limit: Limit
) -> None:
    """Refuse more for a table, or an index of it, than one may have.

    Args:
        table: The table as a request wants it.
        before: The table as it is; None: it is new.
        region: Where it is.
        limit: The value of a quota.

    Raises:
        LimitExceededException: It is more.
    """
    known = {} if before is None else {each.owner: each for each in _asked_of(before)}
    for asked in _asked_of(table):
        had = known.get(asked.owner)
        for place, (maximum, warm, unit, quota) in enumerate(_KINDS):
            most = limit(quota)
            if asked.units[place] > max(most, had.units[place] if had else 0):
                whose, what = (
                    (f" for index {asked.owner.name}", "index")
                    if asked.owner.name
                    else ("", "table")
                )
                raise LimitExceededException(
                    f"The requested {unit}{whose}, {asked.units[place]}, is above the per {what}"
                    f" maximum for the account in {region}. Per {what} maximum: {most}. {_SEE_GUIDE}"
                )
            for member, given, had_given, whose in (
                (f"{maximum} for {MAXIMA}", asked.maxima, had and had.maxima, asked.owner.whose),
                (f"{warm} for {WARM}", asked.warm, had and had.warm, asked.owner.warm_whose),
            ):
                if given[place] > max(most, had_given[place] if had_given else 0):
                    raise LimitExceededException(
                        f"Subscriber limit exceeded: Requested {member}{whose} exceeds"
                        f" TableMax{unit} of the account in region {region}"
                    )


def units_of_all(tables: Iterable[TableRecord]) -> Units:
    """Return the provisioned units of tables and their global indexes together."""
    reads = writes = 0
    for table in tables:
        for asked in _asked_of(table):
            reads, writes = reads + asked.units[0], writes + asked.units[1]
    return reads, writes


def require_account_limits(
    asked: Units, before: Units, others: Units, region: str, limit: Limit
) -> None:
    """Refuse more units than the tables of an account may have together.

    Args:
        asked: The units of a table and its indexes as a request wants them.
        before: Those that it has.
        others: Those of all other tables.
        region: Where they are.
        limit: The value of a quota.

    Raises:
        LimitExceededException: They would be more.
    """
    accounts = (quotas.ACCOUNT_READ_UNITS, quotas.ACCOUNT_WRITE_UNITS)
    for place, (_, _, unit, _) in enumerate(_KINDS):
        most, reserved = limit(accounts[place]), others[place] + before[place]
        if asked[place] > before[place] and others[place] + asked[place] > most:
            raise LimitExceededException(
                f"This request would have caused the {unit} limit to be exceeded for the account in"
                f" {region}. Current {unit} reserved by the account: {reserved}. Limit: {most}."
                f" Requested: {asked[place] - before[place]}. {_SEE_GUIDE}"
            )


# What is told.


def described_units(
    owner: TableRecord | IndexRecord, now_ms: int
) -> shapes.ProvisionedThroughputDescription:
    """Return the ``ProvisionedThroughput`` of a table or an index."""
    told: shapes.ProvisionedThroughputDescription = {
        "NumberOfDecreasesToday": decreases_today(owner.throughput, now_ms),
        "ReadCapacityUnits": owner.read_units,
        "WriteCapacityUnits": owner.write_units,
    }
    if owner.units_changed_ms:
        told["LastIncreaseDateTime"] = owner.units_changed_ms
    if owner.throughput.decreased_ms:
        told["LastDecreaseDateTime"] = owner.throughput.decreased_ms
    return told


def described_maxima(throughput: ThroughputRecord) -> shapes.OnDemandThroughput | None:
    """Return an ``OnDemandThroughput``, or None if there is no maximum."""
    told: shapes.OnDemandThroughput = {}
    if throughput.read_max:
        told["MaxReadRequestUnits"] = throughput.read_max
    if throughput.write_max:
        told["MaxWriteRequestUnits"] = throughput.write_max
    return told or None


def described_warm(
    owner: TableRecord | IndexRecord, billing_mode: str, status: str
) -> shapes.TableWarmThroughputDescription:
    """Return the ``WarmThroughput`` of a table or an index."""
    units = (owner.read_units, owner.write_units)
    reads, writes = warm_of(owner.throughput, billing_mode, units)
    return {"ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes, "Status": status}
