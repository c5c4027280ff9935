from __future__ import annotations

from typing import Any

import pytest


def test_a_user_is_created_found_listed_and_deleted(iam: Any, account: str) -> None:
    made = iam.create_user(
        UserName="Alice", Path="/staff/", Tags=[{"Key": "team", "Value": "red"}]
    )["User"]
    assert made["Arn"] == f"arn:aws:iam::{account}:user/staff/Alice"
    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    assert made["Tags"] == [{"Key": "team", "Value": "red"}]
    assert iam.get_user(UserName="Alice")["User"] == made
    listed = iam.list_users()
    del made["Tags"]
    assert listed["Users"] == [made]
    assert listed["IsTruncated"] is False
    iam.delete_user(UserName="Alice")
    assert iam.list_users()["Users"] == []


def test_names_are_unique_without_regard_to_case(iam: Any, refusal: Any) -> None:
    iam.create_user(UserName="alice")
    assert refusal(iam.create_user, UserName="ALICE") == (
        "EntityAlreadyExists",
        "User with name ALICE already exists.",
    )


def test_a_user_that_is_not_there_cannot_be_found(iam: Any, refusal: Any) -> None:
    missing = ("NoSuchEntity", "The user with name bob cannot be found.")
    for call in (iam.get_user, iam.delete_user, iam.list_user_policies, iam.create_access_key):
        assert refusal(call, UserName="bob") == missing


def test_get_user_without_a_name_describes_the_caller(
    iam: Any, account: str, user: Any, document: Any
) -> None:
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{account}:root"
    alice = user("alice", document("iam:GetUser"))
    assert alice("iam").get_user()["User"]["UserName"] == "alice"


def test_users_are_listed_in_pages_and_by_path(iam: Any) -> None:
    for number in range(7):
        iam.create_user(UserName=f"u{number}", Path="/a/" if number % 2 else "/b/")
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    names = [one["UserName"] for page in pages for one in page["Users"]]
    assert names == [f"u{number}" for number in range(7)]
    under_a = iam.list_users(PathPrefix="/a")["Users"]
    assert [one["UserName"] for one in under_a] == ["u1", "u3", "u5"]


def test_a_strange_marker_is_refused(iam: Any, refusal: Any) -> None:
    assert refusal(iam.list_users, Marker="!")[0] == "ValidationError"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("key", "Cannot delete entity, must delete access keys first."),
        ("inline", "Cannot delete entity, must delete policies first."),
        ("attached", "Cannot delete entity, must detach all policies first."),
        ("group", "Cannot delete entity, must remove users from group first."),
    ],
)
def test_a_user_that_still_has_something_is_not_deleted(
    iam: Any, document: Any, refusal: Any, what: str, message: str
) -> None:
    iam.create_user(UserName="alice")
    if what == "key":
        iam.create_access_key(UserName="alice")
    elif what == "inline":
        iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document())
    elif what == "attached":
        iam.attach_user_policy(
            UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess"
        )
    else:
        iam.create_group(GroupName="g")
        iam.add_user_to_group(GroupName="g", UserName="alice")
    assert refusal(iam.delete_user, UserName="alice") == ("DeleteConflict", message)


def test_a_renamed_user_keeps_its_id_keys_groups_and_policies(
    iam: Any, user: Any, document: Any, account: str, refusal: Any
) -> None:
    alice = user("alice", document("iam:GetUser"))
    arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="alice")
    before = iam.get_user(UserName="alice")["User"]["UserId"]
    iam.update_user(UserName="alice", NewUserName="Alicia", NewPath="/new/")
    assert refusal(iam.get_user, UserName="alice")[0] == "NoSuchEntity"
    after = alice("iam").get_user()["User"]
    assert after["UserId"] == before
    assert after["Arn"] == f"arn:aws:iam::{account}:user/new/Alicia"
    assert [one["UserName"] for one in iam.get_group(GroupName="g")["Users"]] == ["Alicia"]
    entities = iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]
    assert [one["UserName"] for one in entities] == ["Alicia"]


def test_tags_are_put_listed_and_removed(iam: Any, refusal: Any) -> None:
    iam.create_user(UserName="alice")
    iam.tag_user(UserName="alice", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_user(UserName="alice", Tags=[{"Key": "A", "Value": "3"}])
    assert iam.list_user_tags(UserName="alice")["Tags"] == [
        {"Key": "A", "Value": "3"},
        {"Key": "b", "Value": "2"},
    ]
    iam.untag_user(UserName="alice", TagKeys=["a"])
    assert iam.get_user(UserName="alice")["User"]["Tags"] == [{"Key": "b", "Value": "2"}]
    twice = [{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}]
    assert refusal(iam.tag_user, UserName="alice", Tags=twice)[0] == "InvalidInput"
    reserved = [{"Key": "aws:x", "Value": ""}]
    assert refusal(iam.tag_user, UserName="alice", Tags=reserved)[0] == "InvalidInput"
