"""Which documents may be the policy of a bucket, and which let the public in.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage" (The meaning of
"public", with its examples); messages of PutBucketPolicy.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.services.s3.errors import InvalidRequest, MalformedPolicy
from fogbank.services.s3.rules.policies import POLICY_BYTES_MAX, is_public, raw_of

ARN = "arn:aws:s3:::photos"
ACCOUNT = "arn:aws:iam::111122223333:root"


def document(**said: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/*",
        **said,
    }
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        (" {}", "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        (document(Principal=None), "Missing required field Principal"),
        (document(Action=None), "Missing required field Action"),
        (document(Resource=None), "Missing required field Resource"),
        (document(Effect="allow"), "Invalid effect: allow"),
        (document(Action="iam:GetUser"), "Policy has invalid action"),
        (document(Action="GetObject"), "Policy has invalid action"),
        (document(Resource="photos"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3:::other/*"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3:us-east-1::photos"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3::111122223333:photos"), "Policy has invalid resource"),
        (document(Resource="arn:aws:sqs:::photos"), "Policy has invalid resource"),
        (document(Resource=[ARN, "arn:aws:s3:::photosx"]), "Policy has invalid resource"),
        (
            document(Principal=None, NotPrincipal={"AWS": ACCOUNT}),
            "Allow with NotPrincipal is not allowed.",
        ),
    ],
)
def test_what_is_no_policy_of_the_bucket_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicy) as caught:
        raw_of(text, "photos")
    assert caught.value.message == message


@pytest.mark.parametrize(
    "resource", [ARN, f"{ARN}/a", "arn:aws:s3:::*", "arn:aws:s3:::ph?tos/*", "*"]
)
def test_resources_that_are_or_may_be_the_bucket_are_taken(resource: str) -> None:
    assert raw_of(document(Resource=resource), "photos").statements


def test_a_policy_has_a_largest_size() -> None:
    text = document(Sid="x" * (POLICY_BYTES_MAX - len(document(Sid=""))))
    assert len(text) == POLICY_BYTES_MAX
    raw_of(text, "photos")
    with pytest.raises(InvalidRequest):
        raw_of(text + " ", "photos")


def condition(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


@pytest.mark.parametrize(
    ("said", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Principal": {"AWS": [ACCOUNT, "*"]}}, True),
        ({"Principal": {"Service": "s3.amazonaws.com"}}, False),
        ({"Effect": "Deny"}, False),
        (condition("StringLike", "aws:SourceVpc", "vpc-*"), True),
        (condition("StringEquals", "aws:SourceVpc", "vpc-91237329"), False),
        (condition("StringNotEquals", "aws:SourceVpc", "vpc-91237329"), True),
        (condition("StringEqualsIfExists", "aws:SourceVpc", "vpc-91237329"), True),
        (condition("StringEquals", "aws:SourceVpc", "vpc-1", "vpc-?"), True),
        (condition("StringEquals", "aws:PrincipalArn", "${aws:username}"), True),
        (condition("StringEquals", "aws:userid", "AROAEXAMPLE:*"), True),
        (condition("StringLike", "aws:Referer", "http://example.com/x"), True),
        (condition("StringEquals", "s3:x-amz-acl", "private"), True),
        (condition("IpAddress", "aws:SourceIp", "54.240.143.0/24"), False),
        (condition("IpAddress", "aws:SourceIp", "54.240.143.0/24", "0.0.0.0/1"), True),
        (condition("IpAddress", "aws:SourceIp", "2001:db9::/31"), True),
        (condition("IpAddress", "aws:SourceIp", "10.0.0.0/8"), False),
        (condition("NotIpAddress", "aws:SourceIp", "54.240.143.0/24"), True),
        (
            condition(
                "ArnLike",
                "s3:DataAccessPointArn",
                "arn:aws:s3:us-west-2:123456789012:accesspoint/*",
            ),
            False,
        ),
        (condition("ArnLike", "s3:DataAccessPointArn", "arn:aws:s3:*:*:accesspoint/x"), True),
    ],
)
def test_a_policy_is_public_unless_all_it_trusts_is_fixed(
    said: dict[str, Any], *, public: bool
) -> None:
    assert is_public(raw_of(document(**said), "photos")) is public
