"""What UpdateTable changes of a table's global and vector indexes.

One index at a time is made or removed, of either kind; the throughput of others may change meanwhile.

Source: Amazon DynamoDB API Reference, UpdateTable and GlobalSecondaryIndexUpdate; Developer Guide,
"Managing Global Secondary Indexes in DynamoDB". Which changes stand together, and the words of the
refusals, are those that others measured on AWS (ack-api-quirks, DDB-TABLE-159 and DDB-TABLE-174;
scylladb test/alternator, test_gsi_updatetable.py; of vector indexes extenddb, and
nubo-db/dynamodb-conformance, tests/tier2/vectorSearch/updateLifecycle.test.ts).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import (
    definitions,
    indexes,
    provisioning,
    vector_indexes,
    vectors,
)
from fogbank.services.dynamodb.rules.definitions import INVALID
from fogbank.services.dynamodb.rules.provisioning import Limit
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    PAY_PER_REQUEST,
    IndexRecord,
    KeyAttribute,
    TableRecord,
)

MEMBER: Final = "GlobalSecondaryIndexUpdates"
VECTORS: Final = "VectorIndexUpdates"
MEMBERS: Final = (MEMBER, VECTORS)
_ALONE: Final = {
    "ProvisionedThroughput": "You cannot create or delete index while updating table IOPS",
    "StreamSpecification": "You cannot create or delete index while changing stream status",
    "DeletionProtectionEnabled": (
        "DeletionProtection modification must be the only operation in the request"
    ),
}
"""Members that do not stand beside an index that is made or removed."""


class Changed(NamedTuple):
    """The indexes of a table as an UpdateTable request wants them."""

    indexes: tuple[IndexRecord, ...]
    indexes_made: int
    begun: IndexRecord | None = None
    """The one whose making or removal begins."""


def changed_indexes(table: TableRecord, request: Request, now_ms: int, limit: Limit) -> Changed:
    """Return the indexes of a table as a request wants them.

    Args:
        table: The table, with its billing mode as the request wants it.
        request: An UpdateTable request.
        now_ms: The time.
        limit: The value of a quota.

    Raises:
        LimitExceededException: More than one index would be made or removed at once, or units
            would be lowered too often.
        ResourceInUseException: One of that name is being made.
        ResourceNotFoundException: There is no such index.
        ValidationException: The request contradicts itself, or AWS's rules.
    """
    found = Changed(table.indexes, table.indexes_made)
    updates = [
        _action_of(update, "GlobalSecondaryIndexUpdate", "one of Create, Update and Delete")
        for update in request.get(MEMBER, ())
    ]
    of_vectors = [
        _action_of(update, "VectorIndexUpdate", "one of Create and Delete")
        for update in request.get(VECTORS, ())
    ]
    online = [*(each for each in updates if each[0] != "Update"), *of_vectors]
    if len(online) > 1:
        raise _one_at_a_time()
    for member in _ALONE if online else ():
        if member in request:
            raise ValidationException(_ALONE[member])
    for kind, given in updates:
        if kind == "Create":
            found = _created(table, found, request, given, limit(quotas.GLOBAL_INDEXES))
        elif kind == "Delete":
            found = _deleted(found, _require_global(found, given["IndexName"]))
        else:
            found = _updated(table, found, given, now_ms, limit(quotas.DECREASES))
    for kind, given in of_vectors:
        if kind == "Create":
            found = _created_vector(table, found, request, given, limit(quotas.VECTOR_INDEXES))
        else:
            found = _deleted(found, _require_vector(found, given["IndexName"]))
    return found


def _action_of(update: Wire, shape: str, choice: str) -> tuple[str, Wire]:
    """Return what an element of a list does, and to which index."""
    if len(update) != 1:
        raise ValidationException(f"{INVALID}A {shape} has {choice}")
    [(kind, given)] = update.items()
    return kind, given


def _one_at_a_time() -> LimitExceededException:
    """Return the error for more than one index that is made or removed."""
    return LimitExceededException(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously"
        " per table"
    )


def _require_idle(found: Changed, *, but: str = "") -> None:
    """Refuse to begin anything while another index is made or removed."""
    if any(index.status != ACTIVE and index.name != but for index in found.indexes):
        raise _one_at_a_time()


def _created(
    table: TableRecord, found: Changed, request: Request, given: Wire, most: int
) -> Changed:
    """Return the indexes with one more, whose entries are still to be written."""
    name = given["IndexName"]
    types = definitions.types_of(request.get("AttributeDefinitions", ()))
    where = "globalSecondaryIndexUpdates.1.member.create.keySchema"
    definitions.require_some(given["KeySchema"], where)
    key = definitions.key_of(given["KeySchema"])
    definitions.require_defined(key.names, types)
    if any(index.name == name for index in found.indexes):
        raise ValidationException("Attempting to create an index which already exists")
    _require_idle(found)
    if sum(index.is_global for index in found.indexes) >= most:
        raise ValidationException(
            f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {most}"
        )
    index = definitions.index_of(
        given,
        types,
        number=found.indexes_made,
        is_local=False,
        billing_mode=table.billing_mode,
    )
    _require_same_types(table, index)
    made = msgspec.structs.replace(index, status=CREATING)
    definitions.require_included((*found.indexes, made))
    return Changed((*found.indexes, made), found.indexes_made + 1, made)


def _created_vector(
    table: TableRecord, found: Changed, request: Request, given: Wire, most: int
) -> Changed:
    """Return the indexes with one of vectors more, whose entries are still to be written."""
    name = given["IndexName"]
    types = definitions.types_of(request.get("AttributeDefinitions", ()))
    index = vector_indexes.vector_index_of(given, types, found.indexes_made)
    for other in found.indexes:
        if other.name == name and other.status == CREATING:
            raise ResourceInUseException(
                "Attempt to change a resource which is still in use: Index is being created. "
                f" Table: {table.name} Index: {name}"
            )
        if other.name == name:
            raise ValidationException("Attempting to create an index which already exists")
    _require_idle(found)
    vector_indexes.require_on_demand(table.billing_mode)
    if sum(other.vector is not None for other in found.indexes) >= most:
        raise LimitExceededException(
            "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit"
            f" of {most}"
        )
    _require_same_types(table, index)
    made = msgspec.structs.replace(index, status=CREATING)
    vector_indexes.require_agreeing((*found.indexes, made))
    return Changed((*found.indexes, made), found.indexes_made + 1, made)


def _require_same_types(table: TableRecord, index: IndexRecord) -> None:
    """Refuse a key attribute that another key of the table has with another type."""
    known = {each.name: each for each in table.key_attributes}
    for other in table.indexes:
        known |= {each.name: each for each in other.defined_attributes}
    given = [(each, "HASH") for each in index.partition] + [(each, "RANGE") for each in index.sort]
    shape = index.vector
    if shape is not None:
        given += [(each, "INLINE_FILTER") for each in vectors.filter_attributes(index)]
        taken = known.get(shape.attribute)
        if taken is not None:
            new = f"VectorIndexSchema:[VectorAttribute: key{{{taken.name}:L:{shape.dimensions}}}]"
            raise _redefined(taken, "HASH" if taken == table.partition else "RANGE", new)
    for each, role in given:
        before = known.get(each.name, each)
        if before.type != each.type:
            new = f"Schema:[SchemaElement: key{{{each.name}:{each.type}:{role}}}]"
            raise _redefined(before, role, new)


def _redefined(before: KeyAttribute, role: str, new: str) -> ValidationException:
    """Return the error for an attribute that stands in another schema already."""
    return ValidationException(
        f"{INVALID}Attributes cannot be redefined. Please check that your attribute has the same"
        " type as previously defined. Existing schema: Schema:[SchemaElement:"
        f" key{{{before.name}:{before.type}:{role}}}] New schema: {new}"
    )


def _require_index(found: Changed, name: str) -> IndexRecord:
    """Return the index of a name."""
    index = next((each for each in found.indexes if each.name == name), None)
    if index is None or index.status == DELETING:
        raise ResourceNotFoundException(f"Requested resource not found: Index: {name} not found")
    return index


def _require_global(found: Changed, name: str) -> IndexRecord:
    """Return the global index of a name."""
    index = _require_index(found, name)
    if not index.is_global:
        raise ValidationException(f"{INVALID}{name} is not a global secondary index")
    return index


def _require_vector(found: Changed, name: str) -> IndexRecord:
    """Return the vector index of a name."""
    index = _require_index(found, name)
    if index.vector is None:
        raise ValidationException(f"{INVALID}{name} is not a vector index")
    return index


def _deleted(found: Changed, index: IndexRecord) -> Changed:
    """Return the indexes with one on its way out; one that is being made may be given up."""
    _require_idle(found, but=index.name)
    gone = msgspec.structs.replace(index, status=DELETING)
    return found._replace(indexes=_with(found, gone), begun=gone)


def _updated(
    table: TableRecord, found: Changed, given: Wire, now_ms: int, decreases_max: int
) -> Changed:
    """Return the indexes with another throughput of one."""
    index = _require_global(found, given["IndexName"])
    throughput: Wire | None = given.get("ProvisionedThroughput")
    if throughput is not None:
        index = _with_units(table, index, throughput, now_ms, decreases_max)
    elif not given.get(provisioning.MAXIMA) and not given.get(provisioning.WARM):
        raise _no_change(table, index)
    owner, mode = provisioning.Owner(index.name), table.billing_mode
    changed = index.throughput
    if maxima := given.get(provisioning.MAXIMA):
        changed = provisioning.with_maxima(changed, maxima, mode, owner)
    if warm := given.get(provisioning.WARM):
        units = (index.read_units, index.write_units)
        changed = provisioning.with_warm(changed, warm, mode, units, owner)
    index = msgspec.structs.replace(index, throughput=changed)
    return found._replace(indexes=_with(found, index))


def _no_change(table: TableRecord, index: IndexRecord) -> ValidationException:
    """Return the error for an update of an index that says nothing."""
    if table.billing_mode == PAY_PER_REQUEST:
        return ValidationException(
            f"{INVALID}The only Updates for index: {index.name} when TableThroughputMode is"
            " PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput"
        )
    return ValidationException(
        f"{INVALID}ProvisionedThroughput is not specified for index: {index.name}"
    )


def _with_units(
    table: TableRecord, index: IndexRecord, throughput: Wire, now_ms: int, decreases_max: int
) -> IndexRecord:
    """Return an index with other provisioned units."""
    if table.billing_mode == PAY_PER_REQUEST:
        raise ValidationException(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index:"
            f" {index.name} when BillingMode is PAY_PER_REQUEST"
        )
    units = definitions.units_of(throughput, f" for index {index.name}")
    if units == (index.read_units, index.write_units):
        raise ValidationException(
            f"The provisioned throughput for the index {index.name} will not change. The requested"
            " value equals the current value. Current ReadCapacityUnits provisioned for the index:"
            f" {units[0]}. Requested ReadCapacityUnits: {units[0]}. Current WriteCapacityUnits"
            f" provisioned for the index: {units[1]}. Requested WriteCapacityUnits: {units[1]}."
            " Refer to the Amazon DynamoDB Developer Guide for current limits and how to request"
            " higher limits."
        )
    changes = provisioning.changed_units(index, units, now_ms, decreases_max)
    return msgspec.structs.replace(index, **changes)


def _with(found: Changed, changed: IndexRecord) -> tuple[IndexRecord, ...]:
    """Return the indexes with one in place of that of its number."""
    return tuple(changed if each.number == changed.number else each for each in found.indexes)


def billed_indexes(
    table: TableRecord, billing_mode: str, request: Request
) -> tuple[IndexRecord, ...]:
    """Return the indexes of a table under another billing mode.

    Raises:
        ValidationException: The table will have provisioned units, and an index would have none.
    """
    if billing_mode == PAY_PER_REQUEST:
        return tuple(
            each
            if not each.is_global
            else msgspec.structs.replace(
                each,
                read_units=0,
                write_units=0,
                throughput=provisioning.on_demand(
                    each.throughput, (each.read_units, each.write_units)
                ),
            )
            for each in table.indexes
        )
    kept = indexes.kept_indexes(table)
    if any(index.vector is not None for index in kept):
        vector_indexes.require_on_demand(billing_mode)
    if table.billing_mode == PAY_PER_REQUEST:
        told = {
            update["Update"]["IndexName"]
            for update in request.get(MEMBER, ())
            if "Update" in update
        }
        for index in kept:
            if index.is_global and index.name not in told:
                raise ValidationException(
                    f"{INVALID}ProvisionedThroughput must be specified for index: {index.name}"
                )
        return tuple(
            each
            if not each.is_global
            else msgspec.structs.replace(each, throughput=provisioning.provisioned(each.throughput))
            for each in table.indexes
        )
    return table.indexes


def unsettled_indexes(table: TableRecord) -> list[IndexRecord]:
    """Return the indexes of a table that are being made or removed; one at the most."""
    return [index for index in table.indexes if index.status != ACTIVE]


def settled_indexes(table: TableRecord, index: IndexRecord) -> tuple[IndexRecord, ...]:
    """Return the indexes of a table when the making or the removal of one has come to its end."""
    if index.status == DELETING:
        return tuple(each for each in table.indexes if each.number != index.number)
    done = msgspec.structs.replace(index, status=ACTIVE)
    return tuple(done if each.number == index.number else each for each in table.indexes)


def require_settled(table: TableRecord) -> None:
    """Refuse to delete a table of which an index is being made or removed."""
    if unsettled_indexes(table):
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Cannot delete table while indexes"
            " are being created, updated, or deleted."
        )
