"""Background work of global tables: bringing writes to other regions, and replicas into being.

A consumer for each pair of replicas reads the log of the one and has its writes applied in the domain of
the other, which may lie in another store: the effect comes first and may come again. While the other
cannot be reached the pair waits, longer each time, and goes on where it was.
"""

from __future__ import annotations

import enum
import logging
from functools import partial
from typing import Final

import msgspec

from fogbank.base.errors import ServiceError, Weather
from fogbank.contract.call import Facilities
from fogbank.contract.job import Memory, Rest, Verdict, consumer, worklist
from fogbank.platform.blobs.port import BlobPlacement
from fogbank.platform.metering.lags import Way
from fogbank.platform.metering.throughput import WHOLE, Name, Owner
from fogbank.platform.scheduler.consumers import Consumer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.records import RecordDecoder
from fogbank.services.dynamodb import metrics, quotas, state
from fogbank.services.dynamodb.rules import measures, replicas, replication, sharing, sizes
from fogbank.services.dynamodb.rules.replication import Change, Step
from fogbank.services.dynamodb.schema import ACTIVE, CREATING, DELETING, DISASSOCIATING, TableRecord
from fogbank.services.dynamodb.schema.replicas import (
    FetchRecord,
    GroupRecord,
    PairRecord,
    ReplicaRecord,
)

log = logging.getLogger("fogbank.dynamodb")

LINKS_AT_ONCE: Final = 64
ITEMS_PER_STEP: Final = 20
"""Written in one transaction of another domain: about a millisecond of processor."""
ROWS_PER_STEP: Final = 100
"""Removed from a log, or of a table that was left, in one transaction."""
GROUPS_AT_ONCE: Final = 2
FETCHES_AT_ONCE: Final = 4
"""Each may hold an item of the largest kind twice."""
HOLD_MS: Final = 60_000
STEPS_PER_ATTEMPT: Final = 200
SETTLE_MS: Final = 500
"""How long a replica that comes or goes is left alone between two looks at it."""
SWEEP_MS: Final = 600_000
"""Tombstones of a replica are looked at so often."""
TOMBSTONE_MS: Final = 3_600_000
"""They are kept for so long at least: clocks of different machines differ by less."""
_IDLER_MAX: Final = 2
_PAUSES_MAX: Final = 4
_DIGEST_KEY_BYTES: Final = 16

_decode_fetch: Final = RecordDecoder(FetchRecord).decode


class _Came(enum.Enum):
    """How a step of a pair went."""

    BUSY = "busy"
    """There is more to bring now."""
    WAITS = "waits"
    """The other has not taken everything yet."""
    IDLE = "idle"
    """There is nothing to bring until somebody writes."""


@consumer(state.replication.LINKS, steps_max=LINKS_AT_ONCE, watched=state.replication.watched_by)
async def replicate(entry: Consumer, facilities: Facilities, memory: Memory) -> int | Rest:
    """Bring the next writes of a replica to another; return when to look for more."""
    now_ms = facilities.clock.now_ms()
    poll_ms = facilities.quotas.value(quotas.REPLICATION_POLL_MS)
    copies_first = memory["copies"] = not memory.get("copies", False)
    try:
        came = await _Link(entry, facilities, copies_first=copies_first).run()
    except Weather as error:
        pauses = memory["pauses"] = memory.get("pauses", 0) + 1
        if pauses == 1:
            log.warning("replication %s waits: %s", entry.id, error)
        return now_ms + (quotas.REPLICATION_PAUSE_MS << min(pauses, _PAUSES_MAX))
    memory["pauses"] = 0
    memory["idle"] = 0 if came is _Came.BUSY else memory.get("idle", 0) + 1
    later_ms = now_ms + (poll_ms << min(memory["idle"], _IDLER_MAX))
    if came is _Came.IDLE:
        return Rest(later_ms)
    return now_ms if came is _Came.BUSY else later_ms


class _Link:
    """One step of one pair of replicas.

    Args:
        entry: Who brings.
        facilities: The cloud.
        copies_first: Whether what was there before goes first: it does in every other step.
    """

    def __init__(self, entry: Consumer, facilities: Facilities, *, copies_first: bool) -> None:
        self._copies_first = copies_first
        self._link = state.replication.decode_link(entry.payload)
        self._facilities = facilities
        self._domain = Domain(*entry.domain)
        self._store = facilities.holding(self._domain)
        other = state.groups.domain_in(self._domain, self._link.region)
        self._is_near = facilities.placement.is_ours(other)
        self._other_domain = other
        self._taker: TableRecord | None = None
        """The other replica, as the last transaction has found it."""
        near, far = facilities.holding, facilities.placement.store_of
        self._other = near(other) if self._is_near else far(other)

    async def run(self) -> _Came:
        """Bring what comes next; return whether there may be more."""
        found = await self._store.read(self._look)
        if found is None:
            self._facilities.lags.forget(self._way)
            return _Came.IDLE
        table, pair = found
        if table.settings > pair.settings:
            has_arrived = await self._bring_settings(table, pair)
            return _Came.BUSY if has_arrived else _Came.WAITS
        step = await self._store.read(partial(self._read, table, pair))
        if step is None:
            return _Came.BUSY if pair.copying else _Came.IDLE
        if step.changes and not await self._other.transact(partial(self._apply, table, step)):
            return _Came.WAITS
        self._count(step)
        latency_ms = self._latency_ms(step.changes, pair)
        after = msgspec.structs.replace(step.pair, latency_ms=latency_ms)
        await self._store.transact(partial(self._move, pair, after))
        self._note_latency(step.changes, latency_ms)
        return _Came.IDLE if step.is_last and not after.copying else _Came.BUSY

    def _note_latency(self, changes: list[Change], latency_ms: int) -> None:
        """Note how long writes took to arrive, for operators and for customers."""
        written_ms = [change.at_ms for change in changes if change.at_ms]
        if not written_ms:
            return
        self._facilities.lags.note(self._way, latency_ms)
        now_ms, link = self._facilities.clock.now_ms(), self._link
        metrics.note_replication(
            self._facilities.metrics,
            self._domain,
            link.table,
            link.region,
            (max(0, now_ms - each) for each in written_ms),
        )

    @property
    def _way(self) -> Way:
        """Return from where to where writes are brought."""
        _, account, region = self._domain.name
        return Way(account, self._link.table, region, self._link.region)

    async def _look(self, tr: Transaction) -> tuple[TableRecord, PairRecord] | None:
        """Return the replica and how far it has come, or None if it brings nothing."""
        table = await state.replication.find_linked(tr, self._link)
        if table is None:
            return None
        pair = await state.replication.find_pair(tr, table, self._link.region)
        return None if pair is None else (table, pair)

    async def _read(self, table: TableRecord, pair: PairRecord, tr: Transaction) -> Step | None:
        """Return what comes next, of what is new and what was there before."""
        if pair.copying and self._copies_first:
            return await state.replication.read_copy(tr, table, pair, ITEMS_PER_STEP)
        kept_ms = self._facilities.quotas.value(quotas.REPLICATION_BACKLOG_MS)
        since_ms = self._facilities.clock.now_ms() - kept_ms
        return await state.replication.read_log(tr, table, pair, ITEMS_PER_STEP, since_ms)

    async def _apply(self, source: TableRecord, step: Step, tr: Transaction) -> bool:
        """Apply what is brought, in the other's domain; return whether it has all arrived.

        It has not while there is no such replica, and while one fetches what is too large.
        """
        table = self._taker = await state.replication.find_other(tr, source)
        if table is None:
            return False
        has_arrived = True
        for change in step.changes:
            if not self._is_near and await state.replication.is_far(tr, table, change):
                state.replication.queue_fetch(tr, table, self._domain.name[-1], change)
                has_arrived = False
            else:
                await state.replication.accept(tr, table, change, self._facilities.clock)
        return has_arrived

    def _count(self, step: Step) -> None:
        """Count what was brought as consumed of the other: its scaling follows it too.

        AWS: a replicated write consumes units in every region. Here it takes nothing from anyone.
        """
        table = self._taker
        if not step.changes or not self._is_near or table is None:
            return
        meter = self._facilities.meters.meter_of(Name(table.id, WHOLE, writes=True))
        if meter.owner is None:
            meter.owner = Owner(self._other_domain, table.name)
        sizes_of = [0 if each.item is None else each.item.size for each in step.changes]
        meter.note(sum(sizes.write_units(size) for size in sizes_of))

    async def _move(self, before: PairRecord, after: PairRecord, tr: Transaction) -> bool:
        return await state.replication.move_pair(tr, self._link, before, after, ROWS_PER_STEP)

    def _latency_ms(self, changes: list[Change], pair: PairRecord) -> int:
        """Return how long ago the last of some writes was made; as before if none is new."""
        written_ms = [change.at_ms for change in changes if change.at_ms]
        if not written_ms:
            return pair.latency_ms
        return max(0, self._facilities.clock.now_ms() - written_ms[-1])

    async def _bring_settings(self, table: TableRecord, pair: PairRecord) -> bool:
        """Have the other take the settings that were changed; return whether it could."""
        now_ms, ids = self._facilities.clock.now_ms(), self._facilities.ids
        walks = ids.uuid(), ids.uuid()

        async def body(tr: Transaction) -> bool:
            return await state.replication.take_settings(tr, table, walks, now_ms)

        if not await self._other.transact(body):
            return False
        after = msgspec.structs.replace(pair, settings=table.settings)
        return await self._store.transact(partial(self._move, pair, after))


@worklist(state.replication.FETCHED_ITEMS, concurrency_max=FETCHES_AT_ONCE, hold_ms=HOLD_MS)
async def fetch_item(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Read a large item in another store, and let it take effect in this one."""
    fetch, domain = _decode_fetch(entry.payload), Domain(*entry.domain)
    source = state.groups.domain_in(domain, fetch.region)
    placement = facilities.placement
    assert isinstance(placement, BlobPlacement), "who places domains places their blobs"

    async def read(tr: Transaction) -> Change | None:
        return await state.replication.read_fetched(tr, fetch)

    found = await placement.store_of(source).read(read)
    if found is None:
        return Verdict()
    item = found.item
    if item is not None and not state.bodies.is_open(item):
        item = await state.bodies.fetched_item(placement.blobs_of(source), item)
    change = replication.change_of(found.place, found.partition, found.version, item)

    async def body(tr: Transaction) -> None:
        table = await state.tables.find_table(tr, fetch.table)
        if table is not None and table.group == fetch.group:
            await state.replication.accept(tr, table, change, facilities.clock)

    await facilities.holding(domain).transact(body)
    return Verdict()


@worklist(state.groups.CHANGED_GROUPS, concurrency_max=GROUPS_AT_ONCE, hold_ms=HOLD_MS)
async def change_group(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Bring the replicas of a global table in line with its list; done when all are settled."""
    change = _GroupChange(entry, facilities)
    if await change.run():
        return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms() + SETTLE_MS, uncounted=True)


class _GroupChange:
    """What a changed list of replicas asks for. Every step may be done again."""

    def __init__(self, entry: WorkEntry, facilities: Facilities) -> None:
        self._facilities = facilities
        self._id = entry.id
        self._home = Domain(*entry.domain)
        self._now_ms = facilities.clock.now_ms()

    def _store_in(self, region: str) -> Store:
        domain = state.groups.domain_in(self._home, region)
        return self._facilities.placement.store_of(domain)

    async def run(self) -> bool:
        """Take the next steps; return whether all is settled."""
        group = await self._find()
        if group is None:
            return True
        for replica in group.replicas:
            if replica.status == CREATING:
                group = await self._make(group, replica)
        await self._tell(group)
        for replica in group.replicas:
            if replica.status == CREATING and await self._is_copied(group, replica):
                group = await self._put(group, replica, ACTIVE)
            elif await self._is_gone(group, replica):
                group = await self._remove(group, replica)
        if not replicas.is_settled(group.replicas):
            return False
        await self._tell(group)
        if len(group.replicas) == 1:
            await self._dissolve(group)
        return True

    async def _find(self) -> GroupRecord | None:
        async def body(tr: Transaction) -> GroupRecord | None:
            return await state.groups.find_group(tr, self._id)

        return await self._store_in(self._home.name[-1]).read(body)

    async def _change(self, group: GroupRecord, wanted: GroupRecord) -> GroupRecord:
        """Write the list, unless it was changed since; return it as it is."""

        async def body(tr: Transaction) -> GroupRecord:
            now = await state.groups.find_group(tr, group.id)
            if now != group:
                return now or group
            state.groups.settle_group(tr, wanted)
            return wanted

        return await self._store_in(self._home.name[-1]).transact(body)

    async def _put(self, group: GroupRecord, replica: ReplicaRecord, status: str) -> GroupRecord:
        changed = msgspec.structs.replace(replica, status=status)
        return await self._change(group, replicas.with_replica(group, changed))

    async def _remove(self, group: GroupRecord, replica: ReplicaRecord) -> GroupRecord:
        return await self._change(group, replicas.without_replica(group, replica.region))

    async def _tell(self, group: GroupRecord) -> None:
        """Have every replica adopt the list."""

        async def body(tr: Transaction) -> None:
            table = await state.groups.find_member(tr, group)
            if table is not None:
                home = self._home.name[-1]
                await state.groups.adopt(tr, table, group, home, self._now_ms)

        for replica in group.replicas:
            await self._store_in(replica.region).transact(body)

    # A replica that comes.

    async def _make(self, group: GroupRecord, replica: ReplicaRecord) -> GroupRecord:
        """Make the table of a new replica, or give it up.

        AWS: what cannot be made leaves no trace (ack-api-quirks, DDB-TABLE-310).
        """

        async def find(tr: Transaction) -> TableRecord | None:
            return await state.groups.find_member(tr, group)

        source = await self._store_in(replica.source).read(find)
        assert source is not None, "no replica goes while another comes"
        facilities = self._facilities
        made = sharing.new_replica(
            source,
            table_id=facilities.ids.uuid(),
            digest_key=facilities.ids.random_bytes(_DIGEST_KEY_BYTES),
            now_ms=self._now_ms,
        )
        value = facilities.quotas.value
        stream_due_ms = self._now_ms + min(
            value(quotas.STREAM_SHARD_MS), value(quotas.STREAM_RETENTION_MS)
        )

        async def body(tr: Transaction) -> None:
            await state.groups.make_replica(
                tr,
                made,
                group,
                self._home.name[-1],
                tables_max=value(quotas.TABLES),
                measure_at_ms=self._now_ms + measures.PERIOD_MS,
                stream_due_ms=stream_due_ms,
            )

        try:
            await self._store_in(replica.region).transact(body)
        except ServiceError as error:
            log.warning("no replica of %s in %s: %s", group.name, replica.region, error)
            return await self._remove(group, replica)
        return group

    async def _is_copied(self, group: GroupRecord, replica: ReplicaRecord) -> bool:
        """Return whether all others have copied to a new replica what they had."""

        async def body(tr: Transaction) -> bool:
            table = await state.groups.find_member(tr, group)
            if table is None:
                return False
            pair = await state.replication.find_pair(tr, table, replica.region)
            return pair is not None and not pair.copying

        for other in group.replicas:
            if other.region != replica.region and not await self._store_in(other.region).read(body):
                return False
        return True

    # A replica that goes.

    async def _is_gone(self, group: GroupRecord, replica: ReplicaRecord) -> bool:
        """Take the next step of a replica that goes; return whether it is one no more."""
        if replica.status == DELETING:
            return await self._is_dropped(group, replica)
        return replica.status == DISASSOCIATING and await self._has_left(group, replica)

    async def _is_dropped(self, group: GroupRecord, replica: ReplicaRecord) -> bool:
        """Delete a replica that goes if the others have all its writes; return whether it is gone."""
        kept = self._facilities.ids.uuid()

        async def body(tr: Transaction) -> bool:
            return await state.groups.drop_replica(tr, group, self._now_ms, kept)

        return await self._store_in(replica.region).transact(body)

    async def _has_left(self, group: GroupRecord, replica: ReplicaRecord) -> bool:
        """Have a replica leave that has all of the others, as they have all of it; say if it has."""

        async def look(tr: Transaction) -> bool:
            return await state.groups.has_brought(tr, group, replica.region)

        for other in group.replicas:
            if other.region != replica.region and not await self._store_in(other.region).read(look):
                return False

        async def body(tr: Transaction) -> bool:
            return await state.groups.leave_whole(tr, group, self._now_ms)

        return await self._store_in(replica.region).transact(body)

    async def _dissolve(self, group: GroupRecord) -> None:
        """End a global table with one replica left, which stays as a table."""

        async def leave(tr: Transaction) -> None:
            await state.groups.leave(tr, group, self._now_ms)

        async def remove(tr: Transaction) -> None:
            if await state.groups.find_group(tr, group.id) == group:
                state.groups.remove_group(tr, group)

        await self._store_in(group.replicas[0].region).transact(leave)
        await self._store_in(self._home.name[-1]).transact(remove)


@worklist(state.groups.LEFT_TABLES, concurrency_max=GROUPS_AT_ONCE, hold_ms=HOLD_MS)
async def forget_versions(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove the versions of a table that is no replica any more."""
    store = facilities.placement.store_of(Domain(*entry.domain))

    async def body(tr: Transaction) -> bool:
        return await state.groups.forget_versions(tr, entry, ROWS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(body):
            return Verdict()
    return Verdict(retry_at_ms=facilities.clock.now_ms(), uncounted=True)


@worklist(state.groups.TOMBSTONES_OF, concurrency_max=GROUPS_AT_ONCE, hold_ms=HOLD_MS)
async def sweep_tombstones(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Remove the versions of deletions that nothing older can follow; done with the replica."""
    placement, now_ms = facilities.placement, facilities.clock.now_ms()
    domain = Domain(*entry.domain)
    region, store = domain.name[-1], placement.store_of(domain)

    async def look(tr: Transaction) -> tuple[TableRecord, list[int]] | None:
        table = await state.tables.find_queued_table(tr, entry)
        if table is None or not table.replicas:
            return None
        out = [
            await state.tombstones.find_brought_ms(tr, table.name, table.group, each.region, now_ms)
            for each in table.replicas
            if each.region != region
        ]
        return table, out

    found = await store.read(look)
    if found is None:
        return Verdict()
    table, brought = found
    come = partial(
        state.tombstones.find_brought_ms,
        name=table.name,
        group=table.group,
        region=region,
        now_ms=now_ms,
    )
    for each in table.replicas:
        if each.region != region:
            other = placement.store_of(state.groups.domain_in(domain, each.region))
            brought.append(await other.read(come))
    until_ms = min(brought) - TOMBSTONE_MS

    async def remove(tr: Transaction) -> int:
        return await state.tombstones.remove_passed(tr, table, until_ms, ROWS_PER_STEP)

    for _ in range(STEPS_PER_ATTEMPT):
        if await store.transact(remove) < ROWS_PER_STEP:
            return Verdict(retry_at_ms=now_ms + SWEEP_MS, uncounted=True)
    return Verdict(retry_at_ms=now_ms, uncounted=True)
