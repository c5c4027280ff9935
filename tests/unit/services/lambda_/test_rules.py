from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fogbank.contract.action import Scope
from fogbank.platform.iam.bound import BoundName, BoundPolicy
from fogbank.platform.identity.principal import service_principal
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
)
from fogbank.services.lambda_.rules import (
    access,
    configuration,
    invocations,
    names,
    policies,
    routing,
)
from fogbank.services.lambda_.schema import AliasRecord

SCOPE = Scope("111122223333", "us-east-1")
ARN = "arn:aws:lambda:us-east-1:111122223333:function:f"


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        ("f", ARN),
        ("function:f", ARN),
        ("111122223333:function:f", ARN),
        (ARN, ARN),
        ("f:$LATEST", f"{ARN}:$LATEST"),
        (f"{ARN}:7", f"{ARN}:7"),
        ("444455556666:f", ARN.replace("111122223333", "444455556666")),
        (ARN.replace("us-east-1", "eu-west-1"), ARN.replace("us-east-1", "eu-west-1")),
    ],
)
def test_a_function_is_named_in_many_ways(text: str, arn: str) -> None:
    assert names.name_of(SCOPE, {"FunctionName": text}).qualified_arn == arn


def test_a_qualifier_stands_in_the_name_or_beside_it() -> None:
    assert names.function_name_of(SCOPE, {"FunctionName": "f", "Qualifier": "$LATEST"}) == (
        names.function_name_of(SCOPE, {"FunctionName": "f:$LATEST"})
    )
    with pytest.raises(InvalidParameterValueException, match="derived qualifier"):
        names.function_name_of(SCOPE, {"FunctionName": "f:$LATEST", "Qualifier": "1"})
    live = names.function_name_of(SCOPE, {"FunctionName": "f", "Qualifier": "live"})
    assert str(live.not_found) == f"Function not found: {ARN}:live"


def test_a_request_goes_to_the_same_version_always_and_each_version_gets_its_share() -> None:
    alias = AliasRecord(name="live", version="1", revision="r", other="2", weight=0.25)
    shares = [routing.share_of(f"request-{number}") for number in range(4_000)]
    assert shares == [routing.share_of(f"request-{number}") for number in range(4_000)]
    assert all(0 <= share < 1 for share in shares)
    ran = [routing.version_for(alias, share) for share in shares]
    assert 900 < ran.count("2") < 1_100
    assert ran.count("1") == 4_000 - ran.count("2")
    assert routing.version_for(alias, 1.0) == "1"


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        (ARN, ("111122223333", "us-east-1", "f", "")),
        (f"{ARN}:1", ("111122223333", "us-east-1", "f", "1")),
        (f"{ARN}:1:2", None),
        ("arn:aws:lambda:us-east-1:111122223333:layer:l", None),
        ("arn:aws:lambda:us-east-1:111122223333:function:", None),
        ("arn:aws:sqs:us-east-1:111122223333:q", None),
        ("nonsense", None),
    ],
)
def test_an_arn_of_a_function_is_recognised(arn: str, found: Any) -> None:
    assert arns.find_function(arn) == found
    assert names.is_function_arn(arn) == (found is not None)


def test_creating_needs_the_role_to_be_passed_and_tags_to_be_allowed() -> None:
    role = "arn:aws:iam::111122223333:role/r"
    asked = access.create_function(SCOPE, {"FunctionName": "f", "Role": role, "Tags": {"a": "b"}})
    assert [(each.action, each.resource) for each in asked] == [
        ("lambda:CreateFunction", ARN),
        ("lambda:TagResource", ARN),
        ("iam:PassRole", role),
    ]
    assert asked[0].context == {
        "aws:RequestTag/a": "b",
        "aws:ResourceTag/a": "b",
        "aws:TagKeys": ("a",),
    }
    assert asked[2].context["iam:PassedToService"] == "lambda.amazonaws.com"
    assert len(access.update_configuration(SCOPE, {"FunctionName": "f"})) == 1


def test_variables_may_fill_four_kilobytes_as_json() -> None:
    # LocalStack's validated test_lambda_envvars_near_limit: 4 KB less the JSON around one pair.
    value = "x" * (4_096 - 7 - len("LARGE_VAR"))
    fits = {"Environment": {"Variables": {"LARGE_VAR": value}}}
    assert configuration.variables_of(fits) == {"LARGE_VAR": value}
    with pytest.raises(InvalidParameterValueException, match="4KB"):
        configuration.variables_of({"Environment": {"Variables": {"LARGE_VAR": value + "x"}}})
    assert configuration.variables_of({}) is None
    assert configuration.variables_of({"Environment": {}}) == {}


def test_a_client_context_is_base64_of_json() -> None:
    context = base64.b64encode(b'{"a": 1}').decode()
    assert invocations.client_context_of({"ClientContext": context}) == '{"a": 1}'
    assert invocations.client_context_of({}) == ""
    for bad in ("%%%", base64.b64encode(b"no json").decode()):
        with pytest.raises(InvalidRequestContentException):
            invocations.client_context_of({"ClientContext": bad})


def test_a_trace_header_has_the_form_of_x_ray() -> None:
    header = invocations.trace_id_of(1_767_225_600_000, bytes(range(20)))
    assert header == ("Root=1-6955b900-000102030405060708090a0b;Parent=0c0d0e0f10111213;Sampled=0")


@pytest.mark.parametrize(
    ("given", "parent", "sampled"),
    [
        ("Root=1-6955b8ff-" + "a" * 24 + ";Parent=" + "b" * 16 + ";Sampled=1", "b" * 16, 1),
        ("Self=1-6;Root=1-6955b8ff-" + "a" * 24 + ";Sampled=?", "0c0d0e0f10111213", 0),
        ("Root=1-6955b8ff-" + "a" * 24 + ";Parent=x;Sampled=1;Lineage=1", "0c0d0e0f10111213", 1),
    ],
)
def test_the_trace_of_the_caller_goes_on(given: str, parent: str, sampled: int) -> None:
    header = invocations.trace_id_of(1_767_225_600_000, bytes(range(20)), given)
    assert header == f"Root=1-6955b8ff-{'a' * 24};Parent={parent};Sampled={sampled}"


def test_what_is_no_trace_is_left_out() -> None:
    made = invocations.trace_id_of(1_767_225_600_000, bytes(range(20)))
    for given in (
        "",
        "Root=2",
        ";;==",
        "Root=1-6955b8ff-\r\nx;Sampled=1",
        "Sampled=1",
        "x" * 9_999,
    ):
        assert invocations.trace_id_of(1_767_225_600_000, bytes(range(20)), given) == made


def policy(**request: Any) -> BoundPolicy:
    base = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    return policies.with_statement(None, policies.statement_of({**base, **request}, ARN), ())


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        (None, False),
        (policy(), True),
        (policy(Principal="sns.amazonaws.com"), False),
        (policy(Principal="*"), True),
        (policy(Action="lambda:GetFunction"), False),
        (policy(Action="lambda:*"), True),
        (policy(SourceArn="arn:aws:s3:::photos"), True),
        (policy(SourceArn="arn:aws:s3:::ph*"), True),
        (policy(SourceArn="arn:aws:s3:::other"), False),
        (policy(SourceAccount="111122223333"), True),
        (policy(SourceAccount="444455556666"), False),
    ],
)
def test_a_policy_decides_whether_a_service_may_invoke(
    document: BoundPolicy | None, allowed: bool
) -> None:
    source = service_principal(
        "s3.amazonaws.com", source_arn="arn:aws:s3:::photos", source_account="111122223333"
    )
    assert policies.allows_invoke(document, source, ARN) is allowed


def test_the_last_statement_takes_the_policy_with_it() -> None:
    one = policy()
    alice = (BoundName("arn:aws:iam::111122223333:user/alice", "AIDA1", "t"),)
    statement = json.loads(one.document)["Statement"][0]
    two = policies.with_statement(one, {**statement, "Sid": "t"}, alice)
    assert two.bound == alice
    assert policies.without_statement(two, "t") == one
    assert policies.without_statement(one, "s") is None
