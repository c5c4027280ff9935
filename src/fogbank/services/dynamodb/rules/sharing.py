"""Settings that all replicas of a global table have, and how one takes those of another.

Shared are the billing mode, the throughput that is provisioned, the class, the time to live and the
global indexes; whichever region changed one last has its way. What a replica has for itself (its
overrides) stays. Streams, tags, protection and backups are each replica's own.

Source: Amazon DynamoDB Developer Guide, "Global tables: how it works", "Settings"; ack-api-quirks,
DDB-TABLE-230, 251, 294, 296: what others measured on AWS in October 2026.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from fogbank.services.dynamodb.rules import provisioning, replicas, versions
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    NO_INSIGHTS,
    PAY_PER_REQUEST,
    IndexRecord,
    TableRecord,
    ThroughputRecord,
)
from fogbank.services.dynamodb.schema.replicas import ReplicaRecord


class Taken(NamedTuple):
    """A replica with the settings of another."""

    table: TableRecord
    begun: tuple[IndexRecord, ...] = ()
    """The indexes whose making or removal begins."""
    is_whole: bool = True
    """Whether it has all of them: an index is not made again before the old one is gone."""


def changed_here(before: TableRecord, after: TableRecord, region: str, now_ms: int) -> TableRecord:
    """Return a changed table, with a later version if it is a replica and shares what changed."""
    if not before.replicas or _shared(before) == _shared(after):
        return after
    at = max(now_ms << versions.COUNT_BITS, before.settings[0] + 1)
    return msgspec.structs.replace(after, settings=(at, region))


def _shared(table: TableRecord) -> tuple[object, ...]:
    """Return the settings that replicas share."""
    return (
        table.billing_mode,
        table.read_units,
        table.write_units,
        table.table_class,
        table.ttl_attribute,
        _maxima(table.throughput),
        [_definition(each) for each in table.indexes if not each.is_local],
    )


def _definition(index: IndexRecord) -> tuple[object, ...]:
    """Return what an index is, wherever it is kept."""
    return (
        *(index.name, *_key(index)),
        *(index.read_units, index.write_units, index.status == DELETING),
        _maxima(index.throughput),
    )


def _maxima(throughput: ThroughputRecord) -> tuple[int, ...]:
    """Return what is shared of a throughput beside its units."""
    warm = (throughput.warm_reads, throughput.warm_writes)
    return (throughput.read_max, throughput.write_max, *warm)


def taken_over(table: TableRecord, other: TableRecord, region: str) -> Taken:
    """Return a replica with the settings of another.

    Args:
        table: The replica of a region.
        other: The other, whose settings are later.
        region: That of the first.
    """
    own = replicas.find_replica(table.replicas, region)
    assert own is not None, "a replica is among its global table's"
    indexes, made, begun, is_whole = _indexes(table, other)
    changed = msgspec.structs.replace(
        table,
        billing_mode=other.billing_mode,
        on_demand_since_ms=other.on_demand_since_ms,
        write_units=other.write_units,
        units_changed_ms=other.units_changed_ms,
        table_class=other.table_class,
        class_changed_ms=other.class_changed_ms,
        ttl_attribute=other.ttl_attribute,
        read_units=other.read_units,
        throughput=other.throughput,
        indexes=indexes,
        indexes_made=made,
        settings=other.settings if is_whole else table.settings,
    )
    changed = msgspec.structs.replace(changed, is_bounded=provisioning.is_bounded(changed))
    return Taken(with_overrides(changed, own), begun, is_whole)


def with_overrides(table: TableRecord, own: ReplicaRecord) -> TableRecord:
    """Return a replica with what it has for itself."""
    if table.billing_mode == PAY_PER_REQUEST:
        own = msgspec.structs.replace(own, read_units=0, index_read_units={})
    units = own.index_read_units
    return msgspec.structs.replace(
        table,
        read_units=own.read_units or table.read_units,
        table_class=own.table_class or table.table_class,
        indexes=tuple(
            msgspec.structs.replace(each, read_units=units.get(each.name, each.read_units))
            for each in table.indexes
        ),
    )


def _indexes(
    table: TableRecord, other: TableRecord
) -> tuple[tuple[IndexRecord, ...], int, tuple[IndexRecord, ...], bool]:
    """Return the indexes, how many were ever made, what begins, and whether that is all."""
    wanted = {
        each.name: each for each in other.indexes if not each.is_local and each.status != DELETING
    }
    kept: list[IndexRecord] = []
    begun: list[IndexRecord] = []
    is_whole = True
    for index in table.indexes:
        if index.is_local or index.status == DELETING:
            is_whole = is_whole and (index.is_local or index.name not in wanted)
            wanted.pop(index.name, None)
            kept.append(index)
            continue
        source = wanted.pop(index.name, None)
        if source is not None and _key(source) == _key(index):
            kept.append(_with_units(index, source))
            continue
        is_whole = is_whole and source is None
        begun.append(msgspec.structs.replace(index, status=DELETING))
        kept.append(begun[-1])
    made = table.indexes_made
    for source in wanted.values():
        new = msgspec.structs.replace(source, number=made, status=CREATING, insights=NO_INSIGHTS)
        begun.append(new)
        kept.append(new)
        made += 1
    return tuple(kept), made, tuple(begun), is_whole


def _key(index: IndexRecord) -> tuple[object, ...]:
    """Return what cannot be changed of an index."""
    return index.partition, index.sort, index.projection, index.included, index.vector


def _with_units(index: IndexRecord, source: IndexRecord) -> IndexRecord:
    """Return an index with the throughput of another replica's."""
    return msgspec.structs.replace(
        index,
        read_units=source.read_units,
        write_units=source.write_units,
        units_changed_ms=source.units_changed_ms,
        throughput=source.throughput,
    )


def new_replica(
    source: TableRecord, *, table_id: str, digest_key: bytes, now_ms: int
) -> TableRecord:
    """Return the table of a new replica, empty, with the settings of the one that it is made from.

    Its indexes are whole from the begin, for nothing lies under them.
    """
    indexes = tuple(
        msgspec.structs.replace(each, number=number, status=ACTIVE, insights=NO_INSIGHTS)
        for number, each in enumerate(index for index in source.indexes if index.status != DELETING)
    )
    return msgspec.structs.replace(
        source,
        id=table_id,
        digest_key=digest_key,
        created_ms=now_ms,
        deletion_protected=False,
        stream_ms=0,
        indexes=indexes,
        indexes_made=len(indexes),
        status=CREATING,
        history_ms=0,
        recovery_ms=0,
        recovery_days=0,
        has_policy=False,
        policy_ms=0,
        insights=NO_INSIGHTS,
        is_watched=False,
        sse=None,
        may_leave=False,
    )
