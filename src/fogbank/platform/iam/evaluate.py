"""The decision: AWS's order of policies, for one request.

An explicit deny in any policy wins. Then, inside one account, either the identity's policies or
the resource's policy suffices; across accounts both must allow. Session policies and a permissions
boundary cut down what identities are granted, but not what a resource policy grants to the caller
itself. Source: IAM User Guide, "Policy evaluation logic", and "Policy evaluation for requests
within a single account", whose tables the tests hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

from fogbank.platform.iam.decision import Decision, PolicySource, Reason
from fogbank.platform.iam.index import Found, StatementIndex
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.principals import Named
from fogbank.platform.iam.request import AccessRequest, Caller
from fogbank.platform.iam.statement import Statement


class Finder(Protocol):
    """Statements that can be looked up by action: a policy, or an index over several."""

    @property
    def stored_keys(self) -> frozenset[str]:
        """Return the keys a statement reads whose values lie in the store."""
        ...

    def find(self, action: str) -> Found:
        """Return the denying and the allowing statements that speak of an action."""
        ...

    def source_of(self, statement: Statement) -> PolicySource:
        """Return where a statement comes from."""
        ...


_NONE: Final = frozenset[str]()


class PolicySet(NamedTuple):
    """Every policy that bears on a request."""

    identity: Finder | None = None
    session: Finder | None = None
    """Set where session policies were given: they only cut down."""
    boundary: Finder | None = None
    resource: Policy | None = None
    """The resource's policy, or the trust policy of a role."""
    resource_required: bool = False
    """The resource's policy must allow inside its account too (trust policies, keys)."""

    @property
    def stored_keys(self) -> frozenset[str]:
        """Return the keys a decision may read whose values lie in the store; mostly none."""
        identity, session, boundary, resource, _ = self
        found = _NONE if identity is None else identity.stored_keys
        if session is not None:
            found |= session.stored_keys
        if boundary is not None:
            found |= boundary.stored_keys
        return found if resource is None else found | resource.stored_keys

    def with_resource(self, policy: Policy | None, *, required: bool = False) -> PolicySet:
        """Return the set with the policy of the request's resource."""
        if policy is None and not required:
            return self
        return PolicySet(self.identity, self.session, self.boundary, policy, required)


NO_POLICIES: Final = PolicySet()
_WITHOUT_POLICIES: Final = frozenset({"anonymous", "service", "provider"})
"""Callers who have the resource's policy only."""

_TO_ROOT: Final = Decision(allowed=True, reason=Reason.ALLOWED_TO_ROOT)
_NO_IDENTITY: Final = Decision(allowed=False, reason=Reason.NO_IDENTITY)
_NO_SESSION: Final = Decision(allowed=False, reason=Reason.NO_SESSION)
_NO_BOUNDARY: Final = Decision(allowed=False, reason=Reason.NO_BOUNDARY)
_NO_RESOURCE: Final = Decision(allowed=False, reason=Reason.NO_RESOURCE)
_NO_TRUST: Final = Decision(allowed=False, reason=Reason.NO_TRUST)


def index_of(policies: Iterable[Policy]) -> StatementIndex:
    """Return one index over several policies of which it does not matter where they hang."""
    return StatementIndex((policy, PolicySource(policy.kind)) for policy in policies)


def evaluate(request: AccessRequest, policies: PolicySet) -> Decision:
    """Decide one request.

    Args:
        request: Who wants what on which resource.
        policies: Every policy that bears on it.
    """
    denied = _denied(request, policies)
    if denied is not None:
        return denied
    named, grant = _granted(request, policies.resource)
    kind = request.principal.kind
    if kind in _WITHOUT_POLICIES:
        return _no_resource(policies) if grant is None else _grant(request, policies, grant)
    inside = request.resource_account == request.principal.account
    if inside and named >= Named.ROLE and kind != "root":
        assert grant is not None, "who is named is granted"
        granted = _grant(request, policies, grant)
        return granted if named is Named.DIRECT else _cut_down(request, policies, granted)
    own = _allowed_by_identity(request, policies)
    if own.allowed and grant is None and (policies.resource_required or not inside):
        return _no_resource(policies)
    return own


def _denied(request: AccessRequest, policies: PolicySet) -> Decision | None:
    """Return the explicit deny of the first policy that has one."""
    for finder, reason in (
        (policies.identity, Reason.DENIED_BY_IDENTITY),
        (policies.session, Reason.DENIED_BY_SESSION),
        (policies.boundary, Reason.DENIED_BY_BOUNDARY),
    ):
        if finder is None:
            continue
        for statement in finder.find(request.action).denying.at(request.resource):
            if statement.matches(request):
                return Decision(False, reason, statement, finder.source_of(statement))  # noqa: FBT003 (the field says it)
    policy = policies.resource
    if policy is None:
        return None
    for statement in policy.find(request.action).denying.at(request.resource):
        if statement.named(request.principal) is not Named.NOT and statement.matches(request):
            trust = policy.kind == "trust"
            reason = Reason.DENIED_BY_TRUST if trust else Reason.DENIED_BY_RESOURCE
            return Decision(False, reason, statement, _hanging_on(request, policy))  # noqa: FBT003 (the field says it)
    return None


def _hanging_on(request: AccessRequest, policy: Policy) -> PolicySource:
    """Return the source of the policy of the request's resource."""
    return PolicySource(policy.kind, "", request.resource)


def _granted(request: AccessRequest, policy: Policy | None) -> tuple[Named, Statement | None]:
    """Return the most direct grant of the resource's policy, and its statement."""
    best, grant = Named.NOT, None
    if policy is None:
        return best, grant
    principal = request.principal
    for statement in policy.find(request.action).allowing.at(request.resource):
        named = statement.named(principal)
        if named > best and statement.matches(request):
            best, grant = named, statement
    return best, grant


def _grant(request: AccessRequest, policies: PolicySet, statement: Statement) -> Decision:
    """Return the decision that the resource's policy allows."""
    assert policies.resource is not None, "a grant stands in a policy"
    source = _hanging_on(request, policies.resource)
    return Decision(True, Reason.ALLOWED_BY_RESOURCE, statement, source)  # noqa: FBT003 (the field says it)


def _no_resource(policies: PolicySet) -> Decision:
    """Return the denial by a missing grant of the resource's policy."""
    policy = policies.resource
    return _NO_TRUST if policy is not None and policy.kind == "trust" else _NO_RESOURCE


def _matching(request: AccessRequest, finder: Finder | None) -> Statement | None:
    """Return the first allowing statement that matches."""
    if finder is not None:
        for statement in finder.find(request.action).allowing.at(request.resource):
            if statement.matches(request):
                return statement
    return None


def _is_root(caller: Caller) -> bool:
    """Tell whether the root user asks, itself or as a federated user."""
    return caller.kind == "root" or (
        caller.kind == "federated" and caller.role_arn.endswith(":root")
    )


def _allowed_by_identity(request: AccessRequest, policies: PolicySet) -> Decision:
    """Decide by the caller's own policies."""
    if _is_root(request.principal):
        return _cut_down(request, policies, _TO_ROOT)
    identity = policies.identity
    statement = _matching(request, identity)
    if statement is None:
        return _NO_IDENTITY
    assert identity is not None, "a statement stands in a policy"
    source = identity.source_of(statement)
    allowed = Decision(True, Reason.ALLOWED_BY_IDENTITY, statement, source)  # noqa: FBT003 (the field says it)
    return _cut_down(request, policies, allowed)


def _cut_down(request: AccessRequest, policies: PolicySet, decision: Decision) -> Decision:
    """Return the decision unless the boundary or the session policies do not allow it."""
    if policies.boundary is not None and _matching(request, policies.boundary) is None:
        return _NO_BOUNDARY
    session = policies.session
    if session is None:
        # AWS: a federated user without a session policy may nothing ("How AWS enforcement code
        # logic evaluates requests", session policies); what names the session itself stays.
        return _NO_SESSION if request.principal.kind == "federated" else decision
    return decision if _matching(request, session) is not None else _NO_SESSION


def document_of(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document of the current version, for policies that the house makes."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
