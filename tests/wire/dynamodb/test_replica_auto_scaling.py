"""Auto scaling of global tables: what others measured on AWS (ack-api-quirks, the findings named)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.wire.dynamodb.regions import EAST, WEST, settle

from fogbank.services.application_autoscaling import SERVICE as SCALING
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud

OFF = {"AutoScalingDisabled": True, "ScalingPolicies": []}
READS, WRITES = (
    f"ReplicaProvisioned{kind}CapacityAutoScalingSettings" for kind in ("Read", "Write")
)


def settings(low: int = 1, high: int = 10, name: str = "", **given: Any) -> dict[str, Any]:
    policy = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0, **given}}
    if name:
        policy["PolicyName"] = name  # type: ignore[assignment]
    return {"MinimumUnits": low, "MaximumUnits": high, "ScalingPolicyUpdate": policy}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(services=[SCALING, DYNAMODB, IAM, STS], replay=True) as made:
        yield made


@pytest.fixture
def tables(cloud: Cloud) -> dict[str, Any]:
    """Make a provisioned global table with an index in two regions; return their clients."""
    clients = {region: cloud.client("dynamodb", region=region) for region in (EAST, WEST)}
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    clients[EAST].create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in "pg"],
        ProvisionedThroughput=throughput,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "byg",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": throughput,
            }
        ],
    )
    create = {"Create": {"RegionName": WEST}}
    clients[EAST].update_table(TableName="tab", ReplicaUpdates=[create])
    settle(cloud)
    return clients


@pytest.fixture
def told(tables: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Return how each replica is scaled, by region, as a region tells it."""

    def by_region(region: str = EAST) -> dict[str, Any]:
        reply = tables[region].describe_table_replica_auto_scaling(TableName="tab")
        description = reply["TableAutoScalingDescription"]
        assert (description["TableName"], description["TableStatus"]) == ("tab", "ACTIVE")
        return {each["RegionName"]: each for each in description["Replicas"]}

    return by_region


def test_a_global_table_that_was_never_scaled_says_so(told: Any) -> None:
    """DDB-TABLE-189."""
    found = told()
    assert list(found) == [WEST, EAST]
    index = {
        "IndexName": "byg",
        "IndexStatus": "ACTIVE",
        "ProvisionedReadCapacityAutoScalingSettings": OFF,
        "ProvisionedWriteCapacityAutoScalingSettings": OFF,
    }
    for region, each in found.items():
        assert each == {
            "RegionName": region,
            "ReplicaStatus": "ACTIVE",
            READS: OFF,
            WRITES: OFF,
            "GlobalSecondaryIndexes": [index],
        }


def test_writes_are_scaled_in_all_replicas_and_reads_in_one(
    cloud: Cloud, tables: dict[str, Any], told: Any, account: str
) -> None:
    """DDB-TABLE-237 and 314."""
    tables[EAST].update_table_replica_auto_scaling(
        TableName="tab",
        ProvisionedWriteCapacityAutoScalingUpdate=settings(6, 12, "mine", ScaleInCooldown=120),
        GlobalSecondaryIndexUpdates=[
            {"IndexName": "byg", "ProvisionedWriteCapacityAutoScalingUpdate": settings(2)}
        ],
        ReplicaUpdates=[
            {
                "RegionName": WEST,
                "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings(7),
                "ReplicaGlobalSecondaryIndexUpdates": [
                    {"IndexName": "byg", "ProvisionedReadCapacityAutoScalingUpdate": settings(3)}
                ],
            }
        ],
    )
    cloud.settle()
    found = told(WEST)
    assert told() == found
    tracking = {"TargetValue": 70.0, "ScaleInCooldown": 120}
    for each in found.values():
        role = each[WRITES].pop("AutoScalingRoleArn")
        assert role.startswith(f"arn:aws:iam::{account}:role/aws-service-role/dynamodb.")
        assert each[WRITES] == {
            "MinimumUnits": 6,
            "MaximumUnits": 12,
            "ScalingPolicies": [
                {"PolicyName": "mine", "TargetTrackingScalingPolicyConfiguration": tracking}
            ],
        }
        [index] = each["GlobalSecondaryIndexes"]
        [policy] = index["ProvisionedWriteCapacityAutoScalingSettings"]["ScalingPolicies"]
        name = "DynamoDBWriteCapacityUtilization:table/tab/index/byg"
        assert policy["PolicyName"] == name
    assert found[EAST][READS] == OFF
    [policy] = found[WEST][READS]["ScalingPolicies"]
    assert policy["PolicyName"] == "DynamoDBReadCapacityUtilization:table/tab"
    scaling = cloud.client("application-autoscaling", region=WEST)
    targets = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert sorted(each["MinCapacity"] for each in targets) == [2, 3, 6, 7]


def test_a_policy_of_another_name_takes_the_place_of_the_old_one(
    cloud: Cloud, tables: dict[str, Any], told: Any
) -> None:
    """DDB-TABLE-240 and 198."""
    update = tables[EAST].update_table_replica_auto_scaling
    for given in (settings(name="p1"), settings(name="p2", DisableScaleIn=True)):
        update(TableName="tab", ProvisionedWriteCapacityAutoScalingUpdate=given)
    for each in told().values():
        [policy] = each[WRITES]["ScalingPolicies"]
        assert policy["PolicyName"] == "p2"
    for _ in range(2):
        end = {"AutoScalingDisabled": True}
        update(TableName="tab", ProvisionedWriteCapacityAutoScalingUpdate=end)
        assert [each[WRITES] for each in told().values()] == [OFF, OFF]
    for region in (EAST, WEST):
        scaling = cloud.client("application-autoscaling", region=region)
        found = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")
        assert found["ScalableTargets"] == []


def test_a_target_without_a_policy_is_not_told_of(
    cloud: Cloud, tables: dict[str, Any], told: Any
) -> None:
    """DDB-TABLE-195."""
    assert tables
    cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="dynamodb",
        ResourceId="table/tab",
        ScalableDimension="dynamodb:table:WriteCapacityUnits",
        MinCapacity=2,
        MaxCapacity=12,
    )
    assert [each[WRITES] for each in told().values()] == [OFF, OFF]


def test_what_is_not_there_is_not_scaled(tables: dict[str, Any], refusal: Any) -> None:
    """DDB-TABLE-187 and 323."""
    client = tables[EAST]
    update = client.update_table_replica_auto_scaling
    of_index = {"IndexName": "none", "ProvisionedWriteCapacityAutoScalingUpdate": settings()}
    _, code, message = refusal(update, TableName="tab", GlobalSecondaryIndexUpdates=[of_index])
    assert code == "ResourceNotFoundException"
    assert message == (
        "Failed to update settings for global table with name: \u2018tab\u2019 because the global"
        " secondary indexes with names: \u2018[none]\u2019 do not exist."
    )
    reads = {"IndexName": "none", "ProvisionedReadCapacityAutoScalingUpdate": settings()}
    replica = {"RegionName": WEST, "ReplicaGlobalSecondaryIndexUpdates": [reads]}
    _, code, message = refusal(update, TableName="tab", ReplicaUpdates=[replica])
    assert code == "ResourceNotFoundException"
    assert message.endswith(
        "a global secondary index with name: \u2018none\u2019 does not exist in region:"
        f" \u2018{WEST}\u2019."
    )
    _, code, _ = refusal(update, TableName="tab", ReplicaUpdates=[{"RegionName": "us-west-2"}])
    assert code == "ResourceNotFoundException"
    client.create_table(
        TableName="alone",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for call in (update, client.describe_table_replica_auto_scaling):
        _, code, message = refusal(call, TableName="alone")
        assert code == "ResourceNotFoundException"
        assert message == "Global table with name: \u2018alone\u2019 does not exist."


def test_what_application_auto_scaling_refuses_is_refused(
    tables: dict[str, Any], refusal: Any, as_user: Any, told: Any
) -> None:
    write = {"ProvisionedWriteCapacityAutoScalingUpdate": settings(9, 3)}
    update = tables[EAST].update_table_replica_auto_scaling
    _, code, message = refusal(update, TableName="tab", **write)
    assert (code, message) == (
        "ValidationException",
        "Maximum capacity cannot be less than minimum capacity",
    )
    user = as_user({"Action": "dynamodb:*"})
    good = {"ProvisionedWriteCapacityAutoScalingUpdate": settings()}
    _, code, message = refusal(user.update_table_replica_auto_scaling, TableName="tab", **good)
    assert code == "AccessDeniedException"
    assert "application-autoscaling:RegisterScalableTarget" in message
    assert [each[WRITES] for each in told().values()] == [OFF, OFF]


def test_a_table_on_demand_is_not_scaled_and_its_settings_stay(
    tables: dict[str, Any], told: Any, refusal: Any
) -> None:
    """DDB-TABLE-317."""
    update = tables[EAST].update_table_replica_auto_scaling
    read = {"RegionName": EAST, "ReplicaProvisionedReadCapacityAutoScalingUpdate": settings()}
    update(TableName="tab", ReplicaUpdates=[read])
    tables[EAST].update_table(TableName="tab", BillingMode="PAY_PER_REQUEST")
    found = told()[EAST][READS]
    assert (found["AutoScalingDisabled"], found["MinimumUnits"]) == (True, 1)
    _, code, message = refusal(update, TableName="tab", ReplicaUpdates=[read])
    assert code == "ValidationException"
    assert message.startswith(
        "Failed to update global table with name \u2018tab\u2018. Replicas 'EU-WEST-1', 'US-EAST-1'"
        " BillingMode is PayPerRequest."
    )
    end = {**read, "ReplicaProvisionedReadCapacityAutoScalingUpdate": {"AutoScalingDisabled": True}}
    update(TableName="tab", ReplicaUpdates=[end])
    assert told()[EAST][READS] == OFF


@pytest.mark.slow
def test_a_replica_to_which_all_writes_are_brought_is_raised_and_not_lowered_by_its_quiet(
    cloud: Cloud, tables: dict[str, Any]
) -> None:
    """AWS: a replicated write consumes units in every region."""
    scaled = {"ProvisionedWriteCapacityAutoScalingUpdate": settings(1, 50)}
    tables[EAST].update_table_replica_auto_scaling(TableName="tab", **scaled)
    body = {"p": {"S": "a"}, "b": {"S": "x" * 276_000}}
    for _ in range(18):
        tables[EAST].put_item(TableName="tab", Item=body)
        cloud.advance(60_000)
    for region in (EAST, WEST):
        found = tables[region].describe_table(TableName="tab")["Table"]["ProvisionedThroughput"]
        assert found["WriteCapacityUnits"] == 7
