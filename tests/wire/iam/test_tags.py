"""Conditions on the tags of resources, and decisions that a change must undo at once."""

from __future__ import annotations

from typing import Any

RED = {"StringEquals": {"aws:ResourceTag/team": "red"}}
TEAM = [{"Key": "team", "Value": "red"}]


def test_tags_of_policies_are_conditions(iam: Any, user: Any, document: Any, refusal: Any) -> None:
    alice = user("alice", document("iam:*", Condition=RED))("iam")
    text = document("s3:*")
    red = iam.create_policy(PolicyName="red", PolicyDocument=text, Tags=TEAM)["Policy"]["Arn"]
    plain = iam.create_policy(PolicyName="plain", PolicyDocument=text)["Policy"]["Arn"]
    alice.get_policy(PolicyArn=red)
    assert refusal(alice.get_policy, PolicyArn=plain)[0] == "AccessDenied"
    # AWS: what is created with tags has them already.
    alice.create_policy(PolicyName="own", PolicyDocument=text, Tags=TEAM)
    assert refusal(alice.create_policy, PolicyName="b", PolicyDocument=text)[0] == "AccessDenied"
    alice.create_user(UserName="red", Tags=TEAM)
    iam.untag_policy(PolicyArn=red, TagKeys=["team"])
    assert refusal(alice.get_policy, PolicyArn=red)[0] == "AccessDenied"


def test_tags_of_users_and_roles_are_conditions_by_both_names(
    iam: Any, user: Any, document: Any, refusal: Any, trust: Any
) -> None:
    condition = {**RED, "StringLike": {"iam:ResourceTag/team": "r*"}}
    alice = user("alice", document("iam:*", Condition=condition))("iam")
    iam.create_user(UserName="red", Tags=TEAM)
    iam.create_user(UserName="blue")
    iam.create_role(RoleName="red", AssumeRolePolicyDocument=trust("*"), Tags=TEAM)
    alice.get_user(UserName="red")
    alice.get_role(RoleName="red")
    assert refusal(alice.get_user, UserName="blue")[0] == "AccessDenied"
    # Another user of the name, without the tag, is not the tagged one.
    iam.delete_user(UserName="red")
    iam.create_user(UserName="red")
    assert refusal(alice.get_user, UserName="red")[0] == "AccessDenied"


def test_a_remembered_decision_ends_with_the_change_that_undoes_it(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    tagged = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
    alice = user("alice", document("iam:*", Condition=tagged))("iam")
    for _ in range(2):
        assert refusal(alice.list_users)[0] == "AccessDenied"
    iam.tag_user(UserName="alice", Tags=TEAM)
    for _ in range(2):
        alice.list_users()
    iam.untag_user(UserName="alice", TagKeys=["team"])
    assert refusal(alice.list_users)[0] == "AccessDenied"
    iam.tag_user(UserName="alice", Tags=TEAM)
    alice.list_users()
    iam.delete_user_policy(UserName="alice", PolicyName="p")
    assert refusal(alice.list_users)[0] == "AccessDenied"
    group = {"GroupName": "staff"}
    iam.create_group(**group)
    iam.put_group_policy(**group, PolicyName="p", PolicyDocument=document("iam:*"))
    iam.add_user_to_group(**group, UserName="alice")
    alice.list_users()
    iam.remove_user_from_group(**group, UserName="alice")
    assert refusal(alice.list_users)[0] == "AccessDenied"
