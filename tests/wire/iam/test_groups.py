from __future__ import annotations

from typing import Any


def test_a_group_has_users_and_gives_them_its_policies(
    iam: Any, user: Any, document: Any, refusal: Any
) -> None:
    alice = user("alice")("iam")
    assert refusal(alice.list_users)[0] == "AccessDenied"
    iam.create_group(GroupName="Admins", Path="/staff/")
    iam.put_group_policy(GroupName="Admins", PolicyName="p", PolicyDocument=document("iam:List*"))
    iam.add_user_to_group(GroupName="Admins", UserName="alice")
    iam.add_user_to_group(GroupName="Admins", UserName="alice")
    assert len(alice.list_users()["Users"]) == 1
    assert [one["GroupName"] for one in alice.list_groups()["Groups"]] == ["Admins"]
    assert len(iam.list_groups_for_user(UserName="alice")["Groups"]) == 1
    iam.remove_user_from_group(GroupName="Admins", UserName="alice")
    assert refusal(alice.list_users)[0] == "AccessDenied"
    assert iam.get_group(GroupName="Admins")["Users"] == []


def test_the_users_of_a_group_come_in_pages(iam: Any) -> None:
    iam.create_group(GroupName="g")
    for number in range(5):
        iam.create_user(UserName=f"U{number}")
        iam.add_user_to_group(GroupName="g", UserName=f"U{number}")
    pages = iam.get_paginator("get_group").paginate(GroupName="g", PaginationConfig={"PageSize": 2})
    names = [one["UserName"] for page in pages for one in page["Users"]]
    assert names == [f"U{number}" for number in range(5)]


def test_a_group_that_still_has_something_is_not_deleted(
    iam: Any, document: Any, refusal: Any
) -> None:
    iam.create_group(GroupName="g")
    iam.create_user(UserName="alice")
    iam.add_user_to_group(GroupName="g", UserName="alice")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document())
    for message, remove in (
        (
            "must remove users from group first.",
            lambda: iam.remove_user_from_group(GroupName="g", UserName="alice"),
        ),
        (
            "must delete policies first.",
            lambda: iam.delete_group_policy(GroupName="g", PolicyName="p"),
        ),
    ):
        refused = refusal(iam.delete_group, GroupName="g")
        assert refused == ("DeleteConflict", f"Cannot delete entity, {message}")
        remove()
    iam.delete_group(GroupName="g")
    assert refusal(iam.get_group, GroupName="g") == (
        "NoSuchEntity",
        "The group with name g cannot be found.",
    )
    iam.delete_user(UserName="alice")
