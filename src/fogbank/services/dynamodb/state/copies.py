"""Whether replicas agree with themselves and each other: what ``fogbank check`` asks of a store at rest.

Rule: the version of an item says whether it is there; a deletion that is kept has one tombstone; what is
still in the log for somebody has a version; a replica has a pair with each other, and each pair somebody
who brings. Where all pairs between the replicas of a global table have brought everything, all of them in
this store, they have the same items of the same versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Final

from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.store.engine import STAMP_BYTES, Domain, StoredRows
from fogbank.platform.store.keyspace import CONSUMERS, PARTITIONS, system_prefix
from fogbank.platform.store.records import RecordDecoder, Table
from fogbank.platform.store.tuples import after_prefix, pack
from fogbank.services.dynamodb.arns import SERVICE
from fogbank.services.dynamodb.rules import items, keys
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES
from fogbank.services.dynamodb.schema import ACTIVE, ITEMS, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.replicas import (
    PAIRS,
    REPLICATION,
    TOMBSTONES,
    VERSIONS,
    LinkRecord,
    PairRecord,
)
from fogbank.services.dynamodb.state import bodies, replication

_decode_consumer: Final = RecordDecoder(Consumer).decode
_decode_link: Final = RecordDecoder(LinkRecord).decode


def _prefix(domain: bytes, kind: Table[Any], table: TableRecord) -> bytes:
    """Return what the keys of a kind of rows of a table begin with."""
    return domain + kind.subspace + bytes.fromhex(table.id.replace("-", ""))


def _pair(stored: StoredRows, domain: bytes, table: TableRecord, region: str) -> PairRecord | None:
    """Return how far a replica has brought its writes to a region, or None."""
    raw = stored.get(domain + PAIRS.subspace + pack(table.id, region))
    return None if raw is None else PAIRS.decode(raw)


def replica_damage(stored: StoredRows, domain: bytes, table: TableRecord) -> Iterator[str]:
    """Yield where the versions, the log or the pairs of a replica are not what they say."""
    if not table.replicas:
        return
    named = f"the replica {table.name}"
    regions = {each.region for each in table.replicas}
    pairs = {region: _pair(stored, domain, table, region) for region in regions}
    found = [pair for pair in pairs.values() if pair is not None]
    if len(found) != len(regions) - 1:
        yield f"{named} has pairs with {len(found)} of {len(regions) - 1} others"
    yield from _version_damage(stored, domain, table)
    passed = min((pair.cursor for pair in found), default=b"")
    prefix = _prefix(domain, REPLICATION, table)
    for key, raw in stored.rows(prefix + passed, after_prefix(prefix)):
        place = REPLICATION.decode(raw).place
        if key[-STAMP_BYTES:] > passed and _version(stored, domain, table, place) is None:
            yield f"the log of {named} has an item at {place.hex()} that has no version"


def _version(stored: StoredRows, domain: bytes, table: TableRecord, place: bytes) -> bytes | None:
    return stored.get(_prefix(domain, VERSIONS, table) + place)


def _version_damage(stored: StoredRows, domain: bytes, table: TableRecord) -> Iterator[str]:
    """Yield where versions, items and tombstones of a replica do not agree."""
    named, gone, buried = f"the replica {table.name}", 0, 0
    prefix, lying = _prefix(domain, VERSIONS, table), _prefix(domain, ITEMS, table)
    for key, raw in stored.rows(prefix, after_prefix(prefix)):
        place, version = key[len(prefix) :], VERSIONS.decode(raw)
        is_there = stored.get(lying + place) is not None
        gone += bool(version.partition)
        if is_there == bool(version.partition):
            said = "gone" if version.partition else "there"
            yield f"{named} has a version that says that the item at {place.hex()} is {said}"
    tombstones = _prefix(domain, TOMBSTONES, table)
    for _, raw in stored.rows(tombstones, after_prefix(tombstones)):
        tombstone = TOMBSTONES.decode(raw)
        known = _version(stored, domain, table, tombstone.place)
        version = None if known is None else VERSIONS.decode(known)
        said_at = (tombstone.at, tombstone.region)
        if version is None or (version.at, version.region) < said_at:
            yield f"{named} has a tombstone at {tombstone.place.hex()} that is later than its version"
        else:
            buried += (version.at, version.region) == said_at
    if gone != buried:
        yield f"{named} keeps {gone} versions of items that are gone and has tombstones of {buried}"


# What several replicas in one store have alike.


def copy_damage(stored: StoredRows) -> Iterator[str]:
    """Yield which pairs nobody brings, and which replicas in this store differ that should not."""
    done: set[str] = set()
    for partition in range(PARTITIONS):
        prefix = system_prefix(CONSUMERS, partition) + pack(replication.LINKS)
        for _, raw in stored.rows(prefix, after_prefix(prefix)):
            consumer = _decode_consumer(raw)
            link, domain = _decode_link(consumer.payload), Domain(*consumer.domain)
            table = _table(stored, domain, link.table)
            if table is None or table.id != link.table_id or not table.replicas:
                yield f"writes of a table {link.table} are brought to {link.region} that is no replica"
            elif table.group not in done:
                done.add(table.group)
                yield from _group_damage(stored, domain.name[1], table)


def _table(stored: StoredRows, domain: Domain, name: str) -> TableRecord | None:
    raw = stored.get(domain.prefix + TABLES.subspace + pack(name))
    return None if raw is None else TABLES.decode(raw)


def _group_damage(stored: StoredRows, account: str, table: TableRecord) -> Iterator[str]:
    """Yield where the replicas of one global table differ, if all is here and has been brought."""
    members: dict[str, tuple[bytes, TableRecord]] = {}
    for each in table.replicas:
        domain = Domain(SERVICE, account, each.region)
        member = _table(stored, domain, table.name)
        if member is None or member.group != table.group or member.status != ACTIVE:
            return
        members[each.region] = domain.prefix, member
    for region, other in permutations(members, 2):
        if not _is_brought(stored, *members[region], other):
            return
    (first, whole), *others = members.values()
    for domain, member in others:
        yield from _difference(stored, (first, whole), (domain, member))
        yield from _difference(stored, (domain, member), (first, whole))


def _is_brought(stored: StoredRows, domain: bytes, table: TableRecord, region: str) -> bool:
    """Return whether a replica has brought all that it wrote to another."""
    pair = _pair(stored, domain, table, region)
    if pair is None or pair.copying:
        return False
    prefix = _prefix(domain, REPLICATION, table)
    begin = prefix + pair.cursor + b"\0" if pair.cursor else prefix
    return next(iter(stored.rows(begin, after_prefix(prefix))), None) is None


def _difference(
    stored: StoredRows, one: tuple[bytes, TableRecord], two: tuple[bytes, TableRecord]
) -> Iterator[str]:
    """Yield which items of a replica another has not, or has otherwise."""
    (domain, table), (other, replica) = one, two
    prefix, lying = _prefix(domain, ITEMS, table), _prefix(other, ITEMS, replica)
    for key, raw in stored.rows(prefix, after_prefix(prefix)):
        place, record = key[len(prefix) :], ITEMS.decode(raw)
        there = keys.digest_of(replica, record.partition) + place[DIGEST_BYTES:]
        copy = stored.get(lying + there)
        is_alike = copy is not None and _shown(stored, domain, table, record) == _shown(
            stored, other, replica, ITEMS.decode(copy)
        )
        if not is_alike:
            yield f"replicas of {table.name} differ in the item at {place.hex()} of one of them"
        elif _version(stored, domain, table, place) != _version(stored, other, replica, there):
            yield f"replicas of {table.name} have versions that differ at {place.hex()} of one"


def _shown(stored: StoredRows, domain: bytes, table: TableRecord, record: ItemRecord) -> Any:
    return items.item_of(table, bodies.stored_record(stored, domain, record))
