from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


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
