"""Operations on tables.

A table is usable as soon as CreateTable has answered: its status in that answer is CREATING, as
clients expect, and ACTIVE in every later one. A deleted table is gone at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

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
    encryption,
    index_updates,
    measures,
    names,
    owners,
    policies,
    replicas,
    restores,
    sharing,
    streams,
    strong,
    tables,
    tags,
)
from fogbank.services.dynamodb.rules.replicas import Action
from fogbank.services.dynamodb.schema import ACTIVE, MeasureRecord, PolicyRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import RestoreRecord
from fogbank.services.dynamodb.schema.encryption import EncryptionRecord
from fogbank.services.dynamodb.schema.replicas import GroupRecord, ReplicaRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_DIGEST_KEY_BYTES: Final = 16
_ENDPOINT_CACHE_MINUTES: Final = 1_440


@operation(
    access=tags.create_table,
    unhonoured={
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
    table = await _keyed(call, table, request)
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

    async with state.keying.unless_refused(call, table.sse):
        created = await call.store.transact(body)
    description = descriptions.description_of(call.scope, created, "CREATING", MeasureRecord())
    return {"TableDescription": description}


async def _keyed(call: Call, table: TableRecord, request: shapes.CreateTableInput) -> TableRecord:
    """Return a table that is to be made with the key that the request asks for, if it does."""
    asked = encryption.asked_of(request.get("SSESpecification"))
    if asked is None or not asked.enabled:
        return table

    async def look(tr: Transaction) -> None:
        await state.tables.require_none(tr, table.name)

    # Before KMS is asked for anything.
    await call.store.read(look)
    sse = await state.keying.new_key(call, asked, table.name, table.id)
    return msgspec.structs.replace(table, sse=sse)


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
    if not strong.is_at_home(table, call.region):
        measure = await _measured_at_home(call, table)
    owner, status = owners.owner_scope(call.scope, call.domain), strong.told_status(table)
    described = descriptions.description_of(owner, table, status, measure, percent)
    if restore is not None:
        described["RestoreSummary"] = restores.summary_of(owner, restore)
    return {"Table": described}


async def _measured_at_home(call: Call, table: TableRecord) -> MeasureRecord:
    """Return what a strongly consistent table held when it was last counted, where its items lie."""
    assert table.strong is not None, "others are at home"
    home = msgspec.structs.replace(table, id=table.strong.id)

    async def body(tr: Transaction) -> MeasureRecord:
        return await state.tables.measure_of(tr, home)

    return await call.read(state.groups.domain_in(call.domain, table.strong.home), body)


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
        "GlobalTableSettingsReplicationMode": None,
    },
)
async def update_table(call: Call, request: shapes.UpdateTableInput) -> shapes.UpdateTableOutput:
    """Change how a table is paid for, its indexes, its stream, its replicas, or its protection.

    What replicas of a strongly consistent table share is changed at its home, wherever it is asked.
    """
    name = names.shared_name_of(call.scope, call.domain, request)
    now_ms, log = call.clock.now_ms(), call.ids.uuid()
    if replicas.MEMBER in request:
        return await _update_replicas(call, request, name)
    rekeyed = await _rekeyed(call, request, name)

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        before = await state.tables.require_settled_table(tr, name)
        replicas.require_settled(before.replicas)
        if replicas.PROTECTION in request:
            changed = replicas.protected(before, request)
            state.tables.put_table(tr, changed)
            return changed, await state.tables.measure_of(tr, changed)
        before = _seen(call, tr, before, request)
        table, index = tables.changed_table(before, request, now_ms, call.limit)
        if rekeyed is not None:
            table = await state.resealing.change(tr, table, rekeyed.read, rekeyed.sse, now_ms)
        await state.tables.require_units(tr, call, table, before)
        table = sharing.changed_here(before, table, call.scope.region, now_ms)
        if index is not None:
            state.building.begin(tr, table, index, now_ms)
        table = await _put(call, tr, before, table, log)
        return table, await state.tables.measure_of(tr, table)

    async with state.keying.unless_refused(call, None if rekeyed is None else rekeyed.made):
        table, measure = await call.store.transact(body)
    if call.moved:
        table = await _refreshed(call, table, request)
    owner = owners.owner_scope(call.scope, call.domain)
    # AWS: a change of the encryption alone leaves the table ACTIVE (ack-api-quirks, DDB-TABLE-065).
    status = "ACTIVE" if set(request) == {"TableName", "SSESpecification"} else "UPDATING"
    described = descriptions.description_of(owner, table, status, measure)
    if rekeyed is not None and rekeyed.shown is not None:
        described["SSEDescription"] = rekeyed.shown
    return {"TableDescription": described}


def _seen(
    call: Call, tr: Transaction, before: TableRecord, request: shapes.UpdateTableInput
) -> TableRecord:
    """Return the table that a request changes as it is where that was asked.

    Raises:
        Elsewhere: What it changes is shared, and changed at the home of the table.
    """
    if call.moved:
        strong.require_replica(before, call.region)
        before = strong.seen_in(before, call.region)
    if strong.is_changed_at_home(before, request, call.region):
        state.tables.require_here(tr, before)
    return before


async def _put(
    call: Call, tr: Transaction, before: TableRecord, table: TableRecord, log: str
) -> TableRecord:
    """Write a table that was changed, and open or close its stream; return it."""
    due_ms = _stream_due_ms(call)
    if call.moved:
        return await state.strong.put_seen(tr, before, table, call.region, log=log, due_ms=due_ms)
    if table.stream_view != before.stream_view:
        table = await state.streams.switch_stream(tr, before, table, due_ms)
    return state.tables.put_table(tr, table)


async def _refreshed(
    call: Call, home: TableRecord, request: shapes.UpdateTableInput
) -> TableRecord:
    """Have the region that asked hear of what was changed at home; return the table there.

    What a crash, or a region that cannot be reached, leaves undone is done by a job.
    """
    member = await state.strong.refreshed(call, home)
    if strong.PROTECTION not in request:
        return member
    protected = request["DeletionProtectionEnabled"]

    async def protect(tr: Transaction) -> TableRecord:
        found = await state.tables.require_named_table(tr, member.name)
        changed = msgspec.structs.replace(found, deletion_protected=protected)
        return state.tables.put_table(tr, changed)

    there = state.groups.domain_in(call.domain, call.region)
    return await call.store_of(there).transact(protect)


class _Rekeyed(NamedTuple):
    """What is to seal a table from now on."""

    read: TableRecord
    """The table as it was when that was made."""
    sse: EncryptionRecord

    @property
    def made(self) -> EncryptionRecord | None:
        """Return what has a grant that goes if the table stays as it is."""
        return self.sse if self.sse.grant else None

    @property
    def shown(self) -> shapes.SSEDescription | None:
        """Return how it is told while the change is made: with the old key, if there is no new one."""
        shown = encryption.description_of(self.sse) or encryption.description_of(self.read.sse)
        return None if shown is None else {**shown, "Status": "UPDATING"}


async def _rekeyed(call: Call, request: shapes.UpdateTableInput, name: str) -> _Rekeyed | None:
    """Return what is to seal a table, if the request changes that, asking KMS for it."""
    asked = encryption.asked_of(request.get("SSESpecification"))
    if asked is None:
        return None
    table = await call.store.read(lambda tr: state.tables.require_settled_table(tr, name))
    replicas.require_own_key(table)
    return _Rekeyed(table, await state.keying.changed_key(call, asked, table, call.clock.now_ms()))


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
        strong.require_deletable(table)
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
        await state.tables.drop_table(tr, table, now_ms, is_read=is_read)
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

    async def look(tr: Transaction) -> TableRecord:
        return await state.tables.require_named_table(tr, name)

    table = await call.store.read(look)
    if strong.is_asked(request, table):
        return await _update_strong(call, request, table)
    action = replicas.action_of(call.scope, request)
    replicas.require_overridable(table, action)
    replicas.require_keys(table, action)
    replicas.require_leaving(table, action)
    await _require_changeable(call, table, action)
    table = await _change_group(call, table, action)

    async def measure(tr: Transaction) -> MeasureRecord:
        return await state.tables.measure_of(tr, table)

    found = await call.store.read(measure)
    owner = owners.owner_scope(call.scope, call.domain)
    description = descriptions.description_of(owner, table, "UPDATING", found)
    return {"TableDescription": description}


async def _update_strong(
    call: Call, request: shapes.UpdateTableInput, table: TableRecord
) -> shapes.UpdateTableOutput:
    """Begin or end a strongly consistent global table; a job brings it about."""
    change, now_ms = strong.change_of(call.scope, table, request), call.clock.now_ms()
    strong.require_home(table, call.region)
    for region in change.regions:
        await _require_changeable(call, table, Action(change.kind, region, {}))

    async def body(tr: Transaction) -> tuple[TableRecord, MeasureRecord]:
        changed = await state.strong.change(tr, table.name, change, now_ms)
        return changed, await state.tables.measure_of(tr, changed)

    changed, measure = await call.store.transact(body)
    owner = owners.owner_scope(call.scope, call.domain)
    return {"TableDescription": descriptions.description_of(owner, changed, "UPDATING", measure)}


async def _require_changeable(call: Call, table: TableRecord, action: Action) -> None:
    """Refuse a replica where there is a table, and the removal of one that is protected."""

    async def look(tr: Transaction) -> TableRecord | None:
        return await state.tables.find_table(tr, table.name)

    found = await call.read(state.groups.domain_in(call.domain, action.region), look)
    if found is None:
        return
    if action.kind == "Create" and replicas.find_replica(table.replicas, action.region) is None:
        raise replicas.already_exists(table.name)
    if action.kind == "Delete" and strong.is_of_one(found, table):
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
