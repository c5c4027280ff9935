"""Background work: items of deleted tables and expired ones, counts, and streams.

A deleted table is unlinked from its name in the transaction of DeleteTable; what lay under its id
is out of reach from then on and is removed here. Both works go over whole tables in short steps,
so that a large table holds up nobody, and an attempt that a crash cuts short is made again and
goes on where the work was. So does the walk over a table whose time to live was changed. What has
expired is looked for where it lies in the order of its seconds, of all tables together.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress, Rest, Verdict, reconciler, worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.keyspace import EXPIRIES, PARTITIONS
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import measures
from fogbank.services.dynamodb.rules.pages import KeyRange
from fogbank.services.dynamodb.schema import ExpiryRecord, ItemRecord, MeasureRecord, TableRecord

ITEMS_PER_STEP: Final = 50
"""A step reads the items that it removes or counts: 20 MB at most."""
NO_EXPIRY_MS: Final = 3_600_000
"""How long nothing is looked for while no item of any table expires; a write that gives one a time
says so."""
STEPS_PER_ATTEMPT: Final = 200
HOLD_MS: Final = 60_000
TABLES_AT_ONCE: Final = 2


@worklist(state.tables.DROPPED_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def remove_items(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove the next rows of a dropped table; done when none is left."""
    store = facilities.holding(Domain(*entry.domain))
    table = state.tables.find_dropped_table(entry)

    async def body(tr: Transaction) -> int:
        # Those of items whose key KMS has, which may be gone, are removed when their second comes.
        if table is not None and table.ttl_attribute and table.sse is None:
            await state.expiries.forget(tr, table, ITEMS_PER_STEP)
        return await state.rows.remove_rows(tr, entry.id, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(body) < ITEMS_PER_STEP:
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@worklist(state.building.CHANGED_INDEXES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def change_index(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Write the entries of a new index for older items, or remove those of one that goes."""
    store = facilities.holding(Domain(*entry.domain))

    async def body(tr: Transaction) -> bool:
        return await state.building.go_on(tr, entry, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(body):
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@worklist(state.tables.MEASURED_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def count_items(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Count the next items of a table; done when the table is gone."""
    store = facilities.holding(Domain(*entry.domain))

    async def begin(tr: Transaction) -> tuple[TableRecord, MeasureRecord] | None:
        table = await state.tables.find_queued_table(tr, entry)
        if table is None:
            return None
        measure = await state.tables.measure_of(tr, table)
        return (state.encryption.served(tr, table) if table.indexes else table), measure

    begun = await store.read(begin)
    if begun is None:
        return Verdict()
    table, measure = begun

    async def step(tr: Transaction) -> list[tuple[bytes, ItemRecord]]:
        rest = KeyRange(measure.next_place)
        return await state.rows.list_items(tr, table, rest, limit=ITEMS_PER_STEP)

    now_ms = facilities.clock.now_ms()
    again_ms = now_ms
    for _ in range(STEPS_PER_ATTEMPT):
        rows = await store.read(step)
        measure = measures.counted(measure, table, rows)
        if len(rows) < ITEMS_PER_STEP:
            measure, again_ms = measures.finished(measure), now_ms + measures.PERIOD_MS
            break

    async def settle(tr: Transaction) -> None:
        if await state.tables.find_queued_table(tr, entry) is not None:
            state.tables.put_measure(tr, table, measure)

    return Verdict(retry_at_ms=again_ms, settle=settle, uncounted=True)


@worklist(state.streams.KEPT_STREAMS, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def keep_stream(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Roll the shard of a stream over, and remove what is too old; done when it is gone whole."""
    store = facilities.holding(Domain(*entry.domain))
    ages = state.retention.Ages(
        now_ms=facilities.clock.now_ms(),
        shard_ms=facilities.quotas.value(quotas.STREAM_SHARD_MS),
        retention_ms=facilities.quotas.value(quotas.STREAM_RETENTION_MS),
    )

    async def step(tr: Transaction) -> int | None:
        stream = await state.streams.find_queued_stream(tr, entry)
        if stream is None:
            return None
        return await state.retention.keep_stream(tr, stream, ages, ITEMS_PER_STEP)

    due_ms: int | None = ages.now_ms
    for _ in range(STEPS_PER_ATTEMPT):
        due_ms = await store.transact(step)
        if due_ms is None:
            await _forget_outline(entry, facilities)
            return Verdict()
        if due_ms > ages.now_ms:
            break
    return Verdict(retry_at_ms=due_ms, uncounted=True)


async def _forget_outline(entry: WorkEntry, facilities: Facilities) -> None:
    """Have the region of a replica forget its stream, if its records lay in another region."""
    region = state.streams.find_outlined(entry)
    if region:
        there = state.groups.domain_in(Domain(*entry.domain), region)
        drop = partial(state.streams.drop_outline, entry=entry)
        await facilities.placement.store_of(there).transact(drop)


@worklist(state.expiries.WALKED_TABLES, concurrency_max=TABLES_AT_ONCE, hold_ms=HOLD_MS)
async def walk_items(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Write or remove the entries by which the next items of a table expire; done at its end."""
    store = facilities.holding(Domain(*entry.domain))

    async def step(tr: Transaction) -> bool:
        return await state.expiries.walk_on(tr, entry, ITEMS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(step):
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@reconciler(period_ms=quotas.TTL_PERIOD_MS, signal=EXPIRIES)
async def delete_expired_items(facilities: Facilities) -> Progress | Rest:
    """Delete the items of all tables whose second has come, some of each table at a time."""
    now_s, busy = facilities.clock.now_ms() // 1_000, False
    for store in facilities.placement.system_stores():
        for partition in range(PARTITIONS):
            due = await state.expiries.list_due(store, partition, now_s, ITEMS_PER_STEP)
            groups: dict[tuple[str, ...], list[ExpiryRecord]] = {}
            for entry in due:
                groups.setdefault(entry.domain, []).append(entry)
            done = 0
            for domain, entries in groups.items():
                body = partial(
                    state.expired.delete_expired,
                    entries=entries,
                    clock=facilities.clock,
                    limit=facilities.quotas.value,
                )
                done += await facilities.holding(Domain(*domain)).transact(body)
            busy = busy or done < len(due) or len(due) == ITEMS_PER_STEP
    return Progress.BUSY if busy else Rest(await _next_expiry_ms(facilities))


async def _next_expiry_ms(facilities: Facilities) -> int:
    """Return when the next item of any table expires, or when to look again if none does."""
    found = [facilities.clock.now_ms() + NO_EXPIRY_MS]
    for store in facilities.placement.system_stores():
        next_s = await state.expiries.find_next_s(store)
        found += [] if next_s is None else [next_s * 1_000]
    return min(found)
