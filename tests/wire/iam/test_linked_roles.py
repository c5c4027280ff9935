"""Service-linked roles: IAM User Guide, "Create a service-linked role"."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

SERVICE = "dynamodb.application-autoscaling.amazonaws.com"
NAME = "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
POLICY = "AWSApplicationAutoscalingDynamoDBTablePolicy"
PROTECTED = (
    "UnmodifiableEntity",
    f"Cannot perform the operation on the protected role '{NAME}' - this role is only modifiable by AWS",
)


@pytest.fixture
def role(iam: Any) -> Any:
    return iam.create_service_linked_role(AWSServiceName=SERVICE)["Role"]


def test_a_linked_role_trusts_its_service_and_has_the_one_policy(
    iam: Any, role: Any, account: str
) -> None:
    assert role["Arn"] == f"arn:aws:iam::{account}:role/aws-service-role/{SERVICE}/{NAME}"
    found = iam.get_role(RoleName=NAME)["Role"]
    statement = found["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": SERVICE}
    attached = iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == [POLICY]
    version = iam.get_policy_version(PolicyArn=attached[0]["PolicyArn"], VersionId="v1")
    actions = version["PolicyVersion"]["Document"]["Statement"][0]["Action"]
    assert {"dynamodb:DescribeTable", "dynamodb:UpdateTable"} <= set(actions)


def test_a_linked_role_is_made_once_and_of_services_that_have_one(
    iam: Any, role: Any, refusal: Any
) -> None:
    assert role["RoleName"] == NAME
    assert refusal(iam.create_service_linked_role, AWSServiceName=SERVICE) == (
        "InvalidInput",
        f"Service role name {NAME} has been taken in this account, please try a different suffix.",
    )
    given = {"AWSServiceName": SERVICE, "CustomSuffix": "mine"}
    assert refusal(iam.create_service_linked_role, **given)[0] == "InvalidInput"
    code, message = refusal(iam.create_service_linked_role, AWSServiceName="ecs.amazonaws.com")
    assert code == "NotImplemented"
    assert "ecs.amazonaws.com" in message


def test_nobody_changes_a_linked_role_but_for_its_description(
    iam: Any, role: Any, document: Any, trust: Any, refusal: Any
) -> None:
    assert role["RoleName"] == NAME
    changes: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (iam.delete_role, {}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": document()}),
        (iam.attach_role_policy, {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        (iam.detach_role_policy, {"PolicyArn": f"arn:aws:iam::aws:policy/aws-service-role/{POLICY}"}),
        (iam.update_assume_role_policy, {"PolicyDocument": trust()}),
        (iam.update_role, {"MaxSessionDuration": 7200}),
    ]  # fmt: skip
    for change, given in changes:
        assert refusal(change, RoleName=NAME, **given) == PROTECTED
    iam.update_role(RoleName=NAME, Description="scales")
    assert iam.get_role(RoleName=NAME)["Role"]["Description"] == "scales"


def test_nobody_takes_on_a_linked_role_or_forges_one(
    iam: Any, role: Any, trust: Any, user: Any, document: Any, refusal: Any
) -> None:
    sts = user("alice", document("sts:*"))("sts")
    code, _ = refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="s1")
    assert code == "AccessDenied"
    given = {"AssumeRolePolicyDocument": trust(), "Path": f"/aws-service-role/{SERVICE}/"}
    assert refusal(iam.create_role, RoleName="other", **given)[0] == "ValidationError"
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust())
    arn = f"arn:aws:iam::aws:policy/aws-service-role/{POLICY}"
    assert refusal(iam.attach_role_policy, RoleName="other", PolicyArn=arn) == (
        "PolicyNotAttachable",
        "Cannot attach a Service Role Policy to a Customer Role.",
    )


def test_who_may_make_a_linked_role_is_decided_by_its_service(user: Any, refusal: Any) -> None:
    def policy(service: str) -> str:
        statement = {
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": f"arn:aws:iam::*:role/aws-service-role/{SERVICE}/{NAME}*",
            "Condition": {"StringEquals": {"iam:AWSServiceName": service}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    other = user("bob", policy("lambda.amazonaws.com"))("iam")
    code, message = refusal(other.create_service_linked_role, AWSServiceName=SERVICE)
    assert code == "AccessDenied"
    assert NAME in message
    user("alice", policy(SERVICE))("iam").create_service_linked_role(AWSServiceName=SERVICE)
