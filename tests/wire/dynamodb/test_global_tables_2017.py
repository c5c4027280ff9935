"""The operations on global tables of 2017, which find none and make none.

Source: answers of AWS in October 2026 (ack-api-quirks, DDB-GLOBALTABLE-001 to 004 and
DDB-GLOBALTABLESETTINGS-001).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, Regions, make

INVALID = "One or more parameter values were invalid"
NOT_SUPPORTED = (
    f"{INVALID}: DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB"
    " global tables version 2019.11.21, instead of version 2017.11.29 (Legacy)."
)
MISSING = "Global table with name: 'tab' does not exist."
GROUP = [{"RegionName": WEST}, {"RegionName": EAST}]
NAMED = {"GlobalTableName": "tab"}


def test_no_global_table_of_2017_is_made(at: Regions, refusal: Any) -> None:
    make(at[WEST])
    make(at[EAST])
    given = {**NAMED, "ReplicationGroup": GROUP}
    told = (400, "ValidationException", NOT_SUPPORTED)
    assert refusal(at[WEST].create_global_table, **given) == told
    assert refusal(at[WEST].create_global_table, **{**given, "GlobalTableName": "none"}) == told
    update = {"ReplicaUpdates": [{"Create": {"RegionName": EAST}}], **NAMED}
    assert refusal(at[WEST].update_global_table, **update) == told


def test_where_there_never_were_any_the_refusal_says_where_there_were(
    at: Regions, refusal: Any
) -> None:
    status, code, message = refusal(at[SOUTH].create_global_table, **NAMED, ReplicationGroup=GROUP)
    assert (status, code) == (400, "ValidationException")
    assert "is not supported in this region 'ap-south-1', supported regions are : [eu-" in message


def test_no_global_table_of_2017_is_found(two: Regions, refusal: Any) -> None:
    """Neither by a name of 2017 nor by that of a table whose replicas were made since 2019."""
    west = two[WEST]

    def found(call: Callable[..., Any], **members: Any) -> str:
        status, code, message = refusal(call, **NAMED, **members)
        assert (status, code) == (400, "GlobalTableNotFoundException")
        return str(message)

    update = [{"Delete": {"RegionName": EAST}}]
    assert found(west.describe_global_table) == f"Global table not found: {MISSING}"
    assert found(west.update_global_table, ReplicaUpdates=update) == (
        f"Global table not found: {MISSING}"
    )
    assert found(west.describe_global_table_settings) == MISSING
    changed = [{"RegionName": EAST}]
    assert found(west.update_global_table_settings, ReplicaSettingsUpdate=changed) == MISSING
    assert found(west.update_global_table_settings, GlobalTableBillingMode="PROVISIONED") == MISSING


def test_nothing_is_not_added_to_a_global_table_of_2017(dynamodb: Any, refusal: Any) -> None:
    told = (400, "ValidationException", INVALID)
    assert refusal(dynamodb.update_global_table, **NAMED, ReplicaUpdates=[]) == told


def test_global_tables_of_2017_are_listed_as_none(two: Regions) -> None:
    for members in ({}, {"RegionName": EAST}, {"Limit": 1}):
        answer = two[WEST].list_global_tables(**members)
        assert answer["GlobalTables"] == []
        assert "LastEvaluatedGlobalTableName" not in answer


def test_who_may_not_touch_a_replica_makes_no_global_table_of_2017(
    as_user: Callable[..., Any], refusal: Any
) -> None:
    """The global table and the table of every region are asked for: one of them is denied."""
    action = "dynamodb:CreateGlobalTable"
    denied = "arn:aws:dynamodb:us-east-1:*:table/tab"
    client = as_user({"Action": action}, {"Effect": "Deny", "Action": action, "Resource": denied})
    given = {"GlobalTableName": "tab", "ReplicationGroup": GROUP}
    status, code, message = refusal(client.create_global_table, **given)
    assert (status, code) == (400, "AccessDeniedException")
    assert "us-east-1" in message
    told = refusal(client.create_global_table, **{**given, "ReplicationGroup": GROUP[:1]})
    assert told[:2] == (400, "ValidationException")
