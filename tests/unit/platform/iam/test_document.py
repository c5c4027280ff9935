"""The messages are AWS's, as moto's ``test_iam_policies.py`` recorded them."""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.platform.iam.malformed import MalformedPolicy, NotEvaluated
from fogbank.platform.iam.policy import compile_policy

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
COLON = "Actions/Condition can contain only one colon."
NO_ACTIONS = "Policy statement must contain actions."
NO_RESOURCES = "Policy statement must contain resources."
SIDS = "Statement IDs (SID) in a single policy must be unique."
IAM_PATH = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, '
    "instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, "
    "oidc-provider/, report/, access-report/."
)
GOOD = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::example_bucket"}


def changed(**elements: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **elements}.items() if value is not None}


def refused(document: Any, kind: Any = "identity") -> str:
    with pytest.raises(MalformedPolicy) as caught:
        compile_policy(document, kind=kind)
    return caught.value.message


WHOLE = [
    ("This is not a json document", SYNTAX),
    ("", SYNTAX),
    ("[]", SYNTAX),
    ("null", SYNTAX),
    ("[" * 100_000, SYNTAX),
    ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', SYNTAX),
    ('{"Version": NaN, "Statement": []}', SYNTAX),
    ({"Version": "2013-10-17", "Statement": GOOD}, SYNTAX),
    ({"Version": "2012-10-17"}, SYNTAX),
    ({"Version": "2012-10-17", "Statement": ["afd"]}, SYNTAX),
    ({"Version": "2012-10-17", "Statement": []}, SYNTAX),
    ({"Version": "2012-10-17", "Statement": GOOD, "Extra field": "value"}, SYNTAX),
    ({"Version": "2012-10-17", "Id": ["a"], "Statement": GOOD}, SYNTAX),
    ({"Version": "2012-10-17", "Id": {}, "Statement": GOOD}, SYNTAX),
    ({"Version": ["2012-10-17"], "Statement": GOOD}, SYNTAX),
]


@pytest.mark.parametrize(("document", "message"), WHOLE)
def test_a_document_that_is_none_is_refused(document: Any, message: str) -> None:
    assert refused(document) == message


ONE = [
    (changed(**{"Extra field": "value"}), SYNTAX),
    (changed(Effect="invalid"), SYNTAX),
    (changed(Effect=None), SYNTAX),
    (changed(Action="invalid"), VENDOR),
    (changed(Action=None, NotAction=""), VENDOR),
    (changed(Action="a a:ListBucket"), "Vendor a a is not valid"),
    (changed(Action="s3:List:Bucket"), COLON),
    (changed(Resource="invalid resource"), 'Resource invalid resource must be in ARN format or "*".'),
    (changed(Resource=""), 'Resource  must be in ARN format or "*".'),
    (changed(Action="s:3:ListBucket", Resource="sdfsadf"), 'Resource sdfsadf must be in ARN format or "*".'),
    (changed(Resource=["adf"]), 'Resource adf must be in ARN format or "*".'),
    (changed(Action=None, NotAction="s3s:ListBucket", Resource="a:bsdfdsafsad"), 'Partition "bsdfdsafsad" is not valid for resource "arn:bsdfdsafsad:*:*:*:*".'),
    (changed(Resource="a:b:cadfsdf"), 'Partition "b" is not valid for resource "arn:b:cadfsdf:*:*:*".'),
    (changed(Resource="a:b:c:d:e:f:g:h"), 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".'),
    (changed(Resource="aws:s3:::example_bucket"), 'Partition "s3" is not valid for resource "arn:s3:::example_bucket:*".'),
    (changed(Resource=["arn:error:s3:::example_bucket", "arn:error:s3::example_bucket"]), 'Partition "error" is not valid for resource "arn:error:s3:::example_bucket".'),
    (changed(Resource=None), NO_RESOURCES),
    (changed(Resource=[]), NO_RESOURCES),
    (changed(Action="invalid", Resource=None), VENDOR),
    (changed(Action=None), NO_ACTIONS),
    (changed(Action=[]), NO_ACTIONS),
    ({"Effect": "Allow"}, NO_ACTIONS),
    (changed(Resource="arn:aws:iam:::example_bucket"), IAM_PATH),
    (changed(Resource="arn:aws:s3::example_bucket"), LEGACY),
    (changed(Action=None, Resource="arn:aws:s3::example_bucket"), LEGACY),
    (changed(Resource="arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
    (changed(Resource={"a": "arn:aws:s3:::example_bucket"}), SYNTAX),
    (changed(Effect="Deny", Resource=["adfdf", {}]), SYNTAX),
    (changed(NotResource=[]), SYNTAX),
    (changed(NotAction="s3:ListBucket"), SYNTAX),
    (changed(Action=[[]]), SYNTAX),
    (changed(Action={}), SYNTAX),
    (changed(Condition=[]), SYNTAX),
    (changed(Condition="a"), SYNTAX),
    (changed(Condition={"a": "b"}), SYNTAX),
    (changed(Condition={"DateGreaterThan": "b"}), SYNTAX),
    (changed(Condition={"DateGreaterThan": []}), SYNTAX),
    (changed(Condition={"DateGreaterThan": {"a": {}}}), SYNTAX),
    (changed(Action=None, Condition={"DateGreaterThan": {"a": {}}}), SYNTAX),
    (changed(Condition={"x": {"a": "1"}}), SYNTAX),
    (changed(Condition={"ForAnyValue::StringEqualsIfExists": {"a": "asf"}}), SYNTAX),
    (changed(Condition={"NullIfExists": {"a": "true"}}), SYNTAX),
    (changed(Condition={"Null": {"a": "maybe"}}), SYNTAX),
    (changed(Condition={"Bool": {"a": "maybe"}}), SYNTAX),
    (changed(Condition={"NumericEquals": {"a": "${aws:EpochTime}"}}), SYNTAX),
    (changed(Resource="arn:aws:iam:us-east-1::example_bucket"), "IAM resource arn:aws:iam:us-east-1::example_bucket cannot contain region information."),
    (changed(Resource="arn:aws:s3:us-east-1::example_bucket"), "Resource arn:aws:s3:us-east-1::example_bucket can not contain region information."),
    (changed(Sid={}), SYNTAX),
    (changed(Sid=[]), SYNTAX),
    (changed(Effect="denY"), LEGACY),
    (changed(Effect="allow", Action=None, Resource="arn:aws:s3:us-east-1::example_bucket"), LEGACY),
    (changed(Condition={"DateGreaterThan": {"a": "sdfdsf"}}), LEGACY),
    (changed(Action=None, NotAction="s3:ListBucket", Resource="arn:aws::::example_bucket"), LEGACY),
    (changed(Resource=None, NotResource="arn:aws:s3::example_bucket"), LEGACY),
    (changed(Condition={"DateLessThanEquals": {"a": "234-13"}}), LEGACY),
    (changed(Condition={"DateLessThanEquals": {"a": "2016-12-13t2:00:00.593194+1"}}), LEGACY),
    (changed(Condition={"DateLessThan": {"a": "9223372036854775808"}}), LEGACY),
    (changed(Resource="arn:aws::fdsasf"), LEGACY),
    (changed(Principal="*"), "Policy document should not specify a principal."),
    (changed(Condition={"IpAddress": {"aws:SourceIp": "300.1.2.3"}}), LEGACY),
    (changed(Condition={"ArnLike": {"aws:SourceArn": "photos"}}), LEGACY),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), ONE)
def test_a_faulty_statement_is_refused_in_the_words_of_aws(
    given: dict[str, Any], message: str
) -> None:
    assert refused({"Version": "2012-10-17", "Statement": given}) == message


def test_statement_ids_are_unique_and_alphanumeric() -> None:
    twice = [changed(Sid="sdf"), {"Sid": "sdf", "Effect": "Allow"}]
    assert refused({"Version": "2012-10-17", "Statement": twice}) == SIDS
    odd = {"Version": "2012-10-17", "Statement": changed(Sid="a b")}
    assert refused(odd).startswith("Statement IDs (SID) must be alpha-numeric.")
    empty = {"Version": "2012-10-17", "Statement": [changed(Sid=""), changed(Sid="")]}
    assert len(compile_policy(empty, kind="identity").statements) == 2


VALID = [
    changed(),
    changed(Action="iam: asdf safdsf af "),
    changed(Resource=["arn:aws:s3:::example_bucket", "*"]),
    changed(Action="*"),
    changed(Action="*:*"),
    changed(Action="service-prefix:action-name", Resource="*"),
    changed(Resource="arn:aws:iam:::user/example_bucket"),
    changed(Resource="arn:aws:fdsasf"),
    changed(Resource="arn:aws:cloudwatch:us-east-1::example_bucket"),
    changed(Resource="arn:aws:invalid-service:us-east-1::example_bucket"),
    changed(Resource="arn:aws:s3:us-west-2:123456789012:accesspoint/my-access-point"),
    changed(Condition={}),
    changed(Condition={"a": {}}),
    changed(Condition={"DateGreaterThan": {}}),
    changed(Condition={"DateGreaterThan": {"a": []}}),
    changed(Condition={"StringEqualsIfExists": {"a": "asf"}}),
    changed(Condition={"ForAnyValue:StringEqualsIfExists": {"a": "asf"}}),
    changed(Condition={"DateLessThanEquals": {"a": "2019-07-01T13:20:15Z"}}),
    changed(Condition={"DateLessThanEquals": {"a": "2016-12-13T21:20:37.593194+00:00"}}),
    changed(Condition={"DateLessThan": {"a": "-292275054"}}),
    changed(Condition={"Bool": {"aws:SecureTransport": False}}),
    changed(Condition={"NumericLessThan": {"s3:max-keys": 10}}),
    changed(Condition={"StringEquals": {"ec2:Region": "region"}}),
    changed(Action=None, NotAction="s3:ListBucket", Resource=None, NotResource="*"),
    changed(Resource="arn:aws:iam::*:user/${aws:username}"),
    changed(Resource="arn:aws:s3:::b/${cognito-identity.amazonaws.com:sub}/*"),
    changed(Action="s3.s:ListBucket", Id=None),
]


@pytest.mark.parametrize("given", VALID)
def test_what_aws_takes_is_taken(given: dict[str, Any]) -> None:
    assert compile_policy({"Version": "2012-10-17", "Statement": given}, kind="identity")


NOT_BUILT = [
    changed(Condition={"StringEquals": {"aws:NoSuchKey": "a"}}),
    changed(Condition={"StringEquals": {"s3:NoSuchKey": "a"}}),
    changed(Resource="arn:aws:s3:::${aws:NoSuchKey}"),
    changed(Condition={"StringEquals": {"s3:prefix": "${aws:NoSuchKey}"}}),
]


@pytest.mark.parametrize("given", NOT_BUILT)
def test_what_is_not_evaluated_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(NotEvaluated, match="fogbank has not built"):
        compile_policy({"Version": "2012-10-17", "Statement": given}, kind="identity")


@pytest.mark.parametrize("variable", ["${}", "${aws:username", "${foo}", "${aws:a, b}", "${**}"])
def test_a_variable_that_means_nothing_is_refused(variable: str) -> None:
    given = changed(Resource=f"arn:aws:s3:::{variable}")
    assert "Invalid policy variable" in refused({"Version": "2012-10-17", "Statement": given})


TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}
TRUST_REFUSED = [
    ({**TRUST, "Resource": "*"}, "Has prohibited field Resource"),
    ({"Effect": "Allow", "Action": "sts:AssumeRole"}, "Missing required field Principal"),
    ({**TRUST, "Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
    ({**TRUST, "Action": "*"}, "AssumeRole policy may only specify STS AssumeRole actions."),
    ({**TRUST, "Principal": {"AWS": "bob"}}, 'Invalid principal in policy: "AWS":"bob"'),
    ({**TRUST, "Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}}, 'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/*"'),
    ({**TRUST, "Principal": {"AWS": "arn:aws:iam::1111:root"}}, 'Invalid principal in policy: "AWS":"arn:aws:iam::1111:root"'),
    ({**TRUST, "Principal": {"AWS": "111122223333:root"}}, 'Invalid principal in policy: "AWS":"111122223333:root"'),
    ({**TRUST, "Principal": {"Service": "lambda"}}, 'Invalid principal in policy: "SERVICE":"lambda"'),
    ({**TRUST, "Principal": {"Nobody": "lambda"}}, SYNTAX),
    ({**TRUST, "Principal": {}}, SYNTAX),
    ({**TRUST, "Principal": {"Federated": "example.com"}}, 'Invalid principal in policy: "FEDERATED":"example.com"'),
    ({**TRUST, "Principal": {"CanonicalUser": "79a59"}}, 'Invalid principal in policy: "CANONICALUSER":"79a59"'),
    ({"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "111122223333"}}, "Has prohibited field NotPrincipal"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), TRUST_REFUSED)
def test_a_faulty_trust_policy_is_refused(given: dict[str, Any], message: str) -> None:
    assert refused({"Version": "2012-10-17", "Statement": given}, kind="trust") == message


RESOURCE = {**GOOD, "Principal": "*"}
RESOURCE_REFUSED = [
    (GOOD, "Missing required field Principal"),
    ({**RESOURCE, "Action": []}, "Missing required field Action"),
    ({**RESOURCE, "Resource": []}, "Missing required field Resource"),
    ({**RESOURCE, "Action": "x"}, "Policy has invalid action"),
    ({**RESOURCE, "Resource": "photos"}, "Policy has invalid resource"),
    ({**RESOURCE, "Effect": "allow"}, "Invalid effect: allow"),
    ({**RESOURCE, "Principal": {"AWS": "bob"}}, "Invalid principal in policy"),
    ({**RESOURCE, "Principal": "bob"}, "Invalid principal in policy"),
    ({**RESOURCE, "Principal": {"CanonicalUser": "Z" * 64}}, "Invalid principal in policy"),
    (
        {**RESOURCE, "Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/r/*"}},
        "Invalid principal in policy",
    ),
    (
        {**RESOURCE, "Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}},
        "Invalid principal in policy",
    ),
]


@pytest.mark.parametrize(("given", "message"), RESOURCE_REFUSED)
def test_a_faulty_resource_policy_is_refused(given: dict[str, Any], message: str) -> None:
    assert refused({"Version": "2012-10-17", "Statement": given}, kind="resource") == message


def test_a_resource_policy_may_have_the_older_version_or_none() -> None:
    for version in ({}, {"Version": "2008-10-17"}):
        assert compile_policy({**version, "Statement": [RESOURCE]}, kind="resource")


@pytest.mark.parametrize(
    "given",
    [
        changed(Resource="arn:aws:s3:::" + "${" * 30_000),
        changed(Resource="arn:aws:s3:::${aws:x" + " " * 60_000 + "!}"),
        changed(Resource="arn:aws:s3:::${aws:x" + " " * 500 + "!}"),
        changed(Condition={"DateEquals": {"aws:CurrentTime": "9" * 60_000}}),
        changed(Condition={"NumericEquals": {"s3:max-keys": "9" * 60_000}}),
        changed(Condition={"DateEquals": {"aws:CurrentTime": "0001-01-01T00:00:00+23:59x"}}),
    ],
    ids=range(6),
)
def test_no_document_is_refused_only_after_the_end_of_time(given: dict[str, Any]) -> None:
    refused({"Version": "2012-10-17", "Statement": given})


def test_no_principal_is_refused_only_after_the_end_of_time() -> None:
    name = "arn:aws:iam::111122223333:user/" + "/a" * 30_000 + "*"
    statement = {**TRUST, "Principal": {"AWS": name}}
    assert "Invalid principal" in refused(
        {"Version": "2012-10-17", "Statement": statement}, kind="trust"
    )
