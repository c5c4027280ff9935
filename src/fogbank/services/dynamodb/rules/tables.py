"""Tables: what may be created and changed, and how a table is described.

Source: Amazon DynamoDB API Reference, CreateTable, UpdateTable and TableDescription.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import (
    definitions,
    index_updates,
    provisioning,
    streams,
    vector_indexes,
)
from fogbank.services.dynamodb.rules.provisioning import Limit
from fogbank.services.dynamodb.schema import (
    PAY_PER_REQUEST,
    PROVISIONED,
    STANDARD,
    IndexRecord,
    TableRecord,
)

_INVALID: Final = "One or more parameter values were invalid: "


def created_table(
    request: Request,
    *,
    name: str,
    table_id: str,
    digest_key: bytes,
    now_ms: int,
    limit: Limit,
) -> TableRecord:
    """Return the table that a CreateTable request asks for.

    Raises:
        ValidationException: The request contradicts itself.
    """
    billing_mode, read_units, write_units = _billing_of(request)
    vectors = vector_indexes.vector_indexes_of(request, limit(quotas.VECTOR_INDEXES))
    key, indexes = definitions.definitions_of(request, limit(quotas.GLOBAL_INDEXES), vectors)
    indexes += vectors
    throughput = provisioning.throughput_of_new(
        request, billing_mode, (read_units, write_units), provisioning.THE_TABLE
    )
    table = TableRecord(
        name=name,
        id=table_id,
        digest_key=digest_key,
        partition=key[0],
        sort=key[1] if len(key) > 1 else None,
        billing_mode=billing_mode,
        read_units=read_units,
        write_units=write_units,
        deletion_protected=request.get("DeletionProtectionEnabled", False),
        created_ms=now_ms,
        on_demand_since_ms=now_ms if billing_mode == PAY_PER_REQUEST else 0,
        stream_view=streams.view_of_new(request),
        indexes=indexes,
        indexes_made=len(indexes),
        table_class=_class_of(request),
        throughput=throughput,
    )
    return bounded(table)


def bounded(table: TableRecord) -> TableRecord:
    """Return a table that knows whether it has maxima."""
    return msgspec.structs.replace(table, is_bounded=provisioning.is_bounded(table))


def _class_of(request: Request) -> str:
    """Return the class of a new table; empty for the one that it has anyway."""
    given: str = request.get("TableClass", STANDARD)
    return "" if given == STANDARD else given


def _billing_of(request: Request) -> tuple[str, int, int]:
    """Return the billing mode and the read and write units of a new table."""
    mode: str = request.get("BillingMode", PROVISIONED)
    throughput: Wire | None = request.get("ProvisionedThroughput")
    if mode == PAY_PER_REQUEST:
        if throughput is not None:
            raise ValidationException(
                f"{_INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified"
                " when BillingMode is PAY_PER_REQUEST"
            )
        return mode, 0, 0
    if throughput is None:
        raise ValidationException(
            f"{_INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when"
            " BillingMode is PROVISIONED"
        )
    read_units, write_units = definitions.units_of(throughput)
    return mode, read_units, write_units


def changed_table(
    table: TableRecord, request: Request, now_ms: int, limit: Limit
) -> tuple[TableRecord, IndexRecord | None]:
    """Return a table as an UpdateTable request wants it, and the index that it makes or removes.

    Raises:
        LimitExceededException: Provisioned units would be lowered too often.
        ValidationException: The request changes nothing, or contradicts itself.
    """
    changes: dict[str, Any] = {}
    if "DeletionProtectionEnabled" in request:
        changes["deletion_protected"] = request["DeletionProtectionEnabled"]
    if "BillingMode" in request or "ProvisionedThroughput" in request:
        changes |= _changed_billing(table, request, now_ms, limit)
    if "StreamSpecification" in request:
        changes["stream_view"] = streams.changed_view(table, request)
    if "TableClass" in request:
        changes |= _changed_class(table, request["TableClass"], now_ms)
    changes |= _changed_throughput(msgspec.structs.replace(table, **changes), request)
    if (
        not changes
        and "SSESpecification" not in request
        and not any(request.get(member) for member in index_updates.MEMBERS)
    ):
        raise ValidationException(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled,"
            " GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
        )
    changed = msgspec.structs.replace(table, **changes)
    indexes, made, begun = index_updates.changed_indexes(changed, request, now_ms, limit)
    return bounded(msgspec.structs.replace(changed, indexes=indexes, indexes_made=made)), begun


def _changed_throughput(table: TableRecord, request: Request) -> dict[str, Any]:
    """Return the changed fields of a table's maxima and of its warm throughput."""
    throughput, mode = table.throughput, table.billing_mode
    if maxima := request.get(provisioning.MAXIMA):
        throughput = provisioning.with_maxima(throughput, maxima, mode, provisioning.THE_TABLE)
    if warm := request.get(provisioning.WARM):
        units = (table.read_units, table.write_units)
        throughput = provisioning.with_warm(throughput, warm, mode, units, provisioning.THE_TABLE)
    return {"throughput": throughput} if maxima or warm else {}


def _changed_class(table: TableRecord, given: str, now_ms: int) -> dict[str, Any]:
    """Return the changed fields of a table's class; the one that it has is no change, and no error."""
    if given == (table.table_class or STANDARD):
        return {"table_class": table.table_class}
    return {"table_class": given, "class_changed_ms": now_ms}


def _changed_billing(
    table: TableRecord, request: Request, now_ms: int, limit: Limit
) -> dict[str, Any]:
    """Return the changed fields of how a table is paid for."""
    before = table.billing_mode
    mode, read_units, write_units = _billing_of({"BillingMode": before, **request})
    if mode == PAY_PER_REQUEST:
        since_ms = table.on_demand_since_ms if before == PAY_PER_REQUEST else now_ms
        return {
            "billing_mode": mode,
            "read_units": 0,
            "write_units": 0,
            "on_demand_since_ms": since_ms,
            "throughput": provisioning.on_demand(
                table.throughput, (table.read_units, table.write_units)
            ),
            "indexes": index_updates.billed_indexes(table, mode, request),
        }
    if before == mode and (read_units, write_units) == (table.read_units, table.write_units):
        raise ValidationException(
            "The provisioned throughput for the table will not change. The requested value equals"
            " the current value. Current ReadCapacityUnits provisioned for the table:"
            f" {read_units}. Requested ReadCapacityUnits: {read_units}. Current"
            f" WriteCapacityUnits provisioned for the table: {write_units}. Requested"
            f" WriteCapacityUnits: {write_units}. Refer to the Amazon DynamoDB Developer Guide for"
            " current limits and how to request higher limits."
        )
    if before == PAY_PER_REQUEST:
        table = msgspec.structs.replace(
            table, throughput=provisioning.provisioned(table.throughput)
        )
    units = (read_units, write_units)
    return {
        "billing_mode": mode,
        "indexes": index_updates.billed_indexes(table, mode, request),
        **provisioning.changed_units(table, units, now_ms, limit(quotas.DECREASES)),
    }


def require_unprotected(table: TableRecord) -> None:
    """Refuse to delete a table that is protected against it."""
    if table.deletion_protected:
        raise ValidationException(
            "Resource cannot be deleted as it is currently protected against deletion."
            " Disable deletion protection first."
        )
