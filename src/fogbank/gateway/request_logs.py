"""Logs that resources keep of their requests, and metrics of them (server access logs of S3).

Rule: a request to a resource that keeps a log is answered when its record is durable; one to any other
resource waits for nothing: its operation has read whether there is a log beside the resource. Only
where a refusal came before the resource was read, it is looked at for that. What is measured of a request
is told once all of its answer has left, to the process whose memory has the metrics.

Source: Amazon S3 User Guide, "Amazon S3 server access log format", "Metrics and dimensions".
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError, Weather
from fogbank.contract.call import Facilities
from fogbank.contract.request_log import (
    AUTHENTICATIONS,
    RequestFacts,
    RequestLogs,
    signature_version_of,
)
from fogbank.contract.service import Service
from fogbank.gateway.forward import OwnerOf
from fogbank.gateway.resolve import Resolver, Target
from fogbank.gateway.visit import Visit
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import Domain
from fogbank.wire.http import HttpReply, HttpRequest

NOTE: Final = "gateway.request-log"
"""(service, domain, facts): keep a record of a request, if there is a log; whether it is measured"""
MEASURE: Final = "gateway.request-measure"
"""(service, domain, facts): count a request that has been answered"""
_NAMED_MAX: Final = 2_048
"""Characters of a header that a client chose."""
_log = logging.getLogger(__name__)


class LogBook:
    """The logs of resources, wherever they lie.

    Args:
        services: What is built.
        resolver: Finds what requests are about that were refused before anybody looked.
        clock: The time of those.
        facilities: What keeping a record needs; None where no store lies (a front).
        owner_of: The process that owns a domain, for a cloud of several.
    """

    def __init__(
        self,
        services: Sequence[Service],
        resolver: Resolver,
        clock: Clock,
        facilities: Facilities | None,
        owner_of: OwnerOf | None,
    ) -> None:
        self._facets: Mapping[str, RequestLogs] = {
            each.model: each.logs for each in services if each.logs is not None
        }
        self._resolver = resolver
        self._clock = clock
        self._facilities = facilities
        self._owner_of = owner_of

    async def note(
        self,
        visit: Visit,
        asked: tuple[Target, HttpRequest],
        reply: HttpReply,
        error: ServiceError | None,
    ) -> None:
        """Keep a record of a request, if its resource has a log; return when it is durable.

        Of a resource whose requests are measured the reply's body counts itself as it leaves.
        """
        facet = self._facets.get(visit.service)
        if facet is None:
            return
        target, request = asked
        params = target.params or self._resolver.resource_of(target, request)
        domain = facet.domain(params, visit.points)
        if domain is None:
            return
        operation = visit.operation or self._resolver.guess(target, request)
        names = (operation, params.get("Key", ""))
        facts = facts_of(visit, request, (reply, error), names, self._clock.now_ms())
        whose = (visit.service, domain, facts)
        if not await self._keep(*whose):
            return
        if isinstance(reply.body, bytes):
            await self._measure(*whose, facts.bytes_sent)
        else:
            reply.body = _Counted(reply.body, partial(self._left, visit, *whose))

    async def _left(
        self, visit: Visit, service: str, domain: Domain, facts: RequestFacts, sent: int
    ) -> None:
        """Count a request whose answer has left, or has broken off."""
        micros = int((self._clock.monotonic() - visit.began) * 1_000_000)
        facts = msgspec.structs.replace(facts, whole_micros=micros)
        await self._measure(service, domain, facts, sent)

    async def _keep(self, service: str, domain: Domain, facts: RequestFacts) -> bool:
        """Keep a record where its resource lies; return whether its requests are measured."""
        owner = None if self._owner_of is None else self._owner_of(domain)
        try:
            if owner is not None:
                answer = await owner.call(NOTE, _packed(service, domain, facts))
                return bool(answer.value)
            return await self._kept(service, domain, facts)
        except (ServiceError, Weather) as refused:
            # AWS: records are kept as well as can be; the request itself has been answered.
            _log.warning("request %s is not in its log: %r", facts.request_id, refused)
            return False

    async def _kept(self, service: str, domain: Domain, facts: RequestFacts) -> bool:
        """Keep a record in our store."""
        facilities = self._facilities
        assert facilities is not None, "who owns no store owns no domain"
        keep = self._facets[service].keep
        store = facilities.placement.store_of(domain)
        return await store.transact(lambda tr: keep(tr, facts, facilities))

    async def _measure(self, service: str, domain: Domain, facts: RequestFacts, sent: int) -> None:
        """Count a request where its resource lies."""
        facts = msgspec.structs.replace(facts, bytes_sent=sent)
        owner = None if self._owner_of is None else self._owner_of(domain)
        try:
            if owner is not None:
                await owner.call(MEASURE, _packed(service, domain, facts))
            else:
                await self._measured(service, domain, facts)
        except (ServiceError, Weather) as refused:
            # AWS: "CloudWatch metrics are delivered on a best-effort basis" (User Guide).
            _log.warning("request %s is not measured: %r", facts.request_id, refused)

    async def _measured(self, service: str, domain: Domain, facts: RequestFacts) -> None:
        """Count a request of our store."""
        facilities = self._facilities
        assert facilities is not None, "who owns no store owns no domain"
        store = facilities.placement.store_of(domain)
        await self._facets[service].measure(store, facts, facilities)

    def handlers(self) -> Handlers:
        """Return what other processes can ask."""
        return {NOTE: self._asked, MEASURE: self._told}

    async def _asked(self, asked: Asked) -> Answer:
        """Keep what another process has answered."""
        return Answer(await self._kept(*_unpacked(asked.value)))

    async def _told(self, asked: Asked) -> Answer:
        """Count what another process has answered."""
        await self._measured(*_unpacked(asked.value))
        return Answer(None)


class _Counted:
    """The body of a reply, which says how much of it has left once it is over, or breaks off.

    Args:
        body: The body.
        left: Is told how many bytes, once.
    """

    def __init__(self, body: AsyncIterator[bytes], left: Callable[[int], Awaitable[None]]) -> None:
        self._body = body
        self._left: Callable[[int], Awaitable[None]] | None = left
        self._sent = 0

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await anext(self._body)
        except StopAsyncIteration:
            await self._over()
            raise
        self._sent += len(piece)
        return piece

    async def aclose(self) -> None:
        """Close the body, which nobody reads any more."""
        close = getattr(self._body, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            await self._over()

    async def _over(self) -> None:
        """Say how much has left."""
        left, self._left = self._left, None
        if left is not None:
            await left(self._sent)


def _packed(service: str, domain: Domain, facts: RequestFacts) -> bytes:
    """Return a request as it is told another process."""
    return msgspec.msgpack.encode((service, domain.name, facts))


def _unpacked(raw: bytes) -> tuple[str, Domain, RequestFacts]:
    """Return a request that another process tells of."""
    service, name, facts = msgspec.msgpack.decode(
        raw, type=tuple[str, tuple[str, ...], RequestFacts]
    )
    return service, Domain(*name), facts


def facts_of(
    visit: Visit,
    request: HttpRequest,
    answered: tuple[HttpReply, ServiceError | None],
    names: tuple[str, str],
    now_ms: int,
) -> RequestFacts:
    """Return what a log says of a request, as far as the gateway knows it.

    Args:
        visit: What is known of the call.
        request: The request.
        answered: Its reply, and the error that this tells.
        names: The operation and the key that it names.
        now_ms: The time, where nobody has let it in.
    """
    (reply, error), (operation, key) = answered, names
    headers, principal = request.headers, visit.principal
    query = f"?{request.query}" if request.query else ""
    signed = visit.context.get("s3:signatureversion", "")
    return RequestFacts(
        time_ms=visit.now_ms or now_ms,
        request_id=visit.request_id,
        operation=operation,
        method=request.method,
        key=key,
        uri=f"{request.method} {request.path}{query} HTTP/1.1"[:_NAMED_MAX],
        status=reply.status,
        source_ip=request.peer,
        account=principal.account,
        requester=principal.arn,
        is_root=principal.kind == "root",
        error_code="" if error is None else error.code,
        bytes_sent=0 if request.method == "HEAD" else reply.length or 0,
        object_size=_size_of(operation, request, reply),
        micros=int((visit.ended - visit.began) * 1_000_000),
        referer=headers.get("referer", "")[:_NAMED_MAX],
        user_agent=headers.get("user-agent", "")[:_NAMED_MAX],
        version_id=_version_of(request.query),
        signature_version=signature_version_of(signed),
        authentication=AUTHENTICATIONS.get(visit.context.get("s3:authType", ""), ""),
        host=headers.get("host", "")[:_NAMED_MAX],
        tls=request.tls,
        point=visit.points[0].arn if visit.points else "",
        bytes_received=_received(request),
    )


def _received(request: HttpRequest) -> int:
    """Return how long the body of a request is."""
    told = request.headers.get("content-length", "")
    if not told.isdigit():
        told = request.headers.get("x-amz-decoded-content-length", "")
    return int(told) if told.isdigit() else len(request.body)


def _version_of(query: str) -> str:
    """Return the version that a request names."""
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if name == "versionId":
            return value[:_NAMED_MAX]
    return ""


def _size_of(operation: str, request: HttpRequest, reply: HttpReply) -> int | None:
    """Return the size of the object that a request wrote or read; None: there is none to tell."""
    if reply.status >= 300:  # noqa: PLR2004 (it did neither)
        return None
    if operation in ("PutObject", "UploadPart"):
        headers = request.headers
        told = headers.get("x-amz-decoded-content-length") or headers.get("content-length", "")
        return int(told) if told.isdigit() else len(request.body)
    if operation not in ("GetObject", "HeadObject"):
        return None
    for name, value in reply.headers:
        if name.lower() == "content-range":
            whole = value.rpartition("/")[2]
            return int(whole) if whole.isdigit() else None
    return reply.length
