"""Backups: their ARNs, how they are described, and the window of recovery.

Source: Amazon DynamoDB API Reference, CreateBackup, DescribeBackup, ListBackups, DeleteBackup and
UpdateContinuousBackups. Messages, and what each shape has: recorded from DynamoDB by the maintainers
of its controllers for Kubernetes ("Backup resource", "Table sub-resources", October 2026).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.platform.store.records import encode
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import (
    AccessDeniedException,
    BackupInUseException,
    BackupNotFoundException,
    PointInTimeRecoveryUnavailableException,
    ValidationException,
)
from fogbank.services.dynamodb.quotas import RECOVERY_DAYS, SYSTEM_BACKUP_DAYS
from fogbank.services.dynamodb.rules import descriptions, encryption, history, provisioning
from fogbank.services.dynamodb.schema import AVAILABLE, SYSTEM, TABLES, USER, TableRecord
from fogbank.services.dynamodb.schema.backups import BackupRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_ARN_COLONS: Final = 5
_RELATIVE: Final = re.compile(
    r"table/(?P<table>[a-zA-Z0-9_.-]{3,255})/backup/(?P<id>[0-9]{1,20}-[0-9a-f]{8})"
)
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_TIME_DIGITS: Final = 14
_SYSTEM_END: Final = "00000000"
DELETED_TABLE: Final = "$DeletedTableBackup"


class BackupName(NamedTuple):
    """What an ARN of a backup names: the key of its record."""

    table: str
    id: str


def on_backup(operation: str) -> AccessOf:
    """Return the access of an operation on the one backup that its request names."""
    action = f"dynamodb:{operation}"

    def access(_scope: Scope, request: Request) -> list[Access]:
        return [Access(action, request["BackupArn"])]

    return access


def require_backup_name(scope: Scope, arn: str) -> BackupName:
    """Return the backup of the caller's account that an ARN names.

    Raises:
        ValidationException: It names none.
        AccessDeniedException: It is another account's.
        BackupNotFoundException: It is another region's, whose endpoint has it.
    """
    parts = arn.split(":", _ARN_COLONS)
    found = _RELATIVE.fullmatch(parts[-1]) if len(parts) > _ARN_COLONS else None
    if found is None or parts[0] != "arn":
        raise ValidationException("Invalid Backup ARN")
    _, partition, service, region, account, _ = parts
    if (partition, service) != (scope.partition, arns.SERVICE) or not _REGION.fullmatch(region):
        raise ValidationException("Invalid Request: BackupArn is not valid")
    if account != scope.account:
        raise AccessDeniedException("Access is denied")
    if region != scope.region:
        raise not_found(arn)
    return BackupName(found["table"], found["id"])


def not_found(arn: str) -> BackupNotFoundException:
    """Return the error for a backup that is not there."""
    return BackupNotFoundException(f"Backup not found: {arn}")


def backup_of(table: TableRecord, *, name: str, end: str, rows: str, now_ms: int) -> BackupRecord:
    """Return a backup that is to be made of a table.

    Args:
        table: The table, as its cut is of it.
        name: The name that a client gives it.
        end: Eight hexadecimal digits by which its id differs from others of its millisecond.
        rows: A new UUID.
        now_ms: The time.
    """
    return BackupRecord(
        id=f"{now_ms:0{_TIME_DIGITS}}-{end}",
        name=name,
        kind=USER,
        created_ms=now_ms,
        table=encode(table),
        rows=rows,
    )


def system_backup_of(table: TableRecord, rows: str, now_ms: int) -> BackupRecord:
    """Return the backup that is made of a table as it is deleted."""
    made = backup_of(
        table, name=table.name + DELETED_TABLE, end=_SYSTEM_END, rows=rows, now_ms=now_ms
    )
    expires_ms = now_ms + SYSTEM_BACKUP_DAYS * history.DAY_MS
    return msgspec.structs.replace(made, kind=SYSTEM, expires_ms=expires_ms)


def read_afar(backup: BackupRecord, home: str, origin: TableRecord) -> BackupRecord:
    """Return a backup of a table whose items are read where they lie.

    Args:
        backup: The backup.
        home: The region.
        origin: The table there, as the cut of the backup is of it.
    """
    return msgspec.structs.replace(backup, home=home, origin=encode(origin))


def table_of(backup: BackupRecord) -> TableRecord:
    """Return the table of a backup as it was."""
    return TABLES.decode(backup.table)


def require_deletable(backup: BackupRecord, arn: str) -> None:
    """Refuse to delete a backup that someone works on, or that goes by itself."""
    if backup.kind == SYSTEM:
        raise ValidationException(
            f"Invalid Request: User is not allowed to delete the system backup with arn {arn}. It"
            f" will automatically expire on {_text_of(backup.expires_ms)}"
        )
    require_made(backup, arn)
    if backup.restoring:
        raise BackupInUseException(f"Backup is being used to restore table: {arn}")


def require_restorable(backup: BackupRecord, arn: str) -> None:
    """Refuse to restore a table from a backup that is not whole, or that another is restored from.

    AWS: a backup feeds one restore at a time.
    """
    require_made(backup, arn)
    if backup.restoring:
        raise BackupInUseException(f"Backup is being used to restore another table: {arn}")


def require_made(backup: BackupRecord, arn: str) -> None:
    """Refuse what needs all of a backup while it is being made."""
    if backup.status != AVAILABLE:
        raise BackupInUseException(f"Backup is being created: {arn}")


def _text_of(at_ms: int) -> str:
    """Return a time as AWS's messages show it: to the second."""
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Descriptions.


def arn_of(scope: Scope, backup: BackupRecord) -> str:
    """Return the ARN of a backup."""
    return arns.backup_arn(scope.region, scope.account, table_of(backup).name, backup.id)


def details_of(scope: Scope, backup: BackupRecord, status: str) -> shapes.BackupDetails:
    """Return a backup's ``BackupDetails`` in a status."""
    details: shapes.BackupDetails = {
        "BackupArn": arn_of(scope, backup),
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size,
        "BackupStatus": status,
        "BackupType": backup.kind,
        "BackupCreationDateTime": backup.created_ms,
    }
    if backup.expires_ms:
        details["BackupExpiryDateTime"] = backup.expires_ms
    return details


def description_of(scope: Scope, backup: BackupRecord, status: str) -> shapes.BackupDescription:
    """Return a backup's ``BackupDescription`` in a status."""
    table = table_of(backup)
    source: shapes.SourceTableDetails = {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": arns.table_arn(scope.region, scope.account, table.name),
        "TableSizeBytes": backup.size,
        "KeySchema": descriptions.key_schema((table.partition,), table.key_attributes[1:]),
        "TableCreationDateTime": table.created_ms,
        "ProvisionedThroughput": {
            "ReadCapacityUnits": table.read_units,
            "WriteCapacityUnits": table.write_units,
        },
        "ItemCount": backup.items,
        "BillingMode": table.billing_mode,
    }
    if maxima := provisioning.described_maxima(table.throughput):
        source["OnDemandThroughput"] = maxima
    # AWS: a system backup says nothing of features.
    none: shapes.SourceTableFeatureDetails = {}
    features = none if backup.kind == SYSTEM else _features_of(table)
    return {
        "BackupDetails": details_of(scope, backup, status),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": features,
    }


def _features_of(table: TableRecord) -> shapes.SourceTableFeatureDetails:
    """Return what a table has beside items, each only if it has it."""
    sse = encryption.description_of(table.sse)
    found: shapes.SourceTableFeatureDetails = {} if sse is None else {"SSEDescription": sse}
    local: list[shapes.LocalSecondaryIndexInfo] = []
    overall: list[shapes.GlobalSecondaryIndexInfo] = []
    for index in table.indexes:
        if index.vector is not None:
            continue
        shown: Any = {
            "IndexName": index.name,
            "KeySchema": descriptions.key_schema(index.partition, index.sort),
            "Projection": descriptions.projection(index),
        }
        if index.is_local:
            local.append(shown)
            continue
        shown["ProvisionedThroughput"] = {
            "ReadCapacityUnits": index.read_units,
            "WriteCapacityUnits": index.write_units,
        }
        if maxima := provisioning.described_maxima(index.throughput):
            shown["OnDemandThroughput"] = maxima
        overall.append(shown)
    if local:
        found["LocalSecondaryIndexes"] = local
    if overall:
        found["GlobalSecondaryIndexes"] = overall
    vectors = [
        descriptions.vector_info(index, index.vector)
        for index in table.indexes
        if index.vector is not None
    ]
    if vectors:
        found["VectorIndexes"] = vectors
    if table.stream_view:
        found["StreamDescription"] = {"StreamEnabled": True, "StreamViewType": table.stream_view}
    if table.ttl_attribute:
        found["TimeToLiveDescription"] = {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": table.ttl_attribute,
        }
    return found


def summary_of(scope: Scope, backup: BackupRecord) -> shapes.BackupSummary:
    """Return a backup as ListBackups shows it."""
    table = table_of(backup)
    summary: shapes.BackupSummary = {
        **details_of(scope, backup, backup.status),
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": arns.table_arn(scope.region, scope.account, table.name),
    }
    return summary


# Listing.


class Wanted(NamedTuple):
    """Which backups a listing shows."""

    kind: str
    """``BackupType``."""
    since_ms: int
    until_ms: int | None
    """Those made before; None: all."""

    def holds(self, backup: BackupRecord) -> bool:
        """Return whether it shows a backup."""
        if self.kind not in ("ALL", backup.kind) or backup.created_ms < self.since_ms:
            return False
        return self.until_ms is None or backup.created_ms < self.until_ms


def wanted_by(request: Request) -> Wanted:
    """Return which backups a ListBackups request asks for.

    AWS: those that clients made, unless it says which.
    """
    since_ms: int = request.get("TimeRangeLowerBound", 0)
    until_ms: int | None = request.get("TimeRangeUpperBound")
    if until_ms is not None and since_ms > until_ms:
        raise ValidationException(
            "One or more parameter values were invalid: Time range lower bound must be less than or"
            " equal to upper bound"
        )
    return Wanted(request.get("BackupType", USER), since_ms, until_ms)


def start_of(scope: Scope, request: Request) -> BackupName | None:
    """Return the backup behind which a listing begins, which need not be there."""
    arn: str | None = request.get("ExclusiveStartBackupArn")
    if arn is None:
        return None
    try:
        return require_backup_name(scope, arn)
    except BackupNotFoundException:
        raise ValidationException(
            "Invalid Request: The supplied ExclusiveStartBackupArn does not match the region"
        ) from None


# The window of recovery.


def changed_recovery(table: TableRecord, given: Request, now_ms: int) -> TableRecord:
    """Return a table as a ``PointInTimeRecoverySpecification`` wants it."""
    if not given["PointInTimeRecoveryEnabled"]:
        if "RecoveryPeriodInDays" in given:
            raise ValidationException(
                "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time"
                " recovery."
            )
        return msgspec.structs.replace(table, recovery_ms=0)
    if not table.recovery_ms:
        days = given.get("RecoveryPeriodInDays", RECOVERY_DAYS)
        return msgspec.structs.replace(table, recovery_ms=now_ms, recovery_days=days)
    # What a shorter window had no need of may be gone: a longer one does not bring it back.
    since_ms = max(table.recovery_ms, now_ms - table.recovery_days * history.DAY_MS)
    days = given.get("RecoveryPeriodInDays", table.recovery_days)
    return msgspec.structs.replace(table, recovery_ms=since_ms, recovery_days=days)


def recovery_of(table: TableRecord, now_ms: int) -> shapes.ContinuousBackupsDescription:
    """Return a table's ``ContinuousBackupsDescription``.

    AWS: the outer status stays ENABLED when recovery is turned off again.
    """
    shown: shapes.PointInTimeRecoveryDescription = {"PointInTimeRecoveryStatus": "DISABLED"}
    earliest_ms = history.earliest_ms(table, now_ms)
    if earliest_ms is not None:
        shown = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": table.recovery_days,
            "EarliestRestorableDateTime": earliest_ms,
            "LatestRestorableDateTime": now_ms,
        }
    return {
        "ContinuousBackupsStatus": "ENABLED" if table.recovery_days else "DISABLED",
        "PointInTimeRecoveryDescription": shown,
    }


def require_recoverable(table: TableRecord, now_ms: int) -> int:
    """Return the first moment to which a table can be restored, or refuse one that cannot be."""
    earliest_ms = history.earliest_ms(table, now_ms)
    if earliest_ms is None:
        raise PointInTimeRecoveryUnavailableException(
            f"Point in time recovery is not enabled for table '{table.name}'"
        )
    return earliest_ms


def window_text(earliest_ms: int, latest_ms: int) -> str:
    """Return a window of recovery as AWS's messages show it."""
    return (
        f"EarliestRestorableDateTime '{_text_of(earliest_ms)}' and LatestRestorableDateTime"
        f" '{_text_of(latest_ms)}'"
    )


def moment_text(at_ms: int) -> str:
    """Return a moment that a client asks for, likewise."""
    return f"RestoreDateTime '{_text_of(at_ms)}'"
