"""Access points: requests that name a resource by a point, on their way to the resource itself.

Rule: a point is found once, where the request comes in; from there on the request names the resource
and goes to the process that owns it, and the points go with it. What a point says is decided in
``authorize`` beside what the resource says.

Source: Amazon S3 User Guide, "Managing access to shared datasets with access points".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fogbank.base.types import Wire
from fogbank.contract.action import Point
from fogbank.contract.facet import AccessPoints
from fogbank.contract.service import Service
from fogbank.gateway.forward import OwnerOf
from fogbank.gateway.visit import Visit
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import Placement

FIND: Final = "gateway.access-point"
"""(service, name) -> the point, or None"""


class PointBook:
    """The access points of services, wherever they lie.

    Args:
        services: What is built.
        placement: Where domains lie; None where no store does (a front).
        owner_of: The process that owns a domain, for a cloud of several.
    """

    def __init__(
        self, services: Sequence[Service], placement: Placement | None, owner_of: OwnerOf | None
    ) -> None:
        self._facets: Mapping[str, AccessPoints] = {
            each.model: each.points for each in services if each.points is not None
        }
        self._placement = placement
        self._owner_of = owner_of

    def are_named(self, service: str, wire: Wire) -> bool:
        """Return whether a request names points, or may."""
        facet = self._facets.get(service)
        return facet is not None and bool(facet.named(wire))

    async def enter(self, visit: Visit, wire: Wire) -> None:
        """Have a request name resources where it names points, which are noted in its visit.

        Raises:
            ServiceError: There is no such point, or it does not serve the operation.
        """
        facet = self._facets.get(visit.service)
        named = None if facet is None else facet.named(wire)
        if facet is None or not named:
            return
        for member, name in named.items():
            point = await self.find(visit.service, name)
            if point is not None:
                facet.check(visit.operation)
                visit.points = (*visit.points, point)
            facet.put(wire, member, point)

    async def resource_of(self, service: str, params: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels of a path with the names of resources in place of points'."""
        facet = self._facets.get(service)
        named = None if facet is None else facet.named(params)
        if facet is None or not named:
            return params
        wire: Wire = dict(params)
        for member, name in named.items():
            facet.put(wire, member, await self.find(service, name))
        return wire

    async def find(self, service: str, name: str) -> Point | None:
        """Return the point of a name; None if that is a resource's own after all.

        Raises:
            ServiceError: There is none.
        """
        facet = self._facets[service]
        if self._placement is not None:
            return await self._placement.store_of(facet.domain).read(
                lambda tr: facet.find(tr, name)
            )
        owner = None if self._owner_of is None else self._owner_of(facet.domain)
        assert owner is not None, "a process without stores knows who has them"
        answer = await owner.call(FIND, msgspec.msgpack.encode((service, name)))
        return msgspec.convert(answer.value, Point | None)

    def handlers(self) -> Handlers:
        """Return what other processes can ask."""
        return {FIND: self._asked}

    async def _asked(self, asked: Asked) -> Answer:
        """Answer what a front asks."""
        service, name = msgspec.msgpack.decode(asked.value, type=tuple[str, str])
        return Answer(msgspec.to_builtins(await self.find(service, name)))
