"""What a request needs to be allowed, and the scope its names are read in.

An ``access`` function is pure: from the scope and the decoded request to the list of accesses that
must all be allowed. What depends on stored state is checked in the operation with
``call.require``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fogbank.base.arn import partition_of
from fogbank.base.types import Wire
from fogbank.platform.iam.request import ContextValue
from fogbank.platform.store.engine import Domain
from fogbank.wire.regions import matches


class Scope(NamedTuple):
    """Where a request is made: the caller's account and the region of the endpoint."""

    account: str
    region: str
    request_id: str = ""
    region_set: tuple[str, ...] = ()
    """The regions that the request is good for, as patterns such as ``*``: of a signature of
    version 4A, or of none; empty: only ``region``."""
    now_ms: int = 0
    """When the request was let in: what its conditions compare with."""

    @property
    def partition(self) -> str:
        """Return the partition of the region: the caller's account is of the same."""
        return partition_of(self.region)

    def reaches(self, region: str) -> bool:
        """Return whether the request is good for a region."""
        if region == self.region and not self.region_set:
            return True
        return any(matches(pattern, region) for pattern in self.region_set)


class Access(NamedTuple):
    """One action on one resource, with the service's own condition keys."""

    action: str
    """Such as ``s3:PutObject``."""
    resource: str
    """An ARN, or ``*`` for actions without a resource."""
    context: Mapping[str, ContextValue] = {}
    """Condition keys to values, such as ``s3:prefix``; strings, or tuples for sets."""


AccessOf = Callable[[Scope, Wire], list[Access]]
DomainOf = Callable[[Scope, Wire], Domain]
Neutral = Any
"""The value of a member that asks for nothing, or a tuple of such values."""
