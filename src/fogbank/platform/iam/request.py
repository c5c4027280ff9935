"""What is asked: who wants to do what on which resource, and under which circumstances.

Rule: a condition key is found when a condition or a variable reads it, and once; most requests are
decided without most keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from fogbank.base.arn import find_arn
from fogbank.platform.iam.keys import is_steady

ContextValue = str | tuple[str, ...]
"""One value, or the values of a multivalued key."""


class Caller(Protocol):
    """What the evaluator needs to know of a principal."""

    @property
    def kind(self) -> str:
        """Return what kind of caller it is.

        ``root``, ``user``, ``session`` (of a role), ``federated`` (a session of
        GetFederationToken), ``provider`` (who an identity provider vouches for, before a role is
        assumed), ``service`` or ``anonymous``.
        """
        ...

    @property
    def account(self) -> str:
        """Return the account, or '' for services, providers and anonymous callers."""
        ...

    @property
    def arn(self) -> str:
        """Return the ARN, the service's name, the provider's name or ARN, or ''."""
        ...

    @property
    def unique_id(self) -> str:
        """Return the unique id of the user or of the session's role, else ''."""
        ...

    @property
    def user_id(self) -> str:
        """Return what ``aws:userid`` says: the unique id, of a session with its name."""
        ...

    @property
    def role_arn(self) -> str:
        """Return the ARN of the role of a session or the user of a federated user, else ''."""
        ...

    @property
    def provider(self) -> str:
        """Return the identity provider that a role session came from, else ''."""
        ...


class Context(Mapping[str, ContextValue]):
    """The condition keys of a request, each found when it is asked for."""

    __slots__ = ()

    def find(self, key: str) -> ContextValue | None:
        """Return the value of a condition key (in lower case), or None if it is absent."""
        raise NotImplementedError


_Find = Callable[[str], ContextValue | None]


def _find_in(context: Mapping[str, ContextValue]) -> _Find:
    """Return how a key, in lower case, is found in a context."""
    if isinstance(context, Context):
        return context.find
    return lowered(context).get


def lowered(context: Mapping[str, ContextValue]) -> dict[str, ContextValue]:
    """Return condition keys in lower case, with their values."""
    return {name.lower(): value for name, value in context.items()}


_NO_KEYS: Final[Mapping[str, ContextValue]] = {}


class AccessRequest:
    """One action on one resource by one caller.

    Args:
        principal: Who asks.
        action: Such as ``s3:PutObject``; its case does not matter.
        resource: The ARN, or ``*`` for actions without a resource.
        context: Condition keys to values; the case of keys does not matter. It is read only when
            a condition or a variable asks for a key, and only for that key if it is a ``Context``.
        resource_account: The account that owns the resource, where its ARN does not say (S3);
            else the ARN's account, else the caller's.
    """

    __slots__ = ("_find", "_known", "action", "context", "principal", "resource",
                 "resource_account", "varies")  # fmt: skip

    def __init__(
        self,
        principal: Caller,
        action: str,
        resource: str,
        context: Mapping[str, ContextValue] = _NO_KEYS,
        resource_account: str = "",
    ) -> None:
        self.principal = principal
        self.action = action
        self.resource = resource
        self.resource_account = resource_account or account_of(resource) or principal.account
        self.varies = False
        """Whether a key was asked for that does not follow from caller and resource."""
        self.context = context
        """The condition keys, as they were given."""
        self._find: _Find | None = None
        self._known: dict[str, ContextValue | None] = {}

    def value(self, key: str) -> ContextValue | None:
        """Return the value of a condition key (in lower case), or None if it is absent."""
        self.varies = True
        return self.steady(key)

    def steady(self, key: str) -> ContextValue | None:
        """Return the value of a key that is the same whenever this caller asks for the resource."""
        known = self._known
        if key in known:
            return known[key]
        find = self._find
        if find is None:
            find = self._find = _find_in(self.context)
        value = known[key] = find(key)
        return value


def account_of(resource: str) -> str:
    """Return the account that an ARN names, or ''; AWS's own policies are in every account."""
    arn = find_arn(resource)
    return "" if arn is None or arn.account == "aws" else arn.account


def reader_of(key: str) -> Callable[[AccessRequest, str], ContextValue | None]:
    """Return how a key, in lower case, is read from a request."""
    return AccessRequest.steady if is_steady(key) else AccessRequest.value
