"""What a request needs to be allowed, and the scope its names are read in.

An ``access`` function is pure: from the scope and the decoded request to the list of accesses that
must all be allowed. What depends on stored state is checked in the operation with
``call.require``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from fogbank.base.arn import partition_of
from fogbank.base.types import Wire
from fogbank.platform.iam.bound import BoundName
from fogbank.platform.iam.request import ContextValue
from fogbank.platform.store.engine import Domain
from fogbank.wire.regions import matches


class Scope(msgspec.Struct, frozen=True, array_like=True):
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


class Point(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A way to a resource under another name, with rules of its own (access points of S3)."""

    arn: str
    account: str
    """Whose it is; the resource may be another account's."""
    resource: str
    """The ARN of the resource that it leads to, and no other of the same name."""
    token: str
    """By which the service knows that resource again."""
    said: str = ""
    """What it says of who may pass it: a policy, in JSON."""
    bound: tuple[BoundName, ...] = ()
    keys: dict[str, str] = {}
    """Condition keys of every access that goes through it."""
    public_lists_blocked: bool = False
    """Access control lists that let the public in are not put through it."""
    public_lists_ignored: bool = False
    """What access control lists grant to the public does not count for who comes through it."""
    by_alias: bool = False
    """Whether it was asked for by its alias."""

    def arn_of(self, resource: str) -> str | None:
        """Return what a resource is called through this point; None if it does not lead there."""
        if resource == self.resource:
            return self.arn
        inside = f"{self.resource}/"
        if not resource.startswith(inside):
            return None
        return f"{self.arn}/object/{resource.removeprefix(inside)}"


class Access(NamedTuple):
    """One action on one resource, with the service's own condition keys."""

    action: str
    """Such as ``s3:PutObject``."""
    resource: str
    """An ARN, or ``*`` for actions without a resource."""
    context: Mapping[str, ContextValue] = {}
    """Condition keys to values, such as ``s3:prefix``; strings, or tuples for sets."""
    point: Point | None = None
    """The access point through which it is asked; it has decided already."""


def through(points: Sequence[Point], access: Access) -> list[Access]:
    """Return what must be allowed where points may lead to a resource: at each of them, and there.

    Where a request names a resource both by a point and by itself, as a copy may, the point is asked
    for all of it: that never lets in more.
    """
    needed: list[Access] = []
    for point in points:
        name = point.arn_of(access.resource)
        if name is not None:
            needed.append(Access(access.action, name, access.context, point))
    if not needed:
        return [access]
    return [*needed, access._replace(point=needed[0].point)]


AccessOf = Callable[[Scope, Wire], list[Access]]
DomainOf = Callable[[Scope, Wire], Domain]
Neutral = Any
"""The value of a member that asks for nothing, or a tuple of such values."""
