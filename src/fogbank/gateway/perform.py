"""The store half of a call: from a decoded, authenticated request to the operation's answer.

Rule: this is the one seam between who owns sockets and who owns state. What comes in is a visit
(names and facts) and a request by wire names; what goes out is a reply by wire names, or a modelled
error. Nothing here knows HTTP, so that both halves are the same code in one process or in two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Wire
from fogbank.contract.call import Call, Facilities
from fogbank.contract.service import Service
from fogbank.gateway.authorize import Authorization, Circumstances
from fogbank.gateway.bound import Bound
from fogbank.gateway.resolve import Door
from fogbank.gateway.visit import Visit


class Perform(Protocol):
    """Runs an operation where its domain's store is, and returns its reply by wire names."""

    async def __call__(self, visit: Visit, bound: Bound, wire: Wire) -> Wire:
        """Authorize the call and run the operation.

        Args:
            visit: Who asks, from where; its accesses are noted in it.
            bound: The operation, which is built.
            wire: The decoded request.

        Raises:
            ServiceError: As the operation raises it, or access denied.
        """
        ...


class Catalogue:
    """The services that are built, with their codecs and their operations, each found once."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.services: Mapping[str, Service] = {each.model: each for each in services}
        self.doors = {each.model: Door.of(each.model) for each in services}
        self._bound: dict[tuple[str, str], Bound] = {}

    def find(self, service: str, operation: str) -> Bound | None:
        """Return a modelled operation of a service that we have, or None."""
        bound = self._bound.get((service, operation))
        if bound is None:
            door = self.doors.get(service)
            if door is None or operation not in door.codec.model.operations:
                return None
            bound = Bound(self.services[service], door.codec, operation)
            self._bound[service, operation] = bound
        return bound

    def require(self, service: str, operation: str) -> Bound:
        """Return an operation that is built.

        Raises:
            NotBuilt: It is not, or nobody knows it.
        """
        bound = self.find(service, operation)
        if bound is None or bound.declared is None:
            raise NotBuilt.operation(service, operation)
        return bound


class Performer:
    """Runs operations in this process.

    Args:
        catalogue: What is built.
        facilities: What calls are handed.
    """

    def __init__(self, catalogue: Catalogue, facilities: Facilities) -> None:
        self._facilities = facilities
        self.authorization = Authorization(
            [
                (service, catalogue.doors[name].codec.model)
                for name, service in catalogue.services.items()
            ],
            facilities.identity,
            facilities.placement,
        )

    async def perform(self, visit: Visit, bound: Bound, wire: Wire) -> Wire:
        """Authorize the call and run the operation; see ``Perform``."""
        scope, principal = visit.scope, visit.principal
        accesses = bound.default_access if bound.access is None else bound.access(scope, wire)
        visit.accesses = accesses
        domain = bound.domain_of(scope, wire)
        call = Call(
            service=bound.service.model,
            operation=bound.name,
            scope=scope,
            principal=principal,
            store=self._facilities.placement.store_of(domain),
            facilities=self._facilities,
            authorizer=self.authorization,
            http=visit.http,
            access_context=Circumstances(
                principal, scope.region, visit.http, visit.now_ms, visit.context
            ),
            decisions=visit.decisions,
        )
        if accesses:
            await self.authorization.require(call, accesses)
        bound.check_honoured(wire)
        assert bound.declared is not None
        return await bound.declared.function(call, wire)
