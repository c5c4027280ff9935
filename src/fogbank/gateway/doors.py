"""Front doors: requests that are not the AWS API, from the host name to the service that answers.

Rule: what is asked is found by the host, or by the path where the host is a bare address; the whole
request goes to the process that owns the door's domain, and nothing of it is decided before. There
its body is taken whole within the door's limit, the account of the door is charged for it, and the
service is handed a call of nobody, and the call of a signer when it asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from fogbank.contract.call import Call
from fogbank.contract.endpoint import Endpoint
from fogbank.contract.service import Service
from fogbank.gateway.authenticate import Authenticator
from fogbank.gateway.body import WholeBodies
from fogbank.gateway.claim import claim_of
from fogbank.gateway.forward import OwnerOf
from fogbank.gateway.limits import Allowance
from fogbank.gateway.perform import Performer
from fogbank.gateway.render import No
from fogbank.gateway.resolve import Resolver, Target
from fogbank.gateway.throttle import Throttle
from fogbank.gateway.visit import Visit
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import Domain
from fogbank.wire.http import BodyStream, HttpReply, HttpRequest
from fogbank.wire.regions import is_region

KNOCK: Final = "gateway.knock"
"""(a request at a front door), its long body -> (status, headers, short body), long body"""
_PARTS: Final = 4
"""Of ``/LABEL/REGION/NAME/...``, split at its slashes: an empty one, and these three."""


class Way(NamedTuple):
    """Where a request at a front door leads."""

    service: Service
    endpoint: Endpoint
    region: str
    name: str
    path: str
    """The path behind the door."""
    account: str
    domain: Domain


class _Carried(msgspec.Struct, array_like=True):
    """A request on its way to another process."""

    label: str
    region: str
    name: str
    path: str
    method: str
    whole_path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: str
    secure: bool
    sandbox: str
    tls: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Carried).decode


class Tools(NamedTuple):
    """What the gateway has for every request."""

    resolver: Resolver
    authenticator: Authenticator
    bodies: WholeBodies
    throttle: Throttle


class Doors:
    """Finds front doors and has them answered.

    Args:
        services: What is built.
        tools: What is shared with the rest of the gateway.
        performer: Makes the calls of this process; None where no operation runs (a front).
        owner_of: The process that owns a domain, for a cloud of several.
        quota: The value of a quota.
    """

    def __init__(
        self,
        services: Sequence[Service],
        tools: Tools,
        performer: Performer | None,
        owner_of: OwnerOf | None,
        quota: Callable[[Any], int],
    ) -> None:
        self._ends = {
            endpoint.label: (service, endpoint)
            for service in services
            for endpoint in service.endpoints
        }
        self._begins = tuple(f"/{label}/" for label in self._ends)
        self._tools = tools
        self._performer = performer
        self._owner_of = owner_of
        self._quota = quota

    def find(self, request: HttpRequest) -> Way | None:
        """Return where a request leads that is at a front door; most are at none."""
        host = self._tools.resolver.host_of(request)
        if host.door:
            return self._way(host.door, host.region, host.named, request.path)
        if self._begins and request.path.startswith(self._begins) and host.is_bare:
            _, label, region, *rest = request.path.split("/", _PARTS)
            if rest and is_region(region):
                return self._way(label, region, rest[0], "/" + "".join(rest[1:]))
        return None

    def _way(self, label: str, region: str, name: str, path: str) -> Way | None:
        service, endpoint = self._ends[label]
        found = endpoint.place(region, name)
        return None if found is None else Way(service, endpoint, region, name, path, *found)

    def target_of(self, way: Way, request: HttpRequest) -> Target:
        """Return what a request asks for, as the rest of the gateway knows it."""
        resolver = self._tools.resolver
        return Target.of(resolver.door(way.service.model), resolver.host_of(request), way.region)

    def answered(
        self, replied: Callable[..., Coroutine[Any, Any, HttpReply]], way: Way, request: HttpRequest
    ) -> Coroutine[Any, Any, HttpReply]:
        """Return what answers a request in full, errors as replies.

        Args:
            replied: What the gateway answers every request with.
            way: Where the request leads.
            request: The request.
        """
        return replied(self.target_of(way, request), request, self.answer, way)

    async def answer(
        self, visit: Visit, target: Target, request: HttpRequest, way: Way
    ) -> HttpReply:
        """Answer a request, here or where its door is.

        Raises:
            ServiceError: As the service tells it.
        """
        visit.operation, visit.logged = way.endpoint.name, False
        owner = None if self._owner_of is None else self._owner_of(way.domain)
        if owner is None:
            reply = await self._serve(visit, target, request, way)
        else:
            carried = _carried_of(way, request)
            told = await owner.call(KNOCK, _encode(carried), request.stream)
            reply = _reply_of(told)
        visit.performed = True
        return reply

    async def _serve(
        self, visit: Visit, target: Target, request: HttpRequest, way: Way
    ) -> HttpReply:
        """Let a service answer at its door."""
        assert self._performer is not None, "who owns a domain runs its operations"
        tools, endpoint = self._tools, way.endpoint
        tools.throttle.enter(way.account)
        try:
            limit = self._quota(endpoint.body.quota)
            allowed = Allowance(limit, endpoint.body, target.door.words, endpoint.name)
            if request.stream is not None:
                await tools.bodies.take(request, allowed)
            elif len(request.body) > limit:
                raise allowed.refusal(len(request.body))
            return await endpoint.serve(_Knock(way, visit, target, request, self))
        finally:
            tools.throttle.leave(way.account)

    def call_of(self, visit: Visit, target: Target, way: Way) -> Call:
        """Return the call of whoever is known to ask."""
        assert self._performer is not None, "who serves has operations"
        now_ms = self._tools.authenticator.now_ms()
        visit.admit(way.account, now_ms, target.context, target.region_set)
        return self._performer.call_at(visit, way.service, way.endpoint.name, way.domain)

    async def prove(
        self, visit: Visit, target: Target, request: HttpRequest, way: Way
    ) -> Call | None:
        """Return the call of who signed a request, or None if nobody did."""
        claim = claim_of(request)
        if claim is None:
            return None
        authenticator = self._tools.authenticator
        proof = authenticator.find(request, target, claim)
        if proof is None:
            # The body is here: nothing is waited for between the key's look-up and this answer.
            proof = await authenticator.authenticate(request, target, claim)
        if claim.signed.service != way.service.prefix:
            raise target.door.words.error(No.BAD_SIGNATURE)
        visit.principal, visit.epoch = proof.credential.principal, proof.epoch
        return self.call_of(visit, target, way)

    def handlers(self, replied: Callable[..., Coroutine[Any, Any, HttpReply]]) -> Handlers:
        """Return what other processes can ask; see ``answered``."""

        async def knock(asked: Asked) -> Answer:
            carried = _decode(asked.value)
            way = self._way(carried.label, carried.region, carried.name, carried.path)
            assert way is not None, "who sends it has found it"
            reply: HttpReply = await self.answered(replied, way, _request_of(carried, asked.stream))
            if isinstance(reply.body, bytes):
                return Answer((reply.status, reply.headers, reply.body, reply.length))
            return Answer((reply.status, reply.headers, None, reply.length), reply.body)

        return {KNOCK: knock}


class _Knock:
    """A request at a front door; implements the contract's ``Knock``."""

    def __init__(
        self, way: Way, visit: Visit, target: Target, request: HttpRequest, doors: Doors
    ) -> None:
        self.name = way.name
        self.path = way.path
        self.request = request
        self._asked = (visit, target, request, way)
        self._doors = doors
        self.call = doors.call_of(visit, target, way)

    async def prove(self) -> Call | None:
        """Return the call of who signed the request, or None if nobody did."""
        return await self._doors.prove(*self._asked)


def _carried_of(way: Way, request: HttpRequest) -> _Carried:
    """Return a request as it travels."""
    return _Carried(
        *(way.endpoint.label, way.region, way.name, way.path),
        *(request.method, request.path, request.query, dict(request.headers), request.body),
        *(request.peer, request.secure, request.sandbox, request.tls),
    )


def _request_of(carried: _Carried, stream: object) -> HttpRequest:
    """Return a request that came from another process."""
    return HttpRequest(
        carried.method,
        carried.whole_path,
        carried.query,
        carried.headers,
        carried.body,
        cast("BodyStream | None", stream),
        carried.peer,
        carried.secure,
        carried.sandbox,
        carried.tls,
    )


def _reply_of(told: Answer) -> HttpReply:
    """Return the reply that another process has made."""
    status, headers, body, length = cast(
        "tuple[int, list[Any], bytes | None, int | None]", told.value
    )
    pairs = [(str(name), str(value)) for name, value in headers]
    if body is not None:
        return HttpReply(status, pairs, body)
    assert told.stream is not None, "a body that is not here follows"
    return HttpReply(status, pairs, told.stream, length)
