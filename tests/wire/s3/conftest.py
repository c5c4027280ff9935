from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from fogbank.testing.cloud import Cloud


@pytest.fixture
def limited(client: Any) -> Callable[..., Any]:
    """Return a way to make a client of a user who has one policy, of some statements."""
    iam = client("iam")

    def make(*statements: Any) -> Any:
        name = f"user{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
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


@pytest.fixture
def unblocked(client: Any) -> Callable[..., Any]:
    """Return a way to make a bucket of which nothing is blocked."""

    def make(name: str, ownership: str = "ObjectWriter", **more: Any) -> Any:
        made = client("s3", **more)
        made.create_bucket(Bucket=name, ObjectOwnership=ownership)
        made.delete_public_access_block(Bucket=name)
        return made

    return make
