from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.services.application_autoscaling import SERVICE as SCALING
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud

WRITES = "dynamodb:table:WriteCapacityUnits"
READS = "dynamodb:table:ReadCapacityUnits"
OF_TABLE = {"ServiceNamespace": "dynamodb", "ResourceId": "table/tab", "ScalableDimension": WRITES}
TRACKED = {
    "PolicyName": "keep",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "DynamoDBWriteCapacityUtilization"
        },
    },
}


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud of these services, whose bodies all run twice; a parameter gives quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[SCALING, DYNAMODB, IAM, STS], replay=True, config=config) as made:
        yield made


@pytest.fixture
def scaling(cloud: Cloud) -> Any:
    return cloud.client("application-autoscaling")


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    return cloud.client("dynamodb")


@pytest.fixture
def make_table(dynamodb: Any) -> Callable[..., None]:
    """Make a table with a global index, each of so many units to read and to write."""

    def made(name: str = "tab", units: int = 5) -> None:
        throughput = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": each, "AttributeType": "S"} for each in ("p", "g")
            ],
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

    return made


@pytest.fixture
def table(make_table: Callable[..., None]) -> str:
    make_table()
    return "tab"


@pytest.fixture
def register(scaling: Any) -> Callable[..., str]:
    """Register the writes of the table, or what is given; return the target's ARN."""

    def registered(low: int = 1, high: int = 100, **given: Any) -> str:
        arn: str = scaling.register_scalable_target(
            **{**OF_TABLE, "MinCapacity": low, "MaxCapacity": high, **given}
        )["ScalableTargetARN"]
        return arn

    return registered


@pytest.fixture
def units(dynamodb: Any) -> Callable[..., tuple[int, int]]:
    """Return the units of reads and writes that the table, or its index, has now."""

    def of(name: str = "tab", *, index: bool = False) -> tuple[int, int]:
        found = dynamodb.describe_table(TableName=name)["Table"]
        owner = found["GlobalSecondaryIndexes"][0] if index else found
        throughput = owner["ProvisionedThroughput"]
        return throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]

    return of


@pytest.fixture
def activities(scaling: Any) -> Callable[..., list[Any]]:
    """Return the activities, the newest first."""

    def told(**given: Any) -> list[Any]:
        found: list[Any] = scaling.describe_scaling_activities(
            ServiceNamespace="dynamodb", **given
        )["ScalingActivities"]
        return found

    return told


@pytest.fixture
def as_user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user with statements, of every resource unless they say; return its clients."""

    def made(*statements: dict[str, Any], name: str = "alice") -> Callable[[str], Any]:
        found = [{"Effect": "Allow", "Resource": "*", **each} for each in statements]
        keys = cloud.create_user(name, {"Version": "2012-10-17", "Statement": found})
        return lambda service: cloud.client(service, credential=keys)

    return made


@pytest.fixture
def deny_table(dynamodb: Any, cloud: Cloud) -> Callable[[str], None]:
    """Have the table's own policy deny an action to the service-linked role."""

    def denied(action: str) -> None:
        account = cloud.account.principal.account
        arn = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
        role = (
            f"arn:aws:iam::{account}:role/aws-service-role/"
            "dynamodb.application-autoscaling.amazonaws.com/"
            "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
        )
        statement = {
            "Effect": "Deny",
            "Principal": {"AWS": role},
            "Action": action,
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        dynamodb.put_resource_policy(ResourceArn=arn, Policy=policy)

    return denied
