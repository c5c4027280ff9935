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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.errors import NotBuilt, ServiceError, Throttled, Weather
from fogbank.base.ids import Ids
from fogbank.base.types import Wire
from fogbank.contract.call import Facilities, HttpFacts
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.gateway.audit import Audit, RecentCalls, Sink
from fogbank.gateway.authenticate import Authenticator, Credentials, anonymous
from fogbank.gateway.body import WholeBodies
from fogbank.gateway.bound import Bound
from fogbank.gateway.claim import Claim, claim_of
from fogbank.gateway.cohorts import give_way
from fogbank.gateway.decoding import Decoding, in_steps, is_long
from fogbank.gateway.doors import Doors, Tools, Way
from fogbank.gateway.events import with_told_ends
from fogbank.gateway.forms import Forms, Posted
from fogbank.gateway.forms import is_form as is_upload
from fogbank.gateway.forward import Arrivals, EpochOf, Forwarder, OwnerOf
from fogbank.gateway.guests import Busy
from fogbank.gateway.limits import BodyLimits
from fogbank.gateway.older import find_claim as find_older
from fogbank.gateway.origins import Origins, RuleBook
from fogbank.gateway.perform import Catalogue, Perform, Performer, StaleProof
from fogbank.gateway.points import PointBook
from fogbank.gateway.refusals import Refusals, entry_of
from fogbank.gateway.render import No, error_of
from fogbank.gateway.request_logs import LogBook
from fogbank.gateway.resolve import Resolver, Target, is_form
from fogbank.gateway.room import SMALL_BYTES, Room
from fogbank.gateway.settings import GatewaySettings
from fogbank.gateway.throttle import Throttle
from fogbank.gateway.visit import Visit
from fogbank.platform.blobs.port import BlobLender, Keeper
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.metering.current import IN_WORK
from fogbank.platform.metering.meters import RequestMeter
from fogbank.platform.store.engine import Placement
from fogbank.wire.http import HttpReply, HttpRequest

_S3_REQUEST_ID_CHARACTERS: Final = 16
_HEALTHY: Final = b'{"status":"ok"}'
_BROKEN_OFF: Final = error_of("RequestAborted", 499, "The call ended before its reply.")
PROOFS_MAX: Final = 8
"""How often a caller is proved again whose account changes meanwhile."""
NOT_BUILT_MAX: Final = 10_000
"""How many different refusals are counted."""
_log = logging.getLogger(__name__)


class Edge(NamedTuple):
    """What a process needs that runs no operations: a front."""

    identity: Credentials
    clock: Clock
    ids: Ids
    quotas: Quotas
    keeper: Keeper | None = None
    """Writes bodies to the blobs of store processes."""


def _perform_of(
    performer: Performer | None, owner_of: OwnerOf | None, facilities: Facilities | Edge
) -> Perform:
    """Return what performs calls: here, or where their domain lives."""
    local = None if performer is None else performer.perform
    if owner_of is None:
        assert local is not None, "a process without operations knows who has them"
        return local
    keeper = facilities.keeper if isinstance(facilities, Edge) else None
    forward = Forwarder(local, owner_of, keeper).perform
    if performer is not None:
        performer.elsewhere = forward
    return forward


class Dispatcher:
    """Answers requests, and calls from service to service.

    Args:
        services: What is built.
        facilities: What calls are handed; an ``Edge`` where no operation runs.
        settings: The bounds.
        audit: Records calls; they are kept in memory (``recent``) unless it or a sink is given.
        sink: Where entries of calls go that come to no operation; the audit unless given.
        owner_of: The process that owns a domain, or None if this one does; for a cloud of several.
    """

    def __init__(
        self,
        services: Sequence[Service],
        facilities: Facilities | Edge,
        settings: GatewaySettings | None = None,
        audit: Audit | None = None,
        sink: Sink | None = None,
        owner_of: OwnerOf | None = None,
    ) -> None:
        settings = settings or GatewaySettings()
        self._settings = settings
        self._facilities = facilities
        self._clock, self._ids = facilities.clock, facilities.ids
        self.catalogue = Catalogue(services)
        self._bodies = WholeBodies(settings.whole_bodies_bytes_max)
        self.decoding = Decoding()
        self._room = Room(settings.work_bytes_max, facilities.quotas)
        labels = [endpoint.label for each in services for endpoint in each.endpoints]
        self._resolver = Resolver([*self.catalogue.doors.values()], settings, labels)
        self.busy: Busy = _Busy(self._resolver, self._ids, settings)
        """Answers requests there is no room for."""
        self._limits = BodyLimits(
            self.catalogue, self._resolver, facilities.quotas, settings.body_bytes_max
        )
        self._authenticator = Authenticator(
            facilities.identity, self._clock, self._bodies, self._limits, settings
        )
        performer: Performer | None = None
        placement: Placement | None = None
        if isinstance(facilities, Facilities):
            performer = self.performer = Performer(self.catalogue, facilities, audit)
            placement = facilities.placement
        self._points = PointBook(services, placement, owner_of)
        here = facilities if isinstance(facilities, Facilities) else None
        self._logs = LogBook(services, self._resolver, self._clock, here, owner_of)
        self._rule_book = RuleBook(services, placement, owner_of, self._points)
        self._forms = Forms(self._authenticator, takes_older=settings.signature_v2)
        self._perform = _perform_of(performer, owner_of, facilities)
        self.throttle = Throttle(settings, self._clock)
        tools = Tools(self._resolver, self._authenticator, self._bodies, self.throttle)
        self._doors = Doors(services, tools, performer, owner_of, facilities.quotas.value)
        self._origins = Origins(self._resolver, self._rule_book, settings, self.throttle)
        self.meter, self.recent = RequestMeter(), RecentCalls()
        self._sink: Sink = sink or audit or self.recent
        self.refusals = Refusals(self._sink, self._clock)
        self._notes_all = sink is None and audit is None
        self.not_built: Counter[str] = Counter()
        """How often clients asked for what is not built, by the words of the refusal."""

    # Requests over HTTP.

    def handle(self, request: HttpRequest) -> Coroutine[Any, Any, HttpReply]:
        """Return what answers one HTTP request; it raises nothing but cancellation.

        It is no coroutine of its own: each that waits for another costs every turn of a request.
        """
        if request.path == "/health" and _is_probe(request, self._resolver):
            return _healthy()
        way = self._doors.find(request)
        if way is not None:
            return self._doors.answered(self._replied, way, request)
        # No operation of any service has this method: it is a browser's question (CORS).
        if request.method == "OPTIONS":
            target = self._resolver.preflight(request)
            return self._replied(target, request, self._origins.preflight)
        claim = _claim_of(request, self._settings)
        target = self._resolver.begin(request, claim.signed if isinstance(claim, Claim) else None)
        answer = self._answer_form if claim is None and is_upload(request, target) else self._answer
        if "origin" in request.headers:
            return self._origins.answered(self._replied, answer, target, request, claim)
        return self._replied(target, request, answer, claim)

    async def _replied(
        self,
        target: Target,
        request: HttpRequest,
        answer: Callable[..., Awaitable[HttpReply]],
        *said: Claim | ServiceError | Way | None,
    ) -> HttpReply:
        """Answer a request to the API of a service, with an error if it comes to that."""
        visit = _visit_of(request, target, _request_id(self._ids, target))
        visit.began = self._clock.monotonic()
        was, error = IN_WORK.set(visit), None
        try:
            reply = await answer(visit, target, request, *said)
        except ServiceError as refused:
            # Its traceback has this frame, which has the error: a cycle.
            error = refused.with_traceback(None)
            reply = self._refusal(visit, target, request, error)
        except Weather as weather:
            _log.info("request %s: %r", visit.request_id, weather)
            error = target.door.words.weather_error(weather)
            reply = self._refusal(visit, target, request, error)
        except asyncio.CancelledError:
            self._note(visit, _BROKEN_OFF)
            raise
        except Exception:  # noqa: BLE001 (the house's one net)
            _log.exception(
                "request %s: %s:%s failed", visit.request_id, target.service, target.operation
            )
            error = target.door.words.error(No.INTERNAL)
            reply = self._refusal(visit, target, request, error)
        else:
            self._note(visit, None)
        finally:
            IN_WORK.reset(was)
            if request.taken:
                self._bodies.release(request)
        # Of a resource that nobody has read it is not known whether it keeps a log.
        if visit.logged or (visit.logged is None and error is not None):
            await self._logs.note(visit, (target, request), reply, error)
        return reply

    async def _answer_form(
        self, visit: Visit, target: Target, request: HttpRequest, _claim: object
    ) -> HttpReply:
        """Answer the upload of a browser: what it becomes is performed like any PutObject."""
        posted = await self._forms.open(visit, target, request)
        return posted.reply(await self._answer(visit, target, request, posted))

    async def _answer(
        self,
        visit: Visit,
        target: Target,
        request: HttpRequest,
        claim: Claim | Posted | ServiceError | None,
    ) -> HttpReply:
        if isinstance(claim, Claim):
            proof = self._authenticator.find(request, target, claim)
            if proof is None:
                proof = await self._authenticator.authenticate(request, target, claim)
            await give_way(request.in_cohort)
            # The key may have been revoked meanwhile, and that be acknowledged.
            if not self._authenticator.stands(proof):
                proof = await self._authenticator.proof(request, claim, target)
            visit.principal, visit.epoch = proof.credential.principal, proof.epoch
            self._resolver.route(target, request, claim.signed.service)
            visit.service, visit.operation = target.service, target.operation
        elif not isinstance(claim, Posted):
            visit.principal = await self._stranger(visit, target, request, claim)
        bound = _require_built(self.catalogue, target, visit.principal)
        weight, codec, account = 0, target.door.codec, visit.principal.account
        self.throttle.enter(account)
        try:
            if _is_short(request, bound):
                self._limits.check(bound, len(request.body), target.door.words)
                wire = codec.decode(bound.name, request, target.params)
            else:
                weight = await self._make_room(target, request, bound)
                wire = await _decoded(self.decoding, target, request, bound)
            visit.admit(account, self._clock.now_ms(), target.context, target.region_set)
            pointed = bound.is_pointed and self._points.are_named(visit.service, wire)
            perform = self._perform_through if pointed else self._perform
            visit.performed = True
            try:
                answer = await perform(visit, bound, wire)
            except StaleProof:
                asked = (visit, target, request, claim)
                answer = await _performed_again(
                    self._authenticator, self._perform, asked, bound, wire
                )
            await give_way(request.in_cohort and bound.is_whole(answer))
            reply = (
                codec.encode(bound.name, answer, visit.request_id)
                if bound.is_plain
                else await _encoded(target, bound, answer, visit)
            )
            short = (reply.length or 0) < self._settings.packed_reply_bytes_min
            return reply if short else await self.decoding.packed(codec, request, reply)
        finally:
            if weight:
                self._room.leave(weight)
            self.throttle.leave(account)

    async def _perform_through(self, visit: Visit, bound: Bound, wire: Wire) -> Wire:
        """Perform a call that may name access points in the place of resources."""
        visit.performed = False
        await self._points.enter(visit, wire)
        visit.performed = True
        return await self._perform(visit, bound, wire)

    async def _make_room(self, target: Target, request: HttpRequest, bound: Bound) -> int:
        """Take a body whole, unless it is streamed; return the room that was taken for a call."""
        words = target.door.words
        if request.stream is None:
            self._limits.check(bound, len(request.body), words)
        elif not bound.streams:
            await self._bodies.take(request, self._limits.of(bound, words))
        if bound.reply is None and len(request.body) <= SMALL_BYTES:
            return 0
        wanted = self._room.weight_of(bound, request.body, target.door.codec.protocol)
        return await self._room.enter(wanted)

    async def _stranger(
        self, visit: Visit, target: Target, request: HttpRequest, claim: ServiceError | None
    ) -> Principal:
        """Return who asks without a signature that can be read, and note what is asked."""
        if claim is not None:
            raise target.door.words.unread(claim)
        if request.stream is not None and is_form(request):
            await self._bodies.take(request, self._limits.before(target, request, None))
        self._resolver.route(target, request, None)
        visit.service, visit.operation = target.service, target.operation
        return anonymous(request, target)

    def arrivals(self, epoch_of: EpochOf, lender: BlobLender | None = None) -> Arrivals:
        """Return what performs the calls that other processes send."""
        books = (self._rule_book, self._points, self._logs)
        also = {name: each for book in books for name, each in book.handlers().items()}
        also |= self._doors.handlers(self._replied)
        return Arrivals(self.catalogue, self.performer.perform, epoch_of, self._sink, also, lender)

    # Calls from service to service.

    async def call(  # noqa: PLR0913 (as the contract has it)
        self,
        service: str,
        operation: str,
        request: Wire,
        *,
        principal: Principal,
        region: str,
        account: str = "",
        via: str = "",
        trace: str = "",
    ) -> Wire:
        """Run an operation as a principal and return its reply; see ``contract.calls``."""
        visit = Visit(service, operation, region, self._ids.uuid(), _inside(via, trace))
        visit.began = self._clock.monotonic()
        visit.principal = principal
        was = IN_WORK.set(visit)
        try:
            bound = self.catalogue.require(service, operation)
            visit.admit(principal.account or account, self._clock.now_ms())
            answer = await self._perform_through(visit, bound, dict(request))
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
        finally:
            IN_WORK.reset(was)
        self._note(visit, None)
        return answer

    # Refusals, and what is remembered of calls.

    def _count(self, error: ServiceError) -> None:
        if isinstance(error, NotBuilt) and len(self.not_built) < NOT_BUILT_MAX:
            self.not_built[error.message] += 1

    def _refusal(
        self, visit: Visit, target: Target, request: HttpRequest, error: ServiceError
    ) -> HttpReply:
        """Render an error in the protocol of the service that was asked."""
        self._count(error)
        self._note(visit, error, (target, request))
        if error.status is None and error.code == self.catalogue.denied_code(target.service):
            error = target.door.words.denied(error)
        reply = target.door.codec.encode_error(target.operation or None, error, visit.request_id)
        reply.headers.extend(error.headers.items())
        return reply

    def _note(
        self,
        visit: Visit,
        error: ServiceError | None,
        asked: tuple[Target, HttpRequest] | None = None,
    ) -> None:
        """Count a call that has ended; record it, unless its operation has."""
        micros = visit.end(self._clock.monotonic())
        self.meter.ended(
            visit.service, visit.operation, "" if error is None else error.code, micros
        )
        if visit.performed and not self._notes_all:
            return
        entry = entry_of(visit, error, self._clock.now_ms())
        if error is None:
            self._sink(entry)
        elif asked is None:
            self.refusals(entry)
        else:
            self.refusals.claimed(entry, asked[0], lambda: self._resolver.guess(*asked))


async def _performed_again(
    authenticator: Authenticator,
    perform: Perform,
    asked: tuple[Visit, Target, HttpRequest, Claim | Posted | ServiceError | None],
    bound: Bound,
    wire: Wire,
) -> Wire:
    """Prove again who asks, whose account has changed, and perform the call.

    Raises:
        ServiceError: The caller's key is no longer one.
        Throttled: The account changes all the time.
    """
    visit, target, request, claim = asked
    if isinstance(claim, Posted):
        claim = claim.claim
    assert isinstance(claim, Claim), "nobody's proof is never stale"
    for _ in range(PROOFS_MAX):
        visit.performed = False
        proof = await authenticator.proof(request, claim, target)
        visit.principal, visit.epoch = proof.credential.principal, proof.epoch
        visit.performed = True
        with suppress(StaleProof):
            return await perform(visit, bound, wire)
    raise Throttled("the caller's account changes all the time")


def _require_built(catalogue: Catalogue, target: Target, principal: Principal) -> Bound:
    """Return the operation that was asked for.

    Raises:
        ServiceError: There is none of that name, or it is not built; an anonymous caller
            hears only that it is not let in.
    """
    bound = catalogue.find(target.service, target.operation)
    if bound is not None and bound.declared is not None:
        return bound
    if principal.kind == PrincipalKind.ANONYMOUS:
        raise target.door.words.error(No.NO_SIGNATURE)
    if target.error is not None:
        raise target.error
    raise NotBuilt.operation(target.service, target.operation)


async def _decoded(decoding: Decoding, target: Target, request: HttpRequest, bound: Bound) -> Wire:
    """Return a request by wire names, decoded off the loop if it is long."""
    codec = target.door.codec
    if is_long(codec, bound.name, request):
        return await decoding.decode(codec, bound.name, request, target.params)
    return codec.decode(bound.name, request, target.params)


async def _encoded(target: Target, bound: Bound, answer: Wire, visit: Visit) -> HttpReply:
    """Return the reply for an answer that is a stream of events, or may be long."""
    codec = target.door.codec
    if bound.reply is not None:
        return await in_steps(codec.encode_in_steps(bound.name, answer, visit.request_id))
    answer = with_told_ends(bound.model, answer, target.door.words, visit)
    return codec.encode(bound.name, answer, visit.request_id)


def _is_short(request: HttpRequest, bound: Bound) -> bool:
    """Return whether a request needs no room to speak of and is decoded where it is."""
    return (
        (request.stream is None or bound.streams)
        and bound.reply is None
        and len(request.body) <= SMALL_BYTES
        and "content-encoding" not in request.headers
    )


def _is_probe(request: HttpRequest, resolver: Resolver) -> bool:
    """Return whether this asks for our health, and not for an object of that name."""
    return (
        request.method in ("GET", "HEAD")
        and not request.query
        and "authorization" not in request.headers
        and not resolver.host_of(request).bucket
    )


async def _healthy() -> HttpReply:
    """Return the answer to a probe."""
    return HttpReply(200, [("content-type", "application/json")], _HEALTHY)


def _inside(via: str, trace: str) -> HttpFacts:
    """Return what an operation may know of a call that came over no wire."""
    headers = {"x-amzn-trace-id": trace} if trace else {}
    return HttpFacts(headers=headers, in_process=True, via=via)


def _visit_of(request: HttpRequest, target: Target, request_id: str) -> Visit:
    """Return what is known of a call before anybody proved anything."""
    headers = request.headers
    http = HttpFacts(
        request.peer,
        headers.get("user-agent", ""),
        request.secure,
        headers.get("host", ""),
        headers,
        target.host.urls[request.secure],
        bool(target.host.bucket),
        tls=request.tls,
    )
    return Visit(target.service, "", target.region, request_id, http)


class _Busy:
    """Refuses requests there is no room for, as their services say it.

    Nothing is proved and nothing but the head is looked at: it costs less than an answer.
    """

    def __init__(self, resolver: Resolver, ids: Ids, settings: GatewaySettings) -> None:
        self._resolver = resolver
        self._ids = ids
        self._settings = settings

    def __call__(self, request: HttpRequest) -> HttpReply:
        claim = _claim_of(request, self._settings)
        target = self._resolver.begin(request, claim.signed if isinstance(claim, Claim) else None)
        error = target.door.words.error(No.THROTTLED)
        request_id = _request_id(self._ids, target)
        return target.door.codec.encode_error(None, error, request_id)


def _request_id(ids: Ids, target: Target) -> str:
    """Return a new id in the form that the service gives them."""
    return ids.base32(_S3_REQUEST_ID_CHARACTERS) if target.door.words.is_s3 else ids.uuid()


def _claim_of(request: HttpRequest, settings: GatewaySettings) -> Claim | ServiceError | None:
    """Return what a request says of its signer, or why that cannot be read."""
    try:
        older = find_older(request) if settings.signature_v2 else None
        return claim_of(request) if older is None else older
    except ServiceError as error:
        return error
