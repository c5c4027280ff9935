"""The Principal and NotPrincipal elements: whom a resource policy speaks of.

Rule: naming an account delegates to it (its own policies must allow too); naming a user, a role, a
session or everyone grants by itself. How directly a caller is named decides what may still cut the
grant down. Source: IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final

from fogbank.platform.iam.malformed import MalformedPolicy, NotEvaluated
from fogbank.platform.iam.request import Caller

_ACCOUNT: Final = re.compile(r"(\d{12})|arn:aws:iam::(\d{12}):root", re.ASCII)
_ENTITY_ARN: Final = re.compile(
    r"arn:aws:iam::\d{12}:(user|role)/[\x21-\x29\x2b-\x3e\x40-\x7e]+"
    r"|arn:aws:sts::\d{12}:assumed-role/[\w+=,.@-]+/[\w+=,.@-]+",
    re.ASCII,
)
_SERVICE: Final = re.compile(
    r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)"
)


class Named(enum.IntEnum):
    """How directly a policy names a caller; higher grants more by itself."""

    NOT = 0
    ACCOUNT = 1
    """The caller's account: the account's own policies must allow too."""
    ROLE = 2
    """The role of a session: session policies and boundary still cut down."""
    DIRECT = 3
    """The caller itself, or everyone."""


class Principals:
    """A compiled Principal or NotPrincipal element."""

    __slots__ = ("accounts", "arns", "everyone", "negated", "services")

    def __init__(self, element: str | dict[str, list[str]], *, negated: bool, trust: bool) -> None:
        self.negated = negated
        self.everyone = False
        accounts: set[str] = set()
        arns: set[str] = set()
        services: set[str] = set()
        for kind, name in _names(element):
            if kind == "Service" and _SERVICE.fullmatch(name):
                services.add(name)
            elif kind == "AWS" and name == "*":
                self.everyone = True
            elif kind == "AWS" and (account := _ACCOUNT.fullmatch(name)):
                accounts.add(account.group(1) or account.group(2))
            elif kind == "AWS" and _ENTITY_ARN.fullmatch(name):
                arns.add(name)
            else:
                raise _invalid(kind, name, trust=trust)
        self.accounts = frozenset(accounts)
        self.arns = frozenset(arns)
        self.services = frozenset(services)

    def named(self, caller: Caller) -> Named:
        """Return how directly the statement speaks of a caller."""
        if self.negated:
            return Named.NOT if self._exempts(caller) else Named.DIRECT
        if self.everyone or caller.arn in self.arns or caller.arn in self.services:
            return Named.DIRECT
        if caller.kind == "session" and caller.role_arn in self.arns:
            return Named.ROLE
        if caller.account in self.accounts:
            return Named.DIRECT if caller.kind == "root" else Named.ACCOUNT
        return Named.NOT

    def _exempts(self, caller: Caller) -> bool:
        """Tell whether a NotPrincipal spares a caller."""
        # AWS: account, role and session must all be listed to spare a session, and account and
        # user to spare a user; otherwise the statement applies ("NotPrincipal with Deny").
        if self.everyone:
            return True
        if caller.kind in ("service", "anonymous"):
            return caller.arn in self.services
        if caller.account not in self.accounts:
            return False
        if caller.kind == "root":
            return True
        if caller.kind == "session" and caller.role_arn not in self.arns:
            return False
        return caller.arn in self.arns


def _names(element: str | dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of every principal."""
    if isinstance(element, str):
        yield "AWS" if element == "*" else "", element
        return
    for kind, names in element.items():
        if kind in ("Federated", "CanonicalUser"):
            raise NotEvaluated(f"{kind} principals")
        for name in names:
            yield kind, name


def _invalid(kind: str, name: str, *, trust: bool) -> MalformedPolicy:
    """Return the error for a principal that cannot be."""
    if trust:
        return MalformedPolicy(f'Invalid principal in policy: "{kind.upper()}":"{name}"')
    return MalformedPolicy("Invalid principal in policy")
