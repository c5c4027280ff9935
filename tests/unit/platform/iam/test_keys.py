"""The condition keys that policies may use are those that the sources put into requests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.principals import session, user

import fogbank
from fogbank.platform.iam.keys import _ABSENT, Standing, keys_set, require_evaluated, standing_of
from fogbank.platform.iam.malformed import NotEvaluated
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.principal import (
    ANONYMOUS,
    Principal,
    root_principal,
    service_principal,
)

SOURCES = Path(fogbank.__file__).parent
SETTERS = ("services", "gateway", "platform/identity")
_KEY = re.compile(
    r"(application-autoscaling|aws|iam|kms|sts|s3|dynamodb|lambda|logs):[A-Za-z][A-Za-z0-9-]*[/:]?"
)


def _text(node: ast.expr | None) -> str:
    """Return a constant text, or what an f-string begins with."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]  # pyright: ignore[reportAssignmentType]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _keys_of(node: ast.AST) -> Iterator[str]:
    """Yield the texts under which an expression or assignment files something."""
    if isinstance(node, ast.Dict):
        yield from map(_text, node.keys)
        # A table from members of the request to the keys that they become.
        if all(_KEY.fullmatch(_text(value)) for value in node.values):
            yield from map(_text, node.values)
    elif isinstance(node, ast.DictComp):
        yield _text(node.key)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        yield _text(node.slice)
    elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
        # A loop over pairs of key and value.
        for pair in node.iter.elts:
            if isinstance(pair, ast.Tuple):
                yield _text(pair.elts[0])


def keys_in_sources() -> frozenset[str]:
    """Return every condition key that a dict of the sources has, in lower case."""
    found: set[str] = set()
    for place in SETTERS:
        for path in (SOURCES / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found.update(text.lower() for text in _keys_of(node) if _KEY.fullmatch(text))
    return frozenset(found)


def test_the_keys_that_are_evaluated_are_those_that_are_set() -> None:
    assert keys_in_sources() == keys_set()


@pytest.mark.parametrize("key", sorted(keys_set()))
def test_a_policy_may_use_every_key_that_is_set(key: str) -> None:
    require_evaluated((f"{key}team" if key[-1] in "/:" else key).upper())


@pytest.mark.parametrize(
    "key",
    [
        "dynamodb:FirstPartitionKeyValues",
        "lambda:NoSuchKey",
        "kms:NoSuchKey",
        "s3:NoSuchKey",
        "aws:NoSuchKey",
        "aws:PrincipalTag",
    ],
)
def test_a_key_that_nobody_sets_is_refused(key: str) -> None:
    with pytest.raises(NotEvaluated, match=key):
        require_evaluated(key)


def test_what_cannot_be_in_a_request_may_be_named_and_says_why() -> None:
    for key in (
        "s3:x-amz-website-redirect-location",
        "s3:InventoryAccessibleOptionalFields",
        "ec2:InstanceType",
    ):
        require_evaluated(key)
        assert standing_of(key).standing is Standing.ABSENT
        assert standing_of(key).reason


def test_every_key_here_is_one_that_aws_publishes() -> None:
    lines = (SOURCES.parents[1] / "tools" / "condition_keys.txt").read_text().splitlines()
    published = {
        f"{prefix}:{name}".lower()
        for prefix, _, names in (line.partition(":") for line in lines if line[0] != "#")
        for name in names.split()
    }
    assert keys_set() - published == set()
    assert set(_ABSENT) - published == set()


def test_no_key_is_both_set_and_absent() -> None:
    # Whoever builds what an absent key speaks of sets it, and takes it from the list.
    for key in keys_in_sources():
        assert standing_of(f"{key}x" if key[-1] in "/:" else key).standing is Standing.EVALUATED
    assert keys_set().isdisjoint(_ABSENT)


# "AWS global condition context keys": every key of the page, in its order.
GLOBAL = [
    "PrincipalArn",
    "PrincipalAccount",
    "PrincipalOrgPaths",
    "PrincipalOrgID",
    "PrincipalTag/team",
    "PrincipalIsAWSService",
    "PrincipalServiceName",
    "PrincipalServiceNamesList",
    "PrincipalType",
    "userid",
    "username",
    "AssumedRoot",
    "FederatedProvider",
    "TokenIssueTime",
    "SignInSessionArn",
    "MultiFactorAuthAge",
    "MultiFactorAuthPresent",
    "ChatbotSourceArn",
    "Ec2InstanceSourceVpc",
    "Ec2InstanceSourcePrivateIPv4",
    "SourceIdentity",
    "SourceIp",
    "SourceVpc",
    "SourceVpcArn",
    "SourceVpce",
    "VpceAccount",
    "VpceOrgID",
    "VpceOrgPaths",
    "VpcSourceIp",
    "ResourceAccount",
    "ResourceOrgID",
    "ResourceOrgPaths",
    "ResourceTag/team",
    "CalledVia",
    "CalledViaFirst",
    "CalledViaLast",
    "CalledViaAWSMCP",
    "ViaAWSService",
    "ViaAWSMCPService",
    "CurrentTime",
    "EpochTime",
    "referer",
    "RequestedRegion",
    "RequestTag/team",
    "TagKeys",
    "SecureTransport",
    "SourceAccount",
    "SourceArn",
    "SourceOrgID",
    "SourceOrgPaths",
    "UserAgent",
    "IsMcpServiceAction",
]


@pytest.mark.parametrize("name", GLOBAL)
def test_every_global_key_of_aws_may_be_used(name: str) -> None:
    require_evaluated(f"aws:{name}")


# The page's "Availability", and "Principal key values" of "Variables and tags".
ROLE = session(
    path="/p/",
    issued_ms=1_767_225_600_000,
    tags=(("team", "red"),),
    source_identity="me",
    source_function_arn="arn:aws:lambda:us-east-1:111122223333:function:f",
    provider="accounts.google.com",
)
USER = user()
SERVICE = service_principal("s3.amazonaws.com", source_arn="arn:aws:s3:::b", source_account="1")
CALLERS: list[tuple[Principal, dict[str, object]]] = [
    (
        ROLE,
        {
            "aws:PrincipalType": "AssumedRole",
            "aws:PrincipalIsAWSService": "false",
            "aws:PrincipalAccount": "111122223333",
            "aws:PrincipalArn": "arn:aws:iam::111122223333:role/p/r",
            "aws:userid": "AROA1:one",
            "aws:TokenIssueTime": "2026-01-01T00:00:00Z",
            "aws:MultiFactorAuthPresent": "false",
            "aws:FederatedProvider": "accounts.google.com",
            "aws:SourceIdentity": "me",
            "lambda:SourceFunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:f",
            "aws:PrincipalTag/team": "red",
        },
    ),
    (
        USER,
        {
            "aws:PrincipalType": "User",
            "aws:PrincipalIsAWSService": "false",
            "aws:PrincipalAccount": "111122223333",
            "aws:PrincipalArn": "arn:aws:iam::111122223333:user/alice",
            "aws:userid": "AIDA1",
            "aws:username": "alice",
        },
    ),
    (
        root_principal("111122223333"),
        {
            "aws:PrincipalType": "Account",
            "aws:PrincipalIsAWSService": "false",
            "aws:PrincipalAccount": "111122223333",
            "aws:PrincipalArn": "arn:aws:iam::111122223333:root",
            "aws:userid": "111122223333",
        },
    ),
    (
        ANONYMOUS,
        {
            "aws:PrincipalType": "Anonymous",
            "aws:PrincipalAccount": "anonymous",
            "aws:userid": "anonymous",
        },
    ),
    (
        SERVICE,
        {
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": "s3.amazonaws.com",
            "aws:PrincipalServiceNamesList": ("s3.amazonaws.com",),
            "aws:SourceArn": "arn:aws:s3:::b",
            "aws:SourceAccount": "1",
        },
    ),
]


@pytest.mark.parametrize(("principal", "keys"), CALLERS)
def test_a_caller_has_the_keys_that_aws_gives_it(
    principal: Principal, keys: dict[str, object]
) -> None:
    assert context_of(principal) == keys
