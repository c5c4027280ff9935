"""Scalable targets: API Reference, RegisterScalableTarget and its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.application_autoscaling.conftest import OF_TABLE, READS, WRITES

from fogbank.testing.cloud import Cloud

ROLE = (
    "role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)


def test_a_target_is_registered_told_of_and_deregistered(
    scaling: Any, table: str, register: Callable[..., str], account: str, refusal: Any
) -> None:
    assert table == "tab"
    arn = register(2, 40)
    assert arn.startswith(f"arn:aws:application-autoscaling:us-east-1:{account}:scalable-target/")
    assert len(arn.rpartition("/")[2]) == 36
    [told] = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert told.pop("CreationTime")
    assert told == {
        **OF_TABLE,
        "MinCapacity": 2,
        "MaxCapacity": 40,
        "RoleARN": f"arn:aws:iam::{account}:{ROLE}",
        "SuspendedState": {
            "DynamicScalingInSuspended": False,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        },
        "ScalableTargetARN": arn,
    }
    scaling.deregister_scalable_target(**OF_TABLE)
    assert not scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    code, message = refusal(scaling.deregister_scalable_target, **OF_TABLE)
    assert code == "ObjectNotFoundException"
    assert message == (
        "No scalable target found for service namespace: dynamodb, resource ID: table/tab,"
        f" scalable dimension: {WRITES}"
    )


def test_registering_again_changes_what_is_named_and_nothing_else(
    scaling: Any, table: str, register: Callable[..., str]
) -> None:
    assert table == "tab"
    arn = register(2, 40, SuspendedState={"ScheduledScalingSuspended": True})
    given = {"MaxCapacity": 50, "SuspendedState": {"DynamicScalingInSuspended": True}}
    again = scaling.register_scalable_target(**OF_TABLE, **given)
    assert again["ScalableTargetARN"] == arn
    [told] = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (2, 50)
    assert told["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": True,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"MinCapacity": 1}, "Maximum capacity must be specified"),
        ({"MaxCapacity": 1}, "Minimum capacity must be specified"),
        ({"MinCapacity": 5, "MaxCapacity": 4}, "Maximum capacity cannot be less than minimum"),
        ({"MinCapacity": -1, "MaxCapacity": 4}, "Minimum capacity cannot be less than 0"),
        ({"MinCapacity": 0, "MaxCapacity": 4}, "Minimum capacity must be at least 1"),
        ({"MinCapacity": 1, "MaxCapacity": 4, "RoleARN": "me"}, "'me' is not a valid ARN"),
        (
            {"MinCapacity": 1, "MaxCapacity": 4, "ResourceId": "table/none"},
            "DynamoDB table does not exist: table/none",
        ),
        (
            {
                "MinCapacity": 1,
                "MaxCapacity": 4,
                "ResourceId": "table/tab/index/none",
                "ScalableDimension": "dynamodb:index:WriteCapacityUnits",
            },
            "DynamoDB index does not exist: table/tab/index/none",
        ),
        ({"ResourceId": "tab"}, "Unsupported service namespace, resource type or scalable"),
        ({"ResourceId": "table/tab/index/byg"}, "Unsupported service namespace, resource type"),
        ({"ServiceNamespace": "ecs"}, "Unsupported service namespace, resource type or scalable"),
    ],
)
def test_what_can_be_no_target_is_refused(
    scaling: Any, table: str, refusal: Any, given: dict[str, Any], message: str
) -> None:
    assert table == "tab"
    code, said = refusal(scaling.register_scalable_target, **{**OF_TABLE, **given})
    assert (code, said[: len(message)]) == ("ValidationException", message)


def test_what_other_services_scale_is_not_built(scaling: Any, refusal: Any) -> None:
    given = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/a/b",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    code, message = refusal(scaling.register_scalable_target, **given)
    assert (code, message) == (
        "NotImplemented",
        "fogbank has not built the scaling of ecs:service:DesiredCount",
    )
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_a_capacity_outside_the_bounds_is_brought_within_them_at_once(
    cloud: Cloud,
    scaling: Any,
    table: str,
    register: Callable[..., str],
    units: Callable[..., tuple[int, int]],
    activities: Callable[..., list[Any]],
) -> None:
    """Source: ack-api-quirks, DDB-TABLE-314: the words are those of AWS."""
    assert table == "tab"
    register(10, 20)
    cloud.settle()
    assert units() == (5, 10)
    [told] = activities()
    assert (told["Description"], told["Cause"], told["StatusMessage"], told["StatusCode"]) == (
        "Setting write capacity units to 10.",
        "minimum capacity was set to 10",
        "Successfully set write capacity units to 10. Change successfully fulfilled by dynamodb.",
        "Successful",
    )
    assert told["EndTime"] >= told["StartTime"]
    cloud.advance(1_000)
    scaling.register_scalable_target(**OF_TABLE, MinCapacity=1, MaxCapacity=4)
    cloud.settle()
    assert units() == (5, 4)
    assert activities()[0]["Cause"] == "maximum capacity was set to 4"
    scaling.register_scalable_target(**OF_TABLE, MaxCapacity=9)
    cloud.settle()
    assert len(activities()) == 2


def test_reads_and_writes_of_a_table_and_its_index_are_targets_of_their_own(
    cloud: Cloud,
    scaling: Any,
    table: str,
    register: Callable[..., str],
    units: Callable[..., tuple[int, int]],
) -> None:
    assert table == "tab"
    index = {"ResourceId": "table/tab/index/byg"}
    register(6, 9)
    register(7, 9, ScalableDimension=READS)
    register(8, 9, **index, ScalableDimension="dynamodb:index:WriteCapacityUnits")
    register(9, 9, **index, ScalableDimension="dynamodb:index:ReadCapacityUnits")
    cloud.settle()
    assert (units(), units(index=True)) == ((7, 6), (9, 8))
    pages = scaling.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace="dynamodb", PaginationConfig={"PageSize": 1}
    )
    found = [each["ScalableDimension"] for page in pages for each in page["ScalableTargets"]]
    assert found == [
        READS,
        WRITES,
        *(each.replace(":table:", ":index:") for each in (READS, WRITES)),
    ]
    of_index = scaling.describe_scalable_targets(
        ServiceNamespace="dynamodb", ResourceIds=["table/tab/index/byg", "table/none"]
    )["ScalableTargets"]
    assert [each["MinCapacity"] for each in of_index] == [9, 8]
    [one] = scaling.describe_scalable_targets(
        ServiceNamespace="dynamodb", ResourceIds=["table/tab"], ScalableDimension=READS
    )["ScalableTargets"]
    assert one["MinCapacity"] == 7


def test_a_table_on_demand_is_registered_and_left_alone(
    cloud: Cloud, dynamodb: Any, register: Callable[..., str], activities: Callable[..., list[Any]]
) -> None:
    dynamodb.create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    register(10, 20)
    cloud.settle()
    assert activities() == []


def test_who_may_not_see_a_table_or_make_the_role_scales_nothing(
    table: str, as_user: Callable[..., Any], refusal: Any
) -> None:
    assert table == "tab"
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    registers = {"Action": "application-autoscaling:*"}
    makes = {"Action": "iam:CreateServiceLinkedRole"}
    sees = {"Action": "dynamodb:DescribeTable"}
    for name, statements, missing in (
        ("bob", [makes, sees], "application-autoscaling:RegisterScalableTarget"),
        ("eve", [registers, sees], "iam:CreateServiceLinkedRole"),
        ("mal", [registers, makes], "dynamodb:DescribeTable"),
    ):
        client = as_user(*statements, name=name)("application-autoscaling")
        code, message = refusal(client.register_scalable_target, **OF_TABLE, **bounds)
        assert code in {"AccessDeniedException", "AccessDenied"}
        assert f"perform: {missing}" in message
    client = as_user(registers, makes, sees, name="alice")("application-autoscaling")
    client.register_scalable_target(**OF_TABLE, **bounds)


def test_another_role_is_passed_and_never_used(
    scaling: Any, table: str, register: Callable[..., str], as_user: Callable[..., Any],
    account: str, refusal: Any,
) -> None:  # fmt: skip
    """Source: API Reference, ``RoleARN``: where a service-linked role is supported, it is used."""
    assert table == "tab"
    role = f"arn:aws:iam::{account}:role/mine"
    register(RoleARN=role)
    [told] = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
    assert told["RoleARN"].endswith(ROLE)
    statements = [{"Action": ["application-autoscaling:*", "dynamodb:DescribeTable"]}]
    client = as_user(*statements)("application-autoscaling")
    code, message = refusal(client.register_scalable_target, **OF_TABLE, RoleARN=role)
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in message
    client.register_scalable_target(**OF_TABLE, RoleARN=told["RoleARN"])


def test_a_target_is_allowed_by_its_arn_its_namespace_its_dimension_and_its_tags(
    table: str, register: Callable[..., str], as_user: Callable[..., Any], refusal: Any
) -> None:
    assert table == "tab"
    arn = register(Tags={"team": "red"})
    key = "application-autoscaling"
    conditions = {
        "right": {"StringEquals": {f"{key}:scalable-dimension": WRITES, f"{key}:service-namespace": "dynamodb"}},
        "wrong": {"StringEquals": {f"{key}:scalable-dimension": READS}},
        "red": {"StringEquals": {"aws:ResourceTag/team": "red"}},
        "blue": {"StringEquals": {"aws:ResourceTag/team": "blue"}},
    }  # fmt: skip
    for name, condition in conditions.items():
        statement = {"Action": f"{key}:*", "Resource": arn, "Condition": condition}
        client = as_user(statement, name=name)(key)
        if name in {"right", "red"}:
            assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] if name == "red" else True
            with pytest.raises(ClientError, match="No scaling policy found"):
                client.delete_scaling_policy(PolicyName="none", **OF_TABLE)
        else:
            code, _ = refusal(client.delete_scaling_policy, PolicyName="none", **OF_TABLE)
            assert code == "AccessDeniedException"


@pytest.mark.parametrize("cloud", [{"application-autoscaling.targets_max": 1}], indirect=True)
def test_there_are_only_so_many_targets(
    table: str, register: Callable[..., str], scaling: Any, refusal: Any
) -> None:
    assert table == "tab"
    register()
    given = {**OF_TABLE, "ScalableDimension": READS, "MinCapacity": 1, "MaxCapacity": 2}
    assert refusal(scaling.register_scalable_target, **given)[0] == "LimitExceededException"
    scaling.deregister_scalable_target(**OF_TABLE)
    scaling.register_scalable_target(**given)
