from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest

ACCOUNT = "111122223333"


class Caller(NamedTuple):
    kind: str
    account: str
    arn: str
    role_arn: str = ""
    provider: str = ""


ALICE = Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice")


def allowed(statement: dict[str, Any], context: dict[str, Any], **given: str) -> bool:
    document = {
        "Version": given.pop("version", "2012-10-17"),
        "Statement": {"Effect": "Allow", "Action": "s3:*", **statement},
    }
    policy = compile_policy(document, kind="identity")
    arn = given.pop("arn", "arn:aws:s3:::photos/a.jpg")
    request = AccessRequest(ALICE, "s3:GetObject", arn, context, ACCOUNT)
    return evaluate(request, PolicySet(identity=policy)).allowed


def holds(operator: str, key: str, wanted: Any, given: Any, version: str = "2012-10-17") -> bool:
    context = {} if given is None else {key: given}
    statement = {"Resource": "*", "Condition": {operator: {key: wanted}}}
    return allowed(statement, context, version=version)


ABSENT = None
OPERATORS = [
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", ["a", "b"], "b", True),
    ("StringEquals", "a*", "ab", False),
    ("StringEquals", "a*", "a*", True),
    ("StringEquals", [], "a", False),
    ("StringEquals", "a", ABSENT, False),
    ("StringEquals", "a", ["x", "a"], True),
    ("StringNotEquals", "a", "b", True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringNotEquals", "a", ABSENT, True),
    ("StringNotEquals", "a", ["x", "a"], False),
    ("StringEqualsIgnoreCase", "Abc", "aBC", True),
    ("StringNotEqualsIgnoreCase", "Abc", "aBC", False),
    ("StringLike", "a*c?", "abbcd", True),
    ("StringLike", "a*c?", "abbc", False),
    ("StringLike", "a*", "A", False),
    ("StringNotLike", "a*", "abc", False),
    ("StringNotLike", "a*", "bc", True),
    ("StringNotLike", "a*", ABSENT, True),
    ("StringEqualsIfExists", "a", ABSENT, True),
    ("StringEqualsIfExists", "a", "b", False),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", 10, "10", True),
    ("NumericEquals", "10", "ten", False),
    ("NumericEquals", "10", "inf", False),
    ("NumericNotEquals", "10", "11", True),
    ("NumericNotEquals", "10", ABSENT, True),
    ("NumericLessThan", "10", "9.99", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "-1", "0", True),
    ("NumericGreaterThanEquals", "1", "0", False),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
    ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", False),
    ("DateLessThan", "2026-01", "2025-12-31T23:59:59Z", True),
    ("DateLessThan", "2026", "2026-01-01T00:00:00Z", False),
    ("DateLessThanEquals", "2026", "2026-01-01T00:00:00Z", True),
    ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", True),
    ("DateGreaterThan", "2026-01-01T00:00:00Z", "soon", False),
    ("DateGreaterThanEquals", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", False),
    ("DateGreaterThan", "2026", ABSENT, False),
    ("Bool", "true", "true", True),
    ("Bool", True, "true", True),
    ("Bool", "false", "true", False),
    ("Bool", "TRUE", "true", True),
    ("Bool", "false", ABSENT, False),
    ("BoolIfExists", "false", ABSENT, True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.9", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.9", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "203.0.113.7/24", "203.0.113.200", True),
    ("IpAddress", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
    ("IpAddress", "203.0.113.0/24", "::ffff:203.0.113.9", True),
    ("IpAddress", "203.0.113.0/24", "no address", False),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", False),
    ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", True),
    ("NotIpAddress", "203.0.113.0/24", ABSENT, True),
    ("ArnLike", "arn:aws:sns:*:111122223333:*", "arn:aws:sns:us-east-1:111122223333:t", True),
    ("ArnLike", "arn:aws:s3:::*", "arn:aws:s3:::a:b/c", True),
    ("ArnLike", "arn:aws:sns:*:t:q", "arn:aws:sns:us-east-1:111122223333:t:q", False),
    ("ArnEquals", "arn:aws:sns:*:111122223333:t", "arn:aws:sns:x:111122223333:t", True),
    ("ArnLike", "*", "arn:aws:s3:::a", True),
    ("ArnLike", "arn:aws:s3:::*", "photos", False),
    ("ArnNotLike", "arn:aws:s3:::a*", "arn:aws:s3:::b", True),
    ("ArnNotEquals", "arn:aws:s3:::a*", "arn:aws:s3:::ab", False),
    ("Null", "true", ABSENT, True),
    ("Null", "true", "a", False),
    ("Null", "false", "a", True),
    ("Null", False, ABSENT, False),
    ("Null", "true", [], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a", "b"], ABSENT, True),
    ("ForAllValues:StringEquals", ["a", "b"], [], True),
    ("ForAllValues:StringEquals", ["a", "b"], "a", True),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
    ("ForAllValues:StringNotEquals", ["a"], ["a", "c"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
    ("ForAnyValue:StringEquals", ["a"], ABSENT, False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
    ("ForAnyValue:StringNotEquals", ["a"], ABSENT, False),
    ("ForAnyValue:StringLikeIfExists", ["a*"], ABSENT, True),
    # A key without values is not in the request, whatever is asked of it.
    ("StringEqualsIfExists", "a", (), True),
    ("StringNotEquals", "a", (), True),
    ("StringEquals", "a", (), False),
    ("ForAnyValue:StringEqualsIfExists", "a", (), True),
    ("ForAnyValue:StringNotEquals", "a", (), False),
]


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), OPERATORS)
def test_an_operator_holds_as_documented(
    operator: str, wanted: Any, given: Any, expected: object
) -> None:
    assert holds(operator, "ec2:Something", wanted, given) is expected


def test_the_case_of_keys_does_not_matter() -> None:
    condition = {"StringEquals": {"AWS:principaltag/TEAM": "red"}}
    context = {"aws:PrincipalTag/team": "red"}
    assert allowed({"Resource": "*", "Condition": condition}, context)


def test_all_keys_and_all_operators_must_hold() -> None:
    condition = {
        "StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"},
        "Bool": {"aws:SecureTransport": "true"},
    }
    context = {"s3:prefix": "a", "s3:delimiter": "/", "aws:SecureTransport": "true"}
    assert allowed({"Resource": "*", "Condition": condition}, context)
    for key in context:
        without = {name: value for name, value in context.items() if name != key}
        assert not allowed({"Resource": "*", "Condition": condition}, without)


HOME = "arn:aws:s3:::home/${aws:username}/*"
VARIABLES = [
    (HOME, {"aws:username": "alice"}, "arn:aws:s3:::home/alice/x", True),
    (HOME, {"aws:username": "alice"}, "arn:aws:s3:::home/bob/x", False),
    (HOME, {"AWS:UserName": "alice"}, "arn:aws:s3:::home/alice/x", True),
    (HOME, {}, "arn:aws:s3:::home//x", False),
    (HOME, {}, "arn:aws:s3:::home/${aws:username}/x", False),
    # What a variable stands for is literal: a user named * owns no other's home.
    (HOME, {"aws:username": "*"}, "arn:aws:s3:::home/bob/x", False),
    (HOME, {"aws:username": "*"}, "arn:aws:s3:::home/*/x", True),
    (HOME, {"aws:username": ["alice", "bob"]}, "arn:aws:s3:::home/alice/x", False),
    ("arn:aws:s3:::${aws:PrincipalTag/team, 'none'}/*", {}, "arn:aws:s3:::none/x", True),
    ("arn:aws:s3:::${aws:PrincipalTag/team, 'none'}/*", {"aws:PrincipalTag/team": ["a", "b"]}, "arn:aws:s3:::none/x", True),
    ("arn:aws:s3:::${aws:PrincipalTag/team,'none'}/*", {"aws:PrincipalTag/team": "red"}, "arn:aws:s3:::red/x", True),
    ("arn:aws:s3:::b/${*}", {}, "arn:aws:s3:::b/*", True),
    ("arn:aws:s3:::b/${*}", {}, "arn:aws:s3:::b/x", False),
    ("arn:aws:s3:::b/${?}${$}", {}, "arn:aws:s3:::b/?$", True),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "context", "arn", "expected"), VARIABLES)
def test_a_variable_stands_for_literal_text(
    resource: str, context: dict[str, Any], arn: str, expected: object
) -> None:
    assert allowed({"Resource": resource}, context, arn=arn) is expected


def test_the_older_version_knows_no_variables() -> None:
    literal = "arn:aws:s3:::home/${aws:username}/x"
    context = {"aws:username": "alice"}
    taken = {"Resource": HOME}
    assert allowed(taken, context, arn=literal, version="2008-10-17")
    assert not allowed(taken, context, arn="arn:aws:s3:::home/alice/x", version="2008-10-17")


def test_a_variable_without_value_matches_no_resource_and_no_value() -> None:
    spared = {"NotResource": HOME}
    assert allowed(spared, {}, arn="arn:aws:s3:::home/alice/x")
    tag = "${aws:PrincipalTag/team}"
    assert not holds("StringEquals", "aws:PrincipalTag/group", tag, "red")
    assert holds("StringNotEquals", "aws:PrincipalTag/group", tag, "red")


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("StringEquals", "${aws:username}", "alice", True),
        ("StringEquals", "${aws:username}", "Alice", False),
        ("StringEqualsIgnoreCase", "x-${aws:username}", "X-ALICE", True),
        ("StringLike", "home/${aws:username}/*", "home/alice/x", True),
        ("StringLike", "home/${aws:username}/*", "home/bob/x", False),
        ("ArnLike", "arn:aws:iam::*:user/${aws:username}", ALICE.arn, True),
        ("ArnLike", "arn:aws:iam::*:user/${aws:username}", f"{ALICE.arn}x", False),
    ],
)
def test_variables_stand_in_string_and_arn_conditions(
    operator: str, wanted: str, given: str, expected: object
) -> None:
    condition = {operator: {"ec2:Something": wanted}}
    context = {"ec2:Something": given, "aws:username": "alice"}
    assert allowed({"Resource": "*", "Condition": condition}, context) is expected
