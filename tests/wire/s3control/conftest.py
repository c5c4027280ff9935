from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fogbank.server.config import Config as Settings
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.services.s3 import SERVICE as S3
from fogbank.services.s3control import SERVICE as CONTROL
from fogbank.testing.cloud import Cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud of these services, whose bodies all run twice; a parameter gives quotas."""
    config = Settings(quotas=getattr(request, "param", {}))
    with Cloud(services=[IAM, KMS, S3, CONTROL], replay=True, config=config) as made:
        yield made


@pytest.fixture
def client(cloud: Cloud) -> Callable[..., Any]:
    """Return a way to make clients of that cloud."""
    return cloud.client


@pytest.fixture
def control(client: Any) -> Any:
    """Return a client of S3 Control."""
    return client("s3control")


@pytest.fixture
def s3(client: Any) -> Any:
    """Return a client of S3 with a bucket and an object."""
    made = client("s3")
    made.create_bucket(Bucket="photos")
    made.put_object(Bucket="photos", Key="k", Body=b"x")
    return made


@pytest.fixture
def point(s3: Any, control: Any, account: str) -> Any:
    """Return an access point of that bucket, as CreateAccessPoint answers it."""
    return control.create_access_point(AccountId=account, Name="front", Bucket="photos")
