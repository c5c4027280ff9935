"""Runs every operation on made-up requests and keeps what it asked to be allowed and what it read.

Rule: a member counts as read when the operation's own function takes it from the request: copying
the whole request does not count, nor does what ``access=`` and ``domain=`` take.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from typing import Any, NamedTuple
from unittest import mock

from botocore.exceptions import BotoCoreError, ClientError
from tests.contracts.made_up import requests_of
from tests.contracts.registry import OPERATIONS, Built
from tests.contracts.seeds import ALLOW_ALL, Clients, seed

from fogbank.contract.action import Access
from fogbank.contract.call import Call
from fogbank.gateway.bound import Bound
from fogbank.platform.iam.evaluate import evaluate
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.testing.cloud import Cloud

CALLER = "watched"


class Recording(dict[str, Any]):
    """A request that notes which members are taken from it."""

    def __init__(self, wire: dict[str, Any], read: set[str]) -> None:
        super().__init__(wire)
        self._read = read

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(name)
        return super().get(name, default)


class Watch(ExitStack):
    """Stands between the gateway and the operations of one cloud while it is entered."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self.accesses: list[tuple[str, str]] = []
        """Actions and resources asked for by a user, in order."""
        self.read: set[str] = set()
        authorization = cloud.app.dispatcher.performer.authorization
        catalogue = cloud.app.dispatcher.catalogue
        self._require = authorization.require
        self._lets_in = authorization.lets_in
        self._find = catalogue.find
        self._patch(authorization, "require", self._note)
        self._patch(authorization, "lets_in", self._let_in)
        self._patch(catalogue, "find", self._watched)
        for module in {sys.modules[built.declared.function.__module__] for built in OPERATIONS}:
            # STS decides by a role's trust policy, which is no resource policy of its own.
            if getattr(module, "evaluate", None) is evaluate:
                self._patch(module, "evaluate", self._evaluated)

    def _patch(self, target: Any, name: str, new: Any) -> None:
        self.enter_context(mock.patch.object(target, name, new))

    def _let_in(self, call: Call, accesses: Sequence[Access]) -> bool:
        found = self._lets_in(call, accesses)
        if found:
            self._noted(call, accesses)
        return found

    async def _note(self, call: Call, accesses: Sequence[Access]) -> None:
        self._noted(call, accesses)
        await self._require(call, accesses)

    def _noted(self, call: Call, accesses: Sequence[Access]) -> None:
        # Imports and exports of DynamoDB ask in the background: what they are refused is told of them
        # (tests/wire/dynamodb/test_imports.py and test_exports.py).
        if call.principal.kind is PrincipalKind.USER and call.http.via != "dynamodb":
            self.accesses += [(access.action, access.resource) for access in accesses]

    def _evaluated(self, asked: AccessRequest, policies: Any) -> Any:
        if asked.principal.kind is PrincipalKind.USER:
            self.accesses.append((asked.action, asked.resource))
        return evaluate(asked, policies)

    def _watched(self, service: str, operation: str) -> Any:
        bound: Bound | None = self._find(service, operation)
        if bound is None or bound.declared is None:
            return bound
        watched = copy(bound)
        watched.declared = bound.declared._replace(function=self._reading(bound.declared.function))
        return watched

    def _reading(self, function: Any) -> Any:
        async def reading(call: Call, wire: dict[str, Any]) -> Any:
            if call.principal.kind is PrincipalKind.USER:
                wire = Recording(wire, self.read)
            return await function(call, wire)

        return reading


class Observation(NamedTuple):
    """What one operation did over all its made-up requests."""

    accesses: dict[tuple[str, str], dict[str, Any]]
    """Every action on every resource it asked for, with the first request that made it ask."""
    read: frozenset[str]
    answers: frozenset[tuple[int, str]]
    """Statuses and error codes."""


class Observations(NamedTuple):
    """What all operations did, and the cloud they did it in."""

    cloud: Cloud
    clients: Clients
    keys: dict[str, str]
    """The credentials of the user who called: allowed everything."""
    by_operation: dict[tuple[str, str], Observation]


EXTRA: dict[tuple[str, str], list[dict[str, Any]]] = {
    # AWS: who may not list a bucket is not told that a key does not exist.
    ("s3", "get_object"): [{"Key": "missing"}],
    ("s3", "head_object"): [{"Key": "missing"}],
    ("s3", "get_object_attributes"): [{"Key": "missing"}],
    ("s3", "delete_object"): [{"BypassGovernanceRetention": True}],
    # AWS: "You must have the s3:TagResource permission to create a general purpose bucket with tags".
    ("s3", "create_bucket"): [
        {"CreateBucketConfiguration": {"Tags": [{"Key": "team", "Value": "x"}]}}
    ],
}


def caller_of(clients: Clients) -> dict[str, str]:
    """Make a user that may do everything; return its credentials."""
    iam = clients("iam")
    iam.create_user(UserName=CALLER)
    allow(clients, ALLOW_ALL)
    key = iam.create_access_key(UserName=CALLER)["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


def allow(clients: Clients, document: str) -> None:
    """Give the caller another policy."""
    clients("iam").put_user_policy(UserName=CALLER, PolicyName="all", PolicyDocument=document)


def attempt(client: Any, function: str, request: dict[str, Any]) -> tuple[int, str]:
    """Return the status and the error code that a request is answered with."""
    try:
        reply = getattr(client, function)(**request)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    except BotoCoreError:
        return 0, "unsendable"
    codes = {entry.get("Code", "") for entry in reply.get("Errors", ())}
    return reply["ResponseMetadata"]["HTTPStatusCode"], next(iter(codes), "")


def _observation(watch: Watch, built: Built, cloud: Cloud, clients: Clients, user: Any) -> Any:
    service, account = built.service.model, cloud.account.principal.account
    accesses: dict[tuple[str, str], dict[str, Any]] = {}
    answers: set[tuple[int, str]] = set()
    seed(service, clients, account)
    watch.read.clear()
    requests = list(requests_of(service, built.model.name, account))
    requests += [{**requests[0], **more} for more in EXTRA.get(built.key, [])]
    for request in requests:
        seed(service, clients, account)
        watch.accesses.clear()
        answers.add(attempt(user, built.function, request))
        for access in watch.accesses:
            accesses.setdefault(access, request)
    return Observation(accesses, frozenset(watch.read), frozenset(answers))


def observe(cloud: Cloud, clients: Clients) -> Observations:
    """Run every operation of a cloud on its made-up requests."""
    keys = caller_of(clients)
    found: dict[tuple[str, str], Observation] = {}
    with Watch(cloud) as watch:
        for built in OPERATIONS:
            user = clients(built.service.model, **keys)
            found[built.key] = _observation(watch, built, cloud, clients, user)
    return Observations(cloud, clients, keys, found)
