"""Key policies are the root of trust: AWS KMS Developer Guide, "Key policies in AWS KMS"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.kms.conftest import key_policy, root_of, statement

LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."


def test_a_key_has_the_default_policy(kms: Any, key: str, account: str) -> None:
    """Source: "Default key policy"; test_replicate_key, recorded."""
    told = kms.get_key_policy(KeyId=key)
    assert told["PolicyName"] == "default"
    assert json.loads(told["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": root_of(account),
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]


def test_under_the_default_policy_the_policies_of_identities_decide(
    key: str, user: Any, refusal: Any, account: str
) -> None:
    may = user("may", statement("kms:Encrypt"))
    assert may.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    said = refusal(may.generate_data_key, KeyId=key, KeySpec="AES_256")
    assert said == (
        "AccessDeniedException",
        (
            f"User: arn:aws:iam::{account}:user/may is not authorized to perform: kms:GenerateDataKey on "
            f"resource: {key} because no identity-based policy allows the kms:GenerateDataKey action"
        ),
    )


def test_a_policy_that_leaves_the_account_out_makes_those_of_identities_worth_nothing(
    kms: Any, user: Any, refusal: Any, account: str
) -> None:
    """Source: "Default key policy": without that statement IAM policies are ineffective."""
    owner = user("owner", statement("kms:*"))
    alone = {"AWS": f"arn:aws:iam::{account}:user/owner"}
    policy = key_policy(statement("kms:*", Principal=alone))
    key = owner.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    assert owner.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    other = user("other", statement("kms:*"))
    because = "because no resource-based policy allows the kms:Encrypt action"
    for outside in (other, kms):
        code, message = refusal(outside.encrypt, KeyId=key, Plaintext=b"x")
        assert code == "AccessDeniedException"
        assert message.endswith(because)


def test_a_policy_alone_lets_a_user_of_its_account_in(
    kms: Any, key: str, user: Any, account: str
) -> None:
    client = user("bare")
    named = {"AWS": f"arn:aws:iam::{account}:user/bare"}
    policy = key_policy(
        statement("kms:*", Principal=root_of(account)), statement("kms:Encrypt", Principal=named)
    )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    assert client.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_an_explicit_deny_of_the_policy_wins(
    kms: Any, key: str, user: Any, refusal: Any, account: str
) -> None:
    client = user("denied", statement("kms:*"))
    policy = key_policy(
        statement("kms:*", Principal=root_of(account)),
        statement("kms:Decrypt", "Deny", Principal={"AWS": f"arn:aws:iam::{account}:user/denied"}),
    )
    kms.put_key_policy(KeyId=key, Policy=policy)
    blob = client.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    code, message = refusal(client.decrypt, CiphertextBlob=blob)
    assert code == "AccessDeniedException"
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_across_accounts_both_must_allow(
    kms: Any, key: str, other: Any, refusal: Any, account: str
) -> None:
    """Source: "Allowing users in other accounts to use a KMS key"."""
    strong, arn = other("strong", statement(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]))
    weak, _ = other("weak")
    assert refusal(strong.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    policy = key_policy(
        statement("kms:*", Principal=root_of(account)),
        statement(
            ["kms:Encrypt", "kms:Decrypt", "kms:Disable*"], Principal=root_of(arn.split(":")[4])
        ),
    )
    kms.put_key_policy(KeyId=key, Policy=policy)
    blob = strong.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert strong.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(weak.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert refusal(strong.describe_key, KeyId=key)[0] == "AccessDeniedException"


def test_what_only_the_owner_may_do_is_refused_to_others(
    kms: Any, key: str, other: Any, refusal: Any
) -> None:
    """Source: API Reference, DisableKey, "Cross-account use: No"."""
    client, arn = other("strong", statement("kms:*"))
    policy = key_policy(
        statement("kms:*", Principal=root_of(key.split(":")[4])),
        statement("kms:*", Principal=root_of(arn.split(":")[4])),
    )
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert client.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    assert refusal(client.disable_key, KeyId=key)[0] == "AccessDeniedException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]


def test_nobody_locks_itself_out_by_accident(
    kms: Any, key: str, user: Any, refusal: Any, account: str
) -> None:
    """Source: API Reference, PutKeyPolicy, ``BypassPolicyLockoutSafetyCheck``."""
    user("only")
    policy = key_policy(statement("kms:*", Principal={"AWS": f"arn:aws:iam::{account}:user/only"}))
    locked_out = ("MalformedPolicyDocumentException", LOCKED_OUT)
    assert refusal(kms.put_key_policy, KeyId=key, Policy=policy) == locked_out
    assert refusal(kms.create_key, Policy=policy) == locked_out
    kms.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    assert refusal(kms.get_key_policy, KeyId=key)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    "policy",
    ["{", key_policy({"Effect": "Allow"}), key_policy(statement("kms:*"))],
)
def test_what_is_no_key_policy_is_refused(kms: Any, key: str, refusal: Any, policy: str) -> None:
    said = refusal(kms.put_key_policy, KeyId=key, Policy=policy)
    assert said[0] == "MalformedPolicyDocumentException"


def test_a_policy_that_names_nobody_is_refused(
    kms: Any, key: str, refusal: Any, account: str
) -> None:
    policy = key_policy(
        statement("kms:*", Principal=root_of(account)),
        statement("kms:*", Principal={"AWS": f"arn:aws:iam::{account}:user/none"}),
    )
    assert refusal(kms.put_key_policy, KeyId=key, Policy=policy) == (
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals.",
    )


def test_a_key_has_one_policy_only(kms: Any, key: str, refusal: Any) -> None:
    said = refusal(kms.get_key_policy, KeyId=key, PolicyName="other")
    assert said == ("NotFoundException", "No such policy exists")
    said = refusal(kms.put_key_policy, KeyId=key, PolicyName="other", Policy="{}")
    assert said[0] == "NotFoundException"


def test_a_policy_is_no_longer_than_32_kilobytes(
    kms: Any, key: str, refusal: Any, account: str
) -> None:
    policy = key_policy(statement("kms:*", Principal=root_of(account), Sid="a" * 32_768))
    said = refusal(kms.put_key_policy, KeyId=key, Policy=policy)
    assert said[0] == "LimitExceededException"


CONDITIONS: list[tuple[str, Any, dict[str, Any], bool]] = [
    ("kms:EncryptionContext:team", "red", {"EncryptionContext": {"team": "red"}}, True),
    ("kms:EncryptionContext:team", "red", {"EncryptionContext": {"team": "blue"}}, False),
    ("kms:EncryptionContext:aws/x", "y", {"EncryptionContext": {"aws/x": "y"}}, True),
    ("kms:EncryptionContext:team", "red", {}, False),
    ("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", {}, True),
    ("kms:KeySpec", "SYMMETRIC_DEFAULT", {}, True),
    ("kms:KeySpec", "HMAC_256", {}, False),
    ("kms:KeyUsage", "ENCRYPT_DECRYPT", {}, True),
    ("kms:KeyOrigin", "AWS_KMS", {}, True),
    ("kms:RequestAlias", "alias/app", {"KeyId": "alias/app"}, True),
    ("kms:RequestAlias", "alias/app", {}, False),
    ("kms:ViaService", "s3.us-east-1.amazonaws.com", {}, False),
    ("kms:CallerAccount", "000000000000", {}, False),
]


@pytest.mark.parametrize(("name", "wanted", "given", "allowed"), CONDITIONS)
def test_condition_keys_of_encrypting_are_evaluated(
    kms: Any, key: str, user: Any, name: str, wanted: str, given: dict[str, Any], *, allowed: bool
) -> None:
    """Source: Developer Guide, "AWS KMS condition keys"."""
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    condition = {"StringEquals": {name: wanted}}
    client = user("conditional", statement("kms:Encrypt", Condition=condition))
    request = {"KeyId": key, "Plaintext": b"x", **given}
    if allowed:
        assert client.encrypt(**request)["KeyId"] == key
    else:
        with pytest.raises(client.exceptions.ClientError, match="AccessDeniedException"):
            client.encrypt(**request)


def test_the_keys_of_an_encryption_context_are_a_condition(
    key: str, user: Any, refusal: Any
) -> None:
    condition = {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a", "b"]}}
    client = user("keyed", statement("kms:Encrypt", Condition=condition))
    client.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "1"})
    said = refusal(client.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"c": "1"})
    assert said[0] == "AccessDeniedException"


def test_the_aliases_of_a_key_are_a_condition(kms: Any, key: str, user: Any, refusal: Any) -> None:
    """Source: "AWS KMS condition keys", kms:ResourceAliases, which is multivalued."""
    condition = {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/app-*"}}
    client = user("aliased", statement("kms:Encrypt", Condition=condition))
    assert refusal(client.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    kms.create_alias(AliasName="alias/app-1", TargetKeyId=key)
    client.encrypt(KeyId=key, Plaintext=b"x")
    kms.delete_alias(AliasName="alias/app-1")
    assert refusal(client.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_the_window_of_a_deletion_is_a_condition(key: str, user: Any, refusal: Any) -> None:
    condition = {"NumericGreaterThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "20"}}
    client = user("slow", statement("kms:ScheduleKeyDeletion", Condition=condition))
    said = refusal(client.schedule_key_deletion, KeyId=key, PendingWindowInDays=7)
    assert said[0] == "AccessDeniedException"
    client.schedule_key_deletion(KeyId=key)


def test_the_period_of_a_rotation_is_a_condition(key: str, user: Any, refusal: Any) -> None:
    condition = {"NumericLessThanEquals": {"kms:RotationPeriodInDays": "180"}}
    client = user("often", statement("kms:EnableKeyRotation", Condition=condition))
    assert refusal(client.enable_key_rotation, KeyId=key)[0] == "AccessDeniedException"
    client.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)


def test_reencrypting_needs_both_keys(kms: Any, key: str, user: Any, refusal: Any) -> None:
    """Source: API Reference, ReEncrypt, "Required permissions"."""
    other = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    half = user("half", {**statement("kms:ReEncryptFrom"), "Resource": key})
    said = refusal(half.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other)
    assert "kms:ReEncryptTo" in said[1]
    late = user("late", {**statement("kms:ReEncryptTo"), "Resource": other})
    said = refusal(late.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other)
    assert "kms:ReEncryptFrom" in said[1]
    condition = {"Bool": {"kms:ReEncryptOnSameKey": "true"}}
    same = user("same", statement("kms:ReEncrypt*", Condition=condition))
    same.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
    said = refusal(same.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other)
    assert said[0] == "AccessDeniedException"


def test_who_may_not_use_a_key_does_not_hear_whether_it_stands(
    key: str, user: Any, refusal: Any
) -> None:
    client = user("nobody")
    missing = key[:-4] + "0000"
    for arn in (key, missing):
        assert refusal(client.describe_key, KeyId=arn)[0] == "AccessDeniedException"
