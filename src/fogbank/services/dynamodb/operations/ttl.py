"""Operations on the time to live of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import state
from fogbank.services.dynamodb.rules import access, names, sharing, strong, ttl
from fogbank.services.dynamodb.schema import TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes


@operation(access=access.on_table("UpdateTimeToLive"))
async def update_time_to_live(
    call: Call, request: shapes.UpdateTimeToLiveInput
) -> shapes.UpdateTimeToLiveOutput:
    """Have the items of a table expire by an attribute, or no longer; it is so at once."""
    name, now_ms, walk = (
        names.table_name_of(call.scope, request),
        call.clock.now_ms(),
        call.ids.uuid(),
    )
    specification = request["TimeToLiveSpecification"]
    await state.keying.require_usable(call, name)

    async def body(tr: Transaction) -> None:
        before = await state.tables.require_settled_table(tr, name)
        strong.require_lasting(before)
        table = ttl.changed_table(before, specification)
        table = sharing.changed_here(before, table, call.scope.region, now_ms)
        state.tables.put_table(tr, table)
        state.expiries.queue_walk(tr, table, specification["AttributeName"], walk, now_ms)

    await call.store.transact(body)
    return {"TimeToLiveSpecification": specification}


@operation(access=access.on_table("DescribeTimeToLive"))
async def describe_time_to_live(
    call: Call, request: shapes.DescribeTimeToLiveInput
) -> shapes.DescribeTimeToLiveOutput:
    """Return the attribute by which the items of a table expire, if they do."""
    name = names.table_name_of(call.scope, request)

    async def body(tr: Transaction) -> TableRecord:
        return await state.tables.require_named_table(tr, name)

    return {"TimeToLiveDescription": ttl.description_of(await call.store.read(body))}
