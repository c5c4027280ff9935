"""Parts of transactions: where the items lie that they are about, and what is done to each."""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import DuplicateItemException, ValidationException
from fogbank.services.dynamodb.rules import (
    capacity,
    indexes,
    items,
    keys,
    sizes,
    throughput,
    transactions,
)
from fogbank.services.dynamodb.rules.capacity import NOTHING, Followed, Sums
from fogbank.services.dynamodb.rules.expressions import updates
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.transactions import COST, Part, Reason
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.state import admission, rows, tables, writing

_FAULTS: Final = tuple(transactions.FAULTS)


class Place(NamedTuple):
    """Where a part's item lies."""

    table: TableRecord
    key: ItemKey


class Done(NamedTuple):
    """What one part of a transaction did."""

    units: float
    """What a write of it consumes of its table by itself."""
    followed: Followed
    read_units: float
    """What a read of it consumes by itself, as a repeat is charged."""
    old: Item | None
    new: Item | None
    """The item before and after; None if it was, or is, not there."""


async def find_places(tr: Transaction, call: Call, parts: list[Part]) -> list[Place]:
    """Return where the items of all parts lie.

    Raises:
        ResourceNotFoundException: There is no such table.
        TransactionCanceledException: A key is not one of its table; AWS looks no further then.
        ValidationException: Two parts are on one item.
    """
    places: list[Place] = []
    for part in parts:
        table = await tables.require_table(tr, call, part.name, transactional=True)
        try:
            places.append(Place(table, key_of(table, part)))
        except ValidationException as error:
            reasons: list[Reason | None] = [None] * len(parts)
            reasons[len(places)] = transactions.reason_of(error)
            transactions.require_no_reason(reasons)
    transactions.require_distinct((table.name, key) for table, key in places)
    return places


def key_of(table: TableRecord, part: Part) -> ItemKey:
    """Return the key of a part's item, held against its table with what its expressions name."""
    if part.kind == "Put":
        key = keys.key_of_item(table, part.given)
        indexes.require_keys(table, part.given)
    else:
        key = keys.key_of(table, part.given)
    update = part.expressions.update
    keys.require_unchanged_keys(table, () if update is None else update.attributes)
    keys.require_scalar_keys(table, part.expressions.nested_attributes)
    if part.kind == "Update":
        indexes.require_scalars(table, part.expressions.nested_attributes)
    return key


def units_of(parts: list[Part], done: list[Done]) -> Wire:
    """Return what each table consumes: by the writes, and by reads if they are only repeated."""
    writes, reads = Sums(COST), Sums(COST)
    for part, each in zip(parts, done, strict=True):
        writes.add(part.name, each.units, each.followed.units)
        reads.add(part.name, each.read_units)
    return {
        "WriteCapacityUnits": writes.tables,
        "ReadCapacityUnits": reads.tables,
        "indexes": writes.of_indexes(),
    }


async def write_all(tr: Transaction, call: Call, parts: list[Part], request: Request) -> Wire:
    """Do what every part asks for, or nothing; return what it consumed, as plain values.

    Args:
        tr: The transaction.
        call: The call.
        parts: What to do.
        request: With ``ReturnItemCollectionMetrics``.

    Raises:
        TransactionCanceledException: A part cannot be done.
        ValidationException: Two parts are on one item, or what they give is too large together.
    """
    given = sum(part.size for part in parts)
    transactions.require_size(given, call.limit(quotas.TRANSACTION_BYTES))
    places = await find_places(tr, call, parts)
    size_max = call.limit(quotas.ITEM_BYTES)
    done: list[Done] = []
    reasons: list[Reason | None] = []
    for part, place in zip(parts, places, strict=True):
        try:
            done.append(await do(tr, call, part, place, size_max, cost=COST))
            reasons.append(None)
        except _FAULTS as error:
            reasons.append(transactions.reason_of(error))
    _require_no_reason(call, reasons)
    collections = [
        (part.name, place.table, part.given, each.followed.collection)
        for part, place, each in zip(parts, places, done, strict=True)
    ]
    metrics = capacity.collections_metrics(request, collections)
    return {"by": call.request_id, "metrics": metrics, **units_of(parts, done)}


async def read_all(
    tr: Transaction, call: Call, parts: list[Part]
) -> list[tuple[TableRecord, ItemRecord | None]]:
    """Return the records of the items of all parts, as they are at one time.

    Raises:
        TransactionCanceledException: A key is not one of its table, or the table has nothing left
            of its throughput.
        ValidationException: Two parts are on one item.
    """
    found: list[tuple[TableRecord, ItemRecord | None]] = []
    reasons: list[Reason | None] = []
    for table, key in await find_places(tr, call, parts):
        record = await rows.find_whole(tr, table, key)
        found.append((table, record))
        try:
            admission.read(tr, call, table, key, record, consistent=True, cost=COST)
            reasons.append(None)
        except throughput.THROTTLED as error:
            reasons.append(transactions.reason_of(error))
    _require_no_reason(call, reasons)
    return found


def _require_no_reason(call: Call, reasons: list[Reason | None]) -> None:
    """Cancel a transaction if any part has a reason; what is throttled takes nothing."""
    if any(reason and reason["Code"] in transactions.THROTTLED for reason in reasons):
        call.tab.give_back()
    transactions.require_no_reason(reasons)


async def do(
    tr: Transaction, call: Call, part: Part, place: Place, size_max: int, *, cost: int = 1
) -> Done:
    """Do what a part asks for, if its condition holds.

    Args:
        tr: The transaction.
        call: The call.
        part: What is asked for.
        place: Where its item lies.
        size_max: How large an item may be, in bytes.
        cost: How many times what it consumes is charged.

    Raises:
        ProvisionedThroughputExceededException: The table or an index has nothing left.
        ThrottlingException: Likewise, on demand.
        ConditionalCheckFailedException: It does not.
        DuplicateItemException: There is an item where one was to be inserted.
        ItemCollectionSizeLimitExceededException: The item's collection would grow too large.
        ValidationException: The item does not allow it, or becomes too large.
    """
    table, key = place
    before = await rows.find_item(tr, table, key)
    admitted = admission.begin_write(tr, call, table, key, before, cost=cost)
    old = items.found_item(table, before)
    if part.inserts and old is not None:
        raise DuplicateItemException("Duplicate primary key exists in table")
    items.require_condition(part.expressions.condition, old, part.request)
    new = _new_item(part, old)
    size, followed = 0, NOTHING
    if new is not None:
        if part.kind == "Update":
            indexes.require_changed_keys(table, old, new)
        too_large = items.TOO_LARGE if part.kind == "Put" else items.TOO_LARGE_AFTER_UPDATE
        size = items.require_size(new, size_max, too_large)
        record = items.record_of(table, key, new, size)
        followed = await writing.write_item(
            tr, table, key, before, record, clock=call.clock, limit=call.limit
        )
    elif part.kind == "Delete":
        followed = await writing.write_item(
            tr, table, key, before, None, clock=call.clock, limit=call.limit
        )
    if admitted is not None:
        admitted.end(size, followed.units)
    old_size = items.found_size(before)
    left = old_size if part.kind == "ConditionCheck" else size
    return Done(
        sizes.write_units(old_size, size),
        followed,
        sizes.read_units(left, consistent=True),
        old,
        old if part.kind == "ConditionCheck" else new,
    )


def _new_item(part: Part, old: Item | None) -> Item | None:
    """Return the item that a part writes, or None if it writes none."""
    if part.kind == "Put":
        return part.given
    return (
        updates.applied(part.expressions.update, old, part.given) if part.kind == "Update" else None
    )
