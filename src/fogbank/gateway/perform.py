"""The store half of a call: from a decoded, authenticated request to the operation's answer.

Rule: this is the one seam between who owns sockets and who owns state. What comes in is a visit
(names and facts) and a request by wire names; what goes out is a reply by wire names, or a modelled
error. Nothing here knows HTTP, so that both halves are the same code in one process or in two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from fogbank.base.errors import NotBuilt, ServiceError, Weather
from fogbank.base.types import Wire
from fogbank.contract.call import Call, Elsewhere, Facilities, Scattered
from fogbank.contract.operation import Function
from fogbank.contract.service import Service
from fogbank.gateway.audit import Audit, Recording
from fogbank.gateway.authorize import Authorization, Circumstances
from fogbank.gateway.bound import Bound
from fogbank.gateway.confirmed import ConfirmedStore
from fogbank.gateway.pages import Paged, Pages
from fogbank.gateway.resolve import Door
from fogbank.gateway.visit import Reasons, Visit
from fogbank.gateway.why import denial_of, point_of, points_said, reasons_of, trust_of
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.store.engine import Domain


class StaleProof(Weather):
    """The caller's account has changed since its credential was read: it must be read again."""


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
            StaleProof: The caller has to be proved again; nothing has happened.
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

    def denied_code(self, service: str) -> str:
        """Return the code of a service's access-denied error; '' if we do not have it."""
        found = self.services.get(service)
        return found.access_denied if found is not None else ""

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
        audit: What records them; no one if it is not given.
    """

    def __init__(
        self, catalogue: Catalogue, facilities: Facilities, audit: Audit | None = None
    ) -> None:
        self._facilities = facilities
        self._audit = audit
        self._pages = Pages(facilities.identity)
        self.elsewhere: Perform = self.perform
        """Performs what runs anew in another domain, which another process may have."""
        self.authorization = Authorization(
            list(catalogue.services.values()),
            facilities.identity,
            facilities.placement,
        )

    async def perform(self, visit: Visit, bound: Bound, wire: Wire) -> Wire:
        """Authorize the call, run the operation and record it; see ``Perform``."""
        moved = visit.domain is not None
        recording = None if self._audit is None or moved else self._audit.begin(visit, bound, wire)
        call: Call | None = None
        try:
            call = self._call_of(visit, bound, wire, recording)
            if not moved and not self.authorization.lets_in(call, call.accesses):
                await self.authorization.require(call, call.accesses)
            if bound.unhonoured:
                bound.check_honoured(wire)
            assert bound.declared is not None, "who runs is built"
            answer: Any = await (
                bound.declared.function(call, wire)
                if bound.paged is None
                else self._page(call, bound.declared.function, bound.paged, wire)
            )
            visit.logged = bool(call.logged) and call.domain in call.logged
        except (Elsewhere, Scattered) as elsewhere:
            assert call is not None, "the operation has begun"
            try:
                if recording is not None:
                    recording.rides = False
                answer = await self._moved(call, visit, bound, wire, elsewhere)
            except BaseException as error:  # noqa: BLE001 (it is recorded and goes on)
                raise await self._ended(error, visit, call, recording, wire) from error.__cause__
        except BaseException as error:  # noqa: BLE001 (it is recorded and goes on)
            raise await self._ended(error, visit, call, recording, wire) from error.__cause__
        if call.remarks:
            answer = {**answer, **call.beside}
        if recording is not None:
            waiting = recording.ended(answer)
            if waiting is not None:
                await waiting
        # Types call a TypedDict no dict, which it is.
        return answer

    async def _moved(
        self, call: Call, visit: Visit, bound: Bound, wire: Wire, elsewhere: Elsewhere | Scattered
    ) -> Wire:
        """Run an operation anew where its resources are kept, once all is decided that is said here.

        Raises:
            ServiceError: As the operation raises it, or access denied.
        """
        assert visit.domain is None, "what is kept in another domain is kept there"
        for access in (*call.accesses, *call.required):
            place = self.authorization.place_of(access)
            if place is not None and place not in call.standings:
                await self.authorization.again(call, place)
        try:
            if isinstance(elsewhere, Elsewhere):
                visit.domain = elsewhere.domain
                return await self.elsewhere(visit, bound, wire)
            answers: list[Wire] = []
            for domain, part in elsewhere.parts:
                visit.domain = domain
                answers.append(await self.elsewhere(visit, bound, part))
            return elsewhere.merge(answers)
        finally:
            visit.domain = None  # whoever performs the call again decides on it again
            visit.accesses = call.accesses

    def _call_of(self, visit: Visit, bound: Bound, wire: Wire, recording: Recording | None) -> Call:
        """Return the call that an operation is handed, with what it needs to be allowed."""
        scope = visit.scope
        accesses = bound.default_access if bound.access is None else bound.access(scope, wire)
        visit.accesses = accesses
        domain = visit.domain or bound.domain_of(scope, wire)
        call = self.call_at(visit, bound.service, bound.name, domain)
        if recording is not None:
            call.bare_store = recording.store_of(call.bare_store)
        call.accesses = accesses
        call.moved = visit.domain is not None
        call.points = visit.points
        if bound.service.presumes:
            call.confirming = ConfirmedStore
        return call

    def call_at(self, visit: Visit, service: Service, operation: str, domain: Domain) -> Call:
        """Return the call of a visit in a domain of this process; nothing of it is decided yet."""
        scope, principal = visit.scope, visit.principal
        return Call(
            service=service.model,
            operation=operation,
            scope=scope,
            principal=principal,
            domain=domain,
            bare_store=self._facilities.placement.store_of(domain),
            facilities=self._facilities,
            authorizer=self.authorization,
            http=visit.http,
            access_context=Circumstances(
                principal, scope.region, visit.http, visit.now_ms, visit.context
            ),
            decisions=visit.decisions,
            lending=visit.lending,
        )

    async def _ended(
        self,
        error: BaseException,
        visit: Visit,
        call: Call | None,
        recording: Recording | None,
        wire: Wire,
    ) -> BaseException:
        """Record how a call ended that has no answer; return the error that its caller hears."""
        if call is not None and isinstance(error, ServiceError):
            if call.confirmed is not None and call.confirmed[0] == call.domain:
                visit.logged = call.domain in call.logged
            presumes = call.confirming is not None
            denied = await self.authorization.find_denial(call) if presumes else None
            if recording is not None and visit.decisions and not visit.decisions[-1][2].allowed:
                visit.reasons = await self._reasons(call)
            if denied is not None:
                denied.__cause__ = error
                error = denied
        if recording is not None:
            await _recorded(recording, visit, error, wire)
        return error

    async def _page(self, call: Call, function: Function, paged: Paged, wire: Wire) -> Wire:
        """Run the operation with places for the tokens of its pages."""
        answer = cast("Wire", await function(call, self._pages.open(paged, call.scope, wire)))
        return self._pages.seal(paged, call.scope, wire, answer)

    async def _reasons(self, call: Call) -> Reasons:
        """Return what the last decision on a call, a refusal, was made on."""
        action, resource, decision = call.decisions[-1]
        asked = call.asked
        if asked is None or (asked.action, asked.resource) != (action, resource):
            asked = AccessRequest(call.principal, action, resource, call.access_context)
        facilities = self._facilities
        point = point_of(call.points, asked)
        said = points_said(call.points, point)
        if point is None:
            policy = await self.authorization.resource_policy(asked)
            policy = policy or await trust_of(facilities.identity, asked)
            said = said if policy is None else [policy, *said]
        return await reasons_of(facilities.placement, call.principal, asked, decision, said)


async def _recorded(recording: Recording, visit: Visit, error: BaseException, wire: Wire) -> None:
    """Record how a call ended that has no answer; return when its reply may leave."""
    if isinstance(error, ServiceError):
        await recording.failed(error, denial_of(visit, recording.caller, visit.reasons), wire)
    else:
        recording.broke(_ending_of(error))


def _ending_of(error: BaseException) -> str:
    """Return the code under which a call is recorded that has no answer of its operation."""
    if isinstance(error, asyncio.CancelledError):
        return "RequestAborted"
    return type(error).__name__ if isinstance(error, Weather) else "InternalFailure"
