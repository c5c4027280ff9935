from __future__ import annotations

from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config


def test_get_caller_identity_needs_no_permission_and_cannot_be_denied(
    user: Any, document: Any, account: str, iam: Any, sts: Any
) -> None:
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:root"
    alice = user("alice", document("*", "Deny"))
    found = alice("sts").get_caller_identity()
    assert found["Account"] == account
    assert found["Arn"] == f"arn:aws:iam::{account}:user/alice"
    assert found["UserId"] == iam.get_user(UserName="alice")["User"]["UserId"]


def test_an_access_key_id_says_its_account(
    cloud: Any, sts: Any, account: str, refusal: Any
) -> None:
    key = cloud.account.access_key_id
    assert sts.get_access_key_info(AccessKeyId=key)["Account"] == account
    assert refusal(sts.get_access_key_info, AccessKeyId="A" * 16)[0] == "ValidationError"


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "test"])
def test_an_unknown_key_is_refused(cloud: Any, refusal: Any, key: str) -> None:
    stranger = cloud.client("sts", access_key=key, secret_key="test")
    assert refusal(stranger.get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(cloud.client("iam", access_key=key, secret_key="t").list_users)[0] == (
        "InvalidClientTokenId"
    )


def test_a_wrong_secret_is_refused(cloud: Any, refusal: Any) -> None:
    liar = cloud.client("sts", secret_key="x" * 40)
    assert refusal(liar.get_caller_identity)[0] == "SignatureDoesNotMatch"


def test_nobody_is_refused(cloud: Any, refusal: Any) -> None:
    for service, name in (("sts", "get_caller_identity"), ("iam", "list_users")):
        client = cloud.client(service, config=Config(signature_version=UNSIGNED))
        code, _ = refusal(getattr(client, name))
        assert code in ("MissingAuthenticationToken", "AccessDenied")


def test_what_is_not_built_says_so(sts: Any, refusal: Any) -> None:
    assert refusal(sts.decode_authorization_message, EncodedMessage="x") == (
        "NotImplemented",
        "fogbank has not built sts:DecodeAuthorizationMessage",
    )
