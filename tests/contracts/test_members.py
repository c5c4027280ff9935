"""Each modelled input member is read by its operation or refused: none is ignored in silence.

A member counts as read if the operation took it from a made-up request, or if the code that the
operation reaches may take it; the first is sure, the second covers what a made-up request does not
get to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.observation import Observations
from tests.contracts.registry import OPERATIONS, SERVICES, Built
from tests.contracts.sources import reach_of

from fogbank.wire.model import Shape, load

HERE = Path(__file__).parent
BELOW = {
    # Members that are acted on before an operation runs: the listener frames the body by it.
    "s3.put_object.ContentLength",
    "s3.upload_part.ContentLength",
}


def ignored() -> set[str]:
    lines = (HERE / "ignored.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def unread(built: Built, observed: Observations) -> set[str]:
    """Return the members that nothing shows to be read or refused."""
    declared = built.declared
    unproven = set(built.model.members) - declared.unhonoured.keys()
    unproven -= observed.by_operation[built.key].read
    if unproven:
        reach = reach_of(declared.function)
        unproven = {member for member in unproven if not reach.may_read(member)}
    return {".".join((*built.key, member)) for member in unproven} - BELOW


@pytest.mark.parametrize("built", OPERATIONS, ids=str)
def test_every_member_is_read_or_refused(built: Built, observed: Observations) -> None:
    assert unread(built, observed) - ignored() == set()


def test_every_ignored_member_is_still_ignored(observed: Observations) -> None:
    found = set().union(*(unread(built, observed) for built in OPERATIONS))
    assert ignored() - found == set()


def test_what_is_acted_on_below_is_modelled() -> None:
    members = {
        ".".join((*built.key, member)) for built in OPERATIONS for member in built.model.members
    }
    assert members >= BELOW | ignored()


WHOLE = {
    # Structures that are refused unless they are empty.
    "s3.create_bucket.CreateBucketConfiguration.Bucket",
    "s3.create_bucket.CreateBucketConfiguration.Location",
    "s3.create_bucket.CreateBucketConfiguration.Tags",
    "s3.put_object_lock_configuration.ObjectLockConfiguration.Rule.DefaultRetention.DefaultEventHold",
    "s3.put_object_retention.Retention.EventHoldDuration",
    "s3.put_bucket_logging.BucketLoggingStatus.LoggingEnabled",
    *(
        f"dynamodb.import_table.TableCreationParameters.{member}"
        for member in (
            "OnDemandThroughput",
            "GlobalSecondaryIndexes.OnDemandThroughput",
            "GlobalSecondaryIndexes.WarmThroughput",
        )
    ),
    "dynamodb.create_table.GlobalSecondaryIndexes.OnDemandThroughput",
    "dynamodb.create_table.GlobalSecondaryIndexes.WarmThroughput",
    *(
        f"dynamodb.update_table.GlobalSecondaryIndexUpdates.{action}.{member}"
        for action in ("Create", "Update")
        for member in ("OnDemandThroughput", "WarmThroughput")
    ),
    *(
        f"dynamodb.update_table.ReplicaUpdates.{action}.{member}"
        for action in ("Create", "Update")
        for member in (
            "OnDemandThroughputOverride",
            "GlobalSecondaryIndexes.OnDemandThroughputOverride",
        )
    ),
    *(
        "application-autoscaling.put_scaling_policy.TargetTrackingScalingPolicyConfiguration."
        f"{member}"
        for member in (
            "CustomizedMetricSpecification",
            "PredefinedMetricSpecification.ResourceLabel",
        )
    ),
}


UNHEEDED = {
    # AWS takes the names of owners and grantees and looks at their ids (User Guide, "Access control
    # list (ACL) overview").
    *(
        f"s3.{operation}.AccessControlPolicy.{where}.DisplayName"
        for operation in ("put_bucket_acl", "put_object_acl")
        for where in ("Owner", "Grants.Grantee")
    ),
}


def inner_members(shape: Shape, path: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the members inside a member: their paths and names."""
    if shape.name in above or path in WHOLE:
        return
    above |= {shape.name}
    if shape.type != "structure":
        for part in shape.parts:
            yield from inner_members(part.shape, path, above)
        return
    for name, ref in shape.members.items():
        yield f"{path}.{name}", name
        yield from inner_members(ref.shape, f"{path}.{name}", above)


@pytest.mark.parametrize("built", OPERATIONS, ids=str)
def test_every_member_of_a_member_can_be_read(built: Built) -> None:
    shape, unhonoured = built.model.input, built.declared.unhonoured
    inner = {
        path: name
        for member, ref in (shape.members.items() if shape else ())
        if member not in unhonoured
        for path, name in inner_members(ref.shape, ".".join((*built.key, member)), frozenset())
    }
    reach = reach_of(built.declared.function)
    unread_below = {path for path, name in inner.items() if not reach.may_read(name)}
    assert unread_below - UNHEEDED == set()


@pytest.mark.parametrize("built", OPERATIONS, ids=str)
def test_only_modelled_members_are_declared_unhonoured(built: Built) -> None:
    declared = {member.split(".")[0] for member in built.declared.unhonoured}
    assert declared <= set(built.model.members)


@pytest.mark.parametrize("package", SERVICES)
def test_every_operation_is_modelled(package: str) -> None:
    service = SERVICES[package]
    assert set(service.functions) <= set(load(service.model).by_function)
