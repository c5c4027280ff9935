"""Permissions boundaries: IAM User Guide, "Permissions boundaries for IAM entities"."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def boundary(iam: Any, document: Any) -> str:
    """Return the ARN of a policy that lets users read users only."""
    made = iam.create_policy(PolicyName="bound", PolicyDocument=document("iam:Get*"))
    return made["Policy"]["Arn"]


def test_a_boundary_is_shown_with_its_user_and_role(iam: Any, trust: Any, boundary: str) -> None:
    bounded = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    made = iam.create_user(UserName="alice", PermissionsBoundary=boundary)["User"]
    assert made["PermissionsBoundary"] == bounded
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("*"), PermissionsBoundary=boundary)
    assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"] == bounded
    assert "PermissionsBoundary" not in iam.list_users()["Users"][0]
    iam.delete_user_permissions_boundary(UserName="alice")
    assert "PermissionsBoundary" not in iam.get_user(UserName="alice")["User"]
    iam.delete_role_permissions_boundary(RoleName="r")
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=boundary)
    assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"] == bounded


def test_a_boundary_cuts_down_what_policies_grant_at_once(
    iam: Any, user: Any, document: Any, refusal: Any, boundary: str
) -> None:
    alice = user("alice", document("iam:*"))("iam")
    alice.list_users()
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=boundary)
    alice.get_user(UserName="alice")
    code, message = refusal(alice.list_users)
    assert code == "AccessDenied"
    assert message.endswith("because no permissions boundary allows the iam:ListUsers action")
    denying = document("iam:List*", "Deny")
    iam.create_policy_version(PolicyArn=boundary, PolicyDocument=denying, SetAsDefault=True)
    message = refusal(alice.list_users)[1]
    assert message.endswith(f"with an explicit deny in a permissions boundary: {boundary}")
    iam.delete_user_permissions_boundary(UserName="alice")
    alice.list_users()


def test_a_boundary_grants_nothing(user: Any, refusal: Any, iam: Any, boundary: str) -> None:
    alice = user("alice")("iam")
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=boundary)
    message = refusal(alice.get_user, UserName="alice")[1]
    assert message.endswith("because no identity-based policy allows the iam:GetUser action")


def test_a_boundary_must_stand_and_stays_while_it_is_used(
    iam: Any, trust: Any, refusal: Any, account: str, boundary: str
) -> None:
    missing = f"arn:aws:iam::{account}:policy/missing"
    said = ("NoSuchEntity", f"Scope ARN: {missing} does not exist or is not attachable.")
    assert refusal(iam.create_user, UserName="a", PermissionsBoundary=missing) == said
    iam.create_user(UserName="a", PermissionsBoundary=boundary)
    assert said == refusal(
        iam.put_user_permissions_boundary, UserName="a", PermissionsBoundary=missing
    )
    role = {"RoleName": "r", "AssumeRolePolicyDocument": trust("*")}
    assert refusal(iam.create_role, **role, PermissionsBoundary=missing) == said
    # AWS: a policy of AWS's may bound too.
    managed = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.create_role(**role, PermissionsBoundary=managed)
    assert refusal(iam.delete_policy, PolicyArn=boundary)[0] == "DeleteConflict"
    iam.delete_user(UserName="a")
    iam.delete_policy(PolicyArn=boundary)


def test_uses_as_a_boundary_are_counted_and_listed_apart(
    iam: Any, trust: Any, boundary: str
) -> None:
    iam.create_user(UserName="bounded", PermissionsBoundary=boundary)
    iam.create_user(UserName="both", PermissionsBoundary=boundary)
    iam.attach_user_policy(UserName="both", PolicyArn=boundary)
    iam.create_role(
        RoleName="role", AssumeRolePolicyDocument=trust("*"), PermissionsBoundary=boundary
    )
    iam.update_user(UserName="bounded", NewUserName="renamed")
    policy = iam.get_policy(PolicyArn=boundary)["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (1, 3)

    def listed(**given: Any) -> list[str]:
        found: list[str] = []
        pages = iam.get_paginator("list_entities_for_policy").paginate(
            PolicyArn=boundary, PaginationConfig={"PageSize": 1}, **given
        )
        for page in pages:
            found += [one["UserName"] for one in page["PolicyUsers"]]
            found += [one["RoleName"] for one in page["PolicyRoles"]]
        return sorted(found)

    assert listed(PolicyUsageFilter="PermissionsPolicy") == ["both"]
    assert listed(PolicyUsageFilter="PermissionsBoundary") == ["both", "renamed", "role"]
    assert listed() == ["both", "renamed", "role"]
    used = iam.list_policies(Scope="Local", PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert [one["Arn"] for one in used] == [boundary]
    iam.create_policy(PolicyName="unused", PolicyDocument=POLICY)
    used = iam.list_policies(Scope="Local", PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert [one["Arn"] for one in used] == [boundary]


POLICY = """{"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Action": "*", "Resource": "*"}}"""


def test_a_delegate_may_make_only_users_with_the_boundary(
    user: Any, document: Any, refusal: Any, boundary: str
) -> None:
    """The User Guide's "Delegating responsibility to others using permissions boundaries"."""
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    actions = ["iam:CreateUser", "iam:PutUserPolicy", "iam:PutUserPermissionsBoundary"]
    zhang = user("zhang", document(actions, Condition=condition))("iam")
    assert refusal(zhang.create_user, UserName="nikhil")[0] == "AccessDenied"
    zhang.create_user(UserName="nikhil", PermissionsBoundary=boundary)
    policy = {"PolicyName": "p", "PolicyDocument": document("iam:*")}
    zhang.put_user_policy(UserName="nikhil", **policy)
    assert refusal(zhang.put_user_policy, UserName="zhang", **policy)[0] == "AccessDenied"
    assert "AccessDenied" in refusal(
        zhang.put_user_permissions_boundary,
        UserName="nikhil",
        PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess",
    )
    assert refusal(zhang.delete_user_permissions_boundary, UserName="nikhil")[0] == "AccessDenied"


def test_a_boundary_of_a_role_cuts_its_sessions_down(
    iam: Any,
    sts: Any,
    cloud: Any,
    trust: Any,
    document: Any,
    user: Any,
    refusal: Any,
    boundary: str,
) -> None:
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust("*"))["Role"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document("iam:*"))
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=boundary)
    alice = user("alice", document("sts:*"))("sts")
    keys = alice.assume_role(RoleArn=made["Arn"], RoleSessionName="one")["Credentials"]
    session = cloud.client(
        "iam",
        access_key=keys["AccessKeyId"],
        secret_key=keys["SecretAccessKey"],
        token=keys["SessionToken"],
    )
    assert session.get_role(RoleName="r")
    message = refusal(session.list_roles)[1]
    assert message.endswith("because no permissions boundary allows the iam:ListRoles action")
