"""Operations on tables.

A table is usable as soon as CreateTable has answered: its status in that answer is CREATING, as
clients expect, and ACTIVE in every later one. A deleted table is gone at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    backups,
    descriptions,
    index_updates,
    measures,
    names,
    owners,
    policies,
    replicas,
    restores,
    sharing,
    streams,
    tables,
    tags,
)
from fogbank.services.dynamodb.rules.replicas import Action
from fogbank.services.dynamodb.schema import ACTIVE, MeasureRecord, PolicyRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import RestoreRecord
from fogbank.services.dynamodb.schema.replicas import GroupRecord, ReplicaRecord

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

    async def body(
        tr: Transaction,
    ) -> tuple[TableRecord, MeasureRecord, int | None, RestoreRecord | None]:
        table = await state.tables.require_named_table(tr, name)
        measure = await state.tables.measure_of(tr, table)
        percent = await state.replication.progress_of(tr, table)
        return table, measure, percent, await state.restores.find_restore(tr, table)

    table, measure, percent, restore = await call.store.read(body)
    owner, status = owners.owner_scope(call.scope, call.domain), replicas.status_of(table)
    described = descriptions.description_of(owner, table, status, measure, percent)
    if restore is not None:
        described["RestoreSummary"] = restores.summary_of(owner, restore)
    return {"Table": described}


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
    access=replicas.update_table,
    domain=owners.of_table,
    unhonoured={
        "SSESpecification": {"Enabled": False},
        "MultiRegionConsistency": (None, "EVENTUAL"),
        "GlobalTableWitnessUpdates": None,
        "GlobalTableSettingsReplicationMode": None,
        "DisassociationProtectionEnabled": False,
    },
)
async def update_table(call: Call, request: shapes.UpdateTableInput) -> shapes.UpdateTableOutput:
    """Change how a table is paid for, its indexes, its stream, its replicas, or its protection."""
    name = names.shared_name_of(call.scope, call.domain, request)
    now_ms = call.clock.now_ms()
    if replicas.MEMBER in request:
        return await _update_replicas(call, request, name)

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        before = await state.tables.require_settled_table(tr, name)
        replicas.require_settled(before.replicas)
        table, index = tables.changed_table(before, request, now_ms, call.limit)
        await state.tables.require_units(tr, call, table, before)
        table = sharing.changed_here(before, table, call.scope.region, now_ms)
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
    """Delete a table; its items are out of reach at once and removed afterwards.

    Of one that can be restored to a point in time, a backup stays.
    """
    name = names.shared_name_of(call.scope, call.domain, request)
    now_ms, rows = call.clock.now_ms(), call.ids.uuid()

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        table = await state.tables.require_settled_table(tr, name)
        measure = await state.tables.measure_of(tr, table)
        tables.require_unprotected(table)
        index_updates.require_settled(table)
        if table.group:
            return table, measure
        if table.stream_view:
            await state.streams.close_stream(tr, table)
        is_read = await state.history.has_cuts(tr, table.id)
        if table.recovery_ms:
            backup = backups.system_backup_of(table, rows, now_ms)
            await state.backups.begin(tr, table, backup, now_ms)
            is_read = True
        state.tables.drop_table(tr, table, now_ms, is_read=is_read)
        return table, measure

    table, measure = await call.store.transact(body)
    if table.group:
        await _change_group(call, table, Action("Delete", call.scope.region, {}))
    owner = owners.owner_scope(call.scope, call.domain)
    return {"TableDescription": descriptions.deletion_of(owner, table, measure)}


async def _update_replicas(
    call: Call, request: shapes.UpdateTableInput, name: str
) -> shapes.UpdateTableOutput:
    """Add, change or remove a replica of a table; a job brings it about."""
    action = replicas.action_of(call.scope, request)

    async def look(tr: Transaction) -> TableRecord:
        return await state.tables.require_named_table(tr, name)

    table = await call.store.read(look)
    replicas.require_overridable(table, action)
    await _require_changeable(call, table, action)
    table = await _change_group(call, table, action)

    async def measure(tr: Transaction) -> MeasureRecord:
        return await state.tables.measure_of(tr, table)

    found = await call.store.read(measure)
    owner = owners.owner_scope(call.scope, call.domain)
    description = descriptions.description_of(owner, table, "UPDATING", found)
    return {"TableDescription": description}


async def _require_changeable(call: Call, table: TableRecord, action: Action) -> None:
    """Refuse a replica where there is a table, and the removal of one that is protected."""

    async def look(tr: Transaction) -> TableRecord | None:
        return await state.tables.find_table(tr, table.name)

    found = await call.read(state.groups.domain_in(call.domain, action.region), look)
    if found is None:
        return
    if action.kind == "Create" and replicas.find_replica(table.replicas, action.region) is None:
        raise replicas.already_exists(table.name)
    if action.kind == "Delete" and found.group == table.group:
        tables.require_unprotected(found)


async def _change_group(call: Call, table: TableRecord, action: Action) -> TableRecord:
    """Change the list of replicas in its home, and have this region's adopt it; return that.

    A crash between the two changes nothing: the job has every replica adopt the list.
    """
    now_ms, group_id = call.clock.now_ms(), table.group or call.ids.uuid()
    home = state.groups.domain_in(call.domain, table.home or call.scope.region)

    async def change(tr: Transaction) -> GroupRecord:
        if table.group:
            group = await state.groups.require_group(tr, table)
        else:
            await state.groups.require_ungrouped(tr, table)
            first = ReplicaRecord(region=call.scope.region, status=ACTIVE)
            group = GroupRecord(id=group_id, name=table.name, replicas=(first,))
        changed = replicas.changed_group(group, action, call.scope.region, now_ms)
        state.groups.put_group(tr, changed, now_ms)
        if not table.group:
            await adopt(tr, changed)
        return changed

    async def adopt(tr: Transaction, group: GroupRecord) -> TableRecord:
        found = await state.tables.require_named_table(tr, table.name)
        if not found.stream_view:
            wanted = msgspec.structs.replace(found, stream_view=streams.REPLICATED_VIEW)
            found = await state.streams.switch_stream(tr, found, wanted, _stream_due_ms(call))
        return await state.groups.adopt(tr, found, group, home.name[-1], now_ms)

    group = await call.store_of(home).transact(change)
    return await call.store.transact(lambda tr: adopt(tr, group))


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
