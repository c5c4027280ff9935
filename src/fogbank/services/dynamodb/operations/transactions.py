"""Transactions over items of any tables of an account and region: all of it happens, or nothing.

Tables and items of an account and region lie in one domain of the store, so that a transaction is
one of the store's: it sees no half of another, and none sees half of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from fogbank.base.errors import TokenReused, TransactionTooLarge
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call, Pace
from fogbank.contract.operation import operation
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Token, Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import (
    access,
    capacity,
    indexes,
    items,
    keys,
    sizes,
    transactions,
)
from fogbank.services.dynamodb.rules.capacity import NOTHING, Followed, Kind, Sums
from fogbank.services.dynamodb.rules.expressions import updates
from fogbank.services.dynamodb.rules.keys import ItemKey
from fogbank.services.dynamodb.rules.transactions import COST, Part, Reason
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_FAULTS: Final = tuple(transactions.FAULTS)


class _Place(NamedTuple):
    """Where a part's item lies."""

    table: TableRecord
    key: ItemKey


class _Done(NamedTuple):
    """What one part of a transaction did."""

    units: float
    """What a write of it consumes of its table by itself."""
    followed: Followed
    read_units: float
    """What a read of it consumes by itself, as a repeat is charged."""


@operation(access=access.on_parts("TransactGetItems", transactions.READS))
async def transact_get_items(
    call: Call, request: shapes.TransactGetItemsInput
) -> shapes.TransactGetItemsOutput:
    """Return items by their keys, all as they were at one time."""
    parts = await _parts_of(call, request)

    async def body(tr: Transaction) -> list[tuple[TableRecord, ItemRecord | None]]:
        places = await _find_places(tr, call, parts)
        return [(table, await state.rows.find_item(tr, table, key)) for table, key in places]

    found = await call.store.read(body)
    found_sizes = [items.found_size(record) for _, record in found]
    transactions.require_size(sum(found_sizes), call.limit(quotas.TRANSACTION_BYTES))
    consumed = Sums(COST)
    responses: list[shapes.ItemResponse] = []
    pace = Pace(call, quotas.STEP_BYTES)
    for part, (table, record), size in zip(parts, found, found_sizes, strict=True):
        consumed.add(part.name, sizes.read_units(size, consistent=True))
        responses.append(_response(part, table, record))
        await pace.did(size)
    told = capacity.consumed_capacities(request, consumed, kind="ReadCapacityUnits")
    return cast("shapes.TransactGetItemsOutput", {"Responses": responses, **told})


def _response(part: Part, table: TableRecord, record: ItemRecord | None) -> shapes.ItemResponse:
    """Return what a part has read: its item if there is one, or what a projection asks for of it."""
    if record is None:
        return {}
    item, projection = items.item_of(table, record), part.expressions.projection
    shown = item if projection is None else projection.of(item)
    # Items are as they go over the wire, each value under its kind.
    return {"Item": cast("dict[str, shapes.AttributeValue]", shown)}


async def _parts_of(call: Call, request: Request) -> list[Part]:
    """Return the parts of a transaction, giving way to others between large ones."""
    pace = Pace(call, quotas.STEP_BYTES)
    parts: list[Part] = []
    for listed in request["TransactItems"]:
        part = transactions.part_of(call.scope, listed)
        parts.append(part)
        await pace.did(part.size)
    return parts


async def _find_places(tr: Transaction, call: Call, parts: list[Part]) -> list[_Place]:
    """Return where the items of all parts lie.

    Raises:
        ResourceNotFoundException: There is no such table.
        TransactionCanceledException: A key is not one of its table; AWS looks no further then.
        ValidationException: Two parts are on one item.
    """
    places: list[_Place] = []
    for part in parts:
        table = await state.tables.require_table(tr, call, part.name)
        try:
            places.append(_Place(table, _key_of(table, part)))
        except ValidationException as error:
            reasons: list[Reason | None] = [None] * len(parts)
            reasons[len(places)] = transactions.reason_of(error)
            transactions.require_no_reason(reasons)
    transactions.require_distinct((table.name, key) for table, key in places)
    return places


def _key_of(table: TableRecord, part: Part) -> ItemKey:
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


@operation(access=access.on_parts("TransactWriteItems", transactions.WRITES))
async def transact_write_items(
    call: Call, request: shapes.TransactWriteItemsInput
) -> shapes.TransactWriteItemsOutput:
    """Write, remove and check items; with a token once, however often it is asked for."""
    parts = await _parts_of(call, request)
    transactions.require_size(
        sum(part.size for part in parts), call.limit(quotas.TRANSACTION_BYTES)
    )
    size_max = call.limit(quotas.ITEM_BYTES)

    async def body(tr: Transaction) -> Wire:
        places = await _find_places(tr, call, parts)
        done: list[_Done] = []
        reasons: list[Reason | None] = []
        for part, place in zip(parts, places, strict=True):
            try:
                done.append(await _do(tr, call, part, place, size_max))
                reasons.append(None)
            except _FAULTS as error:
                reasons.append(transactions.reason_of(error))
        transactions.require_no_reason(reasons)
        collections = [
            (part.name, place.table, part.given, each.followed.collection)
            for part, place, each in zip(parts, places, done, strict=True)
        ]
        metrics = capacity.collections_metrics(request, collections)
        return {"by": call.request_id, "metrics": metrics, **_units_of(parts, done)}

    try:
        result = await call.store.transact(body, token=_token_of(call, request))
    except TokenReused:
        raise IdempotentParameterMismatchException(
            "Request with same ClientRequestToken was previously sent with different parameters"
        ) from None
    except TransactionTooLarge:
        raise ValidationException("The transaction is too large to be kept") from None
    is_first = result["by"] == call.request_id
    kind: Kind = "WriteCapacityUnits" if is_first else "ReadCapacityUnits"
    # What a token answers may be older than the members behind the first three.
    indexes_consumed: Wire = result.get("indexes", {}) if is_first else {}
    consumed = Sums.of_plain(result[kind], indexes_consumed)
    told = capacity.consumed_capacities(request, consumed, kind=kind)
    return cast("shapes.TransactWriteItemsOutput", {**told, **result.get("metrics", {})})


def _token_of(call: Call, request: Request) -> Token | None:
    """Return what makes a request a repeat of another, if its client sent a token."""
    word = request.get("ClientRequestToken")
    if word is None:
        return None
    others = {name: value for name, value in request.items() if name not in _NOT_DIGESTED}
    return Token(
        call.account,
        "dynamodb",
        "TransactWriteItems",
        word,
        tokens.digest_of(others),
        transactions.TOKEN_WINDOW_MS,
    )


_NOT_DIGESTED: Final = frozenset({"ClientRequestToken", "ReturnConsumedCapacity"})
"""AWS: a repeat with the same parameters may ask for what it consumed when the first did not
(API Reference, TransactWriteItems, ``ClientRequestToken``)."""


def _units_of(parts: list[Part], done: list[_Done]) -> Wire:
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


async def _do(tr: Transaction, call: Call, part: Part, place: _Place, size_max: int) -> _Done:
    """Do what a part asks for, if its condition holds.

    Raises:
        ConditionalCheckFailedException: It does not.
        ItemCollectionSizeLimitExceededException: The item's collection would grow too large.
        ValidationException: The item does not allow it, or becomes too large.
    """
    table, key = place
    before = await state.rows.find_item(tr, table, key)
    old = items.found_item(table, before)
    items.require_condition(part.expressions.condition, old, part.request)
    new = _new_item(part, old)
    size, followed = 0, NOTHING
    if new is not None:
        if part.kind == "Update":
            indexes.require_changed_keys(table, old, new)
        too_large = items.TOO_LARGE if part.kind == "Put" else items.TOO_LARGE_AFTER_UPDATE
        size = items.require_size(new, size_max, too_large)
        record = items.record_of(table, key, new, size)
        followed = await state.writing.write_item(
            tr, table, key, before, record, clock=call.clock, limit=call.limit
        )
    elif part.kind == "Delete":
        followed = await state.writing.write_item(
            tr, table, key, before, None, clock=call.clock, limit=call.limit
        )
    old_size = items.found_size(before)
    left = old_size if part.kind == "ConditionCheck" else size
    return _Done(
        sizes.write_units(old_size, size),
        followed,
        sizes.read_units(left, consistent=True),
    )


def _new_item(part: Part, old: Item | None) -> Item | None:
    """Return the item that a part writes, or None if it writes none."""
    if part.kind == "Put":
        return part.given
    return (
        updates.applied(part.expressions.update, old, part.given) if part.kind == "Update" else None
    )
