"""The evaluator against one that is slow and obviously right (``reference``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.platform.iam import reference
from tests.unit.platform.iam.reference import Asked, Caller

from fogbank.base.arn import canonical_user_id
from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.decisions import Decisions
from fogbank.platform.iam.evaluate import PolicySet, evaluate, index_of
from fogbank.platform.iam.index import StatementIndex
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
OTHER_ROLE = f"arn:aws:iam::{OTHER}:role/auditor"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"
WEB = "accounts.google.com"
CALLERS = [
    Caller("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"),
    Caller("root", OTHER, f"arn:aws:iam::{OTHER}:root"),
    Caller("user", ACCOUNT, ALICE),
    Caller("user", OTHER, f"arn:aws:iam::{OTHER}:user/bob"),
    Caller("session", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one", ROLE),
    Caller("session", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/web", ROLE, WEB),
    Caller("session", OTHER, f"arn:aws:sts::{OTHER}:assumed-role/auditor/one", OTHER_ROLE),
    Caller("federated", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/alice", ALICE),
    Caller(
        "federated",
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:federated-user/boss",
        f"arn:aws:iam::{ACCOUNT}:root",
    ),
    Caller("provider", "", SAML),
    Caller("provider", "", WEB),
    Caller("service", "", "s3.amazonaws.com"),
    Caller("anonymous", "", ""),
]
NAMES = {
    "AWS": [
        *("*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", OTHER, ROLE, OTHER_ROLE),
        *(caller.arn for caller in CALLERS if caller.kind in ("user", "session", "federated")),
    ],
    "Service": ["s3.amazonaws.com", "sns.amazonaws.com"],
    "Federated": [SAML, WEB, "www.amazon.com"],
    "CanonicalUser": [canonical_user_id(ACCOUNT), canonical_user_id(OTHER)],
}

ACTIONS = ["s3:GetObject", "s3:PutObject", "S3:getobject", "dynamodb:GetItem"]
ARNS = ["arn:aws:s3:::b/alice/x", "arn:aws:s3:::b/bob", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "*"]
PATTERNS = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::*/?ob",
        "arn:aws:s3:::b/${aws:username}/*",
        "arn:aws:s3:::b/*x*",
        "arn:aws:s3:::b/${aws:PrincipalTag/team, 'bob'}",
        "arn:aws:s3:::b/${*}",
        "arn:aws:s3:::${s3:prefix, 'b'}",
    ]
)
ACTION_PATTERNS = st.sampled_from(["*", "s3:*", "s3:Get*", "S3:PUTOBJECT", "dynamodb:*", "s3:?et*"])
SEVERAL = st.lists(st.sampled_from(["a", "b", "A", "1", "true"]), max_size=3).map(tuple)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "aws:username": st.sampled_from(["alice", "bob", "*"]),
        "aws:PrincipalTag/team": st.sampled_from(["bob", "b", "Alice", "TRUE", "?"]),
        "s3:prefix": st.sampled_from(["", "alice", "ALICE", "alice/x", "bob", "b"]),
        "s3:max-keys": st.sampled_from(["1", "10", "10.0", "-5", "many", ""]),
        "aws:SecureTransport": st.sampled_from(["true", "False", "maybe"]),
        "aws:SourceIp": st.sampled_from(["10.1.2.3", "192.0.2.1", "2001:db8::1", "nowhere"]),
        "aws:CurrentTime": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2025-06-01T12:00:00Z", "1767225600", "soon"]
        ),
        "aws:SourceArn": st.sampled_from(
            ["arn:aws:sns:us-east-1:111122223333:t", "arn:aws:sns:us-east-1:1:t:u", "t"]
        ),
        "ec2:Bytes": st.sampled_from(["QQ==", "QUI=", "none!"]),
        "ec2:Keys": SEVERAL,
    },
)
TEXTS = ["alice", "bob", "a*", "${aws:username}", "${aws:username}/*", "*", "?ob"]
TEXTS += ["${aws:PrincipalTag/team, 'alice'}", "${ec2:Keys, 'bob'}", "${?}", "b${*}"]


def operators(*names: str) -> list[str]:
    """Return operators with every quantifier, negated where they can be, and with IfExists."""
    return [
        over + name + exists
        for over in ("", "ForAllValues:", "ForAnyValue:")
        for name in names
        for exists in ("", "IfExists")
    ]


def family(names: list[str], keys: list[str], wanted: list[str]) -> Any:
    values = st.lists(st.sampled_from(wanted), min_size=1, max_size=2)
    return st.dictionaries(
        st.sampled_from(operators(*names)),
        st.dictionaries(st.sampled_from(keys), values, min_size=1, max_size=2),
        max_size=1,
    )


STRINGS = [
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike"),
]
COMPARED = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
FAMILIES = [
    family(STRINGS, ["s3:prefix", "aws:username", "AWS:principaltag/TEAM", "ec2:Keys"], TEXTS),
    family(STRINGS, ["ec2:Keys"], ["a", "b", "c", "?"]),
    family([f"Numeric{one}" for one in COMPARED], ["s3:max-keys", "ec2:Keys"], ["5", "10", "-5.0"]),
    family(
        [f"Date{one}" for one in COMPARED],
        ["aws:CurrentTime"],
        ["2026-01-01T00:00:00Z", "2026", "2025-06-01", "1767225600"],
    ),
    family(["Bool"], ["aws:SecureTransport", "ec2:Keys"], ["true", "false", "${aws:PrincipalTag/team}"]),
    family(["BinaryEquals"], ["ec2:Bytes"], ["QQ==", "QUI="]),
    family(["IpAddress", "NotIpAddress"], ["aws:SourceIp"], ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]),
    family(
        ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        ["aws:SourceArn"],
        ["*", "arn:aws:sns:*:111122223333:t", "arn:aws:sns:*:*:*", "arn:aws:*:${aws:username}:*:t:?"],
    ),
    st.dictionaries(
        st.just("Null"),
        st.dictionaries(
            st.sampled_from(["aws:username", "s3:prefix", "ec2:Bytes"]),
            st.sampled_from(["true", "false", "TRUE"]),
            min_size=1,
        ),
        max_size=1,
    ),
]  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a Condition element of no, one or two families."""
    some = draw(st.lists(st.sampled_from(FAMILIES), max_size=2))
    found: dict[str, Any] = {}
    for one in some:
        found |= draw(one)
    return found


@st.composite
def principals(draw: st.DrawFn) -> Any:
    """Draw a Principal element of any form."""
    if draw(st.integers(0, 9)) == 0:
        return "*"
    kinds = draw(st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=2, unique=True))
    return {
        kind: draw(st.lists(st.sampled_from(NAMES[kind]), min_size=1, max_size=3)) for kind in kinds
    }


@st.composite
def statements(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Draw a statement of an identity, resource or trust policy."""
    one: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    if draw(st.booleans()):
        one["Condition"] = draw(conditions())
    if kind == "trust":
        return {
            **one,
            "Action": draw(st.sampled_from(["sts:AssumeRole", "sts:*", "sts:TagSession"])),
            "Principal": draw(principals()),
        }
    several = st.lists
    one[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(
        several(ACTION_PATTERNS, min_size=1, max_size=2)
    )
    one[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(
        several(PATTERNS, min_size=1, max_size=2)
    )
    if kind == "resource":
        one[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = draw(principals())
    return one


def policy(kind: str) -> Any:
    return st.none() | st.lists(statements(kind), min_size=1, max_size=3)


VERSIONS = st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"])


def compiled(kind: Any, policy: list[dict[str, Any]] | None, version: str) -> Any:
    if policy is None:
        return None
    # The older version knows no variables: to Bool, the text of one is no truth.
    assume(version == "2012-10-17" or not any("${aws:PrincipalTag" in repr(one) for one in policy))
    return compile_policy({"Version": version, "Statement": policy}, kind=kind)


def decisions(asked: Asked, policies: PolicySet) -> Iterator[bool]:
    """Yield what is decided: anew, from what the indexes remember, and from what is remembered."""
    for _ in range(2):
        request = AccessRequest(asked.caller, asked.action, asked.arn, asked.context, asked.owner)
        yield evaluate(request, policies).allowed
    remembered, own = Decisions(), policies._replace(resource=None)
    if policies.resource_required:
        return
    resource: Any = policies.resource
    for context in ({}, asked.context, asked.context):
        decision = remembered.decide(
            asked.caller,
            own,
            asked.action,
            asked.arn,
            {**context, **steady(asked.context)},
            owner=asked.owner,
            policy=resource,
        )
    yield decision.allowed


def steady(context: dict[str, Any]) -> dict[str, Any]:
    """Return what of a context follows from the caller: it is the same in all its requests."""
    return {
        key: context[key] for key in ("aws:username", "aws:PrincipalTag/team") if key in context
    }


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(
    caller=st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    arn=st.sampled_from(ARNS),
    context=CONTEXTS,
    version=VERSIONS,
    identity=policy("identity"),
    boundary=policy("identity"),
    session=policy("identity"),
    resource=policy("resource"),
)
def test_the_evaluator_decides_as_the_reference(
    caller: Caller,
    action: str,
    arn: str,
    context: dict[str, Any],
    version: str,
    identity: Any,
    boundary: Any,
    session: Any,
    resource: Any,
) -> None:
    asked = Asked(caller, action, arn, context, ACCOUNT)
    own = compiled("identity", identity, version)
    source = PolicySource("boundary")
    bound = compiled("identity", boundary, version)
    policies = PolicySet(
        None if own is None else index_of([own]),
        compiled("session", session, version),
        None if bound is None else StatementIndex([(bound, source)]),
        compiled("resource", resource, version),
    )
    documents = {
        "identity": identity,
        "boundary": boundary,
        "session": session,
        "resource": resource,
    }
    wanted = reference.allowed(asked, documents, version=version)
    assert set(decisions(asked, policies)) == {wanted}


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    caller=st.sampled_from(CALLERS),
    role=st.sampled_from([ROLE, OTHER_ROLE]),
    context=CONTEXTS,
    identity=policy("identity"),
    trust=st.lists(statements("trust"), min_size=1, max_size=3),
)
def test_a_trust_policy_decides_as_the_reference(
    caller: Caller, role: str, context: dict[str, Any], identity: Any, trust: Any
) -> None:
    asked = Asked(caller, "sts:AssumeRole", role, context, role.split(":")[4])
    own = compiled("identity", identity, "2012-10-17")
    policies = PolicySet(None if own is None else index_of([own])).with_resource(
        compiled("trust", trust, "2012-10-17"), required=True
    )
    documents = {"identity": identity, "boundary": None, "session": None, "resource": trust}
    wanted = reference.allowed(asked, documents, trust=True)
    assert set(decisions(asked, policies)) == {wanted}
