"""Web pages of other origins (CORS): which may ask, and what their browsers are told.

Rule: a preflight is never signed, so it is answered without proof and reads nothing but rules. Some
services are open to pages as they are on AWS (the patches of ``wire`` say which); resources of
others carry rules, which lie in the store; all others say nothing that a browser would take for
leave. Leave to read an answer is no leave to do anything: every request proves who asks.

Source: Fetch standard, "CORS protocol"; Amazon S3 User Guide, "Using cross-origin resource sharing
(CORS)"; Amazon S3 API Reference, "OPTIONS object"; answers of S3 recorded by LocalStack
(tests/aws/services/s3/test_s3_cors.snapshot.json); AWS SDK for JavaScript, SERVICES.md, "Allows
CORS".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.contract.facet import OriginRule, OriginRules
from fogbank.contract.service import Service
from fogbank.gateway.claim import Claim
from fogbank.gateway.forward import OwnerOf
from fogbank.gateway.points import PointBook
from fogbank.gateway.render import No, error_of
from fogbank.gateway.resolve import Resolver, Target
from fogbank.gateway.settings import ANY_ORIGIN, GatewaySettings
from fogbank.gateway.throttle import Throttle
from fogbank.gateway.visit import Visit
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import Placement
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import ServiceModel

RULES: Final = "gateway.origin-rules"
"""(service, labels of the path) -> the rules of the resource that they name"""
MAX_AGE_S: Final = 172_800
"""How long a browser may remember what an open service allows, as AWS's services say it."""
_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
_EXPOSED: Final = ("x-amzn-RequestId", "x-amzn-ErrorType", "x-amzn-ErrorMessage", "Date")
_VARY: Final = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
    "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are "
    "not whitelisted by the resource's CORS spec."
)

Headers = Sequence[tuple[str, str]]
Rules = tuple[OriginRule, ...]
_NONE: Final[Headers] = ()


class _Asked(NamedTuple):
    """What a browser tells of a request."""

    origin: str
    method: str
    headers: tuple[str, ...]
    """In lower case."""

    @classmethod
    def of(cls, request: HttpRequest) -> _Asked:
        """Return what a preflight, or the request itself, tells."""
        headers = request.headers
        named = headers.get("access-control-request-headers", "").lower().split(",")
        # AWS: both headers count on requests that are no preflights too (the recorded answers
        # "get-wrong-op" and "get-non-allowed-with-acl").
        method = headers.get("access-control-request-method", request.method)
        listed = tuple(name.strip() for name in named if name.strip())
        return cls(headers.get("origin", ""), method, listed)


class RuleBook:
    """The rules of resources, wherever they lie.

    Args:
        services: What is built.
        placement: Where domains lie; None where no store does (a front).
        owner_of: The process that owns a domain, for a cloud of several.
        points: The access points that paths may name.
    """

    def __init__(
        self,
        services: Sequence[Service],
        placement: Placement | None,
        owner_of: OwnerOf | None,
        points: PointBook,
    ) -> None:
        self._points = points
        self._facets: Mapping[str, OriginRules] = {
            each.model: each.origins for each in services if each.origins is not None
        }
        self._placement = placement
        self._owner_of = owner_of

    def has(self, service: str) -> bool:
        """Return whether resources of a service carry rules."""
        return service in self._facets

    async def rules(self, service: str, params: Mapping[str, str]) -> Rules | None:
        """Return the rules of the resource that a path names; None if there is no resource."""
        facet = self._facets[service]
        domain = facet.domain(await self._points.resource_of(service, params))
        if domain is None:
            return None
        if self._placement is not None:
            return await self._placement.store_of(domain).read(facet.find)
        owner = None if self._owner_of is None else self._owner_of(domain)
        assert owner is not None, "a process without stores knows who has them"
        answer = await owner.call(RULES, msgspec.msgpack.encode((service, dict(params))))
        return msgspec.convert(answer.value, Rules | None)

    def handlers(self) -> Handlers:
        """Return what other processes can ask."""
        return {RULES: self._asked}

    async def _asked(self, asked: Asked) -> Answer:
        """Answer what a front asks."""
        service, params = msgspec.msgpack.decode(asked.value, type=tuple[str, dict[str, str]])
        return Answer(msgspec.to_builtins(await self.rules(service, params)))


class Origins:
    """Answers preflights, and says which pages may read an answer.

    Args:
        resolver: Finds what requests ask for.
        book: The rules of resources.
        settings: The origins of pages that may call open services.
        throttle: Bounds preflights as the calls of nobody.
    """

    def __init__(
        self, resolver: Resolver, book: RuleBook, settings: GatewaySettings, throttle: Throttle
    ) -> None:
        self._resolver = resolver
        self._book = book
        self._throttle = throttle
        self._everyone = ANY_ORIGIN in settings.allowed_origins
        self._allowed = frozenset(settings.allowed_origins)
        self._exposed: dict[str, str] = {}

    async def answered(
        self,
        replied: Callable[..., Awaitable[HttpReply]],
        answer: Callable[..., Awaitable[HttpReply]],
        target: Target,
        request: HttpRequest,
        claim: Claim | ServiceError | None,
    ) -> HttpReply:
        """Answer a request that a page sent, and say whether the page may read the answer."""
        granted: Headers = ()

        async def granting(visit: Visit, target: Target, request: HttpRequest) -> HttpReply:
            nonlocal granted
            granted = await self.granted(target, request)
            return await answer(visit, target, request, claim)

        reply = await replied(target, request, granting)
        reply.headers.extend(granted)
        return reply

    async def preflight(self, visit: Visit, target: Target, request: HttpRequest) -> HttpReply:
        """Answer a browser's question whether it may send a request.

        It is counted, and in no trail: nothing has been called.

        Raises:
            ServiceError: It may not, in the words of the service.
        """
        self._throttle.enter("")
        try:
            reply = await self._preflight(target, request, visit.request_id)
        finally:
            self._throttle.leave("")
        visit.performed = True
        return reply

    async def _preflight(self, target: Target, request: HttpRequest, request_id: str) -> HttpReply:
        if self._book.has(target.service):
            granted = await self._by_rules(target, request)
            ids = [("x-amz-request-id", request_id)]
            return HttpReply(200, [*ids, *granted])
        asked = _Asked.of(request)
        model = target.door.codec.model
        granted = self._open(model, asked.origin)
        if not granted or "access-control-request-method" not in request.headers:
            raise target.door.words.error(No.NO_SIGNATURE)
        headers = [("x-amzn-RequestId", request_id), *granted]
        if asked.headers:
            headers.append(("Access-Control-Allow-Headers", ",".join(asked.headers)))
        headers.append(("Access-Control-Allow-Methods", ",".join(_methods_of(model))))
        headers.append(("Access-Control-Max-Age", str(MAX_AGE_S)))
        return HttpReply(200, headers)

    async def granted(self, target: Target, request: HttpRequest) -> Headers:
        """Return the headers of an answer that let a page read it; none if it may not."""
        origin = request.headers.get("origin", "")
        if not origin:
            return _NONE
        if not self._book.has(target.service):
            return self._open(target.door.codec.model, origin)
        params = self._resolver.resource_of(target, request)
        return _first(await self._book.rules(target.service, params) or (), _Asked.of(request))

    def _open(self, model: ServiceModel, origin: str) -> Headers:
        """Return the headers of a service that is open to pages."""
        if not origin or not model.settings.cross_origin:
            return _NONE
        exposed = ("Access-Control-Expose-Headers", self._exposed_of(model))
        if self._everyone:
            return (("Access-Control-Allow-Origin", ANY_ORIGIN), exposed)
        if origin not in self._allowed:
            return _NONE
        return (("Access-Control-Allow-Origin", origin), exposed, ("Vary", "Origin"))

    def _exposed_of(self, model: ServiceModel) -> str:
        """Return the headers of a service's answers that pages may read, found once."""
        found = self._exposed.get(model.name)
        if found is None:
            found = self._exposed[model.name] = ",".join((*_EXPOSED, *_headers_of(model)))
        return found

    async def _by_rules(self, target: Target, request: HttpRequest) -> Headers:
        """Return what the rules of a resource grant.

        Raises:
            ServiceError: They grant nothing.
        """
        asked = _Asked.of(request)
        if not asked.origin:
            text = "Insufficient information. Origin request header needed."
            raise error_of("BadRequest", 400, text)
        params = self._resolver.resource_of(target, request)
        rules = await self._book.rules(target.service, params)
        if rules is None:
            raise _forbidden("CORSResponse: Bucket not found", asked, "BUCKET")
        if not rules:
            text = "CORSResponse: CORS is not enabled for this bucket."
            raise _forbidden(text, asked, "BUCKET")
        if asked.method not in _METHODS:
            named = request.headers.get("access-control-request-method", "null")[:64]
            text = f"Invalid Access-Control-Request-Method: {named}"
            raise error_of("BadRequest", 400, text)
        granted = _first(rules, asked)
        if not granted:
            raise _forbidden(_NOT_ALLOWED, asked, "OBJECT" if "Key" in params else "BUCKET")
        return granted


def _forbidden(text: str, asked: _Asked, kind: str) -> ServiceError:
    """Return the refusal of a preflight."""
    return error_of("AccessForbidden", 403, text, Method=asked.method[:64], ResourceType=kind)


def _methods_of(model: ServiceModel) -> list[str]:
    """Return the methods that requests to a service can have."""
    return sorted({model.operations[name].http_method for name in model.operations})


def _headers_of(model: ServiceModel) -> list[str]:
    """Return the headers in which answers of a service have members: SDKs must read them."""
    outputs = [model.operations[name].output for name in model.operations]
    members = [ref for output in outputs if output for ref in output.members.values()]
    return sorted({ref.wire_name for ref in members if ref.location == "header"})


def _first(rules: Rules, asked: _Asked) -> Headers:
    """Return the headers of the first rule that allows what is asked; none if no rule does."""
    for rule in rules:
        pattern = _pattern_of(rule, asked)
        if pattern is not None:
            return _granted_by(rule, pattern, asked)
    return _NONE


def _pattern_of(rule: OriginRule, asked: _Asked) -> str | None:
    """Return the pattern of a rule that allows the origin; None if the rule does not apply."""
    if asked.method not in rule.methods:
        return None
    patterns = [pattern.lower() for pattern in rule.headers]
    if not all(any(_like(each, name) for each in patterns) for name in asked.headers):
        return None
    return next((each for each in rule.origins if _like(each, asked.origin)), None)


def _like(pattern: str, text: str) -> bool:
    """Return whether a text is what a pattern with at most one star says."""
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == text
    long_enough = len(text) >= len(head) + len(tail)
    return long_enough and text.startswith(head) and text.endswith(tail)


def _granted_by(rule: OriginRule, pattern: str, asked: _Asked) -> Headers:
    """Return the headers of a rule that applies."""
    everyone = pattern == ANY_ORIGIN
    headers = [("Access-Control-Allow-Origin", pattern if everyone else asked.origin)]
    headers.append(("Access-Control-Allow-Methods", ", ".join(rule.methods)))
    if asked.headers:
        headers.append(("Access-Control-Allow-Headers", ", ".join(asked.headers)))
    if rule.exposed:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age_s is not None:
        headers.append(("Access-Control-Max-Age", str(rule.max_age_s)))
    if not everyone:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return (*headers, _VARY)
