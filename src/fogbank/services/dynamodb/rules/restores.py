"""Tables that are restored: from what, as of when, and what of the old table the new one has.

AWS: a restore keeps keys, indexes and how the table is paid for; streams, time to live, recovery,
tags, deletion protection, resource policy and table class are not restored (recorded from DynamoDB by
the maintainers of its controllers for Kubernetes, "Table restores", October 2026, as are the messages
and their order). Source: Amazon DynamoDB API Reference, RestoreTableFromBackup and
RestoreTableToPointInTime; Developer Guide, "Using IAM with DynamoDB backup and restore".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import InvalidRestoreTimeException, ValidationException
from fogbank.services.dynamodb.rules import (
    access,
    backups,
    definitions,
    descriptions,
    names,
    provisioning,
    tables,
    vector_indexes,
)
from fogbank.services.dynamodb.rules.provisioning import Owner, Units
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    NO_THROUGHPUT,
    PAY_PER_REQUEST,
    PROVISIONED,
    TABLES,
    IndexRecord,
    TableRecord,
    ThroughputRecord,
)
from fogbank.services.dynamodb.schema.backups import RestoreRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_INVALID: Final = "Invalid Request: "
_TARGET_ACTIONS: Final = (
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)
_TABLE: Final = "table/"
ELSEWHERE: Final = f"{_INVALID}sseSpecificationOverride must be provided for cross-region restores"


def _on_target(scope: Scope, request: Request) -> list[Access]:
    """Return what must be allowed on the table that a restore makes: to read and to write it."""
    arn = access.arn_of(scope, request["TargetTableName"])
    return [Access(f"dynamodb:{action}", arn) for action in _TARGET_ACTIONS]


def from_backup(scope: Scope, request: Request) -> list[Access]:
    """Return the access of RestoreTableFromBackup."""
    restore = Access("dynamodb:RestoreTableFromBackup", request["BackupArn"])
    return [restore, *_on_target(scope, request)]


def to_point_in_time(scope: Scope, request: Request) -> list[Access]:
    """Return the access of RestoreTableToPointInTime."""
    given = request.get("SourceTableArn") or request.get("SourceTableName")
    arn = "*" if given is None else access.arn_of(scope, given)
    return [Access("dynamodb:RestoreTableToPointInTime", arn), *_on_target(scope, request)]


# As of when.


def source_name_of(scope: Scope, request: Request) -> str:
    """Return the name of the table whose past a request wants.

    Raises:
        ValidationException: It names none, two, or one that is elsewhere.
    """
    name: str | None = request.get("SourceTableName")
    arn: str | None = request.get("SourceTableArn")
    if name is None and arn is None:
        raise ValidationException(
            "The parameter 'TableName' is required but was not present in the request"
        )
    if arn is None:
        assert name is not None
        names.require_name(name)
        return name
    if name is not None:
        raise ValidationException(
            f"{_INVALID}Must provide exactly one of: sourceTableArn, sourceTableName"
        )
    found = find_arn(arn)
    if found is None or found.service != arns.SERVICE or not found.resource.startswith(_TABLE):
        raise ValidationException(f"{_INVALID}sourceTableArn is not a valid ARN")
    if found.account != scope.account:
        raise ValidationException(names.NOT_THE_OWNER)
    if found.region != scope.region:
        raise ValidationException(ELSEWHERE)
    return found.resource.removeprefix(_TABLE)


def require_time(request: Request) -> int | None:
    """Return the moment that a request names, in milliseconds; None: the latest."""
    latest: bool = request.get("UseLatestRestorableTime", False)
    at_ms: int | None = request.get("RestoreDateTime")
    if latest and at_ms is not None:
        raise ValidationException(
            f"{_INVALID}Both RestoreDateTime and UseLatestRestorableTime cannot be set for"
            " point-in-time restore request. Please specify only one of them"
        )
    if not latest and at_ms is None:
        raise ValidationException(
            f"{_INVALID}Either one of RestoreDateTime or UseLatestRestorableTime must be specified,"
            " but not both"
        )
    return at_ms


def require_within(table: TableRecord, at_ms: int | None, now_ms: int) -> None:
    """Refuse a moment to which a table cannot be restored.

    Raises:
        PointInTimeRecoveryUnavailableException: It cannot be restored to any.
        InvalidRestoreTimeException: The moment lies before or behind all that can be had.
    """
    earliest_ms = backups.require_recoverable(table, now_ms)
    if at_ms is not None and not earliest_ms <= at_ms <= now_ms:
        raise InvalidRestoreTimeException(
            f"{backups.moment_text(at_ms)} must be within"
            f" {backups.window_text(earliest_ms, now_ms)}"
        )


# What is restored.


def restored_table(
    source: TableRecord, request: Request, *, table_id: str, digest_key: bytes, now_ms: int
) -> TableRecord:
    """Return the table that a restore makes, to be filled.

    Args:
        source: The table as it was.
        request: With the overrides.
        table_id: A new UUID.
        digest_key: A new secret.
        now_ms: The time.

    Raises:
        ValidationException: The overrides contradict each other, or name an index that was not there.
    """
    mode, read_units, write_units = _billing_of(source, request)
    maxima: Wire = request.get("OnDemandThroughputOverride", {})
    if maxima and mode != PAY_PER_REQUEST:
        raise ValidationException(
            f"{_INVALID}Cannot override MaxReadRequestUnits for OnDemandThroughput unless"
            " BillingModeOverride is PAY_PER_REQUEST"
        )
    units, given = (read_units, write_units), {provisioning.MAXIMA: maxima}
    table = TableRecord(
        name=request["TargetTableName"],
        id=table_id,
        digest_key=digest_key,
        partition=source.partition,
        sort=source.sort,
        billing_mode=mode,
        read_units=read_units,
        write_units=write_units,
        deletion_protected=False,
        created_ms=now_ms,
        on_demand_since_ms=now_ms if mode == PAY_PER_REQUEST else 0,
        indexes=_indexes_of(source, request, mode),
        indexes_made=source.indexes_made,
        status=CREATING,
        throughput=_throughput_of(source.throughput, given, mode, units, provisioning.THE_TABLE),
    )
    return tables.bounded(table)


def _billing_of(source: TableRecord, request: Request) -> tuple[str, int, int]:
    """Return the billing mode and the read and write units of a restored table."""
    override: str | None = request.get("BillingModeOverride")
    throughput: Wire | None = request.get("ProvisionedThroughputOverride")
    mode = override or source.billing_mode
    if override == PROVISIONED and throughput is None:
        raise ValidationException(
            f"{_INVALID}Must override ProvisionedThroughput if BillingMode is overridden to"
            " PROVISIONED"
        )
    if mode == PAY_PER_REQUEST:
        if throughput is not None:
            raise ValidationException(f"{_INVALID}{_needless(override)}")
        return mode, 0, 0
    if throughput is None:
        return mode, source.read_units, source.write_units
    return mode, *definitions.units_of(throughput)


def _needless(override: str | None) -> str:
    """Return what is said of a throughput that an on-demand table has no use for."""
    if override is None:
        return "Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED"
    return "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"


def _indexes_of(source: TableRecord, request: Request, mode: str) -> tuple[IndexRecord, ...]:
    """Return the indexes of a restored table: those of the source, or the ones that are given."""
    standing = [index for index in source.indexes if index.status != DELETING]
    found: list[IndexRecord] = []
    for is_local, member in ((True, "LocalSecondaryIndex"), (False, "GlobalSecondaryIndex")):
        kept = [index for index in standing if index.is_local == is_local and not index.vector]
        given: list[Wire] | None = request.get(f"{member}Override")
        if given is None:
            found += [_restored_index(index, index.name, {}, mode) for index in kept]
            continue
        for each in given:
            index = _matching(kept, each)
            kept.remove(index)
            throughput = each.get("ProvisionedThroughput")
            _require_throughput(each["IndexName"], throughput, mode, is_local=is_local)
            found.append(_restored_index(index, each["IndexName"], each, mode))
    found += _vectors_of(standing, request, mode)
    _require_distinct(found)
    return tuple(sorted(found, key=lambda index: index.number))


def _vectors_of(standing: list[IndexRecord], request: Request, mode: str) -> list[IndexRecord]:
    """Return the vector indexes of a restored table: those of the source, or the ones that are given."""
    kept = [index for index in standing if index.vector]
    given: list[Wire] | None = request.get("VectorIndexOverride")
    found: list[IndexRecord] = []
    if given is None:
        found = [_restored_index(index, index.name, {}, mode) for index in kept]
    else:
        for each in given:
            index = _matching_vector(kept, each)
            kept.remove(index)
            found.append(_restored_index(index, each["IndexName"], {}, mode))
    if found:
        vector_indexes.require_on_demand(mode)
    return found


def _matching_vector(indexes: list[IndexRecord], given: Wire) -> IndexRecord:
    """Return the vector index that one of a request is, by all but its name."""
    types = {each.name: each.type for index in indexes for each in index.defined_attributes}
    schema: list[Wire] = given.get("SearchSchema", [])
    if all(each["AttributeName"] in types for each in schema):
        wanted = vector_indexes.vector_index_of(given, types, 0)
        for index in indexes:
            if _is_like(index, wanted):
                return index
    raise _no_match(given)


def _is_like(index: IndexRecord, other: IndexRecord) -> bool:
    """Return whether two vector indexes compare, and show, the same."""
    return (
        (index.vector, index.partition, index.projection)
        == (other.vector, other.partition, other.projection)
    ) and set(index.included) == set(other.included)


def _no_match(given: Wire) -> ValidationException:
    """Return the error for an index that was not there."""
    return ValidationException(
        f"{_INVALID}Index {given['IndexName']} does not match a secondary index that existed in the"
        " source table and cannot be created during the restore operation"
    )


def _require_distinct(indexes: list[IndexRecord]) -> None:
    """Refuse two indexes of one name."""
    seen: set[str] = set()
    for index in indexes:
        if index.name in seen:
            raise ValidationException(
                f"One or more parameter values were invalid: Duplicate index name: {index.name}"
            )
        seen.add(index.name)


def _matching(indexes: list[IndexRecord], given: Wire) -> IndexRecord:
    """Return the index that one of a request is, by key and projection; the name may be another."""
    key = [(each["AttributeName"], each["KeyType"]) for each in given["KeySchema"]]
    projection = given["Projection"]
    for index in indexes:
        shown = descriptions.key_schema(index.partition, index.sort)
        if (
            key == [(each["AttributeName"], each["KeyType"]) for each in shown]
            and projection.get("ProjectionType") == index.projection
            and set(projection.get("NonKeyAttributes", ())) == set(index.included)
        ):
            return index
    raise _no_match(given)


def _require_throughput(name: str, throughput: Wire | None, mode: str, *, is_local: bool) -> None:
    """Refuse the throughput of a global index, or the want of one, in a billing mode."""
    if is_local:
        return
    if mode == PAY_PER_REQUEST and throughput is not None:
        raise ValidationException(
            f"{_INVALID}Cannot override ProvisionedThroughput if BillingMode is overridden to"
            f" PAY_PER_REQUEST for index {name}"
        )
    if mode == PROVISIONED and throughput is None:
        raise ValidationException(f"{_INVALID}Must specify provisioned throughput for index {name}")


def _restored_index(index: IndexRecord, name: str, given: Wire, mode: str) -> IndexRecord:
    """Return an index of the source as the restored table has it.

    Args:
        index: The index.
        name: Its new name.
        given: What a request says of its throughput; empty: it has what it had.
        mode: The billing mode of the restored table.
    """
    units = (index.read_units, index.write_units)
    if "ProvisionedThroughput" in given:
        units = definitions.units_of(given["ProvisionedThroughput"], f" for index {name}")
    if not index.is_global or mode == PAY_PER_REQUEST:
        units = (0, 0)
    elif not units[0]:
        _require_throughput(name, None, mode, is_local=False)
    throughput = NO_THROUGHPUT
    if index.is_global:
        throughput = _throughput_of(index.throughput, given, mode, units, Owner(name))
    return msgspec.structs.replace(
        index,
        name=name,
        read_units=units[0],
        write_units=units[1],
        status=ACTIVE,
        units_changed_ms=0,
        throughput=throughput,
    )


def _throughput_of(
    before: ThroughputRecord, given: Wire, mode: str, units: Units, owner: Owner
) -> ThroughputRecord:
    """Return the throughput of what is restored: its maxima stay, unless others are given."""
    new = provisioning.throughput_of_new(given, mode, units, owner)
    if mode != PAY_PER_REQUEST or given.get(provisioning.MAXIMA):
        return new
    return msgspec.structs.replace(new, read_max=before.read_max, write_max=before.write_max)


def summary_of(scope: Scope, restore: RestoreRecord) -> shapes.RestoreSummary:
    """Return the ``RestoreSummary`` of a table that is being filled.

    AWS: it goes once the table is ACTIVE.
    """
    source = TABLES.decode(restore.source)
    summary: shapes.RestoreSummary = {
        "SourceTableArn": arns.table_arn(scope.region, scope.account, source.name),
        "RestoreDateTime": restore.at_ms,
        "RestoreInProgress": True,
    }
    if restore.backup:
        arn = arns.backup_arn(scope.region, scope.account, source.name, restore.backup)
        summary["SourceBackupArn"] = arn
    return summary
