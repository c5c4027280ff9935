"""What was decided, and by which statement of which policy.

How to read a ``Decision``: ``allowed`` is the answer. ``reason`` says which kind of policy gave it
and whether a statement spoke (``DENIED_BY_*``, ``ALLOWED_BY_*``) or none did (``NO_*``: the
implicit deny of the kind that should have allowed). Where a statement spoke, ``statement`` is it
(``sid``, and ``index``: its place in its document from 0) and ``source`` says where the document
hangs: its kind, its ARN or name, and the user, group, role or resource that holds it. An implicit
deny has neither; so has what the root user may do by being root.

To keep a decision, keep ``decision.decided(action, resource)``: flat texts and numbers only, which
stay true after the policies are gone. A call notes every one it was given, allowed or not, in
``Call.decisions``; the last one that is not allowed is why a call was refused.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol

from fogbank.base.arn import PARTITIONS
from fogbank.platform.iam.request import AccessRequest


class PolicySource(NamedTuple):
    """Which policy a statement stands in, and what it hangs on."""

    kind: str
    """``inline``, ``managed``, ``boundary``, ``session``, ``resource`` or ``trust``."""
    policy: str = ""
    """The ARN of a managed policy, the name of an inline one, '' where a policy has neither."""
    holder: str = ""
    """The ARN of the user, group, role, session or resource that the policy hangs on."""


class Spoken(Protocol):
    """A statement, as far as a decision tells of it."""

    @property
    def sid(self) -> str:
        """Return the statement's id, or ''."""
        ...

    @property
    def index(self) -> int:
        """Return the statement's place in its document, from 0."""
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


_UNNAMED: Final = {"s3": ("*", *(f"arn:{partition}:s3:::*" for partition in PARTITIONS))}
"""Resources that messages leave out, by service.

AWS: `aws s3 ls` without a right to it hears `is not authorized to perform: s3:ListAllMyBuckets
because ...`, while Lambda says `lambda:ListFunctions on resource: * because ...`.
"""


_BY_ARN: Final = frozenset({"iam:CreateUser", "iam:CreateRole", "iam:CreateGroup", "iam:PassRole"})


class Decided(NamedTuple):
    """A decision as it is kept: flat, and true after the policies are gone."""

    action: str
    resource: str
    allowed: bool
    reason: str
    """The name of the ``Reason``, such as ``DENIED_BY_IDENTITY``."""
    policy_kind: str
    """As ``PolicySource.kind``; '' if no statement spoke."""
    policy: str
    holder: str
    sid: str
    statement: int
    """The statement's place in its document, from 0; -1 if none spoke."""

    @property
    def explanation(self) -> str:
        """Return one sentence that names the statement that decided, or that none did."""
        said = Reason[self.reason].value.format(action=self.action)
        asked = f"{self.action} on {self.resource}: {'allowed' if self.allowed else 'denied'}"
        if self.statement < 0:
            return f"{asked}, {said}"
        sid = f' (Sid "{self.sid}")' if self.sid else ""
        where = f"{self.policy_kind} policy {self.policy}".rstrip()
        of = f" of {self.holder}" if self.holder else ""
        return f"{asked}, {said}: statement {self.statement + 1}{sid} of the {where}{of}"


class Decision(NamedTuple):
    """Whether a request is allowed, what decided, and the statement that did."""

    allowed: bool
    reason: Reason
    statement: Spoken | None = None
    source: PolicySource | None = None

    def decided(self, action: str, resource: str) -> Decided:
        """Return the decision in the form in which it is kept."""
        source = self.source or PolicySource("")
        return Decided(
            action,
            resource,
            self.allowed,
            self.reason.name,
            *source,
            sid="" if self.statement is None else self.statement.sid,
            statement=-1 if self.statement is None else self.statement.index,
        )

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
        said = f"{said} {self.reason.value.format(action=request.action)}"
        policy = self._policy_shown(request)
        return f"{said}: {policy}" if policy else said

    def _policy_shown(self, request: AccessRequest) -> str:
        """Return the ARN of the policy that denied, if the message names it, else ''.

        AWS: it does where that is a managed policy and the resource lies in the caller's account
        ("Troubleshoot access denied error messages"); an inline policy has no ARN to name.
        """
        policy = "" if self.source is None else self.source.policy
        inside = request.resource_account == request.principal.account
        return policy if inside and policy.startswith("arn:") else ""


def _shown(request: AccessRequest) -> str:
    """Return the resource as the service of the action writes it in messages."""
    vendor, _, _ = request.action.partition(":")
    if vendor == "s3":
        return f'"{request.resource}"'
    kind, _, path = request.resource.rpartition(":")[2].partition("/")
    name = path.rpartition("/")[2]
    # AWS: IAM says `user Bob`, `role r` of what stands; what is created, passed or listed goes by
    # its ARN, and so do policies.
    if request.action in _BY_ARN or vendor != "iam" or kind not in ("user", "role", "group"):
        return request.resource
    return f"{kind} {name}" if name else request.resource
