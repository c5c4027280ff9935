from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
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
