from __future__ import annotations

from typing import Any

import pytest


def test_a_role_is_created_found_changed_listed_and_deleted(
    iam: Any, account: str, trust: Any, refusal: Any
) -> None:
    made = iam.create_role(
        RoleName="worker",
        Path="/jobs/",
        AssumeRolePolicyDocument=trust(),
        Description="does it",
        MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{account}:role/jobs/worker"
    assert made["RoleId"].startswith("AROA")
    found = iam.get_role(RoleName="worker")["Role"]
    assert found == made
    statement = found["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert found["MaxSessionDuration"] == 7200
    iam.update_role(RoleName="worker", Description="does more", MaxSessionDuration=3600)
    changed = iam.get_role(RoleName="worker")["Role"]
    assert (changed["Description"], changed["MaxSessionDuration"]) == ("does more", 3600)
    iam.update_role_description(RoleName="worker", Description="done")
    listed = iam.list_roles(PathPrefix="/jobs/")["Roles"]
    assert [role["Description"] for role in listed] == ["done"]
    assert iam.list_roles(PathPrefix="/other/")["Roles"] == []
    assert iam.list_instance_profiles_for_role(RoleName="worker")["InstanceProfiles"] == []
    iam.delete_role(RoleName="worker")
    assert refusal(iam.get_role, RoleName="worker") == (
        "NoSuchEntity",
        "The role with name worker cannot be found.",
    )


def test_a_role_needs_a_trust_policy_that_names_someone(
    iam: Any, trust: Any, refusal: Any, account: str
) -> None:
    nobody = f"arn:aws:iam::{account}:user/nobody"
    cases = [
        ("{", "Syntax errors in policy."),
        (trust(Resource="*"), "Has prohibited field Resource"),
        (trust(Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (trust({"AWS": "bob"}), 'Invalid principal in policy: "AWS":"bob"'),
        (trust({"AWS": nobody}), f'Invalid principal in policy: "AWS":"{nobody}"'),
    ]  # fmt: skip
    for document, message in cases:
        refused = refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=document)
        assert refused == ("MalformedPolicyDocument", message)
    assert iam.list_roles()["Roles"] == []


@pytest.mark.parametrize(
    "principal",
    [
        {"Federated": "accounts.google.com"},
        {"Federated": "arn:aws:iam::111122223333:saml-provider/corp"},
        {"AWS": "arn:aws:sts::111122223333:federated-user/bob"},
        {"CanonicalUser": "0" * 64},
    ],
)
def test_a_role_may_trust_every_form_of_principal(iam: Any, trust: Any, principal: Any) -> None:
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(principal))["Role"]
    assert made["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == principal


def test_the_trust_policy_is_replaced(iam: Any, trust: Any, refusal: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    other = trust({"Service": "s3.amazonaws.com"})
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=other)
    document = iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]
    assert document["Statement"][0]["Principal"] == {"Service": "s3.amazonaws.com"}
    refused = refusal(iam.update_assume_role_policy, RoleName="r", PolicyDocument="[]")
    assert refused == ("MalformedPolicyDocument", "Syntax errors in policy.")


def test_a_role_that_still_has_policies_is_not_deleted(
    iam: Any, trust: Any, document: Any, refusal: Any
) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document())
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    for message, remove in (
        (
            "must detach all policies first.",
            lambda: iam.detach_role_policy(RoleName="r", PolicyArn=arn),
        ),
        (
            "must delete policies first.",
            lambda: iam.delete_role_policy(RoleName="r", PolicyName="p"),
        ),
    ):
        refused = refusal(iam.delete_role, RoleName="r")
        assert refused == ("DeleteConflict", f"Cannot delete entity, {message}")
        remove()
    iam.delete_role(RoleName="r")


def test_roles_have_tags(iam: Any, trust: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    iam.tag_role(RoleName="r", Tags=[{"Key": f"k{number:02}", "Value": ""} for number in range(5)])
    first = iam.list_role_tags(RoleName="r", MaxItems=3)
    assert first["IsTruncated"]
    rest = iam.list_role_tags(RoleName="r", MaxItems=3, Marker=first["Marker"])
    keys = [tag["Key"] for tag in first["Tags"] + rest["Tags"]]
    assert keys == [f"k{number:02}" for number in range(5)]
    iam.untag_role(RoleName="r", TagKeys=keys[1:])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "k00", "Value": ""}]


def test_whom_a_role_trusts_and_who_is_gone_is_shown_by_the_unique_id(
    iam: Any, trust: Any, account: str
) -> None:
    """IAM User Guide, "Principal": "the principal ID appears in resource-based policies because
    AWS can no longer map it back to a valid ARN"."""
    arn = f"arn:aws:iam::{account}:user/bob"
    unique_id = iam.create_user(UserName="bob")["User"]["UserId"]
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": arn}))

    def shown() -> list[Any]:
        views = [iam.get_role(RoleName="r")["Role"], *iam.list_roles()["Roles"]]
        trusted = [each["AssumeRolePolicyDocument"]["Statement"][0] for each in views]
        return [each["Principal"]["AWS"] for each in trusted]

    assert shown() == [arn, arn]
    iam.delete_user(UserName="bob")
    assert shown() == [unique_id, unique_id]
    iam.create_user(UserName="bob")
    assert shown() == [unique_id, unique_id]
    # A policy that is put names who stands; an id is no name.
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust({"AWS": arn}))
    assert shown() == [arn, arn]
