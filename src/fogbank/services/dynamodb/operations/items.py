"""Operations on one item.

Each is one transaction on two records, the table's and the item's: whatever a condition or an
update reads is what the write replaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    capacity,
    indexes,
    items,
    keys,
    names,
    owners,
    requests,
    sizes,
    values,
)
from fogbank.services.dynamodb.rules.capacity import NOTHING, Followed
from fogbank.services.dynamodb.rules.expressions import updates
from fogbank.services.dynamodb.rules.requests import expressions_of
from fogbank.services.dynamodb.rules.values import Item
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_table("GetItem"), domain=owners.of_table)
async def get_item(call: Call, request: shapes.GetItemInput) -> Wire:
    """Return the item with a key, or what a projection asks for of it."""
    name = names.shared_name_of(call.scope, call.domain, request)
    wanted = values.admit_item(request["Key"])
    expressions = expressions_of(request, requests.GET)
    consistent = request.get("ConsistentRead", False)

    async def body(tr: Transaction) -> tuple[TableRecord, ItemRecord | None]:
        table = await state.tables.require_table(tr, call, name)
        key = keys.key_of(table, wanted)
        record = await state.rows.find_whole(tr, table, key)
        state.admission.read(tr, call, table, key, record, consistent=consistent)
        return table, record

    table, record = await call.store.read(body)
    keys.require_scalar_keys(table, expressions.nested_attributes)
    units = sizes.read_units(items.found_size(record), consistent=consistent)
    reply = capacity.consumed_capacity(request, name, units)
    if record is not None:
        reply["Item"] = items.shown_item(table, record, expressions.projection)
    return reply


@operation(access=access.on_table("PutItem"), domain=owners.of_table)
async def put_item(call: Call, request: shapes.PutItemInput) -> Wire:
    """Write an item whole, in place of the one with its key."""
    name = names.shared_name_of(call.scope, call.domain, request)
    item = values.admit_item(request["Item"])
    returned = items.require_return_values(request)
    size = items.require_size(item, call.limit(quotas.ITEM_BYTES), items.TOO_LARGE)
    expressions = expressions_of(request, requests.WRITE)
    is_asked = expressions.condition is not None or returned != "NONE"

    async def body(tr: Transaction) -> _Written:
        table = await state.tables.require_table(tr, call, name)
        key = keys.key_of_item(table, item)
        indexes.require_keys(table, item)
        keys.require_scalar_keys(table, expressions.nested_attributes)
        before = await state.rows.find_item(tr, table, key)
        admitted = state.admission.begin_write(tr, call, table, key, before)
        # Most writes ask for nothing of what was there but its size.
        old = items.found_item(table, before) if is_asked else None
        items.require_condition(expressions.condition, old, request)
        after = items.record_of(table, key, item, size)
        followed = await state.writing.write_item(
            tr, table, key, before, after, clock=call.clock, limit=call.limit
        )
        if admitted is not None:
            admitted.end(size, followed.units)
        return _Written(table, sizes.write_units(items.found_size(before), size), followed, old)

    written = await call.store.transact(body)
    return {
        **items.returned_attributes(returned, None, written.old, item),
        **_consumed(request, name, written, item),
    }


@operation(access=access.on_table("UpdateItem"), domain=owners.of_table)
async def update_item(call: Call, request: shapes.UpdateItemInput) -> Wire:
    """Change attributes of an item; create it if there is none."""
    name = names.shared_name_of(call.scope, call.domain, request)
    wanted = values.admit_item(request["Key"])
    expressions = expressions_of(request, requests.UPDATE)
    update, size_max = expressions.update, call.limit(quotas.ITEM_BYTES)

    async def body(tr: Transaction) -> _Written:
        table = await state.tables.require_table(tr, call, name)
        key = keys.key_of(table, wanted)
        keys.require_unchanged_keys(table, () if update is None else update.attributes)
        keys.require_scalar_keys(table, expressions.nested_attributes)
        indexes.require_scalars(table, expressions.nested_attributes)
        before = await state.rows.find_item(tr, table, key)
        admitted = state.admission.begin_write(tr, call, table, key, before)
        old = items.found_item(table, before)
        items.require_condition(expressions.condition, old, request)
        new = updates.applied(update, old, wanted)
        if new is None:
            return _Written(table, sizes.write_units(0))
        indexes.require_changed_keys(table, old, new)
        size = items.require_size(new, size_max, items.TOO_LARGE_AFTER_UPDATE)
        after = items.record_of(table, key, new, size)
        followed = await state.writing.write_item(
            tr, table, key, before, after, clock=call.clock, limit=call.limit
        )
        if admitted is not None:
            admitted.end(size, followed.units)
        units = sizes.write_units(items.found_size(before), size)
        return _Written(table, units, followed, old, new)

    written = await call.store.transact(body)
    returned = request.get("ReturnValues", "NONE")
    return {
        **items.returned_attributes(returned, update, written.old, written.new),
        **_consumed(request, name, written, wanted),
    }


@operation(access=access.on_table("DeleteItem"), domain=owners.of_table)
async def delete_item(call: Call, request: shapes.DeleteItemInput) -> Wire:
    """Remove the item with a key; it is no error if there is none."""
    name = names.shared_name_of(call.scope, call.domain, request)
    wanted = values.admit_item(request["Key"])
    returned = items.require_return_values(request)
    expressions = expressions_of(request, requests.WRITE)

    async def body(tr: Transaction) -> _Written:
        table = await state.tables.require_table(tr, call, name)
        key = keys.key_of(table, wanted)
        keys.require_scalar_keys(table, expressions.nested_attributes)
        before = await state.rows.find_item(tr, table, key)
        admitted = state.admission.begin_write(tr, call, table, key, before)
        old = items.found_item(table, before)
        items.require_condition(expressions.condition, old, request)
        followed = await state.writing.write_item(
            tr, table, key, before, None, clock=call.clock, limit=call.limit
        )
        if admitted is not None:
            admitted.end(0, followed.units)
        return _Written(table, sizes.write_units(items.found_size(before)), followed, old)

    written = await call.store.transact(body)
    return {
        **items.returned_attributes(returned, None, written.old, None),
        **_consumed(request, name, written, wanted),
    }


class _Written(NamedTuple):
    """What a write of an item did."""

    table: TableRecord
    units: float
    """What it consumed of the table itself."""
    followed: Followed = NOTHING
    old: Item | None = None
    """The item before, if it was asked for."""
    new: Item | None = None
    """The item that an update made."""


def _consumed(request: Request, name: str, written: _Written, item: Item) -> Wire:
    """Return what a reply says of the capacity and of the collection of a write."""
    units, collection = written.followed
    return {
        **capacity.consumed_capacity(request, name, written.units, units),
        **capacity.collection_metrics(request, written.table, item, collection),
    }
