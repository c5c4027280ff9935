from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from fogbank.platform.store.engine import SYSTEM_PREFIX
from fogbank.platform.store.keyspace import AUDIT
from fogbank.server.config import Config
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.sts import SERVICE as STS
from fogbank.testing.cloud import Cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud of these services, whose bodies all run twice; a parameter gives quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[IAM, LOGS, STS], replay=True, config=config) as made:
        yield made


@pytest.fixture
def logs(cloud: Cloud) -> Any:
    return cloud.client("logs")


@pytest.fixture
def now_ms(cloud: Cloud) -> int:
    return cloud.clock.now_ms()


@pytest.fixture
def stream(logs: Any) -> dict[str, str]:
    """Return the names of a group and a stream in it."""
    names = {"logGroupName": "/app", "logStreamName": "one"}
    logs.create_log_group(logGroupName="/app")
    logs.create_log_stream(**names)
    return names


@pytest.fixture
def put(logs: Any) -> Callable[..., Any]:
    """Return a function that stores (time, message) pairs, and makes the stream if need be."""

    def store(*events: tuple[int, str], group: str = "/app", name: str = "one") -> Any:
        names = {"logGroupName": group, "logStreamName": name}
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(**names)
        wire = [{"timestamp": time_ms, "message": message} for time_ms, message in events]
        return logs.put_log_events(**names, logEvents=wire)

    return store


@pytest.fixture
def user(cloud: Cloud) -> Callable[..., Any]:
    """Return a function that makes a user with one statement and returns its Logs client."""
    iam = cloud.client("iam")

    def make(name: str, action: str, resource: str) -> Any:
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client(
            "logs", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    return make


def rows_of(cloud: Any) -> int:
    """Return how many rows stand, without the trail of calls."""
    trail = SYSTEM_PREFIX + bytes((AUDIT,))
    return sum(not key.startswith(trail) for key in cloud.engine.rows)
