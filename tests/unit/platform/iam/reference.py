"""An evaluator that is slow and obviously right: it reads documents as they stand.

Nothing of ours is used: patterns are matched by definition, numbers are fractions, and the order of
evaluation is the flow chart of the IAM User Guide written down ("How AWS enforcement code logic
evaluates requests to allow or deny access", "Cross-account policy evaluation logic").
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

LITERAL = {"*": "\0", "?": "\1"}
"""Characters that a variable stands for are literal: marked while a pattern is matched."""


class Caller(NamedTuple):
    kind: str
    account: str
    arn: str
    role_arn: str = ""
    provider: str = ""


def many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def plain(text: str) -> str:
    for character, mark in LITERAL.items():
        text = text.replace(mark, character)
    return text


def marked(text: str) -> str:
    for character, mark in LITERAL.items():
        text = text.replace(character, mark)
    return text


def like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(like(pattern[1:], text[at:]) for at in range(len(text) + 1))
    if not text:
        return False
    return (pattern[0] == "?" or plain(pattern[0]) == text[0]) and like(pattern[1:], text[1:])


# Variables.


def substituted(text: str, context: dict[str, Any], version: str) -> str | None:
    """Return a text with variables replaced, or None if one has no value."""
    if version != "2012-10-17" or "${" not in text:
        return text
    before, _, rest = text.partition("${")
    inner, _, after = rest.partition("}")
    key, _, default = inner.partition(", ")
    if inner in ("*", "?", "$"):
        value: str | None = inner
    else:
        found = {name.lower(): one for name, one in context.items()}.get(key.lower())
        value = found if isinstance(found, str) else default.strip("'") if default else None
    tail = substituted(after, context, version)
    return None if value is None or tail is None else before + marked(value) + tail


# Conditions.


def number(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except ValueError:
        return None


def moment(text: str) -> Fraction | None:
    if text.isdigit() and len(text) > 4:
        return Fraction(text)
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d", "%Y"):
        try:
            return Fraction(int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()))
        except ValueError:
            continue
    return None


def in_order(comparison: str, one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    return {
        "Equals": one == other,
        "LessThan": one < other,
        "LessThanEquals": one <= other,
        "GreaterThan": one > other,
        "GreaterThanEquals": one >= other,
    }[comparison]


def decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def arn_like(pattern: str, text: str) -> bool:
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), text.split(":", 5)
    return len(given) == len(wanted) == 6 and all(map(like, wanted, given))


def matches(operator: str, wanted: str, value: str) -> bool:
    """Tell whether one value of the request matches one of the policy, variables replaced."""
    if operator == "StringEquals":
        return plain(wanted) == value
    if operator == "StringEqualsIgnoreCase":
        return plain(wanted).lower() == value.lower()
    if operator == "StringLike":
        return like(wanted, value)
    if operator in ("ArnEquals", "ArnLike"):
        return arn_like(wanted, value)
    if operator == "Bool":
        return value.lower() in ("true", "false") and plain(wanted).lower() == value.lower()
    if operator == "BinaryEquals":
        return decoded(value) is not None and decoded(value) == decoded(wanted)
    if operator == "IpAddress":
        try:
            return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
        except ValueError:
            return False
    if operator.startswith("Numeric"):
        return in_order(operator.removeprefix("Numeric"), number(value), number(wanted))
    assert operator.startswith("Date"), operator
    return in_order(operator.removeprefix("Date"), moment(value), moment(wanted))


def condition_holds(
    operator: str, key: str, wanted: list[str], context: dict[str, Any], version: str
) -> bool:
    value = {name.lower(): one for name, one in context.items()}.get(key.lower())
    # A key without values is not in the request.
    value = None if value == () else value
    if operator == "Null":
        return str(value is None).lower() in [one.lower() for one in wanted]
    over, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    name = name.replace("Not", "")
    if over and value == "":
        value = ()
        if_exists = False
    if value is None and if_exists:
        return True
    values = [] if value is None else many(value)
    bound = [substituted(one, context, version) for one in wanted]

    def hit(one: str) -> bool:
        return any(want is not None and matches(name, want, one) for want in bound)

    if over == "ForAllValues":
        return all(hit(one) is not negated for one in values)
    if over == "ForAnyValue":
        return any(hit(one) is not negated for one in values)
    return any(hit(one) for one in values) is not negated


# Statements.


class Asked(NamedTuple):
    caller: Caller
    action: str
    arn: str
    context: dict[str, Any]
    owner: str


def speaks(statement: dict[str, Any], asked: Asked, version: str) -> bool:
    negated = "NotAction" in statement
    actions = many(statement.get("Action", statement.get("NotAction")))
    if any(like(one.lower(), asked.action.lower()) for one in actions) is negated:
        return False
    if "Resource" in statement or "NotResource" in statement:
        negated = "NotResource" in statement
        resources = many(statement.get("Resource", statement.get("NotResource")))
        bound = [substituted(one, asked.context, version) for one in resources]
        if any(one is not None and like(one, asked.arn) for one in bound) is negated:
            return False
    return all(
        condition_holds(operator, key, many(wanted), asked.context, version)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def account_names(account: str) -> set[str]:
    canonical = hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()
    return {account, f"arn:aws:iam::{account}:root", canonical} if account else set()


def named(statement: dict[str, Any], caller: Caller) -> int:
    """3: itself or everyone; 2: its role, user or provider; 1: its account; 0: not."""
    element = statement.get("Principal", statement.get("NotPrincipal"))
    names = {"*"} if element == "*" else {one for each in element.values() for one in many(each)}
    everyone = "*" in names
    itself = everyone or (bool(caller.arn) and caller.arn in names)
    behind = bool({caller.role_arn, caller.provider} - {""} & names)
    account = bool(account_names(caller.account) & names)
    if "Principal" in statement:
        if itself:
            return 3
        if behind:
            return 2
        if account:
            return 3 if caller.kind == "root" else 1
        return 0
    if statement["Effect"] == "Allow":
        spared = itself or behind or account
    elif everyone or not caller.account:
        spared = itself
    else:
        chain = {caller.arn, caller.role_arn} - {"", f"arn:aws:iam::{caller.account}:root"}
        spared = account and chain <= names
    return 0 if spared else 3


def allowed(
    asked: Asked,
    policies: dict[str, list[dict[str, Any]] | None],
    *,
    version: str = "2012-10-17",
    trust: bool = False,
) -> bool:
    """Tell whether a request is allowed.

    Args:
        asked: The request.
        policies: Statements of ``identity``, ``boundary``, ``session`` and ``resource``; None
            where there is no such policy.
        version: Of the language of all of them.
        trust: Whether the resource's policy is a role's trust policy, which must allow.
    """
    caller = asked.caller

    def said(kind: str, effect: str) -> list[dict[str, Any]]:
        return [
            one
            for one in policies[kind] or []
            if one["Effect"] == effect and speaks(one, asked, version)
        ]

    def within(kind: str) -> bool:
        return policies[kind] is None or bool(said(kind, "Allow"))

    # 1. An explicit deny anywhere.
    if any(said(kind, "Deny") for kind in ("identity", "boundary", "session")):
        return False
    if any(named(one, caller) for one in said("resource", "Deny")):
        return False
    grant = max((named(one, caller) for one in said("resource", "Allow")), default=0)
    # Who has no policies of its own has the resource's only.
    if caller.kind in ("service", "anonymous", "provider"):
        return grant > 0
    # What limits the caller: the boundary, and the session policy, which federated users must have.
    limited = not (within("boundary") and within("session"))
    if caller.kind == "federated" and policies["session"] is None:
        limited = True
    root = "root" in (caller.kind, caller.role_arn.rpartition(":")[2])
    own = (root or bool(said("identity", "Allow"))) and not limited
    # Two accounts: both must allow.
    if caller.account != asked.owner:
        return own and grant > 0
    # One account: the resource's policy by itself, if it names more than the account.
    if caller.kind != "root":
        if grant == 3:
            return True
        if grant == 2 and not limited:
            return True
    return own and (grant > 0 or not trust)
