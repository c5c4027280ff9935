"""Auto scaling of global tables: which targets and policies an update means, and how they are told of.

Writes are scaled alike in all replicas, reads of each by itself; disabling is the end of the target, and a policy
of another name takes the place of the one that was there.

Source: Amazon DynamoDB API Reference, DescribeTableReplicaAutoScaling and UpdateTableReplicaAutoScaling; what
is told and the words of refusals are those that others measured on AWS in October 2026 (ack-api-quirks,
DDB-TABLE-187, 189, 195, 198, 237, 239, 240, 317, 323).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fogbank.base.types import Request, Wire
from fogbank.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from fogbank.services.dynamodb.schema import ACTIVE, PAY_PER_REQUEST, TableRecord
from fogbank.services.dynamodb.schema.replicas import ReplicaRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

NAMESPACE: Final = "dynamodb"
READ: Final = "Read"
WRITE: Final = "Write"
_ON_DEMAND: Final = (
    "Failed to update global table with name \u2018{}\u2018. Replicas {} BillingMode is"
    " PayPerRequest. You must convert table's BillingMode to PROVISIONED to set parameters: '{}'."
)
RESOURCES_MAX: Final = 50
"""Asked for at once: DescribeScalableTargets, ``ResourceIds``."""


class Place(NamedTuple):
    """What is scaled: reads or writes of a table or an index, in a region."""

    region: str
    resource: str
    kind: str
    """``Read`` or ``Write``."""

    @property
    def dimension(self) -> str:
        """Return the scalable dimension."""
        what = "index" if "/index/" in self.resource else "table"
        return f"{NAMESPACE}:{what}:{self.kind}CapacityUnits"

    @property
    def members(self) -> Wire:
        """Return how requests to Application Auto Scaling name it."""
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": self.resource,
            "ScalableDimension": self.dimension,
        }

    @property
    def metric(self) -> str:
        """Return the predefined metric of its policies."""
        return f"DynamoDB{self.kind}CapacityUtilization"


class Update(NamedTuple):
    """What a request wants of one place."""

    place: Place
    given: Mapping[str, Any]
    """An ``AutoScalingSettingsUpdate``."""

    @property
    def is_end(self) -> bool:
        """Return whether it is not to be scaled any more."""
        return bool(self.given.get("AutoScalingDisabled", False))

    def registration(self) -> Wire:
        """Return the request that registers the target."""
        request = self.place.members
        for member, name in (
            ("MinimumUnits", "MinCapacity"),
            ("MaximumUnits", "MaxCapacity"),
            ("AutoScalingRoleArn", "RoleARN"),
        ):
            if member in self.given:
                request[name] = self.given[member]
        return request

    def policy(self) -> Wire | None:
        """Return the request that puts the policy; None: it stays as it is."""
        given: Mapping[str, Any] | None = self.given.get("ScalingPolicyUpdate")
        if given is None:
            return None
        place = self.place
        return {
            **place.members,
            "PolicyName": given.get("PolicyName", f"{place.metric}:{place.resource}"),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                **_tracking(given["TargetTrackingScalingPolicyConfiguration"]),
                "PredefinedMetricSpecification": {"PredefinedMetricType": place.metric},
            },
        }


def _tracking(given: Mapping[str, Any]) -> Wire:
    """Return what both services call alike of a policy."""
    members = ("TargetValue", "ScaleInCooldown", "ScaleOutCooldown", "DisableScaleIn")
    return {member: given[member] for member in members if member in given}


def resource_of(table: str, index: str = "") -> str:
    """Return the resource id of a table or an index."""
    return f"table/{table}/index/{index}" if index else f"table/{table}"


def require_global(table: TableRecord) -> None:
    """Refuse a table without replicas."""
    if not table.replicas:
        raise ResourceNotFoundException(
            f"Global table with name: \u2018{table.name}\u2019 does not exist."
        )


def updates_of(table: TableRecord, request: Request) -> list[Update]:
    """Return what a request wants, place by place.

    Raises:
        ResourceNotFoundException: It names an index or a replica that is not there.
        ValidationException: The table is on demand, and more is wanted than an end.
    """
    regions = [each.region for each in table.replicas]
    found = [*_of_writes(table, request, regions), *_of_reads(table, request, regions)]
    kinds = [update.place.kind for update in found if not update.is_end]
    if table.billing_mode == PAY_PER_REQUEST and kinds:
        named = ", ".join(f"'{region.upper()}'" for region in sorted(regions))
        whose = "Replica" if READ in kinds else "GlobalTable"
        member = f"{whose}Provisioned{kinds[-1]}CapacityAutoScalingSettingsUpdate"
        raise ValidationException(_ON_DEMAND.format(table.name, named, member))
    return found


def _of_writes(table: TableRecord, request: Request, regions: Sequence[str]) -> Iterator[Update]:
    """Yield what is wanted of writes, in every replica."""
    wanted: list[tuple[str, Mapping[str, Any]]] = []
    if "ProvisionedWriteCapacityAutoScalingUpdate" in request:
        wanted.append(("", request["ProvisionedWriteCapacityAutoScalingUpdate"]))
    for index in request.get("GlobalSecondaryIndexUpdates", ()):
        if "ProvisionedWriteCapacityAutoScalingUpdate" in index:
            given = index["ProvisionedWriteCapacityAutoScalingUpdate"]
            wanted.append((index.get("IndexName", ""), given))
    missing = [index for index, _ in wanted if index and not _has(table, index)]
    if missing:
        raise _no_index(
            table,
            f"the global secondary indexes with names: \u2018[{', '.join(missing)}]\u2019 do not"
            " exist.",
        )
    for index, given in wanted:
        for region in regions:
            yield Update(Place(region, resource_of(table.name, index), WRITE), given)


def _of_reads(table: TableRecord, request: Request, regions: Sequence[str]) -> Iterator[Update]:
    """Yield what is wanted of reads, of each replica by itself."""
    for replica in request.get("ReplicaUpdates", ()):
        region: str = replica["RegionName"]
        if region not in regions:
            raise _no_index(
                table, f"the replicas with regions: \u2018[{region}]\u2019 do not exist."
            )
        if "ReplicaProvisionedReadCapacityAutoScalingUpdate" in replica:
            given = replica["ReplicaProvisionedReadCapacityAutoScalingUpdate"]
            yield Update(Place(region, resource_of(table.name), READ), given)
        for index in replica.get("ReplicaGlobalSecondaryIndexUpdates", ()):
            name: str = index.get("IndexName", "")
            if not _has(table, name):
                raise _no_index(
                    table,
                    f"a global secondary index with name: \u2018{name}\u2019 does not exist in"
                    f" region: \u2018{region}\u2019.",
                )
            if "ProvisionedReadCapacityAutoScalingUpdate" in index:
                given = index["ProvisionedReadCapacityAutoScalingUpdate"]
                yield Update(Place(region, resource_of(table.name, name), READ), given)


def _no_index(table: TableRecord, what: str) -> ResourceNotFoundException:
    """Return the error for something that a global table has not."""
    return ResourceNotFoundException(
        f"Failed to update settings for global table with name: \u2018{table.name}\u2019 because"
        f" {what}"
    )


def _has(table: TableRecord, index: str) -> bool:
    """Return whether a table has a global index of a name."""
    return any(each.name == index and each.is_global for each in table.indexes)


# What is told.


class Scaled(NamedTuple):
    """What Application Auto Scaling says of the resources of one region."""

    targets: Mapping[tuple[str, str], Wire]
    """By resource and dimension."""
    policies: Mapping[tuple[str, str], Sequence[Wire]]
    """Likewise."""


def resources_of(table: TableRecord) -> list[str]:
    """Return the resource ids of a table and of its global indexes."""
    indexes = [each.name for each in table.indexes if each.is_global]
    return [resource_of(table.name, name) for name in ("", *indexes)]


def settings_of(
    table: TableRecord, scaled: Scaled, place: Place
) -> shapes.AutoScalingSettingsDescription:
    """Return how one place is scaled: AWS tells of no target that has no policy (DDB-TABLE-195)."""
    key = (place.resource, place.dimension)
    target, policies = scaled.targets.get(key), scaled.policies.get(key, ())
    if target is None or not policies:
        return {"AutoScalingDisabled": True, "ScalingPolicies": []}
    told: shapes.AutoScalingSettingsDescription = {
        "MinimumUnits": target["MinCapacity"],
        "MaximumUnits": target["MaxCapacity"],
        "AutoScalingRoleArn": target["RoleARN"],
        "ScalingPolicies": [
            {
                "PolicyName": each["PolicyName"],
                "TargetTrackingScalingPolicyConfiguration": _told(
                    each["TargetTrackingScalingPolicyConfiguration"]
                ),
            }
            for each in policies
        ],
    }
    if table.billing_mode == PAY_PER_REQUEST:
        told["AutoScalingDisabled"] = True
    return told


def _told(
    given: Mapping[str, Any],
) -> shapes.AutoScalingTargetTrackingScalingPolicyConfigurationDescription:
    told: shapes.AutoScalingTargetTrackingScalingPolicyConfigurationDescription = {
        "TargetValue": given["TargetValue"]
    }
    if "ScaleInCooldown" in given:
        told["ScaleInCooldown"] = given["ScaleInCooldown"]
    if "ScaleOutCooldown" in given:
        told["ScaleOutCooldown"] = given["ScaleOutCooldown"]
    if "DisableScaleIn" in given:
        told["DisableScaleIn"] = given["DisableScaleIn"]
    return told


def replica_of(
    table: TableRecord, replica: ReplicaRecord, scaled: Scaled
) -> shapes.ReplicaAutoScalingDescription:
    """Return how a replica and its global indexes are scaled."""
    region, whole = replica.region, resource_of(table.name)
    indexes: list[shapes.ReplicaGlobalSecondaryIndexAutoScalingDescription] = []
    for each in table.indexes:
        if each.is_global and each.status == ACTIVE:
            at = resource_of(table.name, each.name)
            indexes.append(
                {
                    "IndexName": each.name,
                    "IndexStatus": each.status,
                    "ProvisionedReadCapacityAutoScalingSettings": settings_of(
                        table, scaled, Place(region, at, READ)
                    ),
                    "ProvisionedWriteCapacityAutoScalingSettings": settings_of(
                        table, scaled, Place(region, at, WRITE)
                    ),
                }
            )
    return {
        "RegionName": region,
        "GlobalSecondaryIndexes": indexes,
        "ReplicaProvisionedReadCapacityAutoScalingSettings": settings_of(
            table, scaled, Place(region, whole, READ)
        ),
        "ReplicaProvisionedWriteCapacityAutoScalingSettings": settings_of(
            table, scaled, Place(region, whole, WRITE)
        ),
        "ReplicaStatus": replica.status,
    }
