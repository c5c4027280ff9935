"""What a replica has still to bring to another, and what becomes of it there.

The writes of a region lie in a log in the order of their commits; a pair of replicas knows how far the
one has brought it to the other. What is brought is applied in a transaction of the other's domain, and
only then the pair moves on, in a transaction of its own: a crash between the two brings it again, and
its versions say that it came before.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.contract.call import Facilities
from fogbank.platform.scheduler import consumers, worklist
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import STAMP_BYTES, Domain, Transaction
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import replication, sharing, versions
from fogbank.services.dynamodb.rules.keys import DIGEST_BYTES, ItemKey
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.rules.replication import ITEMS, Change, Step
from fogbank.services.dynamodb.rules.versions import UNKNOWN
from fogbank.services.dynamodb.schema import CREATING, TABLES, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.replicas import (
    PAIRS,
    REPLICATION,
    VERSIONS,
    FetchRecord,
    LinkRecord,
    PairRecord,
    ReplicationRecord,
)
from fogbank.services.dynamodb.state import bodies, building, expiries, rows, tables, writing
from fogbank.services.dynamodb.state.versions import find_version

LINKS: Final = "dynamodb.links"
"""The kind of consumers that bring what one replica has written to another."""
FETCHED_ITEMS: Final = "dynamodb.fetched_items"
"""The work list of large items that a replica fetches from another store."""
PAIRS_MAX: Final = 200
"""More than there are regions."""
STEP_BYTES: Final = 256 << 10
"""Items that are brought in one step, but for one."""
decode_link: Final = RecordDecoder(LinkRecord).decode


def link_id(table_id: str, region: str) -> str:
    """Return what names the consumer that brings what a replica has written to a region."""
    return f"{table_id}/{region}"


def begin_pair(tr: Transaction, table: TableRecord, region: str, pair: PairRecord) -> None:
    """Have what is written in this region, from now on, brought to another."""
    PAIRS.put(tr, pair, table.id, region)
    link = LinkRecord(table=table.name, table_id=table.id, region=region)
    named = link_id(table.id, region)
    consumers.put(tr, Consumer(LINKS, named, tr.domain.name, encode(link)))


async def watched_by(entry: Consumer, facilities: Facilities) -> list[AsyncIterator[None]]:
    """Watch where a commit may be something that a link has to bring.

    The log of its table has what is written. The settings of all tables of the region are watched
    together: they change seldom, and a commit is looked up once for each length that is watched.
    """
    link, domain = decode_link(entry.payload), Domain(*entry.domain)
    store = facilities.placement.store_of(domain)
    log = rows.log_prefix(domain, link.table_id)
    return [store.watch(each) for each in (log, domain.prefix + TABLES.subspace)]


def end_pair(tr: Transaction, table: TableRecord, region: str) -> None:
    """Bring nothing more to a region."""
    PAIRS.delete(tr, table.id, region)
    consumers.remove(tr, LINKS, link_id(table.id, region))


async def list_pairs(tr: Transaction, table: TableRecord) -> dict[str, PairRecord]:
    """Return how far a replica has brought its writes, by the region of each other."""
    found = await PAIRS.list(tr, table.id, limit=PAIRS_MAX)
    return {str(region): pair for (region,), pair in found}


async def find_pair(tr: Transaction, table: TableRecord, region: str) -> PairRecord | None:
    """Return how far a replica has brought its writes to a region; None: they are no pair."""
    return await PAIRS.find(tr, table.id, region)


async def find_linked(tr: Transaction, link: LinkRecord) -> TableRecord | None:
    """Return the replica whose writes a link brings; None: it is gone, or no replica any more."""
    table = await TABLES.find(tr, link.table)
    return table if table is not None and table.id == link.table_id and table.group else None


async def find_other(tr: Transaction, source: TableRecord) -> TableRecord | None:
    """Return the replica of the same global table in this region; None: there is none yet."""
    table = await TABLES.find(tr, source.name)
    return table if table is not None and table.group == source.group else None


async def _list_log(
    tr: Transaction, table: TableRecord, cursor: bytes, limit: int
) -> list[tuple[bytes, ReplicationRecord]]:
    """Return the next rows of the log behind a stamp, each with its own."""
    prefix = rows.prefix_of(tr, REPLICATION, table.id)
    begin = prefix + cursor + b"\0" if cursor else prefix
    found = await tr.range(begin, after_prefix(prefix), limit=limit)
    return [(key[-STAMP_BYTES:], REPLICATION.decode(raw)) for key, raw in found]


async def oldest_ms(tr: Transaction, table: TableRecord, pair: PairRecord) -> int | None:
    """Return when the first write was made that has not been brought; None: all have been."""
    found = await _list_log(tr, table, pair.cursor, 1)
    return found[0][1].at_ms if found else None


# What is brought.


async def read_log(
    tr: Transaction, table: TableRecord, pair: PairRecord, limit: int, since_ms: int
) -> Step | None:
    """Return the next writes of the log as the items are now, or None if there are none.

    Where the first of them is older than a time, the log is left alone up to its end and everything
    is copied that was last written here: a log does not grow without an end.
    """
    region, size = tr.domain.name[-1], 0
    changes: list[Change] = []
    found = await _list_log(tr, table, pair.cursor, limit)
    if not found:
        return None
    if found[0][1].at_ms < since_ms:
        prefix = rows.prefix_of(tr, REPLICATION, table.id)
        [(key, _)] = await tr.range(prefix, after_prefix(prefix), limit=1, reverse=True)
        anew = msgspec.structs.replace(
            pair, cursor=key[-STAMP_BYTES:], copying=ITEMS, next_place=b""
        )
        return Step(anew, changes, is_last=False)
    cursor, last = pair.cursor, len(found) < limit
    for stamp, row in found:
        version = await find_version(tr, table, row.place)
        if version is not None and version.region == region:
            item = await rows.find_at(tr, table, row.place)
            size += 0 if item is None else item.size
            if size > STEP_BYTES and changes:
                last = False
                break
            bodies.require_open(item)
            change = replication.change_of(row.place, row.partition, version, item, row.at_ms)
            changes.append(change)
        cursor = stamp
    return Step(msgspec.structs.replace(pair, cursor=cursor), changes, last)


async def read_copy(tr: Transaction, table: TableRecord, pair: PairRecord, limit: int) -> Step:
    """Return the next of what was there before the pair was one."""
    assert pair.copying, "there is something to copy"
    read = _read_items if pair.copying == ITEMS else _read_gone
    return await read(tr, table, pair, limit)


async def _read_items(tr: Transaction, table: TableRecord, pair: PairRecord, limit: int) -> Step:
    region, size = tr.domain.name[-1], 0
    changes: list[Change] = []
    found = await rows.list_items(tr, table, KeyRange(pair.next_place), limit=limit)
    ended, last = len(found) < limit, b""
    for place, item in found:
        if size + item.size > STEP_BYTES and last:
            ended = False
            break
        size, last = size + item.size, place
        version = await find_version(tr, table, place)
        if replication.is_brought(region, pair, version):
            bodies.require_open(item)
            changes.append(replication.change_of(place, item.partition, version, item))
    return Step(replication.copied_further(pair, last, ended=ended), changes, is_last=False)


async def _read_gone(tr: Transaction, table: TableRecord, pair: PairRecord, limit: int) -> Step:
    region = tr.domain.name[-1]
    changes: list[Change] = []
    prefix = rows.prefix_of(tr, VERSIONS, table.id)
    found = await tr.range(prefix + pair.next_place, after_prefix(prefix), limit=limit)
    last = b""
    for key, raw in found:
        last, version = key[len(prefix) :], VERSIONS.decode(raw)
        is_gone = version.partition and await rows.find_at(tr, table, last) is None
        if is_gone and replication.is_brought(region, pair, version):
            changes.append(replication.change_of(last, version.partition, version, None))
    ended = len(found) < limit
    return Step(replication.copied_further(pair, last, ended=ended), changes, is_last=ended)


async def move_pair(
    tr: Transaction, link: LinkRecord, before: PairRecord, after: PairRecord, limit: int
) -> bool:
    """Move a pair on, unless it was ended or moved since; remove what every other has by now."""
    if await PAIRS.find(tr, link.table_id, link.region) != before:
        return False
    PAIRS.put(tr, after, link.table_id, link.region)
    if after.cursor == before.cursor:
        return True
    table = await TABLES.find(tr, link.table)
    if table is None or table.id != link.table_id:
        return True
    pairs = await list_pairs(tr, table) | {link.region: after}
    passed = min(pair.cursor for pair in pairs.values())
    prefix = rows.prefix_of(tr, REPLICATION, table.id)
    for key, _ in await tr.range(prefix, prefix + passed + b"\0", limit=limit) if passed else ():
        tr.delete(key)
    return True


async def progress_of(tr: Transaction, table: TableRecord) -> int | None:
    """Return how much has been copied from here to a replica that is being made, in percent."""
    for each in table.replicas:
        pair = await find_pair(tr, table, each.region) if each.status == CREATING else None
        if pair is not None:
            return replication.percent_of(pair)
    return None


# What arrives.


async def _find_replaced(
    tr: Transaction, table: TableRecord, change: Change
) -> tuple[ItemKey, ItemRecord | None] | None:
    """Return where a write takes effect, and what lies there; None: a later one has already.

    What was there before its table was global takes no other's place.
    """
    key = replication.key_in(table, change)
    if not versions.is_later(change.version, await find_version(tr, table, key.place)):
        return None
    before = await rows.find_item(tr, table, key)
    return None if change.version.at == 0 and before is not None else (key, before)


async def is_far(tr: Transaction, table: TableRecord, change: Change) -> bool:
    """Return whether a write would take effect that a transaction from afar cannot make.

    Blobs are written by the process that has the store: it is to fetch the item itself.
    """
    found = await _find_replaced(tr, table, change)
    if found is None:
        return False
    _, before = found
    body = None if before is None else before.body
    return change.is_blob or (body is not None and body.blob is not None)


def queue_fetch(tr: Transaction, table: TableRecord, region: str, change: Change) -> None:
    """Have the process that has this region's store read an item in another; once is enough."""
    fetch = FetchRecord(
        table=table.name,
        group=table.group,
        region=region,
        place=change.place,
        partition=change.partition,
    )
    entry = WorkEntry(
        list=FETCHED_ITEMS,
        id=f"{table.id}/{region}/{change.place.hex()}",
        domain=tr.domain.name,
        payload=encode(fetch),
        created_ms=0,
        visible_ms=0,
    )
    worklist.put(tr, entry)


async def read_fetched(tr: Transaction, fetch: FetchRecord) -> Change | None:
    """Return an item as it is in the region it is fetched from, its blob unread; None: it is not."""
    table = await TABLES.find(tr, fetch.table)
    if table is None or table.group != fetch.group:
        return None
    version = await find_version(tr, table, fetch.place)
    item = await rows.find_at(tr, table, fetch.place)
    return Change(
        fetch.partition, fetch.place[DIGEST_BYTES:], version or UNKNOWN, item, fetch.place
    )


async def accept(tr: Transaction, table: TableRecord, change: Change, clock: Clock) -> bool:
    """Let a write of another region take effect, unless a later one has; return whether it has.

    The sizes of collections are kept and refuse nothing: the write was acknowledged already.
    """
    found = await _find_replaced(tr, table, change)
    if found is None:
        return False
    key, before = found
    await writing.write_item(
        tr,
        table,
        key,
        before,
        change.item,
        clock=clock,
        limit=lambda _: sys.maxsize,
        version=change.version,
    )
    return True


async def take_settings(
    tr: Transaction, source: TableRecord, walks: tuple[str, str], now_ms: int
) -> bool:
    """Take the settings of another replica over, if they are the later; return whether all are.

    Args:
        tr: The transaction.
        source: The other.
        walks: New ids, of walks over the items where these expire by another attribute.
        now_ms: The time.
    """
    table = await find_other(tr, source)
    if table is None:
        return False
    if source.settings <= table.settings:
        return True
    taken = sharing.taken_over(table, source, tr.domain.name[-1])
    tables.put_table(tr, taken.table)
    for index in taken.begun:
        building.begin(tr, taken.table, index, now_ms)
    if table.ttl_attribute != taken.table.ttl_attribute:
        attributes = (table.ttl_attribute, taken.table.ttl_attribute)
        for attribute, walk in zip(attributes, walks, strict=True):
            if attribute:
                expiries.queue_walk(tr, taken.table, attribute, walk, now_ms)
    return taken.is_whole
