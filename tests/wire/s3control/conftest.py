from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

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


@pytest.fixture
def limited(client: Any) -> Callable[..., Any]:
    """Return a way to make a client of a user who has one policy, of some statements."""
    iam = client("iam")

    def make(*statements: Any) -> Any:
        name = f"user{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return client("s3", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    return make


@pytest.fixture
def other(cloud: Cloud) -> Any:
    """Return the root of another account."""
    return cloud.run(cloud.app.identity.create_account("other"))


@pytest.fixture
def anonymous(client: Any) -> Any:
    """Return a client that signs nothing."""
    return client("s3", config=Config(signature_version=UNSIGNED))
