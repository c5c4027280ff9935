"""Operations on backups of tables, on how far back a table can be restored, and restores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request
from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Body, Transaction
from fogbank.services.dynamodb import quotas, state
from fogbank.services.dynamodb.rules import (
    access,
    backups,
    descriptions,
    encryption,
    names,
    restores,
    strong,
)
from fogbank.services.dynamodb.rules.backups import BackupName
from fogbank.services.dynamodb.schema import CREATING, DELETED, MeasureRecord, TableRecord
from fogbank.services.dynamodb.schema.backups import BackupRecord, RestoreRecord
from fogbank.services.dynamodb.schema.encryption import EncryptionRecord
from fogbank.services.dynamodb.state.afar import Origin

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_END_BYTES: Final = 4
_DIGEST_KEY_BYTES: Final = 16


@operation(access=access.on_table("CreateBackup"))
async def create_backup(call: Call, request: shapes.CreateBackupInput) -> shapes.CreateBackupOutput:
    """Make a backup of a table as it is now; its items are copied afterwards."""
    name, now_ms = names.table_name_of(call.scope, request), call.clock.now_ms()
    end, rows = call.ids.random_bytes(_END_BYTES).hex(), call.ids.uuid()
    await state.keying.require_usable(call, name)
    backup_name = request["BackupName"]

    async def body(tr: Transaction) -> BackupRecord | TableRecord:
        table = await state.tables.require_backed_table(tr, name)
        if not strong.is_at_home(table, call.region):
            return table
        await state.backups.require_room(tr, table)
        backup = backups.backup_of(table, name=backup_name, end=end, rows=rows, now_ms=now_ms)
        return await state.backups.begin(tr, table, backup, now_ms)

    backup = await call.store.transact(body)
    if isinstance(backup, TableRecord):
        made = backups.backup_of(backup, name=backup_name, end=end, rows=rows, now_ms=now_ms)
        backup = await _made_afar(call, backup, made)
    return {"BackupDetails": backups.details_of(call.scope, backup, CREATING)}


async def _made_afar(call: Call, table: TableRecord, backup: BackupRecord) -> BackupRecord:
    """Begin a backup of a table whose items lie in another region; return it."""
    reader = (state.afar.BACKUP, table.name, backup.id)
    placement, now_ms = call.facilities.placement, call.clock.now_ms()
    cuts = {state.backups.cut_name(backup): None}
    origin = await state.afar.take(placement, call.domain, table, reader, cuts, now_ms)
    begun = backups.read_afar(backup, origin.home, origin.table)

    async def body(tr: Transaction) -> BackupRecord:
        origin.require_fresh(call.clock.now_ms())
        return state.backups.begin_afar(tr, table, begun, now_ms)

    return await call.store.transact(body)


@operation(access=backups.on_backup("DescribeBackup"))
async def describe_backup(
    call: Call, request: shapes.DescribeBackupInput
) -> shapes.DescribeBackupOutput:
    """Return what a backup is, and of what table."""
    arn = request["BackupArn"]
    name = backups.require_backup_name(call.scope, arn)
    backup = await call.store.read(lambda tr: state.backups.require_backup(tr, name, arn))
    return {"BackupDescription": backups.description_of(call.scope, backup, backup.status)}


@operation(access=lambda _scope, _request: [Access("dynamodb:ListBackups", "*")])
async def list_backups(call: Call, request: shapes.ListBackupsInput) -> shapes.ListBackupsOutput:
    """Return backups of a table, or of all, in the order of tables and times, a page at a time."""
    wanted, after = backups.wanted_by(request), backups.start_of(call.scope, request)
    table = names.table_name_of(call.scope, request) if "TableName" in request else None
    limit: int = request.get("Limit", quotas.LIST_BACKUPS_PAGE)
    found: list[BackupRecord] = []
    while len(found) <= limit:
        start = after

        async def body(tr: Transaction, start: BackupName | None = start) -> list[BackupRecord]:
            return await state.backups.list_backups(tr, table, start, quotas.LIST_BACKUPS_PAGE)

        read = await call.store.read(body)
        found += filter(wanted.holds, read)
        if len(read) < quotas.LIST_BACKUPS_PAGE:
            break
        after = BackupName(backups.table_of(read[-1]).name, read[-1].id)
    shown = found[:limit]
    reply: shapes.ListBackupsOutput = {
        "BackupSummaries": [backups.summary_of(call.scope, backup) for backup in shown]
    }
    if len(found) > limit:
        reply["LastEvaluatedBackupArn"] = backups.arn_of(call.scope, shown[-1])
    return reply


@operation(access=backups.on_backup("DeleteBackup"))
async def delete_backup(call: Call, request: shapes.DeleteBackupInput) -> shapes.DeleteBackupOutput:
    """Delete a backup; its items are out of reach at once and removed afterwards."""
    arn, now_ms = request["BackupArn"], call.clock.now_ms()
    name = backups.require_backup_name(call.scope, arn)

    async def body(tr: Transaction) -> BackupRecord:
        backup = await state.backups.require_backup(tr, name, arn)
        backups.require_deletable(backup, arn)
        state.backups.remove(tr, backup, now_ms)
        return backup

    backup = await call.store.transact(body)
    return {"BackupDescription": backups.description_of(call.scope, backup, DELETED)}


@operation(access=access.on_table("UpdateContinuousBackups"))
async def update_continuous_backups(
    call: Call, request: shapes.UpdateContinuousBackupsInput
) -> shapes.UpdateContinuousBackupsOutput:
    """Keep the history of a table so that it can be restored to any second, or no longer."""
    name, now_ms = names.table_name_of(call.scope, request), call.clock.now_ms()
    specification = request["PointInTimeRecoverySpecification"]

    async def body(tr: Transaction) -> TableRecord:
        before = await state.tables.require_backed_table(tr, name)
        if call.moved:
            strong.require_replica(before, call.region)
            return await state.strong.change_recovery(
                tr, before, call.region, specification, now_ms
            )
        state.tables.require_here(tr, before)
        table = backups.changed_recovery(before, specification, now_ms)
        state.tables.put_table(tr, table)
        if table.recovery_ms:
            return await state.history.keep(tr, table, now_ms)
        return await state.history.settle(tr, table, now_ms)

    table = await call.store.transact(body)
    if call.moved:
        table = await state.strong.refreshed(call, table)
    return {"ContinuousBackupsDescription": backups.recovery_of(table, now_ms)}


@operation(access=access.on_table("DescribeContinuousBackups"))
async def describe_continuous_backups(
    call: Call, request: shapes.DescribeContinuousBackupsInput
) -> shapes.DescribeContinuousBackupsOutput:
    """Return to which moments a table can be restored."""
    name, now_ms = names.table_name_of(call.scope, request), call.clock.now_ms()
    table = await call.store.read(lambda tr: state.tables.require_backed_table(tr, name))
    return {"ContinuousBackupsDescription": backups.recovery_of(table, now_ms)}


# Tables made of what others were.


@operation(access=restores.from_backup)
async def restore_table_from_backup(
    call: Call, request: shapes.RestoreTableFromBackupInput
) -> shapes.RestoreTableFromBackupOutput:
    """Make a table of a backup: CREATING until it is filled."""
    arn = request["BackupArn"]
    name = backups.require_backup_name(call.scope, arn)
    new = _New(call, request)

    async def look(tr: Transaction) -> TableRecord:
        backup = await state.backups.require_backup(tr, name, arn)
        source = backups.table_of(backup)
        target = new.table_of(source)
        await state.restores.require_target(tr, target.name, f"backup: {arn}", new.restores_max)
        backups.require_restorable(backup, arn)
        return source

    await new.choose_key(await call.store.read(look))

    async def body(tr: Transaction) -> tuple[TableRecord, RestoreRecord]:
        backup = await state.backups.require_backup(tr, name, arn)
        source = backups.table_of(backup)
        target = new.table_of(source)
        await state.restores.require_target(tr, target.name, f"backup: {arn}", new.restores_max)
        backups.require_restorable(backup, arn)
        restore = RestoreRecord(
            source=backup.table, at_ms=backup.created_ms, backup=backup.id, rows=backup.rows
        )
        await state.restores.begin(tr, target, restore, new.tables_max)
        state.backups.put_backup(tr, msgspec.structs.replace(backup, restoring=target.name))
        return target, restore

    return {"TableDescription": await new.made(body)}


@operation(access=restores.to_point_in_time)
async def restore_table_to_point_in_time(
    call: Call, request: shapes.RestoreTableToPointInTimeInput
) -> shapes.RestoreTableToPointInTimeOutput:
    """Make a table of what another was at the end of a second: CREATING until it is filled."""
    at_ms = restores.require_time(request)
    name = restores.source_name_of(call.scope, request)
    new = _New(call, request)
    second = None if at_ms is None else at_ms // 1_000

    async def look(tr: Transaction) -> TableRecord:
        source = await state.tables.require_backed_table(tr, name)
        restores.require_within(source, at_ms, new.now_ms)
        target = new.table_of(source)
        await state.restores.require_target(tr, target.name, f"table: {name}", new.restores_max)
        return source

    read = await call.store.read(look)
    await new.choose_key(read)
    origin = await new.origin_of(read, second)

    async def body(tr: Transaction) -> tuple[TableRecord, RestoreRecord]:
        source = await state.tables.require_backed_table(tr, name)
        restores.require_within(source, at_ms, new.now_ms)
        target = new.table_of(source)
        await state.restores.require_target(tr, target.name, f"table: {name}", new.restores_max)
        if origin is not None:
            origin.require_fresh(call.clock.now_ms())
            return target, await state.restores.begin_from_afar(
                tr, source, target, origin, second, new.tables_max
            )
        return target, await state.restores.begin_from_past(
            tr, source, target, second, new.tables_max
        )

    return {"TableDescription": await new.made(body)}


class _New:
    """What a table that is restored does not have from its source."""

    def __init__(self, call: Call, request: Request) -> None:
        names.require_name(request["TargetTableName"])
        self.now_ms = call.clock.now_ms()
        self.restores_max = call.limit(quotas.RESTORES)
        self.tables_max = call.limit(quotas.TABLES)
        self._call = call
        self._request = request
        self._id = call.ids.uuid()
        self._digest_key = call.ids.random_bytes(_DIGEST_KEY_BYTES)
        self._asked = encryption.asked_of(request.get("SSESpecificationOverride"))
        self._sse: EncryptionRecord | None = None

    def table_of(self, source: TableRecord) -> TableRecord:
        """Return the table that is to be filled."""
        target = restores.restored_table(
            source,
            self._request,
            table_id=self._id,
            digest_key=self._digest_key,
            now_ms=self.now_ms,
        )
        return msgspec.structs.replace(target, sse=self._sse)

    async def choose_key(self, source: TableRecord) -> None:
        """Have a key made for the table, if one is asked for or its source has one of KMS."""
        asked = self._asked or encryption.inherited(source.sse)
        name = self._request["TargetTableName"]
        self._sse = await state.keying.new_key(self._call, asked, name, self._id)

    async def origin_of(self, source: TableRecord, second: int | None) -> Origin | None:
        """Take the moment of which the table is to be at home, if the source has no items here."""
        if strong.is_at_home(source, self._call.region):
            return None
        reader = (state.afar.RESTORE, self._id)
        placement, domain = self._call.facilities.placement, self._call.domain
        cuts = {state.restores.cut_name(self._id): second}
        return await state.afar.take(placement, domain, source, reader, cuts, self.now_ms)

    async def made(self, body: Body[tuple[TableRecord, RestoreRecord]]) -> shapes.TableDescription:
        """Make the table; return it as it is to be told."""
        async with state.keying.unless_refused(self._call, self._sse):
            return _described(self._call, *await self._call.store.transact(body))


def _described(call: Call, table: TableRecord, restore: RestoreRecord) -> shapes.TableDescription:
    """Return a table that is to be filled as the operations answer it."""
    described = descriptions.description_of(call.scope, table, CREATING, MeasureRecord())
    described["RestoreSummary"] = restores.summary_of(call.scope, restore)
    return described
