from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud

DAY_MS = 24 * 3_600_000
Document = dict[str, Any]


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud of these services, whose bodies all run twice; a parameter gives quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[IAM, KMS, STS], replay=True, config=config) as made:
        yield made


@pytest.fixture
def kms(cloud: Cloud) -> Any:
    return cloud.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    """Return the ARN of a key with the default policy."""
    arn: str = kms.create_key(Description="of the tests")["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def metadata(kms: Any) -> Callable[[str], Any]:
    return lambda key: kms.describe_key(KeyId=key)["KeyMetadata"]


def statement(action: Any, effect: str = "Allow", **elements: Any) -> Document:
    return {"Effect": effect, "Action": action, "Resource": "*", **elements}


def document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def key_policy(*statements: Document) -> str:
    return json.dumps(document(*statements))


def root_of(account: str) -> Document:
    return {"AWS": f"arn:aws:iam::{account}:root"}


@pytest.fixture
def user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user with statements as its policy; return its KMS client."""

    def made(name: str, *statements: Document) -> Any:
        keys = cloud.create_user(name, document(*statements) if statements else None)
        return cloud.client("kms", credential=keys)

    return made


@pytest.fixture
def stranger(cloud: Cloud) -> Any:
    """Return the KMS client of another account's root."""
    return cloud.client("kms", credential=cloud.create_account("other"))


@pytest.fixture
def other(cloud: Cloud) -> Callable[..., Any]:
    """Make another account's user; return its client and its ARN."""
    root = cloud.create_account("another")

    def made(name: str, *statements: Document) -> tuple[Any, str]:
        iam = cloud.client("iam", credential=root)
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        if statements:
            text = json.dumps(document(*statements))
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
        keys = iam.create_access_key(UserName=name)["AccessKey"]
        client = cloud.client(
            "kms", access_key=keys["AccessKeyId"], secret_key=keys["SecretAccessKey"]
        )
        return client, arn

    return made


@pytest.fixture
def leap(cloud: Cloud) -> Callable[[float], None]:
    """Let days pass at once: what is due meanwhile is done late, and nobody is woken between."""

    def leaped(days: float) -> None:
        until_ms = cloud.clock.now_ms() + int(days * DAY_MS)

        async def move() -> None:
            while cloud.clock.now_ms() < until_ms:
                cloud.clock.advance_to(until_ms)

        cloud.run(move())
        cloud.settle()

    return leaped
