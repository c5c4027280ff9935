"""What may be asked of replicas, in which words it is refused, and what it needs to be allowed.

Source: what others measured on AWS in October 2026 (ack-api-quirks, DDB-TABLE-203 to 307); Developer
Guide, "DynamoDB global tables security".
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, Regions, make

from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

NO_ACTION = "There are no actions specified in the Replica Update Action of the request."
NOT_PART = (
    "Update global table operation failed because one or more replicas were not part of the global"
    " table. Please retry the request without these replicas: [ca-central-1]."
)
EXISTS = (
    "Failed to create a the new replica of table with name: 'tab' because one or more replicas"
    " already existed as tables."
)
LOCAL = (
    "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or"
    " UpdateTable as required."
)
ONE_KIND = "Update table operation with more than one type of replica actions not allowed."
ONE = "Update table operation with more than one create or delete replica actions not allowed"


def create(region: str, **members: Any) -> Any:
    return {"Create": {"RegionName": region, **members}}


def delete(region: str) -> Any:
    return {"Delete": {"RegionName": region}}


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ([{}], NO_ACTION),
        ([{"Update": {"RegionName": EAST}}], NO_ACTION),
        ([create(EAST)], EXISTS),
        ([create(WEST)], LOCAL),
        ([delete(WEST)], LOCAL),
        ([delete("ca-central-1")], NOT_PART),
        ([{"Update": {"RegionName": "ca-central-1", "TableClassOverride": "STANDARD"}}], NOT_PART),
        ([create(SOUTH) | delete(EAST)], ONE_KIND),
        ([create(SOUTH), create("ca-central-1")], ONE),
        ([create("us-fake-1")], "Region us-fake-1 is not supported."),
        ([create("EU-WEST-1")], "Region EU-WEST-1 is not supported."),
        ([create("cn-north-1")], "Region cn-north-1 is not supported."),
        (
            [
                {
                    "Update": {
                        "RegionName": EAST,
                        "ProvisionedThroughputOverride": {"ReadCapacityUnits": 3},
                    }
                }
            ],
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified",
        ),
    ],
)
def test_what_is_asked_of_replicas_is_checked_in_the_words_of_dynamodb(
    two: Regions, refusal: Any, updates: Any, words: str
) -> None:
    """ack-api-quirks, DDB-TABLE-203, 223, 265 and 307."""
    given = {"TableName": "tab", "ReplicaUpdates": updates}
    status, code, message = refusal(two[WEST].update_table, **given)
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(words)


def test_replicas_are_changed_alone(two: Regions, refusal: Any) -> None:
    """ack-api-quirks, DDB-TABLE-224."""
    given = {
        "TableName": "tab",
        "ReplicaUpdates": [create(SOUTH)],
        "DeletionProtectionEnabled": True,
    }
    words = (
        "One or more parameter values were invalid: Replica modification must be the only operation"
        " in the request"
    )
    assert refusal(two[WEST].update_table, **given) == (400, "ValidationException", words)


def test_a_replica_does_not_take_the_place_of_a_table(at: Regions, refusal: Any) -> None:
    """ack-api-quirks, DDB-TABLE-225."""
    make(at[WEST])
    make(at[EAST])
    given = {"TableName": "tab", "ReplicaUpdates": [create(EAST)]}
    words = (400, "ValidationException", EXISTS)
    assert refusal(at[WEST].update_table, **given) == words


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({"KMSMasterKeyId": "key"}, "ReplicaUpdates.Create.KMSMasterKeyId"),
        (
            {"OnDemandThroughputOverride": {"MaxReadRequestUnits": 5}},
            "ReplicaUpdates.Create.OnDemandThroughputOverride",
        ),
    ],
)
def test_what_is_not_built_of_replicas_says_so(
    at: Regions, refusal: Any, given: dict[str, Any], member: str
) -> None:
    make(at[WEST])
    request: dict[str, Any] = {"TableName": "tab", "ReplicaUpdates": [create(EAST, **given)]}
    status, code, message = refusal(at[WEST].update_table, **request)
    assert (status, code) == (501, "NotImplemented")
    assert member in message


@pytest.mark.parametrize(
    "missing",
    ["CreateTable", "CreateTableReplica", "Scan", "BatchWriteItem", "DeleteTableReplica"],
)
def test_a_replica_needs_rights_in_its_own_region(
    cloud: Cloud, two: Regions, refusal: Any, missing: str
) -> None:
    """Developer Guide, "DynamoDB global tables security", "Required permissions"."""
    arn = f"arn:aws:dynamodb:*:{cloud.account.principal.account}:table/tab"
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": arn}
    deny = {
        "Effect": "Deny",
        "Action": f"dynamodb:{missing}",
        "Resource": [arn.replace("*", SOUTH), arn.replace("*", EAST)],
    }
    policy = {"Version": "2012-10-17", "Statement": [allow, deny]}
    user = cloud.create_user("user", policy)
    client = cloud.client("dynamodb", region=WEST, credential=user)
    update = delete(EAST) if missing == "DeleteTableReplica" else create(SOUTH)
    given = {"TableName": "tab", "ReplicaUpdates": [update]}
    _, code, message = refusal(client.update_table, **given)
    assert code == "AccessDeniedException"
    assert f"dynamodb:{missing}" in message
