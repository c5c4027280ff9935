"""Grants: AWS KMS Developer Guide, "Grants in AWS KMS"; API Reference, CreateGrant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.kms.conftest import document, key_policy, root_of, statement

from fogbank.testing.cloud import Cloud

DENIED = "AccessDeniedException"


@pytest.fixture
def holder(user: Any) -> Any:
    """Return the client of a user who may nothing by itself."""
    return user("holder")


@pytest.fixture
def arn(account: str) -> str:
    return f"arn:aws:iam::{account}:user/holder"


def test_a_grant_lets_its_grantee_do_what_it_says_and_no_more(
    kms: Any, key: str, holder: Any, arn: str, refusal: Any
) -> None:
    assert refusal(holder.encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED
    made = kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt", "DescribeKey"])
    assert len(made["GrantId"]) == 64
    blob = holder.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert holder.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert refusal(holder.decrypt, CiphertextBlob=blob)[0] == DENIED
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refusal(holder.encrypt, KeyId=other, Plaintext=b"x")[0] == DENIED


def test_a_grant_is_for_its_grantee_alone(
    kms: Any, key: str, holder: Any, arn: str, user: Any, refusal: Any
) -> None:
    kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    assert refusal(user("else").encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED


def test_an_explicit_deny_wins_over_a_grant(
    kms: Any, key: str, user: Any, account: str, refusal: Any
) -> None:
    client = user("holder", statement("kms:Encrypt", "Deny"))
    arn = f"arn:aws:iam::{account}:user/holder"
    kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    code, message = refusal(client.encrypt, KeyId=key, Plaintext=b"x")
    assert code == DENIED
    assert message.endswith("explicit deny in an identity-based policy")


CONSTRAINTS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({"EncryptionContextEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "2"}, True),
    ({"EncryptionContextEquals": {"a": "1", "b": "2"}}, {"a": "1"}, False),
    ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1", "b": "2"}, False),
    ({"EncryptionContextEquals": {"a": "1"}}, {"A": "1"}, False),
    ({"EncryptionContextEquals": {"a": "1"}}, {}, False),
    ({"EncryptionContextSubset": {"a": "1"}}, {"a": "1", "b": "2"}, True),
    ({"EncryptionContextSubset": {"a": "1"}}, {"a": "2"}, False),
    ({"EncryptionContextSubset": {"a": "1"}}, {"A": "1"}, False),
]


@pytest.mark.parametrize(("constraint", "context", "allowed"), CONSTRAINTS)
def test_a_grant_holds_only_under_its_constraint(
    kms: Any,
    key: str,
    holder: Any,
    arn: str,
    constraint: dict[str, Any],
    context: dict[str, str],
    *,
    allowed: bool,
) -> None:
    """Source: Developer Guide, "Using grant constraints"; contexts are case-sensitive."""
    kms.create_grant(
        KeyId=key,
        GranteePrincipal=arn,
        Operations=["GenerateDataKey", "Decrypt", "DescribeKey"],
        Constraints=constraint,
    )
    request = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}
    if allowed:
        made = holder.generate_data_key(**request)
        holder.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
    else:
        with pytest.raises(holder.exceptions.ClientError, match=DENIED):
            holder.generate_data_key(**request)
    # AWS: the constraint is for operations with an encryption context only.
    assert holder.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]


def test_grants_are_listed_whole_by_id_and_by_grantee(
    kms: Any, key: str, holder: Any, arn: str, account: str
) -> None:
    root = root_of(account)["AWS"]
    made = kms.create_grant(
        KeyId=key,
        GranteePrincipal=arn,
        RetiringPrincipal=root,
        Operations=["Encrypt"],
        Name="mine",
        Constraints={"EncryptionContextSubset": {"a": "1"}},
    )["GrantId"]
    others = [
        kms.create_grant(KeyId=key, GranteePrincipal=root, Operations=["Decrypt"])["GrantId"]
        for _ in range(2)
    ]
    [entry] = kms.list_grants(KeyId=key, GranteePrincipal=arn)["Grants"]
    entry.pop("CreationDate")
    assert entry == {
        "KeyId": key,
        "GrantId": made,
        "Name": "mine",
        "GranteePrincipal": arn,
        "RetiringPrincipal": root,
        "IssuingAccount": root,
        "Operations": ["Encrypt"],
        "Constraints": {"EncryptionContextSubset": {"a": "1"}},
    }
    assert [each["GrantId"] for each in kms.list_grants(KeyId=key, GrantId=made)["Grants"]] == [
        made
    ]
    assert kms.list_grants(KeyId=key, GrantId="0" * 64)["Grants"] == []
    listed = [each["GrantId"] for each in kms.list_grants(KeyId=key)["Grants"]]
    assert listed == sorted([made, *others])
    page = kms.list_grants(KeyId=key, Limit=2)
    rest = kms.list_grants(KeyId=key, Marker=page["NextMarker"])
    assert [each["GrantId"] for each in (*page["Grants"], *rest["Grants"])] == listed
    retirable = kms.list_retirable_grants(RetiringPrincipal=root)["Grants"]
    assert [each["GrantId"] for each in retirable] == [made]


def test_retirable_grants_are_listed_over_keys_page_by_page(
    kms: Any, key: str, account: str
) -> None:
    root = root_of(account)["AWS"]
    second = kms.create_key()["KeyMetadata"]["Arn"]
    for of in (key, key, second):
        kms.create_grant(
            KeyId=of, GranteePrincipal=root, RetiringPrincipal=root, Operations=["Decrypt"]
        )
    whole = kms.list_retirable_grants(RetiringPrincipal=root)["Grants"]
    assert len(whole) == 3
    page = kms.list_retirable_grants(RetiringPrincipal=root, Limit=2)
    rest = kms.list_retirable_grants(RetiringPrincipal=root, Marker=page["NextMarker"])
    assert page["Grants"] + rest["Grants"] == whole


def test_a_grant_of_a_name_is_made_once(kms: Any, key: str, holder: Any, arn: str) -> None:
    """Source: API Reference, CreateGrant, ``Name``: the grant token is unique all the same."""
    asked = {"KeyId": key, "GranteePrincipal": arn, "Operations": ["Encrypt"]}
    first, again = kms.create_grant(**asked, Name="n"), kms.create_grant(**asked, Name="n")
    assert first["GrantId"] == again["GrantId"]
    assert first["GrantToken"] != again["GrantToken"]
    assert kms.create_grant(**asked, Name="m")["GrantId"] != first["GrantId"]
    assert kms.create_grant(**asked)["GrantId"] != kms.create_grant(**asked)["GrantId"]


def test_a_revoked_grant_lets_nobody_in(
    kms: Any, key: str, holder: Any, arn: str, refusal: Any
) -> None:
    made = kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])["GrantId"]
    holder.encrypt(KeyId=key, Plaintext=b"x")
    would = refusal(kms.revoke_grant, KeyId=key, GrantId=made, DryRun=True)
    assert would[0] == "DryRunOperationException"
    kms.revoke_grant(KeyId=key, GrantId=made)
    assert refusal(holder.encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED
    assert refusal(kms.revoke_grant, KeyId=key, GrantId=made)[0] == "InvalidGrantIdException"
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_a_grant_is_retired_by_who_may_and_by_nobody_else(
    kms: Any, key: str, user: Any, arn: str, account: str, refusal: Any
) -> None:
    """Source: Developer Guide, "Retiring and revoking grants"."""
    holder, retirer = user("holder"), user("retirer")
    asked = {
        "KeyId": key,
        "GranteePrincipal": arn,
        "RetiringPrincipal": f"arn:aws:iam::{account}:user/retirer",
    }
    first = kms.create_grant(**asked, Operations=["Encrypt"])["GrantId"]
    assert refusal(holder.retire_grant, KeyId=key, GrantId=first)[0] == DENIED
    assert refusal(user("else").retire_grant, KeyId=key, GrantId=first)[0] == DENIED
    retirer.retire_grant(KeyId=key, GrantId=first)
    second = kms.create_grant(**asked, Operations=["Encrypt", "RetireGrant"])
    other = kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])["GrantId"]
    assert refusal(holder.retire_grant, KeyId=key, GrantId=other)[0] == DENIED
    holder.retire_grant(GrantToken=second["GrantToken"])
    assert [each["GrantId"] for each in kms.list_grants(KeyId=key)["Grants"]] == [other]
    said = refusal(holder.retire_grant, GrantToken=second["GrantToken"])
    assert said[0] == "InvalidGrantTokenException"


def test_a_grant_token_is_good_while_its_grant_stands(
    kms: Any, key: str, holder: Any, arn: str, refusal: Any
) -> None:
    made = kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    token = made["GrantToken"]
    holder.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[token])
    forged = ("B" if token[-9] == "A" else "A").join((token[:-9], token[-8:]))
    for wrong in (forged, "x", token[4:]):
        said = refusal(holder.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=[wrong])
        assert said[0] == "InvalidGrantTokenException"
    kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
    said = refusal(kms.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=[token])
    assert said[0] == "InvalidGrantTokenException"


def test_who_may_grant_by_a_grant_gives_no_more_than_it_has(
    kms: Any, key: str, user: Any, account: str, refusal: Any
) -> None:
    """Source: Developer Guide, "Granting CreateGrant permission"."""
    holder, _ = user("holder"), user("child")
    arn, child = (f"arn:aws:iam::{account}:user/{name}" for name in ("holder", "child"))
    kms.create_grant(
        KeyId=key,
        GranteePrincipal=arn,
        Operations=["CreateGrant", "Decrypt"],
        Constraints={"EncryptionContextSubset": {"a": "1"}},
    )
    asked = {"KeyId": key, "GranteePrincipal": child}
    strict = {"EncryptionContextEquals": {"a": "1", "b": "2"}}
    holder.create_grant(**asked, Operations=["Decrypt"], Constraints=strict)
    wider = {"EncryptionContextSubset": {"b": "2"}}
    for given in (
        {"Operations": ["Encrypt"], "Constraints": strict},
        {"Operations": ["Decrypt"]},
        {"Operations": ["Decrypt"], "Constraints": wider},
    ):
        assert refusal(holder.create_grant, **asked, **given)[0] == DENIED


def test_a_grant_reaches_into_another_account_that_allows_it_too(
    kms: Any, key: str, other: Any, refusal: Any
) -> None:
    strong, arn = other("strong", statement("kms:*"))
    weak, weak_arn = other("weak")
    for grantee in (arn, weak_arn):
        kms.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Encrypt"])
    assert strong.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    assert refusal(weak.encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED


def test_a_grant_means_who_had_the_name_when_it_was_made(
    cloud: Cloud, kms: Any, key: str, arn: str, refusal: Any
) -> None:
    iam = cloud.client("iam")
    first = cloud.create_user("holder")
    kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    iam.delete_access_key(UserName="holder", AccessKeyId=first.access_key_id)
    iam.delete_user(UserName="holder")
    again = cloud.client("kms", credential=cloud.create_user("holder"))
    assert refusal(again.encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED


def test_a_grant_to_a_role_is_held_by_its_sessions(
    cloud: Cloud, kms: Any, key: str, account: str, refusal: Any
) -> None:
    trust = {"AWS": f"arn:aws:iam::{account}:root"}
    assume = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trust})
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(assume))["Role"]["Arn"]
    keys = cloud.create_user("u", document(statement("sts:AssumeRole")))
    sts = cloud.client("sts", credential=keys)
    given = sts.assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
    session = cloud.client(
        "kms",
        access_key=given["AccessKeyId"],
        secret_key=given["SecretAccessKey"],
        token=given["SessionToken"],
    )
    assert refusal(session.encrypt, KeyId=key, Plaintext=b"x")[0] == DENIED
    kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Encrypt"])
    assert session.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"GranteePrincipal": "nobody"}, "InvalidArnException"),
        ({"GranteePrincipal": "arn:aws:iam::ACCOUNT:user/none"}, "InvalidArnException"),
        ({"RetiringPrincipal": "arn:aws:s3:::bucket"}, "InvalidArnException"),
        ({"Operations": ["GenerateMac"]}, "ValidationException"),
        ({"Operations": []}, "ValidationException"),
    ],
)
def test_a_grant_that_could_not_be_honoured_is_refused(
    kms: Any, key: str, account: str, refusal: Any, given: dict[str, Any], code: str
) -> None:
    root = root_of(account)["AWS"]
    asked = {"KeyId": key, "GranteePrincipal": root, "Operations": ["Encrypt"], **given}
    wire = json.loads(json.dumps(asked).replace("ACCOUNT", account))
    assert refusal(kms.create_grant, **wire)[0] == code


def test_conditions_on_grants_are_evaluated(
    key: str, user: Any, account: str, refusal: Any
) -> None:
    """Source: Developer Guide, "AWS KMS condition keys", kms:GrantOperations and others."""
    root = root_of(account)["AWS"]
    condition = {
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]},
        "StringEquals": {
            "kms:GrantConstraintType": "EncryptionContextEquals",
            "kms:GranteePrincipal": root,
            "kms:RetiringPrincipal": root,
        },
        "Bool": {"kms:GrantIsForAWSResource": "false"},
    }
    client = user("granting", statement("kms:CreateGrant", Condition=condition))
    right = {
        "KeyId": key,
        "GranteePrincipal": root,
        "RetiringPrincipal": root,
        "Operations": ["Encrypt"],
        "Constraints": {"EncryptionContextEquals": {"a": "1"}},
    }
    client.create_grant(**right)
    for change in (
        {"Operations": ["DescribeKey"]},
        {"Constraints": {"EncryptionContextSubset": {"a": "1"}}},
        {"Constraints": {}},
        {"GranteePrincipal": f"arn:aws:iam::{account}:user/granting"},
    ):
        assert refusal(client.create_grant, **{**right, **change})[0] == DENIED
    service = user(
        "service",
        statement("kms:CreateGrant", Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    )
    assert refusal(service.create_grant, **right)[0] == DENIED


def test_who_makes_a_grant_needs_leave_and_an_enabled_key(
    kms: Any, key: str, user: Any, account: str, refusal: Any
) -> None:
    root = root_of(account)["AWS"]
    asked = {"KeyId": key, "GranteePrincipal": root, "Operations": ["Encrypt"]}
    assert refusal(user("nobody").create_grant, **asked)[0] == DENIED
    would = refusal(kms.create_grant, **asked, DryRun=True)
    assert would[0] == "DryRunOperationException"
    assert kms.list_grants(KeyId=key)["Grants"] == []
    kms.disable_key(KeyId=key)
    assert refusal(kms.create_grant, **asked)[0] == "DisabledException"


def test_a_grant_does_what_the_key_policy_does_not(
    kms: Any, user: Any, account: str, refusal: Any
) -> None:
    owner, holder = user("owner", statement("kms:*")), user("holder", statement("kms:*"))
    alone = {"AWS": f"arn:aws:iam::{account}:user/owner"}
    key = owner.create_key(Policy=key_policy(statement("kms:*", Principal=alone)))
    arn = key["KeyMetadata"]["Arn"]
    assert refusal(holder.encrypt, KeyId=arn, Plaintext=b"x")[0] == DENIED
    owner.create_grant(
        KeyId=arn, GranteePrincipal=f"arn:aws:iam::{account}:user/holder", Operations=["Encrypt"]
    )
    assert holder.encrypt(KeyId=arn, Plaintext=b"x")["KeyId"] == arn


@pytest.mark.parametrize("cloud", [{"kms.grants_per_key_max": 1}], indirect=True)
def test_a_key_has_as_many_grants_as_the_quota_says(
    kms: Any, key: str, account: str, refusal: Any
) -> None:
    asked = {"KeyId": key, "GranteePrincipal": root_of(account)["AWS"], "Operations": ["Encrypt"]}
    made = kms.create_grant(**asked)["GrantId"]
    assert refusal(kms.create_grant, **asked)[0] == "LimitExceededException"
    kms.revoke_grant(KeyId=key, GrantId=made)
    kms.create_grant(**asked)
