"""Aliases: AWS KMS API Reference, CreateAlias and its siblings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.kms.conftest import statement


def test_an_alias_stands_for_its_key(kms: Any, key: str, account: str) -> None:
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    arn = f"arn:aws:kms:us-east-1:{account}:alias/app"
    for name in ("alias/app", arn):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key
        blob = kms.encrypt(KeyId=name, Plaintext=b"x")
        assert blob["KeyId"] == key
        assert kms.decrypt(CiphertextBlob=blob["CiphertextBlob"], KeyId=name)["Plaintext"] == b"x"


def test_aliases_are_listed_by_name_and_by_key(kms: Any, key: str, account: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    for name, target in (("alias/b", key), ("alias/a", key), ("alias/c", other)):
        kms.create_alias(AliasName=name, TargetKeyId=target)
    listed = kms.list_aliases()["Aliases"]
    assert [each["AliasName"] for each in listed] == ["alias/a", "alias/b", "alias/c"]
    assert listed[2]["TargetKeyId"] == other
    assert listed[2]["AliasArn"] == f"arn:aws:kms:us-east-1:{account}:alias/c"
    assert listed[2]["CreationDate"] == listed[2]["LastUpdatedDate"]
    of_key = kms.list_aliases(KeyId=key)["Aliases"]
    assert [each["AliasName"] for each in of_key] == ["alias/a", "alias/b"]
    page = kms.list_aliases(KeyId=key, Limit=1)
    rest = kms.list_aliases(KeyId=key, Marker=page["NextMarker"])
    assert [each["AliasName"] for each in (*page["Aliases"], *rest["Aliases"])] == [
        "alias/a",
        "alias/b",
    ]
    page = kms.list_aliases(Limit=2)
    rest = kms.list_aliases(Marker=page["NextMarker"])
    assert [each["AliasName"] for each in rest["Aliases"]] == ["alias/c"]


def test_an_alias_can_be_moved_to_another_key(kms: Any, key: str, refusal: Any) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    kms.update_alias(AliasName="alias/app", TargetKeyId=other)
    assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"] == other
    assert kms.list_aliases(KeyId=key)["Aliases"] == []
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    said = refusal(kms.update_alias, AliasName="alias/app", TargetKeyId=mac)
    assert said[0] == "ValidationException"


def test_a_deleted_alias_stands_for_nothing(kms: Any, key: str, refusal: Any, account: str) -> None:
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    kms.delete_alias(AliasName="alias/app")
    gone = ("NotFoundException", f"Alias arn:aws:kms:us-east-1:{account}:alias/app is not found.")
    assert refusal(kms.encrypt, KeyId="alias/app", Plaintext=b"x") == gone
    assert refusal(kms.delete_alias, AliasName="alias/app") == gone
    assert refusal(kms.update_alias, AliasName="alias/app", TargetKeyId=key) == gone


def test_a_name_is_taken_once(kms: Any, key: str, refusal: Any, account: str) -> None:
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    said = refusal(kms.create_alias, AliasName="alias/app", TargetKeyId=key)
    arn = f"arn:aws:kms:us-east-1:{account}:alias/app"
    assert said == ("AlreadyExistsException", f"An alias with the name {arn} already exists")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("app", "ValidationException"),
        ("alias/", "InvalidAliasNameException"),
        ("alias/a:b", "InvalidAliasNameException"),
        ("alias/aws/mine", "NotAuthorizedException"),
    ],
)
def test_what_is_no_alias_of_a_customer_is_refused(
    kms: Any, key: str, refusal: Any, name: str, code: str
) -> None:
    assert refusal(kms.create_alias, AliasName=name, TargetKeyId=key)[0] == code


@pytest.mark.parametrize("operation", ["disable_key", "get_key_policy", "schedule_key_deletion"])
def test_operations_that_take_no_alias_refuse_one(
    kms: Any, key: str, refusal: Any, operation: str
) -> None:
    """Source: API Reference, DisableKey, ``KeyId``: the key ID or key ARN."""
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    said = refusal(getattr(kms, operation), KeyId="alias/app")
    assert said == ("NotFoundException", "Invalid keyId 'alias/app'")


def test_an_alias_needs_leave_for_itself_and_for_its_key(
    key: str, user: Any, refusal: Any, account: str
) -> None:
    """Source: Developer Guide, "Controlling access to aliases"."""
    alias = f"arn:aws:kms:us-east-1:{account}:alias/app"
    actions = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"]
    half = user("half", {**statement(actions), "Resource": key})
    said = refusal(half.create_alias, AliasName="alias/app", TargetKeyId=key)
    assert f"resource: {alias}" in said[1]
    late = user("late", {**statement(actions), "Resource": alias})
    said = refusal(late.create_alias, AliasName="alias/app", TargetKeyId=key)
    assert f"resource: {key}" in said[1]
    both = user("both", {**statement(actions), "Resource": [alias, key]})
    both.create_alias(AliasName="alias/app", TargetKeyId=key)
    assert refusal(late.delete_alias, AliasName="alias/app")[0] == "AccessDeniedException"
    both.delete_alias(AliasName="alias/app")


@pytest.mark.parametrize("cloud", [{"kms.aliases_per_key_max": 1}], indirect=True)
def test_a_key_has_as_many_aliases_as_the_quota_says(kms: Any, key: str, refusal: Any) -> None:
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    said = refusal(kms.create_alias, AliasName="alias/b", TargetKeyId=key)
    assert said[0] == "LimitExceededException"
