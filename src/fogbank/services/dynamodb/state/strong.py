"""Strongly consistent global tables: their beginning and end, and the tables of other regions.

Theory: which replicas there are is kept with the table at home, where the items lie; a job
(``jobs/strong``) makes, renews and drops the tables of the other regions, each in a transaction of its
domain that may be done again. Every write of the table at home queues the job, so that no copy of its
definitions stays behind.
"""

from __future__ import annotations

import msgspec

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.tuples import after_prefix
from fogbank.services.dynamodb.rules import backups as backup_rules
from fogbank.services.dynamodb.rules import replicas, strong
from fogbank.services.dynamodb.rules.strong import Change
from fogbank.services.dynamodb.schema import DELETING, ITEMS, TABLES, TableRecord
from fogbank.services.dynamodb.schema.backups import BackupRecord
from fogbank.services.dynamodb.schema.replicas import ReplicaStreamRecord, StrongRecord
from fogbank.services.dynamodb.state import (
    backups,
    bulks,
    groups,
    history,
    rows,
    streams,
    tables,
)


async def change(tr: Transaction, name: str, wanted: Change, now_ms: int) -> TableRecord:
    """Begin or end a strongly consistent global table at its home; return the table.

    Raises:
        ResourceInUseException: Something else is under way.
        ValidationException: The table cannot be one.
    """
    table = await tables.require_settled_table(tr, name)
    if wanted.kind == "Delete":
        if table.strong is None or not strong.is_settled(table):
            raise replicas.in_use()
        changed = strong.with_statuses(table, DELETING)
    else:
        if table.strong is not None or table.group or await bulks.is_written(tr, table):
            raise replicas.in_use()
        strong.require_convertible(table)
        prefix = rows.prefix_of(tr, ITEMS, table.id)
        if await tr.range(prefix, after_prefix(prefix), limit=1):
            raise strong.not_empty()
        changed = strong.begun(table, wanted, tr.domain.name[-1], now_ms)
    tables.put_table(tr, changed)
    return changed


async def put_statuses(tr: Transaction, table: TableRecord, status: str) -> None:
    """Write another status of the other replicas, unless the table has changed since."""
    if await TABLES.find(tr, table.name) == table:
        tables.put_table(tr, strong.with_statuses(table, status))


async def end(tr: Transaction, table: TableRecord, now_ms: int) -> None:
    """Make the table at home one of its own, unless it has changed since."""
    if await TABLES.find(tr, table.name) != table:
        return
    assert table.strong is not None, "it is one of several"
    for region, told in table.strong.streams.items():
        if told.view:
            await streams.close_stream(tr, strong.seen_in(table, region), region)
    alone = tables.put_table(tr, msgspec.structs.replace(table, strong=None))
    await history.settle(tr, alone, now_ms)


async def change_recovery(
    tr: Transaction, table: TableRecord, region: str, given: Request, now_ms: int
) -> TableRecord:
    """Change how far back the replica of a region can be restored; return the table at home.

    Args:
        tr: A transaction at home.
        table: The table, as this transaction read it.
        region: That of the replica.
        given: The ``PointInTimeRecoverySpecification``.
        now_ms: The time.

    Raises:
        ValidationException: It contradicts itself.
    """
    seen = backup_rules.changed_recovery(strong.seen_in(table, region), given, now_ms)
    changed = tables.put_table(tr, strong.with_recovery(table, region, seen))
    settle = history.keep if seen.recovery_ms else history.settle
    return await settle(tr, changed, now_ms)


async def refreshed(call: Call, home: TableRecord) -> TableRecord:
    """Have the region that asked hear of what was changed at home; return the table there.

    What a crash, or a region that cannot be reached, leaves undone is done by a job.
    """
    there = groups.domain_in(call.domain, call.region)

    async def refresh(tr: Transaction) -> TableRecord:
        return await refresh_member(tr, home) or home

    return await call.store_of(there).transact(refresh)


async def put_seen(
    tr: Transaction,
    before: TableRecord,
    table: TableRecord,
    region: str,
    *,
    log: str,
    due_ms: int,
) -> TableRecord:
    """Write the table at home as it was changed in another region; return it.

    Args:
        tr: A transaction at home.
        before: The table, seen in that region, as it was.
        table: The same as it is to be; its stream is that region's.
        region: That of the replica.
        log: A new id, for the records of a stream that is opened.
        due_ms: When such a stream is to be looked at first.
    """
    own = await TABLES.find(tr, table.name)
    assert own is not None, "this transaction has read it"
    if table.stream_view != before.stream_view:
        table = await _switched(tr, table, region, log, due_ms)
    return tables.put_table(tr, strong.put_back(own, table))


async def _switched(
    tr: Transaction, table: TableRecord, region: str, log: str, due_ms: int
) -> TableRecord:
    """Open or close the stream of a replica whose items lie here; return the table that knows."""
    assert table.strong is not None, "it is one of several"
    if table.stream_view:
        opened = await streams.open_stream(tr, table, log, region, due_ms)
        told = ReplicaStreamRecord(log=log, view=opened.stream_view, created_ms=opened.stream_ms)
    else:
        await streams.close_stream(tr, table, region)
        told = msgspec.structs.replace(table.strong.streams[region], view="")
    return strong.with_stream(table, region, told)


async def find_member(tr: Transaction, name: str, known: StrongRecord) -> TableRecord | None:
    """Return the table of another replica in this region, or None."""
    found = await TABLES.find(tr, name)
    is_member = found is not None and found.strong is not None and found.strong.id == known.id
    return found if is_member else None


async def make_member(
    tr: Transaction, made: TableRecord, tables_max: int, measure_at_ms: int
) -> None:
    """Make the table of another replica, if it is not there yet.

    Raises:
        ResourceInUseException: Another table has taken its name.
        LimitExceededException: There are too many.
    """
    assert made.strong is not None, "it is one of several"
    if await find_member(tr, made.name, made.strong) is None:
        await tables.create_table(tr, made, tables_max, measure_at_ms)


async def refresh_member(tr: Transaction, home: TableRecord) -> TableRecord | None:
    """Bring the table of another replica in line with that at home; return it if it stands."""
    assert home.strong is not None, "it is one of several"
    member = await find_member(tr, home.name, home.strong)
    if member is None:
        return None
    assert member.strong is not None, "it is one of several"
    if member.strong.revision > home.strong.revision:
        return member  # somebody else has brought what came later
    region = tr.domain.name[-1]
    renewed = strong.refreshed(member, home, region)
    if renewed != member:
        tables.put_table(tr, renewed)
    told = home.strong.streams.get(region)
    if told is not None:
        await streams.lay_outline(tr, renewed, told, home.strong.home)
    return renewed


async def drop_member(
    tr: Transaction, home: TableRecord, now_ms: int, backup: BackupRecord | None
) -> None:
    """Delete the table of another replica, which has no items; harmless to repeat.

    Args:
        tr: A transaction of its domain.
        home: The table at home.
        now_ms: The time.
        backup: What stays of one that can be restored to a point in time.
    """
    assert home.strong is not None, "it is one of several"
    member = await find_member(tr, home.name, home.strong)
    if member is None:
        return
    if backup is not None:
        backups.begin_afar(tr, member, backup, now_ms)
    await tables.drop_table(tr, member, now_ms, is_read=False)
