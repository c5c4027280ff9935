"""The condition keys that policies may use are those that the sources put into requests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fogbank
from fogbank.platform.iam.keys import keys_set, require_evaluated
from fogbank.platform.iam.malformed import NotEvaluated

SOURCES = Path(fogbank.__file__).parent
SETTERS = ("services", "gateway", "platform/identity")
_KEY = re.compile(r"(aws|iam|sts|s3|dynamodb|lambda|logs):[A-Za-z][A-Za-z0-9-]*/?")


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
    vendor = key.partition(":")[0]
    whole = f"{key}team" if key.endswith("/") else key
    require_evaluated(whole.upper(), ["iam"] if vendor == "aws" else [vendor])


@pytest.mark.parametrize(
    ("key", "vendors"),
    [
        ("s3:ExistingObjectTag/team", ["s3"]),
        ("s3:RequestObjectTag/team", ["s3"]),
        ("s3:ResourceAccount", ["s3"]),
        ("dynamodb:LeadingKeys", ["dynamodb"]),
        ("lambda:FunctionArn", ["lambda"]),
        ("aws:ResourceTag/team", ["lambda"]),
        ("aws:ResourceTag/team", ["iam", "s3"]),
        ("aws:RequestTag/team", []),
        ("aws:ChatbotSourceArn", ["s3"]),
    ],
)
def test_a_key_that_nobody_sets_is_refused(key: str, vendors: list[str]) -> None:
    with pytest.raises(NotEvaluated, match=key):
        require_evaluated(key, vendors)


def test_what_cannot_be_in_a_request_may_be_named() -> None:
    require_evaluated("aws:PrincipalOrgID", ["s3"])
    require_evaluated("s3:x-amz-grant-read", ["s3"])
    require_evaluated("ec2:InstanceType", ["s3"])
