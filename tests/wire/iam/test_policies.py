from __future__ import annotations

import json
from typing import Any

import pytest

KINDS = ["user", "role", "group"]
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


class Verbs:
    """The operations on the policies of one kind of entity, by what they do."""

    def __init__(self, iam: Any, kind: str, trust: str) -> None:
        self.kind = kind
        calls: dict[str, dict[str, Any]] = {
            "user": {
                "create": lambda **given: iam.create_user(**given),
                "put": lambda **given: iam.put_user_policy(**given),
                "get": lambda **given: iam.get_user_policy(**given),
                "list": lambda **given: iam.list_user_policies(**given),
                "delete": lambda **given: iam.delete_user_policy(**given),
                "attach": lambda **given: iam.attach_user_policy(**given),
                "detach": lambda **given: iam.detach_user_policy(**given),
                "attached": lambda **given: iam.list_attached_user_policies(**given),
            },
            "role": {
                "create": lambda **given: iam.create_role(**given, AssumeRolePolicyDocument=trust),
                "put": lambda **given: iam.put_role_policy(**given),
                "get": lambda **given: iam.get_role_policy(**given),
                "list": lambda **given: iam.list_role_policies(**given),
                "delete": lambda **given: iam.delete_role_policy(**given),
                "attach": lambda **given: iam.attach_role_policy(**given),
                "detach": lambda **given: iam.detach_role_policy(**given),
                "attached": lambda **given: iam.list_attached_role_policies(**given),
            },
            "group": {
                "create": lambda **given: iam.create_group(**given),
                "put": lambda **given: iam.put_group_policy(**given),
                "get": lambda **given: iam.get_group_policy(**given),
                "list": lambda **given: iam.list_group_policies(**given),
                "delete": lambda **given: iam.delete_group_policy(**given),
                "attach": lambda **given: iam.attach_group_policy(**given),
                "detach": lambda **given: iam.detach_group_policy(**given),
                "attached": lambda **given: iam.list_attached_group_policies(**given),
            },
        }
        self._calls = calls[kind]
        self("create")

    def verb(self, name: str) -> Any:
        member = f"{self.kind.capitalize()}Name"
        return lambda **given: self._calls[name](**{member: "e"}, **given)

    def __call__(self, name: str, **given: Any) -> Any:
        return self.verb(name)(**given)


@pytest.fixture(params=KINDS)
def verbs(iam: Any, trust: Any, request: pytest.FixtureRequest) -> Verbs:
    return Verbs(iam, request.param, trust())


def test_an_inline_policy_is_put_found_listed_and_deleted(
    verbs: Verbs, document: Any, refusal: Any
) -> None:
    for name in ("b", "a"):
        verbs("put", PolicyName=name, PolicyDocument=document())
    found = verbs("get", PolicyName="a")
    assert found["PolicyDocument"] == json.loads(document())
    assert found[f"{verbs.kind.capitalize()}Name"] == "e"
    assert verbs("list")["PolicyNames"] == ["a", "b"]
    first = verbs("list", MaxItems=1)
    assert verbs("list", Marker=first["Marker"])["PolicyNames"] == ["b"]
    verbs("delete", PolicyName="a")
    missing = ("NoSuchEntity", f"The {verbs.kind} policy with name a cannot be found.")
    assert refusal(verbs.verb("delete"), PolicyName="a") == missing
    assert refusal(verbs.verb("get"), PolicyName="a") == missing


def test_a_managed_policy_is_attached_listed_and_detached(
    iam: Any, verbs: Verbs, refusal: Any
) -> None:
    verbs("attach", PolicyArn=BASIC)
    verbs("attach", PolicyArn=BASIC)
    shown = [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert verbs("attached")["AttachedPolicies"] == shown
    assert verbs("attached", PathPrefix="/other/")["AttachedPolicies"] == []
    assert iam.get_policy(PolicyArn=BASIC)["Policy"]["AttachmentCount"] == 1
    entities = iam.list_entities_for_policy(PolicyArn=BASIC)
    assert len(entities[f"Policy{verbs.kind.capitalize()}s"]) == 1
    verbs("detach", PolicyArn=BASIC)
    assert verbs("attached")["AttachedPolicies"] == []
    assert refusal(verbs.verb("detach"), PolicyArn=BASIC) == (
        "NoSuchEntity",
        f"Policy {BASIC} was not found.",
    )
    missing = "arn:aws:iam::aws:policy/NoSuchPolicyOfAws"
    assert refusal(verbs.verb("attach"), PolicyArn=missing) == (
        "NoSuchEntity",
        f"Policy {missing} does not exist or is not attachable.",
    )


def test_the_entities_of_a_policy_come_in_pages_and_by_kind(iam: Any, trust: Any) -> None:
    for number in range(3):
        iam.create_user(UserName=f"u{number}", Path=f"/{number}/")
        iam.attach_user_policy(UserName=f"u{number}", PolicyArn=BASIC)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    pages = iam.get_paginator("list_entities_for_policy").paginate(
        PolicyArn=BASIC, PaginationConfig={"PageSize": 2}
    )
    found = [
        [one["RoleName"] for one in page["PolicyRoles"]]
        + [one["UserName"] for one in page["PolicyUsers"]]
        for page in pages
    ]
    assert found == [["r", "u0"], ["u1", "u2"]]
    roles = iam.list_entities_for_policy(PolicyArn=BASIC, EntityFilter="Role")
    assert [len(roles[f"Policy{kind}s"]) for kind in ("Role", "User", "Group")] == [1, 0, 0]
    under = iam.list_entities_for_policy(PolicyArn=BASIC, PathPrefix="/1/")
    assert [one["UserName"] for one in under["PolicyUsers"]] == ["u1"]
    assert under["PolicyRoles"] == []


def test_what_is_not_evaluated_is_refused_when_it_is_put(
    iam: Any, document: Any, refusal: Any
) -> None:
    iam.create_user(UserName="alice")
    given = {"UserName": "alice", "PolicyName": "p"}
    unknown = document(Condition={"StringEquals": {"aws:NoSuchKey": "x"}})
    code, message = refusal(iam.put_user_policy, **given, PolicyDocument=unknown)
    assert (code, message) == (
        "NotImplemented",
        "fogbank has not built the condition key aws:NoSuchKey in policies",
    )
    strange = document(Condition={"StringSounds": {"aws:username": "x"}})
    assert refusal(iam.put_user_policy, **given, PolicyDocument=strange) == (
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
    )
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == []


def test_inline_policies_have_a_size_together(iam: Any, document: Any, refusal: Any) -> None:
    iam.create_user(UserName="alice")
    half = document([f"s3:Action{number}" for number in range(90)])
    assert 1024 < len(half) < 2048
    iam.put_user_policy(UserName="alice", PolicyName="a", PolicyDocument=half)
    refused = refusal(iam.put_user_policy, UserName="alice", PolicyName="b", PolicyDocument=half)
    assert refused == (
        "LimitExceeded",
        "Maximum policy size of 2048 bytes exceeded for user alice",
    )
    spaced = json.dumps(json.loads(half), indent=40)
    iam.put_user_policy(UserName="alice", PolicyName="a", PolicyDocument=spaced)


def test_a_managed_policy_has_versions(iam: Any, account: str, document: Any, refusal: Any) -> None:
    made = iam.create_policy(
        PolicyName="Read", Path="/team/", PolicyDocument=document("s3:Get*"), Description="d"
    )["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{account}:policy/team/Read"
    assert (made["DefaultVersionId"], made["AttachmentCount"]) == ("v1", 0)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Description"] == "d"
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:List*"))
    assert second["PolicyVersion"]["VersionId"] == "v2"
    assert second["PolicyVersion"]["IsDefaultVersion"] is False
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert version["IsDefaultVersion"] is True
    assert version["Document"] == json.loads(document("s3:List*"))
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [one["VersionId"] for one in versions] == ["v2", "v1"]
    assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == (
        "DeleteConflict",
        "Cannot delete the default version of a policy.",
    )
    assert "more than one version" in refusal(iam.delete_policy, PolicyArn=arn)[1]
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(), SetAsDefault=True)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v6"
    code, _ = refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=document())
    assert code == "LimitExceeded"
    assert refusal(iam.get_policy_version, PolicyArn=arn, VersionId="v1")[0] == "NoSuchEntity"


def test_a_policy_that_is_attached_is_not_deleted(iam: Any, document: Any, refusal: Any) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document())["Policy"]["Arn"]
    iam.create_user(UserName="alice")
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    assert refusal(iam.delete_policy, PolicyArn=arn) == (
        "DeleteConflict",
        "Cannot delete a policy attached to entities.",
    )
    iam.detach_user_policy(UserName="alice", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert refusal(iam.get_policy, PolicyArn=arn) == (
        "NoSuchEntity",
        f"Policy {arn} was not found.",
    )


def test_a_managed_policy_needs_the_current_version_and_a_free_name(
    iam: Any, document: Any, refusal: Any
) -> None:
    old = document().replace("2012", "2008")
    assert refusal(iam.create_policy, PolicyName="p", PolicyDocument=old) == (
        "MalformedPolicyDocument",
        "Policy document must be version 2012-10-17 or greater.",
    )
    iam.create_policy(PolicyName="p", PolicyDocument=document())
    assert refusal(iam.create_policy, PolicyName="P", PolicyDocument=document()) == (
        "EntityAlreadyExists",
        "A policy called P already exists. Duplicate names are not allowed.",
    )


def test_policies_are_listed_by_scope_and_in_pages(iam: Any, document: Any) -> None:
    own = [
        iam.create_policy(PolicyName=f"p{number}", PolicyDocument=document())["Policy"]["Arn"]
        for number in range(3)
    ]
    local = iam.list_policies(Scope="Local")["Policies"]
    assert [one["Arn"] for one in local] == own
    everything = iam.list_policies()["Policies"]
    aws = iam.list_policies(Scope="AWS")["Policies"]
    assert len(aws) > 10
    assert everything == local + aws
    for size in (1, 3, 4):
        pages = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": size})
        assert [one for page in pages for one in page["Policies"]] == everything
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=own[1])
    assert [one["Arn"] for one in iam.list_policies(OnlyAttached=True)["Policies"]] == [own[1]]


def test_policies_of_aws_cannot_be_changed(iam: Any, document: Any, refusal: Any) -> None:
    assert refusal(iam.delete_policy, PolicyArn=BASIC)[0] == "AccessDenied"
    version = iam.get_policy_version(PolicyArn=BASIC, VersionId="v1")["PolicyVersion"]
    assert "logs:PutLogEvents" in version["Document"]["Statement"][0]["Action"]
    refused = refusal(iam.create_policy_version, PolicyArn=BASIC, PolicyDocument=document())
    assert refused[0] == "AccessDenied"


def test_policies_have_tags(iam: Any, document: Any) -> None:
    arn = iam.create_policy(
        PolicyName="p", PolicyDocument=document(), Tags=[{"Key": "a", "Value": "1"}]
    )["Policy"]["Arn"]
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_an_arn_that_is_none_is_invalid(iam: Any, refusal: Any) -> None:
    given = "x" * 30
    assert refusal(iam.get_policy, PolicyArn=given) == (
        "InvalidInput",
        f"ARN {given} is not valid.",
    )
