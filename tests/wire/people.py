"""A cloud of IAM and STS, and people in it: fixtures that the tests of both services share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.services.iam import SERVICE as IAM
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Return a cloud of these two services, whose bodies all run twice."""
    with Cloud(services=[IAM, STS], replay=True) as made:
        yield made


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    return cloud.client("iam")


@pytest.fixture
def sts(cloud: Cloud) -> Any:
    return cloud.client("sts")


@pytest.fixture
def document() -> Callable[..., str]:
    def of(action: Any = "s3:*", effect: str = "Allow", **elements: Any) -> str:
        statement = {"Effect": effect, "Action": action, "Resource": "*", **elements}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    return of


@pytest.fixture
def trust() -> Callable[..., str]:
    def of(principal: Any = None, **elements: Any) -> str:
        principal = principal or {"Service": "lambda.amazonaws.com"}
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": principal,
            **elements,
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    return of


@pytest.fixture
def user(cloud: Cloud, iam: Any) -> Callable[..., Callable[[str], Any]]:
    """Make a user with a policy; return what gives its clients."""

    def made(name: str, policy: str | None = None) -> Callable[[str], Any]:
        iam.create_user(UserName=name)
        if policy is not None:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]

        def client(service: str) -> Any:
            return cloud.client(
                service, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
            )

        return client

    return made
