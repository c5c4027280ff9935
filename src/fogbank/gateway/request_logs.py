"""Logs that resources keep of their requests (server access logs of S3).

Rule: a request to a resource that keeps a log is answered when its record is durable; one to any other
resource waits for nothing: its operation has read whether there is a log beside the resource. Only
where a refusal came before the resource was read, it is looked at for that.

Source: Amazon S3 User Guide, "Amazon S3 server access log format".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
"""(service, domain, facts): keep a record of a request, if there is a log"""
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
        """Keep a record of a request, if its resource has a log; return when it is durable."""
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
        try:
            await self._keep(visit.service, domain, facts)
        except (ServiceError, Weather) as refused:
            # AWS: records are kept as well as can be; the request itself has been answered.
            _log.warning("request %s is not in its log: %r", visit.request_id, refused)

    async def _keep(self, service: str, domain: Domain, facts: RequestFacts) -> None:
        """Keep a record where its resource lies."""
        owner = None if self._owner_of is None else self._owner_of(domain)
        if owner is not None:
            await owner.call(NOTE, msgspec.msgpack.encode((service, domain.name, facts)))
            return
        facilities = self._facilities
        assert facilities is not None, "who owns no store owns no domain"
        keep = self._facets[service].keep
        store = facilities.placement.store_of(domain)
        await store.transact(lambda tr: keep(tr, facts, facilities))

    def handlers(self) -> Handlers:
        """Return what other processes can ask."""
        return {NOTE: self._asked}

    async def _asked(self, asked: Asked) -> Answer:
        """Keep what another process has answered."""
        service, name, facts = msgspec.msgpack.decode(
            asked.value, type=tuple[str, tuple[str, ...], RequestFacts]
        )
        await self._keep(service, Domain(*name), facts)
        return Answer(None)


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
    )


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
