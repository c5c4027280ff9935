"""Policies of functions that are put whole, beside those that AddPermission writes.

Source: Lambda Developer Guide, "Working with resource-based policies in Lambda"; API Reference,
PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

INVOKE = "lambda:InvokeFunction"


@pytest.fixture
def arn(create: Any) -> str:
    return create()["FunctionArn"]


@pytest.fixture
def put(functions: Any, arn: str) -> Callable[..., Any]:
    """Return what puts a policy of some statements; the names of users are their ARNs."""

    def put(*statements: Any, more: Any = (), on: str = arn, **given: Any) -> Any:
        statements = (*statements, *more)
        said = [
            {"Effect": "Allow", "Action": INVOKE, "Resource": on, **each} for each in statements
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": said}, indent=1)
        return functions.put_resource_policy(ResourceArn=on, Policy=policy, **given)

    return put


def person(account: str, name: str) -> dict[str, str]:
    return {"AWS": f"arn:aws:iam::{account}:user/{name}"}


def test_a_policy_that_is_put_takes_the_place_of_what_was_added(
    functions: Any, arn: str, put: Any, account: str, user: Any, refusal: Any, function: Any
) -> None:
    alice, bob = user("alice"), user("bob")
    named = {"FunctionName": "f", "Action": INVOKE}
    functions.add_permission(**named, StatementId="b", Principal=f"arn:aws:iam::{account}:user/bob")
    bob.invoke(FunctionName="f")
    first = put({"Sid": "people", "Principal": person(account, "alice")})
    found = functions.get_resource_policy(ResourceArn=arn)
    assert (found["Policy"], found["RevisionId"]) == (first["Policy"], first["RevisionId"])
    assert functions.get_policy(FunctionName="f")["Policy"] == found["Policy"]
    alice.invoke(FunctionName="f")
    assert refusal(bob.invoke, FunctionName="f")[0] == "AccessDeniedException"
    functions.add_permission(**named, StatementId="b", Principal=f"arn:aws:iam::{account}:user/bob")
    assert len(json.loads(functions.get_policy(FunctionName="f")["Policy"])["Statement"]) == 2
    bob.invoke(FunctionName="f")
    alice.invoke(FunctionName="f")
    stale = {"RevisionId": first["RevisionId"]}
    again = [{"Principal": person(account, "alice")}]
    assert refusal(put, more=again, **stale)[0] == "PreconditionFailedException"
    assert refusal(functions.delete_resource_policy, ResourceArn=arn, **stale)[0] == (
        "PreconditionFailedException"
    )
    gone = functions.delete_resource_policy(ResourceArn=arn)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(alice.invoke, FunctionName="f")[0] == "AccessDeniedException"
    for call in (functions.get_resource_policy, functions.delete_resource_policy):
        assert refusal(call, ResourceArn=arn)[0] == "ResourceNotFoundException"


def test_a_policy_speaks_of_versions_and_aliases_by_a_wildcard(
    functions: Any, arn: str, put: Any, account: str, user: Any, refusal: Any, function: Any
) -> None:
    alice, bob = user("alice"), user("bob")
    functions.publish_version(FunctionName="f")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    put({"Principal": person(account, "alice")})
    live = {"FunctionName": "f", "Qualifier": "live"}
    assert refusal(alice.invoke, **live)[0] == "AccessDeniedException"
    put({"Sid": "x", "Principal": person(account, "alice"), "Resource": [arn, f"{arn}:*"]})
    alice.invoke(**live)
    alice.invoke(FunctionName="f")
    put({"Sid": "x", "Principal": person(account, "bob")}, on=f"{arn}:live")
    bob.invoke(**live)
    alice.invoke(**live)
    assert refusal(bob.invoke, FunctionName="f")[0] == "AccessDeniedException"
    assert len(json.loads(functions.get_policy(**live)["Policy"])["Statement"]) == 1


def test_another_of_the_same_name_is_not_who_a_policy_names(
    functions: Any, put: Any, account: str, user: Any, refusal: Any, function: Any, cloud: Any
) -> None:
    user("alice")
    put({"Principal": person(account, "alice")})
    iam = cloud.client("iam")
    for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="alice")
    again = user("alice")
    assert refusal(again.invoke, FunctionName="f")[0] == "AccessDeniedException"


def test_what_cannot_be_a_policy_is_refused(
    functions: Any, arn: str, put: Any, account: str, refusal: Any
) -> None:
    me = {"AWS": f"arn:aws:iam::{account}:root"}
    code, message = refusal(put, more=[{"Principal": "*"}])
    assert code == "PublicPolicyException"
    assert message.endswith("would grant public access to it, which isn't allowed.")
    by_source = {"StringEquals": {"aws:SourceAccount": account}}
    put({"Principal": "*", "Condition": by_source})
    assert refusal(put, more=[{"Principal": me, "Effect": "Deny"}]) == (
        "NotImplemented",
        "fogbank has not built statements that deny in policies of functions",
    )
    same = {"Sid": "a", "Principal": me}
    assert refusal(put, more=[same, same])[0] == "InvalidParameterValueException"
    nobody = {"Principal": person(account, "nobody")}
    assert refusal(put, more=[nobody])[0] == "InvalidParameterValueException"
    assert refusal(put, more=[{"Principal": me}], on=f"{arn}:$LATEST")[0] == (
        "InvalidParameterValueException"
    )
    assert refusal(put, more=[{"Principal": me}], on=f"{arn}:7")[0] == "ResourceNotFoundException"
    for document in ("{}", "x", '{"Version":"2012-10-17","Statement":[]}'):
        refused = refusal(functions.put_resource_policy, ResourceArn=arn, Policy=document)
        assert refused[0] == "InvalidParameterValueException"
    runtime = arn.replace("function:f", "runtime/x")
    refused = refusal(functions.get_resource_policy, ResourceArn=runtime)
    assert refused[0] == "ResourceNotFoundException"
