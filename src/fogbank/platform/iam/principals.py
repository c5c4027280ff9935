"""The Principal and NotPrincipal elements: whom a resource policy speaks of.

Rule: naming an account delegates to it (its own policies must allow too); naming a user, a role, a
session or everyone grants by itself. How directly a caller is named decides what may still cut the
grant down. Source: IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Final

from fogbank.base.arn import PARTITIONS, canonical_user_id
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import Caller

_PARTITION: Final = f"(?:{'|'.join(PARTITIONS)})"
_ACCOUNT: Final = re.compile(rf"(\d{{12}})|arn:{_PARTITION}:iam::(\d{{12}}):root", re.ASCII)
_ENTITY_ARN: Final = re.compile(
    rf"arn:{_PARTITION}"
    r":iam::\d{12}:(user|role)/[\x21-\x29\x2b-\x3e\x40-\x7e]+"
    rf"|arn:{_PARTITION}"
    r":sts::\d{12}:(assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+",
    re.ASCII,
)
_SERVICE: Final = re.compile(
    r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)"
)
_PROVIDER: Final = re.compile(
    r"cognito-identity\.amazonaws\.com|www\.amazon\.com|graph\.facebook\.com|accounts\.google\.com"
    rf"|arn:{_PARTITION}"
    r":iam::\d{12}:saml-provider/[\w.-]+"
    rf"|arn:{_PARTITION}"
    r":iam::\d{12}:oidc-provider/[a-zA-Z0-9.-]+(:\d+)?(/[\w./-]*)?",
    re.ASCII,
)
_CANONICAL: Final = re.compile(r"[0-9a-f]{64}")


class Named(enum.IntEnum):
    """How directly a policy names a caller; higher grants more by itself."""

    NOT = 0
    ACCOUNT = 1
    """The caller's account: the account's own policies must allow too."""
    ROLE = 2
    """The role of a session, the user of a federated user, or the identity provider of a session:
    session policies and boundary still cut down."""
    DIRECT = 3
    """The caller itself, or everyone."""


class Principals:
    """A compiled Principal or NotPrincipal element.

    Args:
        element: The element, with lists of names.
        negated: Whether it is NotPrincipal.
        allows: Whether its statement allows: who is exempt from a deny must be listed whole, who
            is exempt from an allow need be listed in part only.
        trust: Whether it stands in a trust policy, for the words of refusals.
        ids: Whom its ARNs mean, where that is kept: principal ids (``platform/iam/bound``).

    Raises:
        MalformedPolicy: A name is none of its kind.
    """

    __slots__ = (
        "_accounts_only",
        "_allows",
        "_bound",
        "_selves",
        "accounts",
        "arns",
        "canonical",
        "everyone",
        "negated",
        "providers",
        "services",
    )  # fmt: skip

    def __init__(
        self,
        element: str | dict[str, list[str]],
        *,
        negated: bool,
        trust: bool,
        allows: bool = False,
        ids: Mapping[str, str] | None = None,
    ) -> None:
        self.negated = negated
        self._allows = allows
        names: dict[str, set[str]] = {kind: set() for kind in _KINDS}
        for kind, name in _names(element):
            filed = _filed(kind, name)
            if filed is None:
                raise _invalid(kind, name, trust=trust)
            names[filed[0]].add(filed[1])
        self.everyone = bool(names["everyone"])
        self.accounts = frozenset(names["account"])
        self._bound = bool(ids)
        self.arns = frozenset(arn if ids is None else ids.get(arn, arn) for arn in names["arn"])
        """Users, roles and sessions: their principal ids where they are known, else their ARNs."""
        self.services = frozenset(names["service"])
        self.providers = frozenset(names["provider"])
        self.canonical = frozenset(names["canonical"])
        self._selves = self.arns | self.services | self.providers
        self._accounts_only = not (self.everyone or self._selves)

    def named(self, caller: Caller) -> Named:
        """Return how directly the statement speaks of a caller."""
        if self.negated:
            spared = self._names_part_of if self._allows else self._names_whole
            return Named.NOT if spared(caller) else Named.DIRECT
        if self._accounts_only:
            return self._named_by_account(caller)
        if self._names_itself(caller):
            return Named.DIRECT
        if self.arns and self._names_role(caller):
            return Named.ROLE
        if self.providers and caller.provider in self.providers:
            return Named.ROLE
        return self._named_by_account(caller)

    def _named_by_account(self, caller: Caller) -> Named:
        """Return how directly the caller's account is listed."""
        if not self._names_account(caller):
            return Named.NOT
        return Named.DIRECT if caller.kind == "root" else Named.ACCOUNT

    def _names_itself(self, caller: Caller) -> bool:
        """Tell whether the caller itself, or everyone, is listed."""
        if self.everyone or caller.arn in self._selves:
            return True
        return self._bound and caller.user_id in self.arns

    def _names_role(self, caller: Caller) -> bool:
        """Tell whether the role of a session, or the user of a federated user, is listed."""
        if caller.role_arn in self.arns:
            return True
        return self._bound and bool(caller.role_arn) and caller.unique_id in self.arns

    def _names_account(self, caller: Caller) -> bool:
        """Tell whether the caller's account is listed, by number or by canonical user id."""
        if caller.account in self.accounts:
            return True
        if not self.canonical or not caller.account:
            return False
        return canonical_user_id(caller.account) in self.canonical

    def _names_part_of(self, caller: Caller) -> bool:
        """Tell whether a NotPrincipal that allows leaves a caller out.

        AWS does not say what becomes of a user whose account is not listed as well; listing any
        of session, role and account leaves the caller out, which grants less.
        """
        return (
            self._names_itself(caller)
            or self._names_role(caller)
            or caller.provider in self.providers
            or self._names_account(caller)
        )

    def _names_whole(self, caller: Caller) -> bool:
        """Tell whether a NotPrincipal that denies spares a caller."""
        # AWS: account, role and session must all be listed to spare a session, and account and
        # user to spare a user; otherwise the statement applies ("NotPrincipal with Deny").
        if self.everyone:
            return True
        if not caller.account:
            return self._names_itself(caller)
        if not self._names_account(caller):
            return False
        if caller.kind == "root":
            return True
        if caller.role_arn and not self._names_role(caller) and not self._is_root_of(caller):
            return False
        return caller.arn in self.arns or (self._bound and caller.user_id in self.arns)

    @staticmethod
    def _is_root_of(caller: Caller) -> bool:
        """Tell whether the root user federated: the account stands for it."""
        return caller.role_arn.endswith(":root")


_KINDS: Final = ("everyone", "account", "arn", "service", "provider", "canonical")


def _filed(kind: str, name: str) -> tuple[str, str] | None:
    """Return under what a name is filed, and as which text; None if it is none of its kind."""
    if kind == "AWS":
        if name == "*":
            return "everyone", name
        account = _ACCOUNT.fullmatch(name)
        if account is not None:
            return "account", account.group(1) or account.group(2)
        return ("arn", name) if _ENTITY_ARN.fullmatch(name) else None
    filed, pattern = _PATTERNS.get(kind, (kind, None))
    return (filed, name) if pattern is not None and pattern.fullmatch(name) else None


_PATTERNS: Final = {
    "Service": ("service", _SERVICE),
    "Federated": ("provider", _PROVIDER),
    "CanonicalUser": ("canonical", _CANONICAL),
}


def _names(element: str | dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of every principal."""
    if isinstance(element, str):
        yield "AWS" if element == "*" else "", element
        return
    for kind, names in element.items():
        for name in names:
            yield kind, name


def _invalid(kind: str, name: str, *, trust: bool) -> MalformedPolicy:
    """Return the error for a principal that cannot be."""
    if trust:
        return MalformedPolicy(f'Invalid principal in policy: "{kind.upper()}":"{name}"')
    return MalformedPolicy("Invalid principal in policy")
