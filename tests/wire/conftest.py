from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud


@pytest.fixture
def account(cloud: Cloud) -> str:
    return cloud.account.principal.account


@pytest.fixture
def refusal() -> Callable[..., tuple[str, str]]:
    """Return a way to make a call that must fail, and to hear its code and message."""

    def refused(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            call(**given)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return refused


@pytest.fixture
def limited(client: Any) -> Callable[..., Any]:
    """Return a way to make a client, of S3 if no other, for a user with a policy of some statements."""
    iam = client("iam")

    def make(*statements: Any, api: str = "s3") -> Any:
        name = f"user{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return client(api, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    return make


@pytest.fixture
def other(cloud: Cloud) -> Any:
    """Return the root of another account."""
    return cloud.run(cloud.app.identity.create_account("other"))


@pytest.fixture
def anonymous(client: Any) -> Any:
    """Return a client of S3 that signs nothing."""
    return client("s3", config=Config(signature_version=UNSIGNED))
