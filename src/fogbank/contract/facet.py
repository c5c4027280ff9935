"""What cross-cutting floors may know of a service's resources without importing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fogbank.platform.store.engine import Domain, Transaction

FindPolicy = Callable[[Transaction, str], Awaitable[str | None]]
FindOwner = Callable[[Transaction, str], Awaitable[str]]


class ResourcePolicies(NamedTuple):
    """Resources of the service carry policies that the gateway evaluates.

    ``domain`` gives the domain of a resource ARN, or None if it carries no policy;
    ``find`` reads the policy document (JSON) of the ARN in a transaction of that domain;
    ``owner`` gives the account that owns the ARN where the ARN itself does not say (S3), else ''.
    """

    domain: Callable[[str], Domain | None]
    find: FindPolicy
    owner: FindOwner | None = None
