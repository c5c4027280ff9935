"""Operations on several items at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.base.errors import ServiceError, TransactionTooLarge
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Pace, Scattered
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import metrics, quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    batches,
    capacity,
    indexes,
    items,
    keys,
    owners,
    sizes,
    throughput,
)
from fogbank.services.dynamodb.rules.batches import BatchWrite, TableReads
from fogbank.services.dynamodb.rules.capacity import Followed, Sums
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.state.tables import SeveralHomes

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_KEYS_FIRST: Final = 4
"""Items read before anything is known of their size: 1.6 MB at most."""
_KEYS_PER_STEP: Final = 16
_READ_BYTES: Final = 1 << 20
"""What is read in one transaction, if items are as large as those before: a millisecond."""


@operation(
    access=access.on_tables("BatchGetItem"), domain=owners.of_tables, reply=quotas.BATCH_GET_BYTES
)
async def batch_get_item(call: Call, request: shapes.BatchGetItemInput) -> Wire:
    """Return items by their keys, as many as one reply takes."""
    reads = batches.reads_of(call.scope, call.domain, request)
    named = {read.given: read.name for read in reads}
    try:
        tables = await _read_tables(call, [read.name for read in reads])
    except SeveralHomes as several:
        for read in reads:
            _keys_of(several.tables[read.name], read)
        raise _scattered(call, request, named, several) from None
    wanted = {read.given: _keys_of(tables[read.name], read) for read in reads}
    reply = _Answer(request, call.limit(quotas.BATCH_GET_BYTES))
    pace = Pace(call, quotas.STEP_BYTES)
    for read in reads:
        table, rest, done = tables[read.name], wanted[read.given], 0
        while rest and (count := reply.keys_next):
            step, rest = rest[:count], rest[count:]
            for record in await _read_step(call, table, step, consistent=read.consistent):
                if isinstance(record, ServiceError):
                    reply.put_off(read, done, record)
                else:
                    reply.add(table, read, record)
                    await pace.did(items.found_size(record))
                done += 1
        reply.end(read, done)
    refusal = reply.find_refusal()
    if refusal is not None:
        _note_throttled(call, [read.name for read in reads])
        raise refusal
    return {
        "Responses": reply.responses,
        "UnprocessedKeys": reply.unprocessed,
        **capacity.consumed_capacities(request, reply.consumed, named),
    }


class _Answer:
    """What a BatchGetItem has found so far, by table as the request names it."""

    def __init__(self, request: Request, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: dict[str, Wire] = request["RequestItems"]
        self.responses: dict[str, list[Wire]] = {}
        self.unprocessed: dict[str, Wire] = {}
        self.consumed = Sums()
        self.size = 0
        """The sizes of all items that were found."""
        self._read = 0
        self._throttled: ServiceError | None = None

    @property
    def keys_next(self) -> int:
        """Return how many keys to read in the next step; 0: there is no room for more items."""
        left = self._bytes_max - self.size
        if not self._read or left <= 0:
            return _KEYS_FIRST if left > 0 else 0
        wanted = min(left, _READ_BYTES) * self._read // max(1, self.size) + 1
        return min(_KEYS_PER_STEP, wanted)

    def add(self, table: TableRecord, read: TableReads, record: ItemRecord | None) -> None:
        """Add what is at a key; a missing item costs a read too."""
        size = items.found_size(record)
        self._read += 1
        self.size += size
        units = sizes.read_units(size, consistent=read.consistent)
        self.consumed.add(read.given, units)
        if record is not None:
            shown = items.shown_item(table, record, read.expressions.projection)
            self.responses.setdefault(read.given, []).append(shown)

    def put_off(self, read: TableReads, place: int, error: ServiceError) -> None:
        """Note a key that its table has no throughput left for."""
        self._throttled = error
        self._leave(read, place, place + 1)

    def _leave(self, read: TableReads, begin: int, end: int) -> None:
        """Give some keys of a table back."""
        part = self._parts[read.given]
        left = self.unprocessed.setdefault(read.given, {**part, "Keys": []})
        left["Keys"] += part["Keys"][begin:end]

    def end(self, read: TableReads, done: int) -> None:
        """Note the keys of a table that were not looked at any more: those behind the first."""
        self.responses.setdefault(read.given, [])
        if done < len(read.keys):
            self._leave(read, done, len(read.keys))

    def find_refusal(self) -> ServiceError | None:
        """Return the error of a batch of which nothing could be read for want of throughput.

        AWS: the error stands for the whole batch only if none of its items was processed (API
        Reference, BatchGetItem).
        """
        return None if self._read else self._throttled


def _note_throttled(call: Call, named: Iterable[str]) -> None:
    """Note that nothing of a batch could be done for want of throughput of its tables."""
    for name in set(named):
        metrics.note_request(call.facilities.metrics, call.domain, name, call.operation)


async def _read_tables(call: Call, named: list[str]) -> dict[str, TableRecord]:
    """Return the tables of a batch by name."""

    async def body(tr: Transaction) -> dict[str, TableRecord]:
        return await state.tables.require_tables(tr, call, named)

    return await call.store.read(body)


def _scattered(
    call: Call, request: Request, named: Mapping[str, str], several: SeveralHomes
) -> Scattered:
    """Have the parts of a batch run where the items of their tables lie."""
    account = call.domain.name[1]
    parts = [
        (owners.domain_of(account, home), part)
        for home, part in batches.split(request, named, several.homes).items()
    ]
    return Scattered(parts, batches.merged)


def _keys_of(table: TableRecord, read: TableReads) -> list[ItemKey]:
    """Return the keys that a batch reads of a table, each once."""
    found = [keys.key_of(table, key) for key in read.keys]
    keys.require_scalar_keys(table, read.expressions.nested_attributes)
    batches.require_distinct((read.name, key) for key in found)
    return found


async def _read_step(
    call: Call, table: TableRecord, wanted: list[ItemKey], *, consistent: bool
) -> list[ItemRecord | ServiceError | None]:
    """Return the records of some items of a table, or why one cannot be read now."""

    async def body(tr: Transaction) -> list[ItemRecord | ServiceError | None]:
        found: list[ItemRecord | ServiceError | None] = []
        for key in wanted:
            record = await state.rows.find_whole(tr, table, key)
            try:
                state.admission.read(tr, call, table, key, record, consistent=consistent)
                found.append(record)
            except throughput.THROTTLED as error:
                found.append(error)
        return found

    found = await call.store.read(body)
    call.tab.settle()
    return found


@operation(access=access.on_tables("BatchWriteItem"), domain=owners.of_tables)
async def batch_write_item(call: Call, request: shapes.BatchWriteItemInput) -> Wire:
    """Write and remove items, each for itself; all of them are checked before the first."""
    writes: list[BatchWrite] = []
    pace = Pace(call, quotas.STEP_BYTES)
    for write in batches.writes_of(call.scope, call.domain, request, call.limit(quotas.ITEM_BYTES)):
        writes.append(write)
        await pace.did(write.size)
    named = {write.given: write.name for write in writes}
    try:
        tables = await _read_tables(call, [*dict.fromkeys(named.values())])
    except SeveralHomes as several:
        seen = several.tables
        batches.require_distinct((write.name, _key_of(seen[write.name], write)) for write in writes)
        raise _scattered(call, request, named, several) from None
    batches.require_distinct((write.name, _key_of(tables[write.name], write)) for write in writes)
    consumed = Sums()
    collections: list[tuple[str, TableRecord, Item, int | None]] = []
    left: dict[str, list[Wire]] = {}
    throttled: ServiceError | None = None
    for group in batches.groups_of(writes):
        for write, done in zip(group, await _write_group(call, group), strict=True):
            if isinstance(done, ServiceError):
                throttled = done
                left.setdefault(write.given, []).append(write.asked)
                continue
            consumed.add(write.given, done.units, done.followed.units)
            told = tables[write.name], write.item, done.followed.collection
            collections.append((write.given, *told))
    if throttled is not None and not consumed.tables:
        _note_throttled(call, [write.name for write in writes])
        raise throttled
    return {
        "UnprocessedItems": left,
        **capacity.consumed_capacities(request, consumed, named),
        **capacity.collections_metrics(request, collections),
    }


class _Done(NamedTuple):
    """What one write of a batch did."""

    units: float
    """What it consumed of the table itself."""
    followed: Followed


def _key_of(table: TableRecord, write: BatchWrite) -> ItemKey:
    """Return the key of what a batch writes or removes."""
    if write.removes:
        return keys.key_of(table, write.item)
    indexes.require_keys(table, write.item)
    return keys.key_of_item(table, write.item)


async def _write_group(call: Call, group: list[BatchWrite]) -> list[_Done | ServiceError]:
    """Make some writes in one transaction; return what each did, or why it cannot be made now."""

    async def body(tr: Transaction) -> list[_Done | ServiceError]:
        return [await _write(tr, call, write) for write in group]

    try:
        done = await call.store.transact(body)
        call.tab.settle()
    except TransactionTooLarge:
        # A stream is told of the items that were there, which are not known before they are read.
        if len(group) == 1:
            raise
    except throughput.THROTTLED as error:
        if len(group) == 1:
            return [error]
    else:
        return done
    return [done for write in group for done in await _write_group(call, [write])]


async def _write(tr: Transaction, call: Call, write: BatchWrite) -> _Done:
    """Make one write; return what it did."""
    table = await state.tables.require_table(tr, call, write.name)
    key = _key_of(table, write)
    before = await state.rows.find_item(tr, table, key)
    admitted = state.admission.begin_write(tr, call, table, key, before)
    after = None if write.removes else items.record_of(table, key, write.item, write.size)
    followed = await state.writing.write_item(
        tr, table, key, before, after, clock=call.clock, limit=call.limit
    )
    if admitted is not None:
        admitted.end(write.size, followed.units)
    return _Done(sizes.write_units(items.found_size(before), write.size), followed)
