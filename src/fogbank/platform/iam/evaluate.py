"""The decision: AWS's order of policies, for one request.

An explicit deny in any policy wins. Then, inside one account, either the identity's policies or
the resource's policy suffices; across accounts both must allow. Session policies and a permissions
boundary cut down what identities are granted, but not what a resource policy grants to the caller
itself. Source: IAM User Guide, "Policy evaluation logic", and "Policy evaluation for requests
within a single account", whose tables the tests hold.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

from fogbank.platform.iam.policy import Found, Policy, Statement, StatementIndex
from fogbank.platform.iam.principals import Named
from fogbank.platform.iam.request import AccessRequest


class Finder(Protocol):
    """Statements that can be looked up by action: a policy, or an index over several."""

    def find(self, action: str) -> Found:
        """Return the denying and the allowing statements that speak of an action."""
        ...


class Reason(enum.Enum):
    """What decided; the value ends the message of a denial, as AWS words it."""

    ALLOWED_BY_IDENTITY = "allowed by an identity-based policy"
    ALLOWED_BY_RESOURCE = "allowed by a resource-based policy"
    ALLOWED_TO_ROOT = "allowed to the account"
    DENIED_BY_IDENTITY = "with an explicit deny in an identity-based policy"
    DENIED_BY_SESSION = "with an explicit deny in a session policy"
    DENIED_BY_BOUNDARY = "with an explicit deny in a permissions boundary"
    DENIED_BY_RESOURCE = "with an explicit deny in a resource-based policy"
    DENIED_BY_TRUST = "with an explicit deny in the role trust policy"
    NO_IDENTITY = "because no identity-based policy allows the {action} action"
    NO_SESSION = "because no session policy allows the {action} action"
    NO_BOUNDARY = "because no permissions boundary allows the {action} action"
    NO_RESOURCE = "because no resource-based policy allows the {action} action"
    NO_TRUST = "because no role trust policy allows the {action} action"


_UNNAMED: Final = {"s3": ("*", "arn:aws:s3:::*")}
"""Resources that messages leave out, by service.

AWS: `aws s3 ls` without a right to it hears `is not authorized to perform: s3:ListAllMyBuckets
because ...`, while Lambda says `lambda:ListFunctions on resource: * because ...`.
"""


class Decision(NamedTuple):
    """Whether a request is allowed, what decided, and the statement that did."""

    allowed: bool
    reason: Reason
    statement: Statement | None = None

    def message(self, request: AccessRequest) -> str:
        """Return what AWS says to the caller of a denied request."""
        assert not self.allowed, "an allowed request has no message"
        user = request.principal.arn or "anonymous"
        vendor, _, _ = request.action.partition(":")
        said = f"User: {user} is not authorized to perform: {request.action}"
        # AWS: the messages of role trust policies name no resource ("Troubleshoot access denied
        # error messages").
        trust = self.reason in (Reason.DENIED_BY_TRUST, Reason.NO_TRUST)
        if not trust and request.resource not in _UNNAMED.get(vendor, ()):
            said += f" on resource: {_shown(request)}"
        return f"{said} {self.reason.value.format(action=request.action)}"


def _shown(request: AccessRequest) -> str:
    """Return the resource as the service of the action writes it in messages."""
    vendor, _, _ = request.action.partition(":")
    if vendor == "s3":
        return f'"{request.resource}"'
    kind, _, path = request.resource.rpartition(":")[2].partition("/")
    # AWS: IAM says `user Bob`, `role r`; policies by their ARN.
    if vendor == "iam" and kind in ("user", "role", "group") and path:
        return f"{kind} {path.rpartition('/')[2]}"
    return request.resource


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

    def with_resource(self, policy: Policy | None, *, required: bool = False) -> PolicySet:
        """Return the set with the policy of the request's resource."""
        if policy is None and not required:
            return self
        return self._replace(resource=policy, resource_required=required)


NO_POLICIES: Final = PolicySet()


def index_of(policies: Iterable[Policy]) -> StatementIndex:
    """Return one index over the statements of several policies, which add up."""
    return StatementIndex(statement for policy in policies for statement in policy.statements)


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
    if kind in ("anonymous", "service"):
        return _allow(Reason.ALLOWED_BY_RESOURCE, grant) if grant else _no_resource(policies)
    inside = request.resource_account == request.principal.account
    if inside and named >= Named.ROLE and kind != "root":
        granted = _allow(Reason.ALLOWED_BY_RESOURCE, grant)
        return granted if named is Named.DIRECT else _cut_down(request, policies, granted)
    own = _allowed_by_identity(request, policies)
    if own.allowed and grant is None and (policies.resource_required or not inside):
        return _no_resource(policies)
    return own


def _allow(reason: Reason, statement: Statement | None = None) -> Decision:
    """Return the decision that allows."""
    return Decision(True, reason, statement)  # noqa: FBT003 (the field says it)


def _deny(reason: Reason, statement: Statement | None = None) -> Decision:
    """Return the decision that denies."""
    return Decision(False, reason, statement)  # noqa: FBT003 (the field says it)


def _denied(request: AccessRequest, policies: PolicySet) -> Decision | None:
    """Return the explicit deny of the first policy that has one."""
    action = request.action
    if policies.identity is not None:
        for statement in policies.identity.find(action)[0]:
            if statement.matches(request):
                return _deny(Reason.DENIED_BY_IDENTITY, statement)
    if policies.session is not None or policies.boundary is not None:
        denied = _denied_by_limits(request, policies)
        if denied is not None:
            return denied
    policy = policies.resource
    if policy is None:
        return None
    for statement in policy.find(action)[0]:
        if _named(statement, request) is not Named.NOT and statement.matches(request):
            trust = policy.kind == "trust"
            return _deny(Reason.DENIED_BY_TRUST if trust else Reason.DENIED_BY_RESOURCE, statement)
    return None


def _denied_by_limits(request: AccessRequest, policies: PolicySet) -> Decision | None:
    """Return the explicit deny of a session policy or a boundary."""
    for finder, reason in (
        (policies.session, Reason.DENIED_BY_SESSION),
        (policies.boundary, Reason.DENIED_BY_BOUNDARY),
    ):
        if finder is None:
            continue
        for statement in finder.find(request.action)[0]:
            if statement.matches(request):
                return _deny(reason, statement)
    return None


def _named(statement: Statement, request: AccessRequest) -> Named:
    """Return how directly a statement of a resource policy names the caller."""
    assert statement.principals is not None, "a resource policy names principals"
    return statement.principals.named(request.principal)


def _granted(request: AccessRequest, policy: Policy | None) -> tuple[Named, Statement | None]:
    """Return the most direct grant of the resource's policy, and its statement."""
    best, grant = Named.NOT, None
    if policy is None:
        return best, grant
    for statement in policy.find(request.action)[1]:
        named = _named(statement, request)
        if named > best and statement.matches(request):
            best, grant = named, statement
    return best, grant


def _no_resource(policies: PolicySet) -> Decision:
    """Return the denial by a missing grant of the resource's policy."""
    policy = policies.resource
    trust = policy is not None and policy.kind == "trust"
    return _deny(Reason.NO_TRUST if trust else Reason.NO_RESOURCE)


def _matching(request: AccessRequest, finder: Finder | None) -> Statement | None:
    """Return the first allowing statement that matches."""
    if finder is not None:
        for statement in finder.find(request.action)[1]:
            if statement.matches(request):
                return statement
    return None


def _allowed_by_identity(request: AccessRequest, policies: PolicySet) -> Decision:
    """Decide by the caller's own policies."""
    if request.principal.kind == "root":
        return _cut_down(request, policies, _allow(Reason.ALLOWED_TO_ROOT))
    statement = _matching(request, policies.identity)
    if statement is None:
        return _deny(Reason.NO_IDENTITY)
    return _cut_down(request, policies, _allow(Reason.ALLOWED_BY_IDENTITY, statement))


def _cut_down(request: AccessRequest, policies: PolicySet, decision: Decision) -> Decision:
    """Return the decision unless the boundary or the session policies do not allow it."""
    if policies.boundary is not None and _matching(request, policies.boundary) is None:
        return _deny(Reason.NO_BOUNDARY)
    if policies.session is not None and _matching(request, policies.session) is None:
        return _deny(Reason.NO_SESSION)
    return decision


def document_of(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document of the current version, for policies that the house makes."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
