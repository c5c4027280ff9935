"""Replicas of global tables: what UpdateTable may ask for, and how a table tells of its own.

Rules: a request asks for one thing of one replica and for nothing else; what it asks must be done before
the next is asked for. A replica in which another was asked for less than a day ago stays as long as the
other does.

Source: Amazon DynamoDB API Reference, UpdateTable and ReplicationGroupUpdate; Developer Guide, "Global
tables: how it works". What stands together, and the words of the refusals, are those that others
measured on AWS in October 2026 (ack-api-quirks, DDB-TABLE-201, 203, 221 to 229, 265 to 267, 298, 307).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fogbank.base.arn import partition_of
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Access, Scope
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.errors import (
    ResourceInUseException,
    ValidationException,
)
from fogbank.services.dynamodb.rules import access, definitions
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    DISASSOCIATING,
    PAY_PER_REQUEST,
    STANDARD,
    TableRecord,
)
from fogbank.services.dynamodb.schema.replicas import GroupRecord, ReplicaRecord
from fogbank.wire.regions import regions

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

MEMBER: Final = "ReplicaUpdates"
VERSION: Final = "2019.11.21"
SOURCE_MS: Final = 24 * 3_600_000
_BESIDE: Final = frozenset(
    {"TableName", MEMBER, "MultiRegionConsistency", "GlobalTableWitnessUpdates"}
)
_NOT_BUILT: Final = ("KMSMasterKeyId", "OnDemandThroughputOverride")
_OVERRIDES: Final = frozenset(
    {"ProvisionedThroughputOverride", "GlobalSecondaryIndexes", "TableClassOverride", *_NOT_BUILT}
)
_ALONE: Final = (
    "One or more parameter values were invalid: Replica modification must be the only operation in"
    " the request"
)
ONE_KIND: Final = "Update table operation with more than one type of replica actions not allowed."
_CREATED: Final = (
    "CreateTable",
    "CreateTableReplica",
    "Scan",
    "Query",
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
)
"""What a caller must be allowed in the region of a new replica."""
_DELETED: Final = ("DeleteTable", "DeleteTableReplica")
_ACTIONS: Final = {
    "Create": _CREATED,
    "Delete": _DELETED,
    "Disassociate": ("DisassociateTableReplica",),
}
PROTECTION: Final = "DisassociationProtectionEnabled"


class Action(NamedTuple):
    """What a request asks for of one replica."""

    kind: str
    """``Create``, ``Update`` or ``Delete``."""
    region: str
    given: Wire


def update_table(scope: Scope, request: Request) -> list[Access]:
    """Return what UpdateTable needs: with replicas, actions in their regions too.

    Source: Developer Guide, "DynamoDB global tables security".
    """
    found = access.on_table("UpdateTable")(scope, dict(request))
    name = found[0].resource.rpartition("/")[2]
    for update in request.get(MEMBER, ()):
        for kind, given in update.items():
            actions = _ACTIONS.get(kind, ("UpdateTable",))
            arn = arns.table_arn(given["RegionName"], scope.account, name)
            found += [Access(f"dynamodb:{action}", arn) for action in actions]
    for update in request.get("GlobalTableWitnessUpdates", ()):
        for kind, given in update.items():
            arn = arns.table_arn(given["RegionName"], scope.account, name)
            found.append(Access(f"dynamodb:{kind}GlobalTableWitness", arn))
    return found


def action_of(scope: Scope, request: Request) -> Action:
    """Return what an UpdateTable request asks for of replicas.

    Raises:
        ValidationException: It asks for more than one thing, for nothing, or of no region.
        NotBuilt: It asks for what is not built.
    """
    if not _BESIDE.issuperset(request):
        raise ValidationException(_ALONE)
    actions = [action_in(update) for update in request[MEMBER]]
    if len({(each.kind, each.region) for each in actions}) > 1:
        raise ValidationException(
            "Update table operation with more than one create or delete replica actions not allowed"
        )
    action = actions[0]
    if action.kind == "Disassociate":
        _require_local(scope, action)
        return action
    require_region_of(scope, action)
    _require_built(action)
    return action


def _require_local(scope: Scope, action: Action) -> None:
    """Refuse to have a replica leave that is not the one of the region; the words are ours.

    AWS: the request is sent to the replica's region ("Disassociating a global table replica").
    """
    if action.region != scope.region:
        raise ValidationException(
            "One or more parameter values were invalid: A replica can only be disassociated in its"
            f" own region: {action.region}"
        )
    assert action.given["DisassociationMode"] == "WAIT_FOR_REPLICATION", "the model has no other"


def require_region_of(scope: Scope, action: Action) -> None:
    """Refuse an action on the region in which it is asked for, or on none."""
    if action.region == scope.region:
        raise ValidationException(
            "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable,"
            " DeleteTable, or UpdateTable as required."
        )
    require_region(scope, action.region)


def action_in(update: Wire) -> Action:
    """Return what an element of the list asks for."""
    if not update:
        raise _no_action()
    if len(update) > 1:
        raise ValidationException(ONE_KIND)
    [(kind, given)] = update.items()
    if kind == "Update" and not _OVERRIDES.intersection(given):
        raise _no_action()
    return Action(kind, given["RegionName"], given)


def _no_action() -> ValidationException:
    return ValidationException(
        "There are no actions specified in the Replica Update Action of the request."
    )


def require_region(scope: Scope, region: str) -> None:
    """Refuse what is no region of the partition of a request."""
    found = regions()
    if found.get(region) != partition_of(scope.region):
        known = [name for name, partition in found.items() if partition == scope.partition]
        raise ValidationException(
            f"Region {region} is not supported. The latest version of global tables are only"
            f" supported in the following regions: [{', '.join(known)}]"
        )


def _require_built(action: Action) -> None:
    """Refuse what a replica cannot be given yet."""
    for member in _NOT_BUILT:
        if member in action.given:
            raise NotBuilt.member("dynamodb", "UpdateTable", f"{MEMBER}.{action.kind}.{member}")
    for index in action.given.get("GlobalSecondaryIndexes", ()):
        if "OnDemandThroughputOverride" in index:
            raise NotBuilt.member(
                "dynamodb",
                "UpdateTable",
                f"{MEMBER}.{action.kind}.GlobalSecondaryIndexes.OnDemandThroughputOverride",
            )


# What becomes of a global table.


def find_replica(replicas: Sequence[ReplicaRecord], region: str) -> ReplicaRecord | None:
    """Return the replica in a region, or None."""
    return next((each for each in replicas if each.region == region), None)


def is_settled(replicas: Sequence[ReplicaRecord]) -> bool:
    """Return whether no replica is coming or going."""
    return all(each.status == ACTIVE for each in replicas)


def require_settled(replicas: Sequence[ReplicaRecord]) -> None:
    """Refuse a change of a global table of which a replica is coming or going."""
    if not is_settled(replicas):
        raise in_use()


def in_use() -> ResourceInUseException:
    """Return the error for a change while another is under way."""
    return ResourceInUseException("The resource which you are attempting to change is in use.")


def not_part(regions: Sequence[str]) -> ValidationException:
    """Return the error for replicas that a global table has not."""
    return ValidationException(
        "Update global table operation failed because one or more replicas were not part of the"
        f" global table. Please retry the request without these replicas: [{', '.join(regions)}]."
    )


def already_exists(name: str) -> ValidationException:
    """Return the error for a replica where there is a table of the name."""
    return ValidationException(
        f"Failed to create a the new replica of table with name: '{name}' because one or more"
        " replicas already existed as tables."
    )


def changed_group(group: GroupRecord, action: Action, source: str, now_ms: int) -> GroupRecord:
    """Return a global table as an action wants it.

    Args:
        group: As it is.
        action: What is wanted.
        source: The region in which it is asked for.
        now_ms: The time.

    Raises:
        ResourceInUseException: Something else is under way.
        ValidationException: There is no such replica, there is one already, or it may not go yet.
    """
    found = find_replica(group.replicas, action.region)
    if action.kind == "Create":
        if found is not None:
            raise already_exists(group.name)
        require_settled(group.replicas)
        made = overridden(
            ReplicaRecord(region=action.region, status=CREATING, source=source, since_ms=now_ms),
            action.given,
        )
        return msgspec.structs.replace(group, replicas=(*group.replicas, made))
    if found is None:
        raise not_part([action.region])
    require_settled(group.replicas)
    if action.kind == "Update":
        return with_replica(group, overridden(found, action.given))
    if action.kind == "Disassociate":
        return with_replica(group, msgspec.structs.replace(found, status=DISASSOCIATING))
    return leaving(group, found, now_ms)


def require_leaving(table: TableRecord, action: Action) -> None:
    """Refuse to have a replica leave that is none, or is protected; the words are ours.

    AWS: protection is on unless it was turned off ("Disassociating a global table replica").
    """
    if action.kind != "Disassociate":
        return
    if not table.replicas:
        raise not_part([action.region])
    if not table.may_leave:
        raise ValidationException(
            "Replica cannot be disassociated as it is currently protected against disassociation."
            " Disable disassociation protection first."
        )


def protected(table: TableRecord, request: Request) -> TableRecord:
    """Return a replica with its protection against disassociation as a request wants it.

    AWS: it changes alone, and of replicas of eventually consistent tables (API Reference, UpdateTable).

    Raises:
        ValidationException: Something else is to change too, or it is no such replica.
    """
    if set(request) != {"TableName", PROTECTION}:
        raise ValidationException(
            f"One or more parameter values were invalid: {PROTECTION} must be the only change in the"
            " request"
        )
    if not table.replicas:
        raise ValidationException(
            f"One or more parameter values were invalid: {PROTECTION} is of replicas of global tables"
            " with eventual consistency only"
        )
    return msgspec.structs.replace(table, may_leave=not request[PROTECTION])


def leaving(group: GroupRecord, replica: ReplicaRecord, now_ms: int) -> GroupRecord:
    """Return a global table of which a replica is to go.

    Raises:
        ValidationException: Another was made from it less than a day ago.
    """
    require_settled(group.replicas)
    for other in group.replicas:
        if other.source == replica.region and now_ms - other.since_ms < SOURCE_MS:
            raise ValidationException(
                "Replica cannot be deleted because it has acted as a source region for new"
                " replica(s) being added to the table in the last 24 hours."
            )
    return with_replica(group, msgspec.structs.replace(replica, status=DELETING))


def with_replica(group: GroupRecord, replica: ReplicaRecord) -> GroupRecord:
    """Return a global table with a replica in place of that of its region."""
    return msgspec.structs.replace(
        group,
        replicas=tuple(
            replica if each.region == replica.region else each for each in group.replicas
        ),
    )


def without_replica(group: GroupRecord, region: str) -> GroupRecord:
    """Return a global table without a replica."""
    left = tuple(each for each in group.replicas if each.region != region)
    return msgspec.structs.replace(group, replicas=left)


def overridden(replica: ReplicaRecord, given: Wire) -> ReplicaRecord:
    """Return a replica with what it is to have for itself."""
    units = dict(replica.index_read_units)
    for index in given.get("GlobalSecondaryIndexes", ()):
        if "ProvisionedThroughputOverride" in index:
            units[index["IndexName"]] = index["ProvisionedThroughputOverride"]["ReadCapacityUnits"]
    throughput: Wire = given.get("ProvisionedThroughputOverride", {})
    return msgspec.structs.replace(
        replica,
        read_units=throughput.get("ReadCapacityUnits", replica.read_units),
        table_class=given.get("TableClassOverride", replica.table_class),
        index_read_units=units,
    )


def has_other_overrides(before: ReplicaRecord | None, own: ReplicaRecord) -> bool:
    """Return whether a replica is to have other things for itself than before."""
    return before is None or (
        (before.read_units, before.table_class, before.index_read_units)
        != (own.read_units, own.table_class, own.index_read_units)
    )


def require_overridable(table: TableRecord, action: Action) -> None:
    """Refuse throughput of its own to a replica of a table that has none.

    AWS: not of a replica that is only being made (DDB-TABLE-223).
    """
    throughput = action.given.get("ProvisionedThroughputOverride")
    if throughput is not None:
        definitions.units_of({**throughput, "WriteCapacityUnits": 1})
    if action.kind == "Update" and throughput and table.billing_mode == PAY_PER_REQUEST:
        raise ValidationException(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is"
            " PAY_PER_REQUEST"
        )


def require_own_key(table: TableRecord) -> None:
    """Refuse to change the encryption of a replica.

    Raises:
        NotBuilt: It is not built yet.
    """
    if table.group:
        raise NotBuilt.member("dynamodb", "UpdateTable", "SSESpecification")


def require_keys(table: TableRecord, action: Action) -> None:
    """Refuse a replica of a table whose key KMS has: it needs one of its region.

    Raises:
        NotBuilt: It is not built yet.
        ValidationException: It is the customer's, and the request names none.
    """
    if table.sse is None or not table.sse.kms_key or action.kind != "Create":
        return
    if table.sse.is_managed:
        raise NotBuilt.member("dynamodb", "UpdateTable", MEMBER)
    raise ValidationException(
        "One or more parameter values were invalid: KMSMasterKeyId must be specified for each"
        " replica."
    )


# What a table tells.


def status_of(table: TableRecord) -> str:
    """Return the status of a table, whose replicas may be coming and going."""
    if table.status == ACTIVE and table.sse is not None and table.sse.inaccessible_ms:
        return "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    if table.status == ACTIVE and not is_settled(table.replicas):
        return "UPDATING"
    return table.status


def members_of(scope: Scope, table: TableRecord, percent: int | None) -> shapes.TableDescription:
    """Return what the description of a table says of replicas; it never lists itself.

    Args:
        scope: Where it is.
        table: The table.
        percent: How much has been copied to the one that is being made, if one is.
    """
    if not table.replicas:
        return {}
    return {
        PROTECTION: not table.may_leave,
        "GlobalTableVersion": VERSION,
        "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
        "Replicas": [
            _described(table, each, percent)
            for each in table.replicas
            if each.region != scope.region
        ],
    }


def _described(
    table: TableRecord, replica: ReplicaRecord, percent: int | None
) -> shapes.ReplicaDescription:
    """Return a ``ReplicaDescription``: what is as it is here stays unsaid."""
    told: shapes.ReplicaDescription = {
        "RegionName": replica.region,
        "ReplicaStatus": "UPDATING" if replica.status == DISASSOCIATING else replica.status,
        "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
    }
    if replica.status == CREATING and percent is not None:
        told["ReplicaStatusPercentProgress"] = str(percent)
    if table.billing_mode != PAY_PER_REQUEST and replica.read_units not in (0, table.read_units):
        told["ProvisionedThroughputOverride"] = {"ReadCapacityUnits": replica.read_units}
    if replica.table_class not in ("", table.table_class or STANDARD):
        told["ReplicaTableClassSummary"] = {"TableClass": replica.table_class}
    indexes = [_index(replica, each.name) for each in table.indexes if not each.is_local]
    if indexes:
        told["GlobalSecondaryIndexes"] = indexes
    return told


def _index(replica: ReplicaRecord, name: str) -> shapes.ReplicaGlobalSecondaryIndexDescription:
    """Return how a global index of a replica is described."""
    units = replica.index_read_units.get(name)
    if units is None:
        return {"IndexName": name}
    return {
        "IndexName": name,
        "ProvisionedThroughputOverride": {"ReadCapacityUnits": units},
    }
