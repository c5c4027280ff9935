"""Operations on tables.

A table is usable as soon as CreateTable has answered: its status in that answer is CREATING, as
clients expect, and ACTIVE in every later one. A deleted table is gone at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    descriptions,
    index_updates,
    measures,
    names,
    owners,
    policies,
    tables,
    tags,
)
from fogbank.services.dynamodb.schema import MeasureRecord, PolicyRecord, TableRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_DIGEST_KEY_BYTES: Final = 16
_ENDPOINT_CACHE_MINUTES: Final = 1_440


@operation(
    access=tags.create_table,
    unhonoured={
        "SSESpecification": {"Enabled": False},
        "GlobalTableSourceArn": None,
        "GlobalTableSettingsReplicationMode": None,
    },
)
async def create_table(call: Call, request: shapes.CreateTableInput) -> shapes.CreateTableOutput:
    """Create a table, empty and ready."""
    name = names.table_name_of(call.scope, request)
    table = tables.created_table(
        request,
        name=name,
        table_id=call.ids.uuid(),
        digest_key=call.ids.random_bytes(_DIGEST_KEY_BYTES),
        now_ms=call.clock.now_ms(),
        limit=call.limit,
    )
    given = tags.first_tags(request, call.limit(quotas.TAGS))
    policy = await _first_policy(call, request)
    tables_max = call.limit(quotas.TABLES)
    measure_at_ms = table.created_ms + measures.PERIOD_MS

    async def body(tr: Transaction) -> TableRecord:
        created = table
        await state.tables.require_units(tr, call, table, None)
        if table.stream_view:
            created = await state.streams.switch_stream(tr, None, table, _stream_due_ms(call))
        await state.tables.create_table(tr, created, tables_max, measure_at_ms)
        if given:
            state.tags.put_tags(tr, created, given)
        if policy is not None:
            state.policies.put_policy(tr, created, policy, table.created_ms)
        return created

    created = await call.store.transact(body)
    description = descriptions.description_of(call.scope, created, "CREATING", MeasureRecord())
    return {"TableDescription": description}


async def _first_policy(call: Call, request: shapes.CreateTableInput) -> PolicyRecord | None:
    """Return the policy that a table is created with, checked; None: it has none."""
    if "ResourcePolicy" not in request:
        return None
    document = request["ResourcePolicy"]
    policies.raw_of(document, of_stream=False)
    return await state.policies.record_of(call, document)


def _stream_due_ms(call: Call) -> int:
    """Return when a new stream is to be looked at first."""
    return call.clock.now_ms() + min(
        call.limit(quotas.STREAM_SHARD_MS), call.limit(quotas.STREAM_RETENTION_MS)
    )


@operation(access=access.on_table("DescribeTable"), domain=owners.of_table)
async def describe_table(
    call: Call, request: shapes.DescribeTableInput
) -> shapes.DescribeTableOutput:
    """Return what a table is, and what it held when it was last counted."""
    name = names.shared_name_of(call.scope, call.domain, request)

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        table = await state.tables.require_named_table(tr, name)
        return table, await state.tables.measure_of(tr, table)

    table, measure = await call.store.read(body)
    owner = owners.owner_scope(call.scope, call.domain)
    return {"Table": descriptions.description_of(owner, table, table.status, measure)}


@operation(access=lambda _scope, _request: [Access("dynamodb:ListTables", "*")])
async def list_tables(call: Call, request: shapes.ListTablesInput) -> shapes.ListTablesOutput:
    """Return names of tables in order, a page at a time."""
    limit: int = request.get("Limit", quotas.LIST_TABLES_PAGE)
    after: str | None = request.get("ExclusiveStartTableName")

    async def body(tr: Transaction) -> list[str]:
        return await state.tables.list_table_names(tr, after, limit + 1)

    found = await call.store.read(body)
    reply: shapes.ListTablesOutput = {"TableNames": found[:limit]}
    if len(found) > limit:
        reply["LastEvaluatedTableName"] = found[limit - 1]
    return reply


@operation(
    access=access.on_table("UpdateTable"),
    domain=owners.of_table,
    unhonoured={
        "SSESpecification": {"Enabled": False},
        "ReplicaUpdates": None,
        "MultiRegionConsistency": None,
        "GlobalTableWitnessUpdates": None,
        "GlobalTableSettingsReplicationMode": None,
        "DisassociationProtectionEnabled": False,
    },
)
async def update_table(call: Call, request: shapes.UpdateTableInput) -> shapes.UpdateTableOutput:
    """Change how a table is paid for, its indexes, whether it can be deleted, or has a stream."""
    name = names.shared_name_of(call.scope, call.domain, request)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        before = await state.tables.require_settled_table(tr, name)
        table, index = tables.changed_table(before, request, now_ms, call.limit)
        await state.tables.require_units(tr, call, table, before)
        if index is not None:
            state.building.begin(tr, table, index, now_ms)
        if table.stream_view != before.stream_view:
            table = await state.streams.switch_stream(tr, before, table, _stream_due_ms(call))
        state.tables.put_table(tr, table)
        return table, await state.tables.measure_of(tr, table)

    table, measure = await call.store.transact(body)
    owner = owners.owner_scope(call.scope, call.domain)
    return {"TableDescription": descriptions.description_of(owner, table, "UPDATING", measure)}


@operation(access=lambda _scope, _request: [Access("dynamodb:DescribeLimits", "*")])
async def describe_limits(
    call: Call,
    request: shapes.DescribeLimitsInput,  # noqa: ARG001 (it is empty)
) -> shapes.DescribeLimitsOutput:
    """Return how many units a table may have, and the tables of an account together."""
    return {
        "AccountMaxReadCapacityUnits": call.limit(quotas.ACCOUNT_READ_UNITS),
        "AccountMaxWriteCapacityUnits": call.limit(quotas.ACCOUNT_WRITE_UNITS),
        "TableMaxReadCapacityUnits": call.limit(quotas.TABLE_READ_UNITS),
        "TableMaxWriteCapacityUnits": call.limit(quotas.TABLE_WRITE_UNITS),
    }


@operation(access=access.on_table("DeleteTable"), domain=owners.of_table)
async def delete_table(call: Call, request: shapes.DeleteTableInput) -> shapes.DeleteTableOutput:
    """Delete a table; its items are out of reach at once and removed afterwards."""
    name = names.shared_name_of(call.scope, call.domain, request)
    now_ms = call.clock.now_ms()

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        table = await state.tables.require_settled_table(tr, name)
        measure = await state.tables.measure_of(tr, table)
        tables.require_unprotected(table)
        index_updates.require_settled(table)
        if table.stream_view:
            await state.streams.close_stream(tr, table)
        is_read = await state.history.has_cuts(tr, table.id)
        state.tables.drop_table(tr, table, now_ms, is_read=is_read)
        return table, measure

    table, measure = await call.store.transact(body)
    owner = owners.owner_scope(call.scope, call.domain)
    return {"TableDescription": descriptions.deletion_of(owner, table, measure)}


@operation(access=lambda _scope, _request: [Access("dynamodb:DescribeEndpoints", "*")])
async def describe_endpoints(
    call: Call,
    request: shapes.DescribeEndpointsRequest,  # noqa: ARG001 (it is empty)
) -> shapes.DescribeEndpointsResponse:
    """Return the endpoint that the client has already found."""
    endpoint: shapes.Endpoint = {
        "Address": call.http.host,
        "CachePeriodInMinutes": _ENDPOINT_CACHE_MINUTES,
    }
    return {"Endpoints": [endpoint]}
