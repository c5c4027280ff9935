"""What cross-cutting floors may know of a service's resources without importing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fogbank.contract.action import Access
from fogbank.platform.iam.bound import BoundPolicy
from fogbank.platform.iam.request import ContextValue
from fogbank.platform.store.engine import Domain, Transaction

FindPolicy = Callable[[Transaction, str], Awaitable[BoundPolicy | None]]
FindTags = Callable[[Transaction, str], Awaitable[Mapping[str, ContextValue]]]
FindKeys = Callable[[Transaction, Access], Awaitable[Mapping[str, ContextValue]]]
FindOwner = Callable[[Transaction, str], Awaitable[str]]


class ResourcePolicies(NamedTuple):
    """Resources of the service carry policies that the gateway evaluates.

    ``domain`` gives the domain of a resource ARN, or None if it carries no policy;
    ``find`` reads the policy document (JSON) of the ARN, with whom its names of users and roles
    mean, in a transaction of that domain;
    ``owner`` gives the account that owns the ARN where the ARN itself does not say (S3), else ''.
    """

    domain: Callable[[str], Domain | None]
    find: FindPolicy
    owner: FindOwner | None = None


class ResourceTags(NamedTuple):
    """Resources of the service carry tags that policies may speak of.

    ``domain`` gives the domain of a resource ARN, or None if it carries no tags; ``find`` reads the
    condition keys of the ARN's tags (``aws:ResourceTag/team``) in a transaction of that domain;
    none if the resource does not stand. The gateway asks only if a policy of the caller or of the
    resource speaks of tags, whoever's operation names the resource.
    """

    domain: Callable[[str], Domain | None]
    find: FindTags


class StoredKeys(NamedTuple):
    """Condition keys of the service take more than the request: what is stored of the resource.

    ``names`` are the keys in lower case; ``domain`` gives the domain of a resource ARN, or None if
    it can have none of them; ``find`` reads the keys of an access in a transaction of that domain;
    none if the resource does not stand. The gateway asks only if a policy reads one of the names:
    whoever has no such policy does not pay for it.
    """

    names: frozenset[str]
    domain: Callable[[str], Domain | None]
    find: FindKeys
