from __future__ import annotations

from typing import Any


def test_a_user_without_policies_may_nothing(user: Any, refusal: Any, account: str) -> None:
    alice = user("alice")("iam")
    arn = f"arn:aws:iam::{account}:user/alice"
    assert refusal(alice.get_user, UserName="bob") == (
        "AccessDenied",
        (
            f"User: {arn} is not authorized to perform: iam:GetUser on resource: user bob "
            "because no identity-based policy allows the iam:GetUser action"
        ),
    )
    assert refusal(alice.create_user, UserName="carol")[0] == "AccessDenied"
    assert refusal(alice.list_roles)[0] == "AccessDenied"


def test_a_policy_is_decided_on_the_path_of_the_entity(
    iam: Any, user: Any, document: Any, refusal: Any, account: str
) -> None:
    staff = document("iam:*", Resource=f"arn:aws:iam::{account}:user/staff/*")
    alice = user("alice", staff)("iam")
    iam.create_user(UserName="inside", Path="/staff/")
    iam.create_user(UserName="outside", Path="/else/")
    alice.tag_user(UserName="inside", Tags=[{"Key": "a", "Value": "b"}])
    assert refusal(alice.get_user, UserName="outside")[0] == "AccessDenied"
    assert refusal(alice.create_user, UserName="new")[0] == "AccessDenied"
    alice.create_user(UserName="new", Path="/staff/")
    alice.delete_user(UserName="new")
    assert refusal(alice.update_user, UserName="inside", NewPath="/else/")[0] == "AccessDenied"


def test_an_explicit_deny_wins_and_says_so(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    alice = user("alice", document("*"))
    deny = document("iam:DeleteUser", "Deny")
    iam.put_user_policy(UserName="alice", PolicyName="deny", PolicyDocument=deny)
    code, message = refusal(alice("iam").delete_user, UserName="bob")
    assert code == "AccessDenied"
    assert message.endswith("with an explicit deny in an identity-based policy")
    assert len(alice("iam").list_users()["Users"]) == 1


def test_tags_of_request_and_resource_are_conditions(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    tagging = document(
        "iam:*",
        Condition={
            "StringEquals": {"iam:ResourceTag/team": "red"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]},
        },
    )
    alice = user("alice", tagging)("iam")
    iam.create_user(UserName="red", Tags=[{"Key": "team", "Value": "red"}])
    iam.create_user(UserName="blue", Tags=[{"Key": "team", "Value": "blue"}])
    alice.tag_user(UserName="red", Tags=[{"Key": "cost", "Value": "1"}])
    bad = refusal(alice.tag_user, UserName="red", Tags=[{"Key": "team", "Value": "x"}])
    assert bad[0] == "AccessDenied"
    assert refusal(alice.get_user, UserName="blue")[0] == "AccessDenied"


def test_attaching_may_be_allowed_for_some_policies_only(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    allowed = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    some = document("iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": allowed}})
    alice = user("alice", some)("iam")
    alice.attach_user_policy(UserName="alice", PolicyArn=allowed)
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    refused = refusal(alice.attach_user_policy, UserName="alice", PolicyArn=admin)
    assert refused[0] == "AccessDenied"


def test_an_account_sees_nothing_of_another(cloud: Any, iam: Any, refusal: Any) -> None:
    other = cloud.run(cloud.app.identity.create_account("other"))
    theirs = cloud.client("iam", credential=other)
    iam.create_user(UserName="alice")
    assert theirs.list_users()["Users"] == []
    assert refusal(theirs.get_user, UserName="alice")[0] == "NoSuchEntity"
    arn = iam.create_policy(
        PolicyName="p",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
    )["Policy"]["Arn"]
    assert refusal(theirs.get_policy, PolicyArn=arn)[0] == "AccessDenied"


def test_every_region_has_the_same_iam(cloud: Any) -> None:
    cloud.client("iam", region="eu-central-1").create_user(UserName="alice")
    assert len(cloud.client("iam", region="us-east-1").list_users()["Users"]) == 1
