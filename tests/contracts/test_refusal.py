"""Every operation refuses who it must: properties from the registry alone (DESIGN section 10)."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.made_up import smallest
from tests.contracts.observation import Observations, allow, attempt
from tests.contracts.registry import OPERATIONS, SERVICES, Built
from tests.contracts.seeds import seed

import fogbank

NO_PERMISSION_NEEDED = {
    # AWS: "No permissions are required to perform this operation" (STS API reference).
    ("sts", "get_caller_identity"),
    # AWS: GetSessionToken "No permissions are required for users to perform this operation".
    ("sts", "get_session_token"),
}
KEY_USES = 50
"""How many operations one unknown key asks: who fails 100 times with one is told to slow down."""
DENIALS = {
    (200, "AccessDenied"),  # one of several in one request
    (400, "AccessDeniedException"),
    (403, "AccessDenied"),
    (403, "AccessDeniedException"),
    (403, "403"),  # the answer to a HEAD has no body
}
every_operation = pytest.mark.parametrize("built", OPERATIONS, ids=str)


@pytest.fixture(scope="module", autouse=True)
def _buckets(clients: Any) -> None:
    """Have the bucket that requests name: of one that is not there everybody hears just that."""
    seed("s3", clients, "")


@pytest.fixture(scope="module")
def nobody(clients: Any) -> dict[str, str]:
    """Return the keys of a user without any policy."""
    iam = clients("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


def answer(clients: Any, built: Built, **caller: Any) -> tuple[int, str]:
    client = clients(built.service.model, **caller)
    return attempt(client, built.function, smallest(built.service.model, built.model.name))


@every_operation
def test_an_anonymous_caller_is_refused(built: Built, clients: Any) -> None:
    status, code = answer(clients, built, signed=False)
    if built.model.auth_none:
        return
    assert status in {400, 401, 403}
    assert code in {
        "AccessDenied",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "403",
    }


@every_operation
def test_an_unknown_key_is_refused(built: Built, clients: Any) -> None:
    number = OPERATIONS.index(built) // KEY_USES
    unknown = {"access_key": f"AKIAIOSFODNN7EX{number:05}", "secret_key": "x" * 40}
    status, code = answer(clients, built, **unknown)
    assert status in {400, 401, 403}
    assert code in {
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "403",
    }


@every_operation
def test_a_user_without_policies_is_refused(
    built: Built, clients: Any, nobody: dict[str, str]
) -> None:
    if built.key in NO_PERMISSION_NEEDED:
        return
    assert answer(clients, built, **nobody) in DENIALS


def all_but(action: str, resource: str) -> str:
    """Return a policy that allows everything and denies one action on one resource."""
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": action, "Resource": resource},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@every_operation
def test_every_access_that_an_operation_asks_for_can_be_denied(
    built: Built, observed: Observations
) -> None:
    """Each action on each resource is denied alone, and each alone must refuse the call."""
    accesses = observed.by_operation[built.key].accesses
    assert bool(accesses) is (built.key not in NO_PERMISSION_NEEDED)
    service = built.service.model
    client = observed.clients(service, **observed.keys)
    allowed = []
    for access, request in accesses.items():
        seed(service, observed.clients, observed.cloud.account.principal.account)
        allow(observed.clients, all_but(*access))
        if attempt(client, built.function, request) not in DENIALS:
            allowed.append(access)
    assert allowed == []


PUBLISHED = {
    prefix: frozenset(names.split())
    for prefix, _, names in (
        line.partition(": ")
        for line in Path(__file__).with_name("actions.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}
"""The actions that AWS publishes, by prefix (Service Authorization Reference)."""


ASKED_BY_DOORS = {"lambda:InvokeFunctionUrl"}
"""What no operation asks for, but a front door: denied in tests/wire/lambda_/test_urls.py."""


@every_operation
def test_every_action_that_an_operation_asks_for_is_one_of_aws(
    built: Built, observed: Observations
) -> None:
    actions = {action for action, _ in observed.by_operation[built.key].accesses}
    unknown = []
    for action in sorted(actions):
        prefix, _, name = action.partition(":")
        if name not in PUBLISHED.get(prefix, frozenset()):
            unknown.append(action)
    assert unknown == []


def test_every_action_that_the_sources_name_is_asked_for(observed: Observations) -> None:
    """No access stands in the sources that no made-up request reaches and no test denies."""
    asked = {
        action
        for observation in observed.by_operation.values()
        for action, _ in observation.accesses
    }
    prefixes = {service.prefix for service in SERVICES.values()}
    named = {
        text
        for path in (Path(fogbank.__file__).parent / "services").rglob("*.py")
        for text in _constants(ast.parse(path.read_text()))
        if text.partition(":")[0] in prefixes
        and text.partition(":")[2] in PUBLISHED.get(text.partition(":")[0], frozenset())
    }
    assert sorted(named - asked - ASKED_BY_DOORS) == []


def _constants(tree: ast.AST) -> Iterator[str]:
    """Yield the constant texts of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
