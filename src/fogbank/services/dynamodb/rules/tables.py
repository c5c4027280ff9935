"""Tables: what may be created and changed, and how a table is described.

Source: Amazon DynamoDB API Reference, CreateTable, UpdateTable and TableDescription.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.base.types import Request, Wire
from fogbank.contract.action import Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.quotas import CAPACITY_UNITS_MAX
from fogbank.services.dynamodb.rules import streams
from fogbank.services.dynamodb.schema import (
    PAY_PER_REQUEST,
    PROVISIONED,
    KeyAttribute,
    MeasureRecord,
    TableRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

_INVALID: Final = "One or more parameter values were invalid: "
_KEY_ELEMENTS_MAX: Final = 2
_UNIT_MEMBERS: Final = ("ReadCapacityUnits", "WriteCapacityUnits")


def created_table(
    request: Request, *, name: str, table_id: str, digest_key: bytes, now_ms: int
) -> TableRecord:
    """Return the table that a CreateTable request asks for.

    Raises:
        ValidationException: The request contradicts itself.
    """
    billing_mode, read_units, write_units = _billing_of(request)
    key = _key_of(request)
    return TableRecord(
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
    )


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
    read_units, write_units = _units_of(throughput)
    return mode, read_units, write_units


def _units_of(throughput: Wire) -> tuple[int, int]:
    """Return the read and write units of a ``ProvisionedThroughput``."""
    for member in _UNIT_MEMBERS:
        if throughput[member] > CAPACITY_UNITS_MAX:
            raise ValidationException(
                f"Given value {throughput[member]} for {member} is out of bounds"
            )
    return throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]


def _key_of(request: Request) -> list[KeyAttribute]:
    """Return the attributes of a new table's key, the partition key's first."""
    schema, definitions = _listed(request, "KeySchema"), _listed(request, "AttributeDefinitions")
    if len(schema) > _KEY_ELEMENTS_MAX:
        raise _refused(
            f"Value '[{', '.join(map(_element_text, schema))}]' at 'keySchema'",
            f"Member must have length less than or equal to {_KEY_ELEMENTS_MAX}",
        )
    types = {definition["AttributeName"]: definition["AttributeType"] for definition in definitions}
    keys = [element["AttributeName"] for element in schema]
    _require_definitions(keys, [definition["AttributeName"] for definition in definitions])
    if len(set(keys)) < len(keys):
        raise ValidationException(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )
    for element, role, place in zip(schema, ("HASH", "RANGE"), ("first", "second"), strict=False):
        if element["KeyType"] != role:
            raise ValidationException(
                f"Invalid KeySchema: The {place} KeySchemaElement is not a {role} key type"
            )
    if len(keys) != len(definitions):
        raise ValidationException(
            f"{_INVALID}Number of attributes in KeySchema does not exactly match number of"
            " attributes defined in AttributeDefinitions"
        )
    return [KeyAttribute(name, types[name]) for name in keys]


def _listed(request: Request, member: str) -> list[Wire]:
    """Return a list that a table cannot be without, though the model does not require it."""
    listed: list[Wire] | None = request.get(member)
    if listed is None:
        shown = f"{member[0].lower()}{member[1:]}"
        raise _refused(f"Value null at '{shown}'", "Member must not be null")
    return listed


def _refused(what: str, constraint: str) -> ValidationException:
    """Return an error in the words of AWS's own model checks."""
    return ValidationException(
        f"1 validation error detected: {what} failed to satisfy constraint: {constraint}"
    )


def _element_text(element: Wire) -> str:
    """Return an element of a key schema as AWS's messages show it."""
    name, role = element["AttributeName"], element["KeyType"]
    return f"KeySchemaElement(attributeName={name}, keyType={role})"


def _require_definitions(keys: list[str], defined: list[str]) -> None:
    """Refuse keys that are not defined, and attributes that are defined twice."""
    for name in defined:
        if defined.count(name) > 1:
            raise ValidationException(f"{_INVALID}Duplicate attribute name: {name}")
    if len(keys) > len(defined):
        raise ValidationException("Invalid KeySchema: Some index key attribute have no definition")
    if not set(keys) <= set(defined):
        raise ValidationException(
            f"{_INVALID}Some index key attributes are not defined in AttributeDefinitions."
            f" Keys: [{', '.join(keys)}], AttributeDefinitions: [{', '.join(defined)}]"
        )


def changed_table(table: TableRecord, request: Request, now_ms: int) -> TableRecord:
    """Return a table as an UpdateTable request wants it.

    Raises:
        ValidationException: The request changes nothing, or contradicts itself.
    """
    changes: dict[str, Any] = {}
    if "DeletionProtectionEnabled" in request:
        changes["deletion_protected"] = request["DeletionProtectionEnabled"]
    if "BillingMode" in request or "ProvisionedThroughput" in request:
        changes |= _changed_billing(table, request, now_ms)
    if "StreamSpecification" in request:
        changes["stream_view"] = streams.changed_view(table, request)
    if not changes:
        raise ValidationException(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled,"
            " GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
        )
    return TableRecord(**{name: getattr(table, name) for name in table.__struct_fields__} | changes)


def _changed_billing(table: TableRecord, request: Request, now_ms: int) -> dict[str, Any]:
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
    return {
        "billing_mode": mode,
        "read_units": read_units,
        "write_units": write_units,
        "units_changed_ms": now_ms,
    }


def require_unprotected(table: TableRecord) -> None:
    """Refuse to delete a table that is protected against it."""
    if table.deletion_protected:
        raise ValidationException(
            "Resource cannot be deleted as it is currently protected against deletion."
            " Disable deletion protection first."
        )


def description_of(
    scope: Scope, table: TableRecord, status: str, measure: MeasureRecord
) -> shapes.TableDescription:
    """Return a table's ``TableDescription`` in a status."""
    attributes = sorted(table.key_attributes, key=lambda attribute: attribute.name)
    roles = zip(table.key_attributes, ("HASH", "RANGE"), strict=False)
    return {
        **deletion_of(scope, table, measure),
        "TableStatus": status,
        "AttributeDefinitions": [
            {"AttributeName": attribute.name, "AttributeType": attribute.type}
            for attribute in attributes
        ],
        "KeySchema": [
            {"AttributeName": attribute.name, "KeyType": role} for attribute, role in roles
        ],
        "CreationDateTime": table.created_ms,
    }


def deletion_of(
    scope: Scope, table: TableRecord, measure: MeasureRecord
) -> shapes.TableDescription:
    """Return what DeleteTable says of a table: less than a description.

    AWS: neither the schema nor the time of creation (scylladb test/alternator,
    test_delete_table_description).
    """
    throughput: shapes.ProvisionedThroughputDescription = {
        "NumberOfDecreasesToday": 0,
        "ReadCapacityUnits": table.read_units,
        "WriteCapacityUnits": table.write_units,
    }
    if table.units_changed_ms:
        throughput["LastIncreaseDateTime"] = table.units_changed_ms
    description: shapes.TableDescription = {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": arns.table_arn(scope.region, scope.account, table.name),
        "TableStatus": "DELETING",
        "TableSizeBytes": measure.size,
        "ItemCount": measure.items,
        "ProvisionedThroughput": throughput,
        "DeletionProtectionEnabled": table.deletion_protected,
        **streams.members_of(scope, table),
    }
    if table.on_demand_since_ms:
        description["BillingModeSummary"] = {
            "BillingMode": table.billing_mode,
            "LastUpdateToPayPerRequestDateTime": table.on_demand_since_ms,
        }
    return description
