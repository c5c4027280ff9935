"""The evaluator against one that is slow and obviously right: it reads documents as they stand."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.platform.iam.evaluate import PolicySet, evaluate, index_of
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest

ACCOUNT, OTHER = "111122223333", "444455556666"


class Caller(NamedTuple):
    kind: str
    account: str
    arn: str
    role_arn: str = ""
    provider: str = ""


ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
CALLERS = [
    Caller("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"),
    Caller("root", OTHER, f"arn:aws:iam::{OTHER}:root"),
    Caller("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice"),
    Caller("user", OTHER, f"arn:aws:iam::{OTHER}:user/bob"),
    Caller("session", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s", ROLE),
    Caller("service", "", "s3.amazonaws.com"),
    Caller("anonymous", "", ""),
]

# The reference.


LITERAL_STAR = "\0"


def like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(like(pattern[1:], text[at:]) for at in range(len(text) + 1))
    if pattern[0] == LITERAL_STAR:
        return text[:1] == "*" and like(pattern[1:], text[1:])
    return bool(text) and pattern[0] in ("?", text[0]) and like(pattern[1:], text[1:])


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def substituted(text: str, context: dict[str, Any]) -> str | None:
    while "${" in text:
        before, _, rest = text.partition("${")
        key, _, after = rest.partition("}")
        value = context.get(key)
        if not isinstance(value, str):
            return None
        text = before + value.replace("*", LITERAL_STAR) + after
    return text


def one_matches(operator: str, wanted: str, value: str, context: dict[str, Any]) -> bool:
    if operator in ("StringEquals", "StringNotEquals"):
        bound = substituted(wanted, context)
        return bound is not None and bound.replace(LITERAL_STAR, "*") == value
    if operator in ("StringLike", "StringNotLike"):
        pattern = substituted(wanted, context)
        return pattern is not None and like(pattern, value)
    if operator == "NumericLessThan":
        return value.isdigit() and int(value) < int(wanted)
    if operator == "Bool":
        return value == wanted
    assert operator in ("IpAddress", "NotIpAddress")
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    except ValueError:
        return False


def condition_holds(operator: str, wanted: list[str], value: Any, context: dict[str, Any]) -> bool:
    if operator == "Null":
        return str(value is None).lower() in wanted
    over, _, name = operator.rpartition(":")
    exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    if value is None:
        return exists or over == "ForAllValues" or (negated and not over)

    def matches(one: str) -> bool:
        return any(one_matches(name, want, one, context) for want in wanted)

    if over == "ForAllValues":
        return all(matches(one) != negated for one in many(value))
    if over == "ForAnyValue":
        return any(matches(one) != negated for one in many(value))
    return any(matches(one) for one in many(value)) != negated


def speaks(statement: dict[str, Any], action: str, arn: str, context: dict[str, Any]) -> bool:
    negated = "NotAction" in statement
    actions = many(statement.get("Action", statement.get("NotAction")))
    if any(like(one.lower(), action.lower()) for one in actions) == negated:
        return False
    negated = "NotResource" in statement
    resources = many(statement.get("Resource", statement.get("NotResource")))
    bound = [substituted(one, context) for one in resources]
    if any(one is not None and like(one, arn) for one in bound) == negated:
        return False
    return all(
        condition_holds(operator, many(wanted), context.get(key), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def named(principal: Any, caller: Caller) -> int:
    """3: itself or everyone; 2: its role; 1: its account; 0: not."""
    if principal == "*":
        return 3
    names = many(principal.get("AWS", []))
    if "*" in names or caller.arn in names or caller.arn in many(principal.get("Service", [])):
        return 3
    if caller.role_arn and caller.role_arn in names:
        return 2
    if caller.account and {caller.account, f"arn:aws:iam::{caller.account}:root"} & set(names):
        return 3 if caller.kind == "root" else 1
    return 0


def reference(
    caller: Caller,
    action: str,
    arn: str,
    context: dict[str, Any],
    policies: dict[str, list[dict[str, Any]] | None],
) -> bool:
    def said(kind: str, effect: str) -> list[dict[str, Any]]:
        return [
            one
            for one in policies[kind] or []
            if one["Effect"] == effect and speaks(one, action, arn, context)
        ]

    on_resource = {
        effect: max(
            (named(one["Principal"], caller) for one in said("resource", effect)), default=0
        )
        for effect in ("Allow", "Deny")
    }
    if said("identity", "Deny") or said("session", "Deny") or on_resource["Deny"]:
        return False
    grant = on_resource["Allow"]
    if caller.kind in ("service", "anonymous"):
        return grant > 0
    within_session = policies["session"] is None or bool(said("session", "Allow"))
    own = (caller.kind == "root" or bool(said("identity", "Allow"))) and within_session
    if caller.account != ACCOUNT:
        return own and grant > 0
    if caller.kind == "root":
        return own
    return own or grant == 3 or (grant == 2 and within_session)


# What is generated.

ACTIONS = ["s3:GetObject", "s3:PutObject", "S3:getobject", "dynamodb:GetItem"]
ARNS = ["arn:aws:s3:::b/alice/x", "arn:aws:s3:::b/bob", "arn:aws:s3:::b", "*"]
PATTERNS = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::*/?ob",
        "arn:aws:s3:::b/${aws:username}/*",
        "arn:aws:s3:::b/*x*",
    ]
)
ACTION_PATTERNS = st.sampled_from(["*", "s3:*", "s3:Get*", "S3:PUTOBJECT", "dynamodb:*", "s3:?et*"])
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "aws:username": st.sampled_from(["alice", "bob", "*"]),
        "s3:prefix": st.sampled_from(["", "alice", "alice/x", "bob"]),
        "s3:max-keys": st.sampled_from(["1", "10", "many"]),
        "aws:SecureTransport": st.sampled_from(["true", "false"]),
        "aws:SourceIp": st.sampled_from(["10.1.2.3", "192.0.2.1", "fe80::1"]),
        "ec2:Keys": st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3),
    },
)
TEXTS = st.lists(
    st.sampled_from(["alice", "bob", "${aws:username}", "${aws:username}/*", "*"]),
    min_size=1,
    max_size=2,
)
STRINGS = [
    over + name + exists
    for over in ("", "ForAllValues:", "ForAnyValue:")
    for name in ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike")
    for exists in ("", "IfExists")
]


def condition(operators: list[str], keys: list[str], values: Any) -> Any:
    return st.dictionaries(
        st.sampled_from(operators),
        st.dictionaries(st.sampled_from(keys), values, min_size=1, max_size=2),
        max_size=1,
    )


CONDITIONS = st.one_of(
    condition(STRINGS, ["s3:prefix", "aws:username"], TEXTS),
    condition(STRINGS, ["ec2:Keys"], st.lists(st.sampled_from("abc"), min_size=1, max_size=2)),
    condition(["NumericLessThan", "NumericLessThanIfExists"], ["s3:max-keys"], st.just("5")),
    condition(
        ["Bool", "BoolIfExists"], ["aws:SecureTransport"], st.sampled_from(["true", "false"])
    ),
    condition(["IpAddress", "NotIpAddress"], ["aws:SourceIp"], st.just(["10.0.0.0/8"])),
    condition(["Null"], ["aws:username", "ec2:Keys"], st.sampled_from(["true", "false"])),
)
PRINCIPALS = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": ACCOUNT},
        {"AWS": f"arn:aws:iam::{OTHER}:root"},
        {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/alice", f"arn:aws:iam::{OTHER}:user/bob"]},
        {"AWS": ROLE},
        {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s"},
        {"Service": "s3.amazonaws.com"},
        {"Service": "sns.amazonaws.com", "AWS": OTHER},
    ]
)


@st.composite
def statements(draw: st.DrawFn, *, principal: bool = False) -> dict[str, Any]:
    some = st.lists
    one = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(
            some(ACTION_PATTERNS, min_size=1, max_size=2)
        ),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(
            some(PATTERNS, min_size=1, max_size=2)
        ),
        "Condition": draw(CONDITIONS),
    }
    return {**one, "Principal": draw(PRINCIPALS)} if principal else one


POLICY = st.none() | st.lists(statements(), min_size=1, max_size=3)


def compiled(kind: Any, policy: list[dict[str, Any]] | None) -> Any:
    if policy is None:
        return None
    return compile_policy({"Version": "2012-10-17", "Statement": policy}, kind=kind)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    caller=st.sampled_from(CALLERS),
    action=st.sampled_from(ACTIONS),
    arn=st.sampled_from(ARNS),
    context=CONTEXTS,
    identity=POLICY,
    session=POLICY,
    resource=st.none() | st.lists(statements(principal=True), min_size=1, max_size=3),
)
def test_the_evaluator_decides_as_the_reference(
    caller: Caller,
    action: str,
    arn: str,
    context: dict[str, Any],
    identity: Any,
    session: Any,
    resource: Any,
) -> None:
    own, cut = compiled("identity", identity), compiled("session", session)
    policies = PolicySet(
        None if own is None else index_of([own]), cut, None, compiled("resource", resource)
    )
    request = AccessRequest(caller, action, arn, context, ACCOUNT)
    documents = {"identity": identity, "session": session, "resource": resource}
    wanted = reference(caller, action, arn, context, documents)
    assert evaluate(request, policies).allowed is wanted
    # Deciding twice, now from what the indexes remember, gives the same.
    again = AccessRequest(caller, action, arn, context, ACCOUNT)
    assert evaluate(again, policies).allowed is wanted
