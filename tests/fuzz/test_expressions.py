"""Expressions and policies: texts that strangers have us run against items and requests."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target, json_changed
from tests.unit.platform.iam.reference import Caller
from tests.unit.services.dynamodb.test_conditions import ITEM, VALUES

from fogbank.base.errors import ServiceError
from fogbank.platform.iam.evaluate import PolicySet, evaluate, index_of
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.expressions import parser, syntax, updates
from fogbank.services.dynamodb.rules.requests import QUERY, SCAN, UPDATE, expressions_of

pytestmark = pytest.mark.slow

EXPRESSIONS = [
    b"Cn = :5 AND (s <> :he OR NOT contains(l, :2)) AND size(m.y[0]) BETWEEN :2 AND :6",
    b"Cattribute_exists(#a.x) and begins_with(s, :he) or n IN (:5, :6, n)",
    b"Cattribute_type(t, :N) OR attribute_not_exists(l[1].x) AND #a.y[0] < m.x",
    b"USET n = n + :5, l[0] = list_append(l, :l), m.x = if_not_exists(z, :2) REMOVE s, l[1]",
    b"UADD n :2, ns :set DELETE ns :set SET #a.q = :map",
    b"Pa, m.y[0], l[1].x, #a",
    b"Kp = :he AND begins_with(n, :hello)",
    b"Kp = :he AND n BETWEEN :2 AND :5",
]
EXPRESSION_WORDS = (
    *(
        b" AND ",
        b" OR ",
        b"NOT ",
        b"(",
        b")",
        b" IN ",
        b" BETWEEN ",
        b"size(",
        b"contains(",
        b":5",
        b"#a",
        b"[0]",
    ),
    *(
        b".x",
        b"SET ",
        b"REMOVE ",
        b"ADD ",
        b"DELETE ",
        b"if_not_exists(",
        b"list_append(",
        b" + ",
        b" - ",
        b", ",
    ),
    *(
        b"<>",
        b"<=",
        b"(" * 400,
        b"NOT " * 400,
        b"a.",
        b"a[0]" * 50,
        b"#",
        b":",
        b"name",
        b"\xc3\xa9",
        b"[99999999999]",
    ),
)
GIVEN = {**VALUES, ":l": {"L": [{"N": "1"}]}}
FORMS = {
    "C": ("FilterExpression", SCAN, syntax.condition_text),
    "U": ("UpdateExpression", UPDATE, syntax.update_text),
    "P": ("ProjectionExpression", SCAN, syntax.projection_text),
    "K": ("KeyConditionExpression", QUERY, syntax.condition_text),
}


def parsed(kind: str, name: str, text: str) -> Any:
    if kind == "U":
        return parser.parse_update(text)
    return parser.parse_projection(text) if kind == "P" else parser.parse_condition(text, name)


def used_in(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the placeholders that a text seems to use, since others are refused."""
    values = {name: value for name, value in GIVEN.items() if name in text}
    return values, {"#a": "m"} if "#a" in text else {}


def check_expression(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    kind, text = text[:1] if text[:1] in FORMS else "C", text[1:]
    name, parameters, written = FORMS[kind]
    try:
        tree = parsed(kind, name, text)
    except ValidationException:
        return False
    # What was read, written plainly, is read again as the same.
    assert parsed(kind, name, written(tree)) == tree
    values, names = used_in(text)
    request: dict[str, Any] = {name: text}
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    item, before = copy.deepcopy(ITEM), copy.deepcopy(ITEM)
    try:
        bound = expressions_of(request, parameters)
        if kind == "U":
            updates.applied(bound.update, item, {"p": item["p"]})
        elif kind == "C":
            assert bound.filter is not None
            assert bound.filter.holds(item) in {True, False}
    except ServiceError:
        return False
    finally:
        assert item == before
    return True


def test_expressions_are_read_in_one_way_and_run_or_are_refused(hunted: Hunted) -> None:
    outcome = hunted(
        Target("expression", EXPRESSIONS, check_expression, EXPRESSION_WORDS, count=400)
    )
    assert outcome.findings == []
    assert outcome.accepted >= len(EXPRESSIONS)


# Policies.

ALLOW = {"Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*"}
POLICIES = [
    {"Version": "2012-10-17", "Statement": ALLOW},
    {
        "Version": "2012-10-17",
        "Id": "i",
        "Statement": [
            {**ALLOW, "Sid": "One", "Resource": "arn:aws:s3:::b/${aws:username}/*"},
            {
                "Effect": "Deny",
                "NotAction": "iam:*",
                "NotResource": ["arn:aws:s3:::b/?x*", "arn:aws:iam::123456789012:user/*"],
                "Condition": {
                    "StringLikeIfExists": {"aws:PrincipalTag/team": ["a*", "b?"]},
                    "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]},
                    "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
                    "NumericLessThanEquals": {"s3:max-keys": "10"},
                    "Bool": {"aws:SecureTransport": False},
                    "ForAnyValue:StringEquals": {"aws:TagKeys": ["k"]},
                    "Null": {"aws:TokenIssueTime": "true"},
                },
            },
        ],
    },
    {
        "Version": "2008-10-17",
        "Statement": [
            {
                **ALLOW,
                "Principal": {"AWS": ["123456789012", "arn:aws:iam::123456789012:user/u"]},
            }
        ],
    },
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"},
            "Action": "sts:AssumeRole",
        },
    },
]
POLICY_WORDS = (
    *(
        b"${aws:userid}",
        b"${*}",
        b"${",
        b"$",
        b"*" * 60,
        b"?" * 60,
        b'"ForAllValues:StringLike"',
        b'"BinaryEquals"',
    ),
    *(
        b"arn:aws:s3:::",
        b"arn::::::",
        b"arn:aws-cn:s3:::b",
        b'"0.0.0.0/0"',
        b'"::/0"',
        b'"1e999"',
        b'"9999-99-99"',
    ),
)
USER = Caller("user", "123456789012", "arn:aws:iam::123456789012:user/u")
CONTEXT = {
    "aws:username": "u",
    "aws:SourceIp": "10.1.2.3",
    "aws:CurrentTime": "2026-01-01T00:00:00Z",
    "s3:max-keys": "5",
    "aws:SecureTransport": "false",
    "aws:TagKeys": ["k", "l"],
    "aws:PrincipalTag/team": "abc",
}


def check_policy(data: bytes) -> bool:
    text, taken = data.decode("utf-8", "replace"), False
    for kind in ("identity", "resource", "trust", "session"):
        try:
            policy = compile_policy(text, kind=kind)
        except MalformedPolicy:
            continue
        taken = True
        document = json.loads(text)
        assert len(policy.statements) == len(
            document["Statement"] if isinstance(document["Statement"], list) else [0]
        )
        for action, resource in (("s3:GetObject", "arn:aws:s3:::b/u/x"), ("iam:GetUser", "*")):
            request = AccessRequest(USER, action, resource, CONTEXT)
            alone = PolicySet(index_of([policy]))
            both = PolicySet(index_of([policy, compile_policy(DENY, kind="identity")]))
            assert evaluate(request, both).allowed is False, "a denial wins over whatever there is"
            assert evaluate(request, alone).allowed in {True, False}
    return taken


DENY = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}


def test_policies_are_compiled_and_evaluated_or_refused_in_iams_words(hunted: Hunted) -> None:
    seeds = [json.dumps(policy).encode() for policy in POLICIES]
    outcome = hunted(Target("policy", seeds, check_policy, POLICY_WORDS, mutate=json_changed))
    assert outcome.findings == []
    assert outcome.accepted >= len(seeds)
