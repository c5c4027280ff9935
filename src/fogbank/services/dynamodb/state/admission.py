"""Whether reads and writes may be done now, by what their tables have left, and what they take.

Rule: only tables that are metered come here (``is_metered``); others pay for the question alone. A
read is let in when its table, or the index that it reads, has anything left, and takes what it has
turned out to cost. A write is let in likewise before its condition is looked at, takes what it costs
of the item that was there, also if the condition fails, and the rest when it is done: then every
global index that it changes must have something left too, or the table waits for its index.

What is taken in a transaction is noted on the call (``Call.tab``) and given back if the body runs
again, or if the write is refused after all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.contract.option import Option
from fogbank.contract.quota import Quota, Quotas
from fogbank.platform.metering.contributors import Rule
from fogbank.platform.metering.throughput import WHOLE, Meter, Name, Owner, Tab
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb import metrics, quotas
from fogbank.services.dynamodb.options import ENFORCE_THROUGHPUT
from fogbank.services.dynamodb.rules import insights, owners, sizes, throughput
from fogbank.services.dynamodb.rules.capacity import IndexUnits
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.reads import Target
from fogbank.services.dynamodb.rules.throughput import Exceeded
from fogbank.services.dynamodb.schema import (
    PROVISIONED,
    IndexRecord,
    ItemRecord,
    TableRecord,
)

_BATCHES: Final = frozenset({"BatchGetItem", "BatchWriteItem", "BatchExecuteStatement"})
_QUOTAS_REMEMBERED_MAX: Final = 16
"""A process has one set of them, which never changes."""


class Taker(Protocol):
    """Whoever takes what reads and writes cost: a call, or work that goes on behind one."""

    @property
    def scope(self) -> Scope:
        """Return whose it is."""
        ...

    @property
    def operation(self) -> str:
        """Return what was called; empty: nothing."""
        ...

    @property
    def domain(self) -> Domain:
        """Return that of the tables."""
        ...

    @property
    def facilities(self) -> Facilities:
        """Return what has the meters."""
        ...

    @property
    def tab(self) -> Tab:
        """Return what the transaction under way has taken."""
        ...

    def limit(self, quota: Quota, /) -> int:
        """Return the value of a quota."""
        ...

    def chosen(self, option: Option, /) -> bool:
        """Return what the deployment has chosen."""
        ...


def is_metered(call: Taker, table: TableRecord) -> bool:
    """Return whether what is consumed of a table counts against anything."""
    return (
        table.billing_mode == PROVISIONED
        or table.is_bounded
        or table.is_watched
        or _bounds_demand(call.facilities.quotas)
    )


@lru_cache(maxsize=_QUOTAS_REMEMBERED_MAX)
def _bounds_demand(limits: Quotas) -> bool:
    """Return whether tables on demand without maxima of their own are held to something."""
    return limits.value(quotas.ON_DEMAND_WRITE_UNITS) > 0 or (
        limits.value(quotas.ON_DEMAND_READ_UNITS) > 0
    )


def _meters_of(
    call: Taker,
    table: TableRecord,
    index: IndexRecord | None,
    partition: bytes,
    *,
    writes: bool,
) -> tuple[list[Meter], Exceeded | None]:
    """Return the meters that count something, and what is used up of it.

    Args:
        call: The call.
        table: The table.
        index: The global index that is meant, or None for the table.
        partition: The digest of the partition key; empty: of none, or not known.
        writes: Whether it is a write.
    """
    bound = throughput.bound_of(table, index, call.limit, writes=writes)
    if bound is None:
        return [], None
    part = WHOLE if index is None else index.number
    meters = call.facilities.meters
    now_s, enforced = meters.now_s(), call.chosen(ENFORCE_THROUGHPUT)
    whole = meters.meter_of(Name(table.id, part, writes))
    if whole.owner is None:
        whole.owner = Owner(call.domain, table.name, "" if index is None else index.name)
    found, exceeded = [whole], None
    if not whole.has_any(bound.rate, now_s):
        exceeded = bound.limit
    inner = throughput.partition_bound(bound, call.limit, writes=writes) if partition else None
    if inner is not None:
        hot = meters.meter_of(Name(table.id, part, writes, partition))
        found.append(hot)
        if exceeded is None and not hot.has_any(inner.rate, now_s):
            exceeded = inner.limit
    if exceeded is None or not enforced:
        return found, None
    return found, Exceeded("" if index is None else index.name, writes, exceeded)


def _count(call: Taker, table: TableRecord, key: ItemKey, *, throttled: bool) -> None:
    """Count the key of an item that is accessed, or throttled, once in a call."""
    mode = table.insights.mode
    if not mode or (not throttled and mode != insights.ALL_KEYS):
        return
    if call.tab.is_first((table.id, key.place, throttled)):
        for both, name in insights.names_of(table, key):
            rule = insights.rule_of(table, None, both=both, throttled=throttled)
            call.facilities.tallies.add(_rule_of(call, rule), name)


def _count_partition(
    call: Taker, target: Target, partition: bytes | None, *, throttled: bool
) -> None:
    """Count the partition key that a page is read of."""
    table, index = target.table, _overall(target.index)
    mode = insights.insights_of(table, index).mode
    if partition is None or not mode or (not throttled and mode != insights.ALL_KEYS):
        return
    rule = insights.rule_of(table, index, both=False, throttled=throttled)
    name = insights.partition_text(target.partition, partition)
    call.facilities.tallies.add(_rule_of(call, rule), name)


def _rule_of(call: Taker, rule: str) -> Rule:
    """Return a rule of the region in which was asked, which may be another than that of the items."""
    return Rule(owners.domain_of(call.domain.name[1], call.scope.region).prefix, rule)


def require(call: Taker, target: Target, partition: bytes | None = None) -> None:
    """Let a read of many items in, which takes nothing yet.

    Args:
        call: The call.
        target: What is read.
        partition: The content of the one partition key that is read, if it is one.

    Raises:
        ProvisionedThroughputExceededException: The table or index has nothing left.
        ThrottlingException: Likewise, on demand.
    """
    if not is_metered(call, target.table):
        return
    index = _overall(target.index)
    found, exceeded = _meters_of(call, target.table, index, b"", writes=False)
    if exceeded is not None:
        _count_partition(call, target, partition, throttled=True)
        _refuse(call, target.table, [(found[0], exceeded)])
    _count_partition(call, target, partition, throttled=False)


def _overall(index: IndexRecord | None) -> IndexRecord | None:
    """Return a global index; a local one consumes its table's units."""
    return None if index is None or index.is_local else index


def took(call: Taker, target: Target, units: float, indexes: IndexUnits) -> None:
    """Take what a read of many items has cost."""
    table = target.table
    if not is_metered(call, table):
        return
    index = _overall(target.index)
    of_table = units + sum(indexes.local.values())
    for part, cost in ((None, of_table), (index, sum(indexes.overall.values()))):
        if cost:
            for meter in _meters_of(call, table, part, b"", writes=False)[0]:
                meter.take(cost)


def read(  # noqa: PLR0913 (what is read, where, at what cost)
    tr: Transaction,
    call: Taker,
    table: TableRecord,
    key: ItemKey,
    record: ItemRecord | None,
    *,
    consistent: bool,
    cost: int = 1,
) -> None:
    """Let the read of an item in, and take what it costs.

    Args:
        tr: The transaction that reads it.
        call: The call.
        table: The table.
        key: The item's key.
        record: What lies there.
        consistent: Whether the read is.
        cost: How many times it is charged.

    Raises:
        ProvisionedThroughputExceededException: The table has nothing left.
        ThrottlingException: Likewise, on demand.
    """
    if not is_metered(call, table) or not call.facilities.meters.here:
        return
    tab = call.tab.of(tr)
    found, exceeded = _meters_of(call, table, None, key.digest, writes=False)
    _count(call, table, key, throttled=exceeded is not None)
    if exceeded is not None:
        _refuse(call, table, [(found[0], exceeded)])
    size = 0 if record is None else record.size
    units = cost * sizes.read_units(size, consistent=consistent)
    for meter in found:
        tab.take(meter, units)


class Admitted:
    """A write of an item that was let in."""

    __slots__ = ("_call", "_cost", "_meters", "_size", "_tab", "_table")

    def __init__(
        self, call: Taker, table: TableRecord, tab: Tab, meters: list[Meter], size: int, cost: int
    ) -> None:
        self._call = call
        self._table = table
        self._tab = tab
        self._meters = meters
        self._size = size
        self._cost = cost
        self._take(sizes.write_units(size))

    def _take(self, units: float) -> None:
        for meter in self._meters:
            self._tab.take(meter, self._cost * units)

    def end(self, size: int, indexes: IndexUnits) -> None:
        """Take what the write has cost beside what it took when it began.

        Args:
            size: The size of the item that it wrote, in bytes; 0 if it removed one.
            indexes: What it cost of the indexes.

        Raises:
            ProvisionedThroughputExceededException: A global index that it changes has nothing left.
            ThrottlingException: Likewise, on demand.
        """
        call, table, tab = self._call, self._table, self._tab
        due: list[tuple[Meter, float]] = []
        refused: list[tuple[Meter, Exceeded]] = []
        for index in table.indexes if indexes.overall else ():
            units = indexes.overall.get(index.name)
            if units:
                found, exceeded = _meters_of(call, table, index, b"", writes=True)
                due += [(meter, self._cost * units) for meter in found]
                refused += [(found[0], exceeded)] if exceeded is not None else []
        if refused:
            tab.give_back()
            _refuse(call, table, refused)
        more = sizes.write_units(self._size, size) - sizes.write_units(self._size)
        self._take(more + sum(indexes.local.values()))
        for meter, each in due:
            tab.take(meter, each)


def begin_write(
    tr: Transaction,
    call: Taker,
    table: TableRecord,
    key: ItemKey,
    before: ItemRecord | None,
    *,
    cost: int = 1,
) -> Admitted | None:
    """Let the write of an item in, and take what it costs whatever becomes of it.

    Args:
        tr: The transaction that writes it.
        call: The call.
        table: The table.
        key: The item's key.
        before: What lies there.
        cost: How many times it is charged.

    Returns:
        What takes the rest when it is done; None: the table is not metered.

    Raises:
        ProvisionedThroughputExceededException: The table has nothing left.
        ThrottlingException: Likewise, on demand.
    """
    if not is_metered(call, table) or not call.facilities.meters.here:
        return None
    tab = call.tab.of(tr)
    found, exceeded = _meters_of(call, table, None, key.digest, writes=True)
    _count(call, table, key, throttled=exceeded is not None)
    if exceeded is not None:
        _refuse(call, table, [(found[0], exceeded)])
    return Admitted(call, table, tab, found, 0 if before is None else before.size, cost)


def _refuse(call: Taker, table: TableRecord, refused: list[tuple[Meter, Exceeded]]) -> None:
    """Count and raise the error for what is used up."""
    noted = call.facilities.metrics
    for meter, exceeded in refused:
        call.facilities.meters.refuse(meter, writes=exceeded.writes)
        metrics.note_event(
            noted, call.domain, table.name, exceeded.of_index, writes=exceeded.writes
        )
    # AWS: of a batch, one is throttled only if all of its parts are (``operations/batches``).
    is_part = call.operation in _BATCHES or not call.operation
    if not is_part and call.tab.is_first((metrics.THROTTLED, table.id)):
        metrics.note_request(noted, call.domain, table.name, call.operation)
    owner = owners.owner_scope(call.scope, call.domain)
    raise throughput.error_of(owner, table, [exceeded for _, exceeded in refused])
