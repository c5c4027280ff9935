"""Global tables: which replicas each has, and how every replica comes to know.

Theory: the list lies in one domain, that of the first region (its home), and changes there, so that two
changes never cross. A job brings it to every replica (``jobs/replication``), in a transaction of each
domain: ``adopt`` may be done again at any time. A replica begins to keep versions and a log with the
transaction in which it hears of another, and a pair begins in the same: so what is written from then on
is in the log, and what was before is what the pair copies.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.dynamodb.arns import SERVICE
from fogbank.services.dynamodb.rules import replicas, sharing
from fogbank.services.dynamodb.rules.backups import system_backup_of
from fogbank.services.dynamodb.rules.replication import ITEMS
from fogbank.services.dynamodb.schema import ACTIVE, CREATING, DELETING, TABLES, TableRecord
from fogbank.services.dynamodb.schema.replicas import GROUPS, GroupRecord, PairRecord, ReplicaRecord
from fogbank.services.dynamodb.state import (
    backups,
    bulks,
    history,
    replication,
    rows,
    streams,
    tables,
)

CHANGED_GROUPS: Final = "dynamodb.changed_groups"
"""The work list of global tables whose replicas have changed."""
LEFT_TABLES: Final = "dynamodb.left_tables"
"""The work list of tables that are no replicas any more, whose versions are to go."""
TOMBSTONES_OF: Final = "dynamodb.tombstones_of"
"""The work list of replicas, each due when its tombstones are to be looked at."""


def domain_in(domain: Domain, region: str) -> Domain:
    """Return the domain of the same account in another region."""
    _, account, _ = domain.name
    return Domain(SERVICE, account, region)


async def find_group(tr: Transaction, group_id: str) -> GroupRecord | None:
    """Return a global table, or None; asked for in its home."""
    return await GROUPS.find(tr, group_id)


def put_group(tr: Transaction, group: GroupRecord, now_ms: int) -> None:
    """Write a global table that was changed, and have its replicas hear of it."""
    GROUPS.put(tr, group, group.id)
    entry = WorkEntry(
        list=CHANGED_GROUPS,
        id=group.id,
        domain=tr.domain.name,
        payload=b"",
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


def settle_group(tr: Transaction, group: GroupRecord) -> None:
    """Write a global table of which its replicas hear from whoever writes it."""
    GROUPS.put(tr, group, group.id)


def remove_group(tr: Transaction, group: GroupRecord) -> None:
    """Remove a global table that has one replica left."""
    GROUPS.delete(tr, group.id)


async def require_group(tr: Transaction, table: TableRecord) -> GroupRecord:
    """Return the global table of a replica, in its home.

    Raises:
        ResourceInUseException: It is being dissolved.
    """
    group = await find_group(tr, table.group)
    if group is None:
        raise replicas.in_use()
    return group


async def require_ungrouped(tr: Transaction, table: TableRecord) -> None:
    """Refuse to begin a global table with one that has become a replica, or another, since.

    Raises:
        ResourceInUseException: It has.
    """
    found = await tables.require_settled_table(tr, table.name)
    # AWS: no replica is added while a bulk put is in progress (Developer Guide, "Bulk put items
    # considerations: Global tables").
    if found.group or found.id != table.id or await bulks.is_written(tr, found):
        raise replicas.in_use()


async def find_member(tr: Transaction, group: GroupRecord) -> TableRecord | None:
    """Return the replica of a global table in this region, or None."""
    table = await TABLES.find(tr, group.name)
    return table if table is not None and table.group == group.id else None


async def adopt(
    tr: Transaction, table: TableRecord, group: GroupRecord, home: str, now_ms: int
) -> TableRecord:
    """Bring a replica in line with what its global table is; return it.

    Args:
        tr: A transaction of its domain, which has read it.
        table: The replica.
        group: The global table.
        home: Where that is kept.
        now_ms: The time.
    """
    region = tr.domain.name[-1]
    own = replicas.find_replica(group.replicas, region)
    assert own is not None, "it is one of them"
    await _lay_pairs(tr, table, group, own)
    before = replicas.find_replica(table.replicas, region)
    changed = replicas.has_other_overrides(before, own)
    adopted = msgspec.structs.replace(
        sharing.with_overrides(table, own) if changed else table,
        group=group.id,
        home=home,
        replicas=group.replicas,
        status=own.status if own.status in {CREATING, DELETING} else ACTIVE,
    )
    if not table.replicas:
        tables.queue(tr, TOMBSTONES_OF, adopted, now_ms)
    if adopted != table:
        tables.put_table(tr, adopted)
    return adopted


async def _lay_pairs(
    tr: Transaction, table: TableRecord, group: GroupRecord, own: ReplicaRecord
) -> None:
    """Begin a pair with every other replica that has none, and end those that have lost theirs."""
    pairs = await replication.list_pairs(tr, table)
    others = {each.region: each for each in group.replicas if each.region != own.region}
    for region, other in others.items():
        if region not in pairs:
            copies = other.status == CREATING and own.status != CREATING
            pair = PairRecord(
                copying=ITEMS if copies else "",
                everything=other.source == own.region,
                settings=table.settings,
            )
            replication.begin_pair(tr, table, region, pair)
    for region in pairs:
        if region not in others:
            replication.end_pair(tr, table, region)


async def make_replica(  # noqa: PLR0913 (what a new table has)
    tr: Transaction,
    made: TableRecord,
    group: GroupRecord,
    home: str,
    *,
    tables_max: int,
    measure_at_ms: int,
    stream_due_ms: int,
) -> None:
    """Make the table of a new replica, if it is not there yet.

    Raises:
        ResourceInUseException: Another table has taken its name.
        LimitExceededException: There are too many.
    """
    if await find_member(tr, group) is not None:
        return
    plain = msgspec.structs.replace(made, replicas=(), group="", home="")
    table = await streams.switch_stream(tr, None, plain, stream_due_ms)
    await tables.create_table(tr, table, tables_max, measure_at_ms)
    await adopt(tr, table, group, home, made.created_ms)


async def is_drained(tr: Transaction, table: TableRecord) -> bool:
    """Return whether a replica that goes has brought all its writes to every other."""
    if table.status != DELETING:
        return False
    pairs = await replication.list_pairs(tr, table)
    waiting = [await replication.oldest_ms(tr, table, pair) for pair in pairs.values()]
    return all(each is None for each in waiting) and not any(p.copying for p in pairs.values())


async def drop_replica(tr: Transaction, group: GroupRecord, now_ms: int, kept: str) -> bool:
    """Delete the table of a replica that goes, once all it has written has arrived; say whether.

    Args:
        tr: A transaction of its domain.
        group: The global table.
        now_ms: The time.
        kept: A new id, of the backup that stays of a table that can be restored to a point in time.
    """
    table = await find_member(tr, group)
    if table is None:
        return True
    if not await is_drained(tr, table):
        return False
    for region in await replication.list_pairs(tr, table):
        replication.end_pair(tr, table, region)
    if table.stream_view:
        await streams.close_stream(tr, table)
    is_read = await history.has_cuts(tr, table.id)
    if table.recovery_ms:
        await backups.begin(tr, table, system_backup_of(table, kept, now_ms), now_ms)
        is_read = True
    await tables.drop_table(tr, table, now_ms, is_read=is_read)
    return True


async def has_brought(tr: Transaction, group: GroupRecord, region: str) -> bool:
    """Return whether the replica of this region has brought all that it wrote to another."""
    table = await find_member(tr, group)
    pair = None if table is None else await replication.find_pair(tr, table, region)
    if table is None or pair is None or pair.copying:
        return table is None
    return await replication.oldest_ms(tr, table, pair) is None


async def leave_whole(tr: Transaction, group: GroupRecord, now_ms: int) -> bool:
    """Make a replica a table of its own, once all that it wrote has arrived; return whether it is.

    What is written here from then on is the table's own.
    """
    table = await find_member(tr, group)
    if table is None:
        return True
    pairs = await replication.list_pairs(tr, table)
    for pair in pairs.values():
        if pair.copying or await replication.oldest_ms(tr, table, pair) is not None:
            return False
    await leave(tr, group, now_ms)
    return True


async def leave(tr: Transaction, group: GroupRecord, now_ms: int) -> None:
    """Make the last replica of a global table, or one that leaves it, a table of its own."""
    table = await find_member(tr, group)
    if table is None:
        return
    for region in await replication.list_pairs(tr, table):
        replication.end_pair(tr, table, region)
    alone = msgspec.structs.replace(
        table,
        group="",
        home="",
        replicas=(),
        settings=(0, ""),
        status=ACTIVE,
        may_leave=False,
    )
    tables.put_table(tr, alone)
    tables.queue(tr, LEFT_TABLES, alone, now_ms)


async def forget_versions(tr: Transaction, entry: WorkEntry, limit: int) -> bool:
    """Remove the next versions of a table that is no replica any more; return whether it is done.

    One that has become a replica again keeps what is left: they are true of the items as they were.
    """
    table = await tables.find_queued_table(tr, entry)
    if table is None or table.replicas:
        return True
    return await rows.remove_versions(tr, table.id, limit) < limit
