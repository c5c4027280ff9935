"""Replicas that leave their global table and stay, with their items, as tables of their own.

Source: Amazon DynamoDB Developer Guide, "Disassociating a global table replica"; API Reference,
UpdateTable and DisassociateReplicationGroupMemberAction. The words of the refusals are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    add,
    described,
    drop,
    held,
    item,
    make,
    put,
    settle,
    statuses,
)

from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

GLOBAL = {"Replicas", "GlobalTableVersion", "DisassociationProtectionEnabled"}


def leaving(region: str) -> Any:
    action = {"RegionName": region, "DisassociationMode": "WAIT_FOR_REPLICATION"}
    return {"TableName": "tab", "ReplicaUpdates": [{"Disassociate": action}]}


def unprotect(client: Any) -> None:
    client.update_table(TableName="tab", DisassociationProtectionEnabled=False)


@pytest.fixture
def three(cloud: Cloud, two: Regions) -> Regions:
    add(two[WEST], SOUTH)
    settle(cloud)
    return two


@pytest.mark.parametrize("region", [EAST, WEST])
def test_a_replica_leaves_with_its_items_and_the_others_go_on(
    cloud: Cloud, three: Regions, region: str
) -> None:
    """Also the one in whose region it is kept which replicas there are."""
    others = [each for each in (WEST, EAST, SOUTH) if each != region]
    put(three[others[0]], "a", 1)
    put(three[region], "a", 2)
    table = described(three[region])
    unprotect(three[region])
    told = three[region].update_table(**leaving(region))["TableDescription"]
    assert told["TableStatus"] == "UPDATING"
    settle(cloud)
    left = described(three[region])
    assert GLOBAL.isdisjoint(left)
    assert (left["TableId"], left["TableStatus"]) == (table["TableId"], "ACTIVE")
    for each in others:
        assert statuses(three[each]) == dict.fromkeys({"", *others} - {each}, "ACTIVE")
        assert held(three[each]) == [item("a", 1), item("a", 2)]
    put(three[others[1]], "b", 1)
    put(three[region], "b", 2)
    settle(cloud)
    assert held(three[region]) == [item("a", 1), item("a", 2), item("b", 2)]
    assert held(three[others[0]]) == [item("a", 1), item("a", 2), item("b", 1)]


def test_of_two_replicas_both_become_tables_of_their_own(cloud: Cloud, two: Regions) -> None:
    put(two[WEST], "a", 1)
    unprotect(two[EAST])
    two[EAST].update_table(**leaving(EAST))
    settle(cloud)
    for region in (WEST, EAST):
        assert GLOBAL.isdisjoint(described(two[region]))
        assert held(two[region]) == [item("a", 1)]
    two[EAST].delete_table(TableName="tab")
    put(two[WEST], "a", 2)
    assert len(held(two[WEST])) == 2


def test_one_that_left_may_be_made_a_replica_only_anew(
    cloud: Cloud, two: Regions, refusal: Any
) -> None:
    unprotect(two[EAST])
    two[EAST].update_table(**leaving(EAST))
    settle(cloud)
    given = {"TableName": "tab", "ReplicaUpdates": [{"Create": {"RegionName": EAST}}]}
    assert "already existed as tables" in refusal(two[WEST].update_table, **given)[2]
    two[EAST].delete_table(TableName="tab")
    add(two[WEST], EAST)
    settle(cloud)
    assert described(two[EAST])["DisassociationProtectionEnabled"]
    drop(two[WEST], EAST)


def test_a_replica_is_protected_until_that_is_turned_off_alone(two: Regions, refusal: Any) -> None:
    client = two[EAST]
    assert described(client)["DisassociationProtectionEnabled"]
    assert "protected against disassociation" in refusal(client.update_table, **leaving(EAST))[2]
    both = {"DisassociationProtectionEnabled": False, "DeletionProtectionEnabled": False}
    assert refusal(client.update_table, TableName="tab", **both)[1] == "ValidationException"
    unprotect(client)
    assert not described(client)["DisassociationProtectionEnabled"]
    assert described(two[WEST])["DisassociationProtectionEnabled"]
    client.update_table(TableName="tab", DisassociationProtectionEnabled=True)
    assert "protected against disassociation" in refusal(client.update_table, **leaving(EAST))[2]


def test_only_the_replica_of_the_region_leaves_and_alone(two: Regions, refusal: Any) -> None:
    unprotect(two[EAST])
    told = refusal(two[WEST].update_table, **leaving(EAST))
    assert told[:2] == (400, "ValidationException")
    assert "in its own region" in told[2]
    several = leaving(EAST)
    several["ReplicaUpdates"].append({"Create": {"RegionName": SOUTH}})
    assert refusal(two[EAST].update_table, **several)[1] == "ValidationException"
    assert len(described(two[EAST])["Replicas"]) == 1


def test_a_table_that_is_no_replica_has_nothing_to_leave(at: Regions, refusal: Any) -> None:
    make(at[WEST])
    off = {"TableName": "tab", "DisassociationProtectionEnabled": False}
    assert refusal(at[WEST].update_table, **off)[1] == "ValidationException"
    assert "were not part of" in refusal(at[WEST].update_table, **leaving(WEST))[2]
    assert "DisassociationProtectionEnabled" not in described(at[WEST])


def test_a_strongly_consistent_replica_does_not_leave(
    cloud: Cloud, at: Regions, refusal: Any
) -> None:
    make(at[WEST])
    updates = [{"Create": {"RegionName": region}} for region in (EAST, SOUTH)]
    given = {"TableName": "tab", "ReplicaUpdates": updates}
    at[WEST].update_table(**given, MultiRegionConsistency="STRONG")
    settle(cloud)
    assert refusal(at[WEST].update_table, **leaving(WEST))[1] == "ValidationException"
    assert "DisassociationProtectionEnabled" not in described(at[WEST])


def test_leaving_needs_a_right_of_its_own(
    as_user: Callable[..., Any], cloud: Cloud, refusal: Any
) -> None:
    """API Reference, UpdateTable: DisassociateTableReplica on the local replica."""
    make(cloud.client("dynamodb"))
    deny = {"Effect": "Deny", "Action": "dynamodb:DisassociateTableReplica"}
    client = as_user({"Action": "dynamodb:*"}, deny)
    told = refusal(client.update_table, **leaving("us-east-1"))
    assert told[1] == "AccessDeniedException"
    assert "DisassociateTableReplica" in told[2]
