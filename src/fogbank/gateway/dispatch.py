"""From a request to its reply: the order of the rooms, and the one net under all operations.

Rule: resolve, authenticate, throttle, decode, authorize, run, encode, audit; in this order, and an
error of any of them is rendered in the protocol of the service that was asked. Who has not proved
who they are learns nothing, not even what is not built. What no one expected ends here, is logged
with the request's id and answered as an internal failure: this is the only place that catches it.

Calls from service to service (``Calls``) take the same path without HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from fogbank.base.errors import NotBuilt, ServiceError, Weather
from fogbank.base.types import Wire
from fogbank.contract.action import Access, Scope
from fogbank.contract.call import Call, Facilities, HttpFacts
from fogbank.contract.service import Service
from fogbank.gateway.audit import AuditEntry, RecentCalls, Sink
from fogbank.gateway.authenticate import Authenticator, anonymous
from fogbank.gateway.authorize import Authorization, Circumstances
from fogbank.gateway.body import WholeBodies
from fogbank.gateway.bound import Bound
from fogbank.gateway.claim import Claim, claim_of
from fogbank.gateway.render import No, error_of
from fogbank.gateway.resolve import Door, Resolver, Target, is_form
from fogbank.gateway.settings import GatewaySettings
from fogbank.gateway.throttle import Throttle
from fogbank.platform.iam.decision import Decision
from fogbank.platform.identity.principal import ANONYMOUS, Principal, PrincipalKind
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpReply, HttpRequest

_S3_REQUEST_ID_CHARACTERS: Final = 16
_HEALTHY: Final = b'{"status":"ok"}'
_NO_HTTP: Final = HttpFacts()
_BROKEN_OFF: Final = error_of("RequestAborted", 499, "The call ended before its reply.")
NOT_BUILT_MAX: Final = 10_000
"""How many different refusals are counted."""
_log = logging.getLogger(__name__)


class _Visit:
    """What is known so far of a call: for its error, its log line and its audit entry."""

    __slots__ = (
        "accesses",
        "decisions",
        "http",
        "operation",
        "principal",
        "region",
        "request_id",
        "service",
    )

    def __init__(
        self, service: str, operation: str, region: str, request_id: str, http: HttpFacts
    ) -> None:
        self.service = service
        self.operation = operation
        self.region = region
        self.request_id = request_id
        self.http = http
        self.principal = ANONYMOUS
        self.accesses: Sequence[Access] = ()
        self.decisions: list[tuple[str, str, Decision]] = []
        """Why the call was let in or not: see ``platform/iam/decision``."""


class Dispatcher:
    """Answers requests, and calls from service to service.

    Args:
        services: What is built.
        facilities: What calls are handed.
        settings: The bounds.
        sink: Where audit entries go; kept in memory (``recent``) unless given.
    """

    def __init__(
        self,
        services: Sequence[Service],
        facilities: Facilities,
        settings: GatewaySettings | None = None,
        sink: Sink | None = None,
    ) -> None:
        settings = settings or GatewaySettings()
        self._settings = settings
        self._facilities = facilities
        self._clock = facilities.clock
        self._ids = facilities.ids
        self._services: Mapping[str, Service] = {each.model: each for each in services}
        self._doors = {each.model: Door(codec_of(each.model)) for each in services}
        self._bound: dict[tuple[str, str], Bound] = {}
        self._endpoints = [endpoint for each in services for endpoint in each.endpoints]
        self._bodies = WholeBodies(settings.body_bytes_max, settings.whole_bodies_bytes_max)
        self._resolver = Resolver(list(self._doors.values()), settings)
        self._authenticator = Authenticator(
            facilities.identity, self._clock, self._bodies, settings
        )
        self._authorization = Authorization(
            [(each, self._doors[each.model].codec.model) for each in services],
            facilities.identity,
            facilities.placement,
        )
        self.throttle = Throttle(settings, self._clock)
        self.recent = RecentCalls()
        self._sink: Sink = sink or self.recent
        self.not_built: Counter[str] = Counter()
        """How often clients asked for what is not built, by the words of the refusal."""

    # Requests over HTTP.

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one HTTP request; raises nothing but cancellation."""
        if request.path == "/health" and self._is_probe(request):
            return HttpReply(200, [("content-type", "application/json")], _HEALTHY)
        if self._endpoints:
            host = request.headers.get("host", "")
            for endpoint in self._endpoints:
                if endpoint.matches(host, request.path):
                    return await self._serve_endpoint(endpoint.serve, request)
        return await self._handle(request)

    def _is_probe(self, request: HttpRequest) -> bool:
        """Return whether this asks for our health, and not for an object of that name."""
        return (
            request.method in ("GET", "HEAD")
            and not request.query
            and "authorization" not in request.headers
            and not self._resolver.host_of(request).bucket
        )

    async def _handle(self, request: HttpRequest) -> HttpReply:
        """Answer a request to the API of a service."""
        claim = _claim_of(request)
        target = self._resolver.begin(request, claim.signed if isinstance(claim, Claim) else None)
        visit = self._visit(target, request)
        streamed = request.stream is not None
        try:
            reply = await self._answer(visit, target, request, claim)
        except ServiceError as error:
            return self._refusal(visit, target, request, error)
        except Weather as weather:
            _log.info("request %s: %r", visit.request_id, weather)
            error = target.door.words.weather_error(weather)
            return self._refusal(visit, target, request, error)
        except asyncio.CancelledError:
            self._note(visit, _BROKEN_OFF)
            raise
        except Exception:  # noqa: BLE001 (the house's one net)
            _log.exception(
                "request %s: %s:%s failed", visit.request_id, target.service, target.operation
            )
            return self._refusal(visit, target, request, target.door.words.error(No.INTERNAL))
        finally:
            if streamed and request.stream is None:
                self._bodies.release(len(request.body))
        self._note(visit, None)
        return reply

    def _visit(self, target: Target, request: HttpRequest) -> _Visit:
        headers, ids = request.headers, self._ids
        http = HttpFacts(
            request.peer,
            headers.get("user-agent", ""),
            request.secure,
            headers.get("host", ""),
            headers,
        )
        s3_style = target.door.words.is_s3
        request_id = ids.base32(_S3_REQUEST_ID_CHARACTERS) if s3_style else ids.uuid()
        return _Visit(target.service, "", target.region, request_id, http)

    async def _answer(
        self,
        visit: _Visit,
        target: Target,
        request: HttpRequest,
        claim: Claim | ServiceError | None,
    ) -> HttpReply:
        principal = await self._principal(visit, target, request, claim)
        bound = self._require_built(target, principal)
        account = principal.account
        self.throttle.enter(account)
        try:
            if request.stream is not None and not bound.streams:
                await self._bodies.take(request)
            wire = bound.codec.decode(bound.name, request, target.params)
            region = target.region
            context = Circumstances(
                principal, region, visit.http, self._clock.now_ms(), target.context
            )
            scope = Scope(account, region, visit.request_id)
            answer = await self._run(visit, bound, scope, context, wire)
            return bound.codec.encode(bound.name, answer, visit.request_id)
        finally:
            self.throttle.leave(account)

    async def _principal(
        self,
        visit: _Visit,
        target: Target,
        request: HttpRequest,
        claim: Claim | ServiceError | None,
    ) -> Principal:
        """Return who asks, and note in the target what is asked."""
        if isinstance(claim, ServiceError):
            raise target.door.words.unread(claim)
        if claim is None:
            if request.stream is not None and is_form(request):
                await self._bodies.take(request)
            self._resolver.route(target, request, None)
            visit.service, visit.operation = target.service, target.operation
            return anonymous(request, target)
        principal = visit.principal = await self._authenticator.authenticate(request, target, claim)
        self._resolver.route(target, request, claim.signed.service)
        visit.operation = target.operation
        return principal

    def _require_built(self, target: Target, principal: Principal) -> Bound:
        """Return the operation that was asked for.

        Raises:
            ServiceError: There is none of that name, or it is not built; an anonymous caller
                hears only that it is not let in.
        """
        bound = self._find_bound(target.service, target.operation)
        if bound is not None and bound.declared is not None:
            return bound
        if principal.kind == PrincipalKind.ANONYMOUS:
            raise target.door.words.error(No.NO_SIGNATURE)
        if target.error is not None:
            raise target.error
        raise NotBuilt.operation(target.service, target.operation)

    def _built(self, service: str, operation: str) -> Bound:
        """Return an operation that is built."""
        bound = self._find_bound(service, operation)
        if bound is None or bound.declared is None:
            raise NotBuilt.operation(service, operation)
        return bound

    async def _run(
        self,
        visit: _Visit,
        bound: Bound,
        scope: Scope,
        context: Mapping[str, str | tuple[str, ...]],
        wire: Wire,
    ) -> Wire:
        """Authorize the call and run the operation."""
        accesses = bound.default_access if bound.access is None else bound.access(scope, wire)
        visit.accesses = accesses
        domain = bound.domain_of(scope, wire)
        call = Call(
            service=bound.service.model,
            operation=bound.name,
            scope=scope,
            principal=visit.principal,
            store=self._facilities.placement.store_of(domain),
            facilities=self._facilities,
            authorizer=self._authorization,
            http=visit.http,
            access_context=context,
            decisions=visit.decisions,
        )
        if accesses:
            await self._authorization.require(call, accesses)
        bound.check_honoured(wire)
        assert bound.declared is not None
        return await bound.declared.function(call, wire)

    def _find_bound(self, service: str, operation: str) -> Bound | None:
        """Return a modelled operation of a service that we have, or None."""
        bound = self._bound.get((service, operation))
        if bound is None:
            door = self._doors.get(service)
            if door is None or operation not in door.codec.model.operations:
                return None
            bound = Bound(self._services[service], door.codec, operation)
            self._bound[service, operation] = bound
        return bound

    async def _serve_endpoint(
        self, serve: Callable[[Facilities, Any], Awaitable[Any]], request: HttpRequest
    ) -> HttpReply:
        """Let a front door answer; what it does not catch is a bug of it."""
        try:
            return await serve(self._facilities, request)
        except Exception:  # noqa: BLE001 (the house's one net)
            request_id = self._ids.uuid()
            _log.exception("request %s: a front door failed", request_id)
            headers = [("content-type", "text/plain"), ("x-amzn-RequestId", request_id)]
            return HttpReply(500, headers, b"Internal Server Error")

    # Calls from service to service.

    async def call(
        self,
        service: str,
        operation: str,
        request: Wire,
        *,
        principal: Principal,
        region: str,
        account: str = "",
    ) -> Wire:
        """Run an operation as a principal and return its reply; see ``contract.calls``."""
        visit = _Visit(service, operation, region, self._ids.uuid(), _NO_HTTP)
        visit.principal = principal
        account = principal.account or account
        try:
            bound = self._built(service, operation)
            scope = Scope(account, region, visit.request_id)
            context = Circumstances(principal, region, _NO_HTTP, self._clock.now_ms(), {})
            answer = await self._run(visit, bound, scope, context, dict(request))
        except ServiceError as error:
            self._count(error)
            self._note(visit, error)
            raise
        except Weather as weather:
            self._note(visit, error_of(type(weather).__name__, 503, ""))
            raise
        except BaseException:
            self._note(visit, _BROKEN_OFF)
            raise
        self._note(visit, None)
        return answer

    # Refusals, and what is remembered of calls.

    def _count(self, error: ServiceError) -> None:
        if isinstance(error, NotBuilt) and len(self.not_built) < NOT_BUILT_MAX:
            self.not_built[error.message] += 1

    def _refusal(
        self, visit: _Visit, target: Target, request: HttpRequest, error: ServiceError
    ) -> HttpReply:
        """Render an error in the protocol of the service that was asked."""
        self._count(error)
        self._note(visit, error)
        return target.door.codec.encode_error(
            target.operation or None, error, visit.request_id, request.path
        )

    def _note(self, visit: _Visit, error: ServiceError | None) -> None:
        """Hand one entry to the audit trail."""
        http = visit.http
        self._sink(
            AuditEntry(
                self._clock.now_ms(),
                visit.request_id,
                visit.service,
                visit.operation,
                visit.principal,
                visit.region,
                http.source_ip,
                http.user_agent,
                tuple([access.resource for access in visit.accesses]),
                "" if error is None else error.code,
                "" if error is None else error.message,
            )
        )


def _claim_of(request: HttpRequest) -> Claim | ServiceError | None:
    """Return what a request says of its signer, or why that cannot be read."""
    try:
        return claim_of(request)
    except ServiceError as error:
        return error
