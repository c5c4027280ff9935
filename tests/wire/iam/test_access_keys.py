from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_a_user_has_two_keys_at_most(iam: Any, refusal: Any) -> None:
    iam.create_user(UserName="alice")
    made = [iam.create_access_key(UserName="alice")["AccessKey"] for _ in range(2)]
    assert {len(key["AccessKeyId"]) for key in made} == {20}
    assert {len(key["SecretAccessKey"]) for key in made} == {40}
    assert refusal(iam.create_access_key, UserName="alice") == (
        "LimitExceeded",
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    listed = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    assert {key["AccessKeyId"] for key in listed} == {key["AccessKeyId"] for key in made}
    assert all("SecretAccessKey" not in key for key in listed)


def test_an_inactive_key_proves_nothing_at_once_and_may_come_back(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    alice = user("alice", document("iam:*"))
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    key_id = key["AccessKeyId"]
    assert alice("sts").get_caller_identity()["Arn"].endswith("user/alice")
    iam.update_access_key(UserName="alice", AccessKeyId=key_id, Status="Inactive")
    refused = refusal(alice("sts").get_caller_identity)
    assert refused == (
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    )
    assert iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    iam.update_access_key(UserName="alice", AccessKeyId=key_id, Status="Active")
    assert alice("sts").get_caller_identity()["Arn"].endswith("user/alice")
    iam.delete_access_key(UserName="alice", AccessKeyId=key_id)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        alice("sts").get_caller_identity()


def test_a_user_manages_its_own_keys_without_naming_itself(user: Any, document: Any) -> None:
    own = document("iam:*AccessKey*", Resource="arn:aws:iam::*:user/${aws:username}")
    alice = user("alice", own)("iam")
    made = alice.create_access_key()["AccessKey"]
    assert made["UserName"] == "alice"
    assert len(alice.list_access_keys()["AccessKeyMetadata"]) == 2
    alice.delete_access_key(AccessKeyId=made["AccessKeyId"])
    with pytest.raises(ClientError, match="AccessDenied"):
        alice.list_access_keys(UserName="bob")


def test_the_root_user_has_keys_too(iam: Any, cloud: Any, account: str) -> None:
    made = iam.create_access_key()["AccessKey"]
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 2
    second = cloud.client("sts", access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"])
    assert second.get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:root"
    iam.delete_access_key(AccessKeyId=made["AccessKeyId"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        second.get_caller_identity()


def test_a_key_of_another_user_cannot_be_found(iam: Any, refusal: Any) -> None:
    iam.create_user(UserName="alice")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    missing = ("NoSuchEntity", f"The Access Key with id {key} cannot be found.")
    given = {"UserName": "bob", "AccessKeyId": key}
    assert refusal(iam.delete_access_key, **given) == missing
    assert refusal(iam.update_access_key, **given, Status="Inactive") == missing
