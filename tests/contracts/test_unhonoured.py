"""What is not acted on is refused unless it asks for nothing: every member that an operation lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape
from tests.contracts.bodies import Answer, Bodies
from tests.contracts.made_up import placed, smallest, value_of
from tests.contracts.registry import OPERATIONS, Built, botocore_model
from tests.contracts.seeds import seed
from tests.contracts.wrong import INTEGERS, with_one_member

from fogbank.contract.operation import ANY

LISTING = [built for built in OPERATIONS if built.declared.unhonoured]
ASKING: dict[str, Any] = {
    # What asks for something, where a made-up value would break a pattern or ask for nothing.
    "CapacityProviderConfig": {
        "LambdaManagedInstancesCapacityProviderConfig": {
            "CapacityProviderArn": "arn:aws:lambda:us-east-1:123456789012:capacity-provider:x"
        }
    },
    # Of all that the model has, what every botocore computes.
    "ChecksumAlgorithm": "CRC32",
    "CodeSigningConfigArn": (
        "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdefg"
    ),
    "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:queue"},
    "DurableConfig": {"RetentionPeriodInDays": 1},
    "FileSystemConfigs": [
        {
            "Arn": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-"
            "0123456789abcdef0",
            "LocalMountPath": "/mnt/x",
        }
    ],
    "GranteeServicePrincipal": "s3.us-east-1.amazonaws.com",
    "RetiringServicePrincipal": "s3.us-east-1.amazonaws.com",
    "KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/x",
    "MasterRegion": "ALL",
    "RuntimeConfig": {
        "RuntimeArn": "arn:aws:lambda:us-east-1:123456789012:runtime/version-1",
        "RuntimeAlias": "x",
    },
    "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:0123",
    "SSESpecification": {"Enabled": True},
    "StreamSpecification": {"StreamEnabled": True},
    "TokenCode": "123456",
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": []},
    "entity": {"keyAttributes": {"a": "x", "b": "x"}},
    "accountIdentifiers": ["123456789012"],
}
every_listing = pytest.mark.parametrize("built", LISTING, ids=str)


@pytest.fixture(scope="module")
def bodies(shared: Any) -> Bodies:
    return Bodies(shared)


def shape_of(built: Built, member: str) -> Shape:
    model = botocore_model(built.service.model).operation_model(built.model.name)
    return model.input_shape.members[member]


def neutral_values(built: Built, member: str) -> list[Any]:
    neutral = built.declared.unhonoured[member]
    if neutral is ANY:
        return candidates(shape_of(built, member), member)
    values = sorted(neutral) if isinstance(neutral, frozenset) else [neutral]
    if isinstance(neutral, dict):
        values.append({})  # a structure may leave out what would be neutral
    # A null is the member's absence.
    return [value for value in values if value is not None]


def candidates(shape: Shape, member: str) -> list[Any]:
    """Return values that the model allows."""
    if member in ASKING:
        return [ASKING[member]]
    if shape.type_name == "boolean":
        return [True, False]
    if shape.metadata.get("enum"):
        return list(shape.metadata["enum"])
    if shape.type_name in INTEGERS:
        low = shape.metadata.get("min", 1)
        return [low, shape.metadata.get("max", low + 1)]
    if isinstance(shape, StructureShape):
        return [{**value_of(shape, member, 0), **with_one_member(shape)}]
    if isinstance(shape, ListShape):
        item = value_of(shape.member, member, 0)
        return [[item or with_one_member(shape.member)]]
    return [value_of(shape, member, 0)]


def others(built: Built, member: str) -> Iterator[Any]:
    """Yield values that ask for something."""
    neutral = built.declared.unhonoured[member]
    if neutral is ANY:
        return
    for value in candidates(shape_of(built, member), member):
        if not (value in neutral if isinstance(neutral, frozenset) else value == neutral):
            yield value


def answer(built: Built, bodies: Bodies, account: str, member: str, value: Any) -> Answer:
    request = smallest(built.service.model, built.model.name, account)
    return bodies.send(built, placed({**request, member: value}, account))


@every_listing
def test_a_member_that_is_not_honoured_is_refused_by_name_unless_it_asks_for_nothing(
    built: Built, bodies: Bodies, clients: Any, shared: Any
) -> None:
    account, service = shared.account.principal.account, built.service.model
    seed(service, clients, account)
    wrong: list[tuple[str, Any, Answer]] = []
    for member in built.declared.unhonoured:
        for value in neutral_values(built, member):
            heard = answer(built, bodies, account, member, value)
            if heard.status in {0, 501}:
                wrong.append((member, value, heard))
        for value in others(built, member):
            heard = answer(built, bodies, account, member, value)
            if not refused_by_name(built, member, heard):
                wrong.append((member, value, heard))
    assert wrong == []


def refused_by_name(built: Built, member: str, heard: Answer) -> bool:
    if built.model.http_method == "HEAD":
        return heard.status == 501
    words = f"fogbank has not built the member {member} of {built}"
    return heard == (501, "NotImplemented", words)
