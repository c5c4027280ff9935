"""The examples and the rules of the IAM User Guide, page by page, as rows.

Names are the guide's where it gives some; a row says what the page says of it, not how we do it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from fogbank.base.arn import canonical_user_id
from fogbank.platform.iam.decision import Reason
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest

A, B = "111122223333", "444455556666"


class Caller(NamedTuple):
    kind: str
    account: str
    arn: str
    role_arn: str = ""
    provider: str = ""


ROOT = Caller("root", A, f"arn:aws:iam::{A}:root")
USER = Caller("user", A, f"arn:aws:iam::{A}:user/exampleuser")
ROLE = f"arn:aws:iam::{A}:role/examplerole"
SESSION = Caller("session", A, f"arn:aws:sts::{A}:assumed-role/examplerole/one", ROLE)
FEDERATED = Caller("federated", A, f"arn:aws:sts::{A}:federated-user/exampleuser", USER.arn)
FEDERATED_ROOT = Caller("federated", A, f"arn:aws:sts::{A}:federated-user/boss", ROOT.arn)
SAML = f"arn:aws:iam::{A}:saml-provider/corp"
OIDC = f"arn:aws:iam::{A}:oidc-provider/token.actions.githubusercontent.com"
WEB_SESSION = SESSION._replace(provider="accounts.google.com")
OTHER_USER = Caller("user", B, f"arn:aws:iam::{B}:user/Bob")
OTHER_ROLE = f"arn:aws:iam::{B}:role/cross-account-read-only-role"
OTHER_SESSION = Caller(
    "session", B, f"arn:aws:sts::{B}:assumed-role/cross-account-read-only-role/audit", OTHER_ROLE
)
ANYBODY = Caller("anonymous", "", "")
SERVICE = Caller("service", "", "ecs.amazonaws.com")


def provider(name: str) -> Caller:
    """Return somebody whom an identity provider vouches for."""
    return Caller("provider", "", name)


ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
DENY = {**ALLOW, "Effect": "Deny"}
OTHER = {**ALLOW, "Action": "s3:PutObject"}


def policy(kind: Any, *statements: dict[str, Any]) -> Any:
    return compile_policy({"Version": "2012-10-17", "Statement": list(statements)}, kind=kind)


def on_resource(principal: Any, **elements: Any) -> Any:
    return policy("resource", {**ALLOW, "Principal": principal, **elements})


def decide(caller: Caller, policies: PolicySet, owner: str = A) -> Reason:
    request = AccessRequest(caller, "s3:GetObject", "arn:aws:s3:::photos/a", {}, owner)
    return evaluate(request, policies).reason


BY_RESOURCE, BY_IDENTITY = Reason.ALLOWED_BY_RESOURCE, Reason.ALLOWED_BY_IDENTITY
IDENTITY, CUT = policy("identity", ALLOW), policy("identity", OTHER)

# "How AWS enforcement code logic evaluates requests", resource-based policies: what an implicit
# deny in identity policies, in a boundary and in a session policy does to what the resource's
# policy grants, by whom it names (the page's table). The columns: caller, who is named, identity,
# boundary, session.
INTERPLAY = [
    # IAM user: not limited by an implicit deny in an identity policy or boundary.
    (USER, USER.arn, None, None, None, BY_RESOURCE),
    (USER, USER.arn, CUT, CUT, None, BY_RESOURCE),
    # IAM role: limited by an implicit deny in a boundary or session policy.
    (SESSION, ROLE, None, None, None, BY_RESOURCE),
    (SESSION, ROLE, None, CUT, None, Reason.NO_BOUNDARY),
    (SESSION, ROLE, None, None, CUT, Reason.NO_SESSION),
    (SESSION, ROLE, CUT, IDENTITY, IDENTITY, BY_RESOURCE),
    # IAM role session: not limited.
    (SESSION, SESSION.arn, None, CUT, CUT, BY_RESOURCE),
    # Federated user session: not limited; but by the name of the user it is.
    (FEDERATED, FEDERATED.arn, None, CUT, CUT, BY_RESOURCE),
    (FEDERATED, FEDERATED.arn, None, None, None, BY_RESOURCE),
    (FEDERATED, USER.arn, None, None, IDENTITY, BY_RESOURCE),
    (FEDERATED, USER.arn, None, CUT, IDENTITY, Reason.NO_BOUNDARY),
    (FEDERATED, USER.arn, None, None, CUT, Reason.NO_SESSION),
    (FEDERATED, USER.arn, IDENTITY, None, None, Reason.NO_SESSION),
    # A wildcard: boundaries and session policies do not limit it ("Principal", roles).
    (SESSION, "*", None, CUT, CUT, BY_RESOURCE),
    # The account only delegates.
    (USER, A, None, None, None, Reason.NO_IDENTITY),
    (USER, A, IDENTITY, None, None, BY_IDENTITY),
    (USER, A, IDENTITY, CUT, None, Reason.NO_BOUNDARY),
    # Session policies: without one a role session passes, a federated user does not.
    (SESSION, None, IDENTITY, None, None, BY_IDENTITY),
    (FEDERATED, None, IDENTITY, None, None, Reason.NO_SESSION),
    (FEDERATED, None, IDENTITY, None, IDENTITY, BY_IDENTITY),
    (FEDERATED, None, CUT, None, IDENTITY, Reason.NO_IDENTITY),
    (FEDERATED_ROOT, None, None, None, IDENTITY, Reason.ALLOWED_TO_ROOT),
    (FEDERATED_ROOT, None, None, None, None, Reason.NO_SESSION),
    (FEDERATED_ROOT, None, None, None, CUT, Reason.NO_SESSION),
]


@pytest.mark.parametrize(("caller", "named", "own", "boundary", "session", "reason"), INTERPLAY)
def test_what_a_resource_policy_grants_is_limited_by_whom_it_names(
    caller: Caller, named: Any, own: Any, boundary: Any, session: Any, reason: Reason
) -> None:
    granting = None if named is None else on_resource({"AWS": named})
    assert decide(caller, PolicySet(own, session, boundary, granting)) is reason


DENYING = policy("identity", DENY)


@pytest.mark.parametrize("named", [USER.arn, "*", A])
@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("identity", Reason.DENIED_BY_IDENTITY),
        ("boundary", Reason.DENIED_BY_BOUNDARY),
        ("session", Reason.DENIED_BY_SESSION),
    ],
)
def test_an_explicit_deny_in_any_policy_overrides_every_allow(
    named: str, at: str, reason: Reason
) -> None:
    policies = PolicySet(IDENTITY, None, None, on_resource({"AWS": named}))
    assert decide(USER, policies._replace(**{at: DENYING})) is reason


# "AWS JSON policy elements: Principal": every form, whom it means, and how directly. Nobody has an
# identity policy, so that naming an account grants nothing but to its root user.
DIRECT, NOT = BY_RESOURCE, Reason.NO_RESOURCE
FORMS = [
    ({"AWS": f"arn:aws:iam::{A}:root"}, USER, Reason.NO_IDENTITY),
    ({"AWS": A}, USER, Reason.NO_IDENTITY),
    ({"CanonicalUser": canonical_user_id(A)}, USER, Reason.NO_IDENTITY),
    ({"AWS": [B, A]}, ROOT, Reason.ALLOWED_TO_ROOT),
    ({"AWS": ROLE}, SESSION, DIRECT),
    ({"AWS": ROLE}, USER, Reason.NO_IDENTITY),
    ({"AWS": SESSION.arn}, SESSION, DIRECT),
    ({"AWS": SESSION.arn}, SESSION._replace(arn=SESSION.arn + "x"), Reason.NO_IDENTITY),
    ({"AWS": USER.arn}, USER, DIRECT),
    ({"AWS": USER.arn.replace("exampleuser", "ExampleUser")}, USER, Reason.NO_IDENTITY),
    ({"AWS": FEDERATED.arn}, FEDERATED, DIRECT),
    ({"AWS": FEDERATED.arn}, USER, Reason.NO_IDENTITY),
    ({"Service": ["ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com"]}, SERVICE, DIRECT),
    ({"Service": "elasticloadbalancing.amazonaws.com"}, SERVICE, NOT),
    ({"AWS": "*"}, SERVICE, DIRECT),
    ("*", ANYBODY, DIRECT),
    ({"AWS": "*"}, ANYBODY, DIRECT),
    ({"AWS": A}, ANYBODY, NOT),
    ({"CanonicalUser": canonical_user_id(A)}, ANYBODY, NOT),
    *(
        ({"Federated": name}, provider(name), DIRECT)
        for name in (
            *("cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com"),
            *("accounts.google.com", SAML, OIDC),
        )
    ),
    ({"Federated": "www.amazon.com"}, provider("accounts.google.com"), NOT),
    ({"AWS": A}, provider(SAML), NOT),
    ({"Federated": "accounts.google.com"}, WEB_SESSION, DIRECT),
    ({"Federated": "www.amazon.com"}, WEB_SESSION, Reason.NO_IDENTITY),
    ({"Federated": "accounts.google.com"}, SESSION, Reason.NO_IDENTITY),
]


@pytest.mark.parametrize(("principal", "caller", "reason"), FORMS)
def test_a_principal_means_whom_the_guide_says(
    principal: Any, caller: Caller, reason: Reason
) -> None:
    assert decide(caller, PolicySet(resource=on_resource(principal))) is reason


def test_a_trust_policy_names_identity_providers() -> None:
    """ "Creating a role for OpenID Connect federation" and "for SAML federation"."""
    for name, action in ((OIDC, "sts:AssumeRoleWithWebIdentity"), (SAML, "sts:AssumeRoleWithSAML")):
        statement = {"Effect": "Allow", "Principal": {"Federated": name}, "Action": action}
        policies = PolicySet(resource=policy("trust", statement), resource_required=True)
        for caller, allowed in ((provider(name), True), (provider("www.amazon.com"), False)):
            assert evaluate(AccessRequest(caller, action, ROLE), policies).allowed is allowed
        assert not evaluate(AccessRequest(provider(name), "sts:AssumeRole", ROLE), policies).allowed


# "AWS JSON policy elements: NotPrincipal".
BOB = [OTHER_USER.arn, f"arn:aws:iam::{B}:root"]
AUDIT = [OTHER_SESSION.arn, OTHER_ROLE, f"arn:aws:iam::{B}:root"]
NOT_PRINCIPAL = [
    ({"AWS": BOB}, OTHER_USER, False),
    ({"AWS": BOB[:1]}, OTHER_USER, True),
    ({"AWS": BOB}, USER, True),
    ({"AWS": BOB}, OTHER_SESSION, True),
    ({"AWS": AUDIT}, OTHER_SESSION, False),
    ({"AWS": [AUDIT[0], AUDIT[2]]}, OTHER_SESSION, True),
    ({"AWS": AUDIT[:2]}, OTHER_SESSION, True),
    ({"AWS": [FEDERATED.arn, USER.arn, A]}, FEDERATED, False),
    ({"AWS": [FEDERATED.arn, A]}, FEDERATED, True),
    ({"AWS": [FEDERATED_ROOT.arn, A]}, FEDERATED_ROOT, False),
    ({"CanonicalUser": canonical_user_id(A)}, ROOT, False),
    ({"Service": "ecs.amazonaws.com"}, SERVICE, False),
    ({"Service": "s3.amazonaws.com"}, SERVICE, True),
    ({"Federated": SAML}, provider(SAML), False),
    ({"Federated": SAML}, provider(OIDC), True),
    ({"AWS": BOB}, ANYBODY, True),
]


@pytest.mark.parametrize(("element", "caller", "denied"), NOT_PRINCIPAL)
def test_not_principal_with_deny_spares_only_whom_it_lists_whole(
    element: Any, caller: Caller, denied: object
) -> None:
    denying = policy("resource", {**DENY, "NotPrincipal": element})
    reason = decide(caller, PolicySet(IDENTITY, IDENTITY, resource=denying))
    assert (reason is Reason.DENIED_BY_RESOURCE) is denied


@pytest.mark.parametrize(
    ("element", "caller", "granted"),
    [
        ({"AWS": BOB}, USER, True),
        ({"AWS": BOB}, ANYBODY, True),
        ({"AWS": BOB}, SERVICE, True),
        ({"AWS": USER.arn}, USER, False),
        ({"AWS": ROLE}, SESSION, False),
        ({"AWS": A}, SESSION, False),
        ({"Federated": "accounts.google.com"}, WEB_SESSION, False),
    ],
)
def test_not_principal_with_allow_grants_to_all_others(
    element: Any, caller: Caller, granted: object
) -> None:
    granting = policy("resource", {**ALLOW, "NotPrincipal": element})
    assert (decide(caller, PolicySet(resource=granting)) is BY_RESOURCE) is granted


# "Cross-account policy evaluation logic": both accounts decide; the caller's decides with all that
# limits it, whoever the resource's policy names.
CROSS = [
    (OTHER_USER, IDENTITY, None, None, OTHER_USER.arn, BY_IDENTITY),
    (OTHER_USER, IDENTITY, None, None, f"arn:aws:iam::{B}:root", BY_IDENTITY),
    (OTHER_USER, IDENTITY, None, None, "*", BY_IDENTITY),
    (OTHER_USER, None, None, None, OTHER_USER.arn, Reason.NO_IDENTITY),
    (OTHER_USER, None, None, None, "*", Reason.NO_IDENTITY),
    (OTHER_USER, IDENTITY, None, None, None, Reason.NO_RESOURCE),
    (OTHER_USER, IDENTITY, None, None, A, Reason.NO_RESOURCE),
    (OTHER_USER, IDENTITY, CUT, None, OTHER_USER.arn, Reason.NO_BOUNDARY),
    (OTHER_SESSION, IDENTITY, None, CUT, OTHER_SESSION.arn, Reason.NO_SESSION),
    (OTHER_SESSION, IDENTITY, CUT, None, OTHER_SESSION.arn, Reason.NO_BOUNDARY),
    (OTHER_SESSION, IDENTITY, None, None, OTHER_ROLE, BY_IDENTITY),
    (OTHER_SESSION, None, None, None, OTHER_ROLE, Reason.NO_IDENTITY),
    (OTHER_USER, DENYING, None, None, OTHER_USER.arn, Reason.DENIED_BY_IDENTITY),
]


@pytest.mark.parametrize(("caller", "own", "boundary", "session", "named", "reason"), CROSS)
def test_across_accounts_both_accounts_must_allow(
    caller: Caller, own: Any, boundary: Any, session: Any, named: Any, reason: Reason
) -> None:
    granting = None if named is None else on_resource({"AWS": named})
    assert decide(caller, PolicySet(own, session, boundary, granting)) is reason


CARLOS = Caller("user", A, f"arn:aws:iam::{A}:user/carlossalazar")
OWN_POLICY = [
    {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
    {"Effect": "Allow", "Action": "s3:*Object*", "Resource": "arn:aws:s3:::Production/*"},
    {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::*log*", "arn:aws:s3:::*log*/*"],
    },
]
BUCKET_POLICY = {
    "Effect": "Allow",
    "Action": ["s3:GetObject*", "s3:PutObject*"],
    "Principal": {"AWS": CARLOS.arn},
    "Resource": "arn:aws:s3:::Production/*",
}


@pytest.mark.parametrize(
    ("action", "arn", "reason"),
    [
        ("s3:PutObject", "arn:aws:s3:::Production/a", BY_IDENTITY),
        ("s3:DeleteObject", "arn:aws:s3:::Production/a", Reason.NO_RESOURCE),
        ("s3:PutObject", "arn:aws:s3:::Production-logs/a", Reason.DENIED_BY_IDENTITY),
        ("s3:PutBucketPolicy", "arn:aws:s3:::Production", Reason.NO_IDENTITY),
    ],
)
def test_carlos_may_save_to_production_and_not_to_its_logs(
    action: str, arn: str, reason: Reason
) -> None:
    """ "Cross-account policy evaluation logic", the example."""
    own = policy("identity", *OWN_POLICY)
    granting = policy("resource", BUCKET_POLICY)
    request = AccessRequest(CARLOS, action, arn, {}, B)
    assert evaluate(request, PolicySet(own, resource=granting)).reason is reason


# Conditions: the pages "Condition operators", "Conditions with multiple context keys or values",
# "Set operators for multivalued context keys", "Variables and tags". The columns: the Condition
# element, the context of the request, whether it holds.
DEPARTMENTS = {"StringEqualsIgnoreCase": {"aws:PrincipalTag/department": ["finance", "hr", "legal"], "aws:PrincipalTag/role": ["audit", "security"]}, "StringEquals": {"aws:PrincipalAccount": "123456789012"}}  # fmt: skip
AUDITOR = {"aws:PrincipalTag/department": "HR", "aws:PrincipalTag/role": "Audit", "aws:PrincipalAccount": "123456789012"}  # fmt: skip
HOME = {"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/"]}}
MIXED = {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}}
FINANCE = "arn:aws:someservice:*:111122223333:finance/*"
TRICK = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
ATTRIBUTES = "dynamodb:Attributes"
CONDITIONS = [
    # "String condition operators".
    ({"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}}, {"aws:PrincipalTag/job-category": "iamuser-admin"}, True),
    ({"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}}, {"aws:PrincipalTag/job-category": "iamuser-Admin"}, False),
    ({"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}}, {}, False),
    (HOME, {"s3:prefix": "home/zoe/", "aws:username": "zoe"}, True),
    (HOME, {"s3:prefix": "home/zoe/", "aws:username": "yan"}, False),
    (HOME, {"s3:prefix": "", "aws:username": "zoe"}, True),
    (HOME, {"s3:prefix": "home/" }, True),
    # "Numeric condition operators".
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "11"}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {}, False),
    # "Date condition operators".
    ({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}}, {"aws:TokenIssueTime": "2020-01-01T00:00:02Z"}, True),
    ({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}}, {}, False),
    ({"DateLessThan": {"aws:EpochTime": "2020-01-01T00:00:01Z"}}, {"aws:EpochTime": "1577836800"}, True),
    ({"NumericLessThan": {"aws:EpochTime": "1577836801"}}, {"aws:EpochTime": "1577836800"}, True),
    # "Boolean condition operators"; a policy variable may stand in one.
    ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
    ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
    ({"Bool": {"aws:SecureTransport": "${aws:PrincipalTag/tls}"}}, {"aws:SecureTransport": "true", "aws:PrincipalTag/tls": "TRUE"}, True),
    ({"Bool": {"aws:SecureTransport": "${aws:PrincipalTag/tls}"}}, {"aws:SecureTransport": "true", "aws:PrincipalTag/tls": "no"}, False),
    ({"Bool": {"aws:SecureTransport": "${aws:PrincipalTag/tls}"}}, {"aws:SecureTransport": "true"}, False),
    ({"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}, {}, True),
    # "Binary condition operators".
    ({"BinaryEquals": {"ec2:key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}, {"ec2:key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, True),
    ({"BinaryEquals": {"ec2:key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}, {}, False),
    # "IP address condition operators": one without prefix stands for itself.
    (MIXED, {"aws:SourceIp": "203.0.113.255"}, True),
    (MIXED, {"aws:SourceIp": "203.0.114.0"}, False),
    (MIXED, {"aws:SourceIp": "2001:db8:1234:5678::9"}, True),
    (MIXED, {"aws:SourceIp": "2001:db8:1234:5679::9"}, False),
    (MIXED, {}, False),
    ({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}, {"aws:SourceIp": "203.0.113.7"}, True),
    ({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}, {"aws:SourceIp": "203.0.113.8"}, False),
    # "ARN condition operators": each of six components by itself.
    ({"StringLike": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": TRICK}, True),
    ({"ArnLike": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": TRICK}, False),
    ({"ArnEquals": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": "arn:aws:someservice:us-east-2:111122223333:finance/a:b"}, True),
    ({"ArnNotLike": {"aws:SourceArn": FINANCE}}, {}, True),
    # "...IfExists".
    ({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}, {"ec2:InstanceType": "t2.micro"}, True),
    ({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}, {"ec2:InstanceType": "c5.large"}, False),
    ({"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}, {}, True),
    ({"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-111bbb22"}}, {}, True),
    # "Condition operator to check existence of condition keys".
    ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
    ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}, False),
    ({"Null": {"aws:TokenIssueTime": "false"}}, {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}, True),
    # "Evaluation logic for multiple context keys or values": keys are joined by and, values by or;
    # for negated operators none may match.
    (DEPARTMENTS, AUDITOR, True),
    (DEPARTMENTS, {**AUDITOR, "aws:PrincipalTag/role": "chef"}, False),
    (DEPARTMENTS, {**AUDITOR, "aws:PrincipalAccount": "999999999999"}, False),
    ({"StringNotEquals": {"aws:PrincipalAccount": [A, B]}}, {"aws:PrincipalAccount": B}, False),
    ({"StringNotEquals": {"aws:PrincipalAccount": [A, B]}}, {"aws:PrincipalAccount": "999999999999"}, True),
    # "Set operators for multivalued context keys".
    ({"ForAllValues:StringEquals": {ATTRIBUTES: ["ID", "Message", "Tags"]}}, {ATTRIBUTES: ("ID", "Message")}, True),
    ({"ForAllValues:StringEquals": {ATTRIBUTES: ["ID", "Message", "Tags"]}}, {ATTRIBUTES: ("ID", "UserName")}, False),
    ({"ForAllValues:StringEquals": {ATTRIBUTES: ["ID"]}}, {}, True),
    ({"ForAllValues:StringEquals": {ATTRIBUTES: ["ID"]}}, {ATTRIBUTES: ""}, True),
    ({"ForAllValues:StringEquals": {ATTRIBUTES: ["ID"]}, "Null": {ATTRIBUTES: "false"}}, {}, False),
    ({"ForAnyValue:StringEquals": {ATTRIBUTES: ["ID", "PostDateTime"]}}, {ATTRIBUTES: ("PostDateTime", "Message")}, True),
    ({"ForAnyValue:StringEquals": {ATTRIBUTES: ["ID", "PostDateTime"]}}, {ATTRIBUTES: ("UserName",)}, False),
    ({"ForAnyValue:StringEquals": {ATTRIBUTES: ["ID"]}}, {}, False),
    ({"ForAnyValue:StringEquals": {ATTRIBUTES: [""]}}, {ATTRIBUTES: ""}, False),
    ({"ForAnyValue:StringLike": {"aws:CalledVia": ["*.amazonaws.com"]}}, {"aws:CalledVia": ("a.amazonaws.com", "b")}, True),
    # "Policy variables with no value": equal to nothing, unlike everything.
    ({"StringEquals": {"aws:RequestTag/Team": "${aws:PrincipalTag/Team}"}}, {"aws:RequestTag/Team": "red"}, False),
    ({"StringNotEquals": {"aws:RequestTag/Team": "${aws:PrincipalTag/Team}"}}, {"aws:RequestTag/Team": "red"}, True),
    ({"StringNotEquals": {"aws:RequestTag/Team": "${aws:PrincipalTag/Team}"}}, {"aws:RequestTag/Team": "red", "aws:PrincipalTag/team": "red"}, False),
    # A multivalued key is no variable.
    ({"StringLike": {"s3:prefix": "${aws:TagKeys}"}}, {"s3:prefix": "a", "aws:TagKeys": ("a",)}, False),
    # "Specifying default values".
    ({"StringEquals": {"s3:prefix": "x-${aws:PrincipalTag/team, 'company-wide'}"}}, {"s3:prefix": "x-company-wide"}, True),
    ({"StringEquals": {"s3:prefix": "x-${aws:PrincipalTag/team, 'company-wide'}"}}, {"s3:prefix": "x-yellow", "aws:PrincipalTag/team": "yellow"}, True),
    # "Special characters".
    ({"StringLike": {"s3:prefix": "a${*}b*"}}, {"s3:prefix": "a*bc"}, True),
    ({"StringLike": {"s3:prefix": "a${*}b*"}}, {"s3:prefix": "axbc"}, False),
    ({"StringLike": {"s3:prefix": "a${?}${$}"}}, {"s3:prefix": "a?$"}, True),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_a_condition_holds_as_the_guide_says(condition: Any, context: Any, holds: object) -> None:
    own = policy("identity", {**ALLOW, "Condition": condition})
    request = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::photos/a", context, A)
    assert evaluate(request, PolicySet(own)).allowed is holds


def test_the_root_arn_in_principal_arn_is_the_root_user_only() -> None:
    """ "aws:PrincipalArn", AWS account root user."""
    condition = {"ArnEquals": {"aws:PrincipalArn": ROOT.arn}}
    denying = policy("resource", {**DENY, "Principal": "*", "Condition": condition})
    for caller, reason in ((ROOT, Reason.DENIED_BY_RESOURCE), (USER, BY_IDENTITY)):
        request = AccessRequest(
            caller, "s3:GetObject", "arn:aws:s3:::photos/a", {"aws:PrincipalArn": caller.arn}, A
        )
        assert evaluate(request, PolicySet(IDENTITY, resource=denying)).reason is reason
