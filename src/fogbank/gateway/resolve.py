"""What is asked: the service, the region, the operation.

Rule: the credential scope says the service and the region; where a request is not signed, its
target, its form, its host or, of what is left, S3. The host says the bucket where it has one. What
is found is never more than a guess until the signature held: so a request's operation is looked up
after that, and only a request without signature is looked up at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fogbank.base.arn import arn_of
from fogbank.base.errors import NotBuilt, ServiceError
from fogbank.gateway.hosts import BARE, HostName, HostNames
from fogbank.gateway.render import Words
from fogbank.gateway.settings import GatewaySettings
from fogbank.wire.compile import ServiceCodec, codec_of
from fogbank.wire.errors import UnknownOperation
from fogbank.wire.http import HttpRequest
from fogbank.wire.regions import own_region, reached
from fogbank.wire.route import Router, has_action, is_rpc, protocol_of
from fogbank.wire.sigv4 import Authorization

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_SCOPE: Final = re.compile(
    r"Credential=[^/,\s]+/\d{8}/(?:[a-z0-9-]+/)?([a-z0-9-]+)(?:/aws4_request)?(?:,|\Z)"
)
_SCOPE_WITHIN: Final = 4_096
_NO_PARAMS: Final[Mapping[str, str]] = {}
_EVERYWHERE: Final = ("*",)
_S3: Final = "s3"
_FORM: Final = "application/x-www-form-urlencoded"


class Door:
    """A service with what the gateway needs to speak for it in one of its protocols."""

    __slots__ = (
        "codec",
        "name",
        "others",
        "prefix",
        "signing_name",
        "targets",
        "told_by",
        "version_path",
        "words",
    )

    def __init__(self, codec: ServiceCodec) -> None:
        model = codec.model
        prefix = model.target_prefix
        names = model.operations if codec.protocol == "json" else ()
        self.codec = codec
        self.others: Mapping[str, Door] = {}
        """The doors of all of its protocols where it speaks several, this one among them."""
        self.targets = {f"{prefix}.{name}": name for name in names}
        """Values of X-Amz-Target to operations, where the protocol has that header."""
        self.name = codec.model.name
        self.prefix = model.endpoint_prefix
        self.signing_name = codec.model.signing_name
        self.told_by = codec.model.settings.told_by
        """A header that every request to it carries, under paths with its version; '' if none is."""
        self.version_path = f"/v{model.api_version.replace('-', '')}/"
        self.words = Words(codec.model, codec.protocol)

    @classmethod
    def of(cls, service: str) -> Door:
        """Return the door of a service, that of its preferred protocol."""
        model = codec_of(service).model
        doors = {each: cls(codec_of(service, each)) for each in model.protocols}
        if len(doors) > 1:
            for door in doors.values():
                door.others = doors
        return doors[model.protocol]

    def region_for(self, region: str) -> str:
        """Return the region in which the service is asked by who names a region.

        AWS: "aws:RequestedRegion" of a global service is us-east-1 wherever it is called from; each
        partition has such a region.
        """
        return own_region(self.prefix, region)

    def speaking(self, request: HttpRequest) -> Door:
        """Return the door of the protocol that a client of this service speaks."""
        return self.others[protocol_of(self.codec.model, request)] if self.others else self


class Target(msgspec.Struct, eq=False):
    """What a request asks for, as far as it is known."""

    door: Door
    host: HostName
    region: str
    service: str
    """The service's name in its model, or what the scope calls it if we do not have it."""
    signed: Authorization | None = None
    """The parts of its signature, whether it holds or not."""
    region_set: tuple[str, ...] = ()
    """The regions that the request is good for, as patterns; empty: only ``region``."""
    operation: str = ""
    """The operation's name in the model; empty until it is known, or if there is none."""
    params: Mapping[str, str] = _NO_PARAMS
    error: ServiceError | None = None
    """Why there is no operation."""
    context: Mapping[str, str] = _NO_PARAMS
    """Condition keys that say how the request was signed."""
    key_account: str = ""
    """Whose access key it names, if there is such a key; that its holder asks is not said."""

    @classmethod
    def of(cls, door: Door, host: HostName, region: str) -> Target:
        """Return what is asked of a service by who names a region."""
        return cls(door, host, own_region(door.prefix, region), door.name)

    @property
    def bucket(self) -> str | None:
        """Return what a host of S3 names in the place of a bucket; None if it names nothing.

        ``NAME-ACCOUNT@REGION`` is the access point NAME there, or a bucket NAME-ACCOUNT.
        """
        host = self.host
        if not host.point:
            return host.bucket or None
        if host.bucket:
            return f"{host.point}@{self.region}"
        name, _, account = host.point.rpartition("-")
        return arn_of("s3", self.region, account, f"accesspoint/{name}")


class Resolver:
    """Finds what requests ask for.

    Args:
        doors: The services that are built.
        settings: Names of hosts, and the region of a request that names none.
        labels: Those of front doors, in host names.
    """

    def __init__(
        self, doors: Sequence[Door], settings: GatewaySettings, labels: Sequence[str] = ()
    ) -> None:
        self._doors = {door.name: door for door in doors}
        self._by_signing: dict[str, Door] = {}
        for door in doors:
            if not door.told_by:
                # Of services that sign alike the first is the one most asked for; ``route`` tells.
                self._by_signing.setdefault(door.signing_name, door)
        self._told = [door for door in doors if door.told_by]
        self._by_prefix = {door.codec.model.endpoint_prefix: door for door in doors}
        self._router = Router([door.name for door in doors])
        self._hosts = HostNames(
            [door.codec.model.endpoint_prefix for door in doors],
            settings.public_hosts,
            settings.public_url,
            labels,
        )
        self._region = settings.region
        self._strangers = _Strangers(doors, self._router)

    def door(self, service: str) -> Door:
        """Return the door of a service that is built."""
        return self._doors[service]

    def host_of(self, request: HttpRequest) -> HostName:
        """Return what the host of a request says."""
        return self._hosts.read(request.headers.get("host", ""))

    def begin(self, request: HttpRequest, signed: Authorization | None) -> Target:
        """Return the service and the region that a request names, before it has proved anything.

        Args:
            request: The request.
            signed: The parts of its signature, if it has one.
        """
        host = self._hosts.read(request.headers.get("host", ""))
        if host.unbuilt:
            target = Target.of(self._strangers.s3, host, host.region or self._region)
            target.error = NotBuilt(f"fogbank has not built the {host.unbuilt} endpoints of s3")
            return target
        told = self._find_told(request)
        if told is not None and (signed is None or signed.service == told.signing_name):
            target = Target.of(
                told, host._replace(bucket="", point=""), host.region or self._region
            )
            if signed is not None:
                target.region = own_region(told.prefix, signed.region or target.region)
                target.region_set, target.signed = signed.region_set, signed
            return target
        if signed is None:
            door = (
                (self._strangers.s3 if host.bucket or host.point else None)
                or self._by_prefix.get(host.service)
                or self._by_signing.get(_said_in(request.headers.get("authorization", "")))
                or self._strangers.door_of(request)
            )
            target = Target.of(door.speaking(request), host, host.region or self._region)
            if not host.region:
                target.region_set = _EVERYWHERE
            return target
        door = self._by_signing.get(signed.service)
        region = signed.region or reached(signed.region_set, host.region or self._region)
        if door is not None:
            if door.others:
                door = door.speaking(request)
            region = own_region(door.prefix, region)
            return Target(door, host, region, door.name, signed, signed.region_set)
        target = Target.of(self._strangers.door_of(request), BARE, region)
        target.signed = signed
        target.service = signed.service if _NAME.fullmatch(signed.service) else "unknown"
        target.error = NotBuilt.operation(target.service, _asked_of(request))
        return target

    def _find_told(self, request: HttpRequest) -> Door | None:
        """Return the service that a header of a request tells, or None; most requests have none."""
        for door in self._told:
            if door.told_by in request.headers and request.path.startswith(door.version_path):
                return door
        return None

    def preflight(self, request: HttpRequest) -> Target:
        """Return the service that a browser asks about before it sends a request.

        A preflight carries no credentials, and of the request's headers their names only.
        """
        host = self.host_of(request)
        named = self._by_prefix.get(host.service)
        door = (self._strangers.s3 if host.bucket or host.point else None) or named
        return Target.of(
            door or self._strangers.asked_about(request), host, host.region or self._region
        )

    def resource_of(self, target: Target, request: HttpRequest) -> Mapping[str, str]:
        """Return the labels of a path under S3's names; none if it does not decode."""
        try:
            return self._router.s3_labels(request, target.bucket)
        except ServiceError:
            return _NO_PARAMS

    def route(self, target: Target, request: HttpRequest, signing_name: str | None) -> None:
        """Find the operation and note it, or why there is none.

        Args:
            target: What ``begin`` returned.
            request: The request, its body whole if it is a form.
            signing_name: The service in the credential scope; None for a request without.
        """
        if target.error is not None:
            return
        operation = target.door.targets.get(request.headers.get("x-amz-target", ""))
        if operation is not None:
            target.operation = operation
            return
        try:
            if target.door.told_by:
                route = self._router.resolve_told(target.service, request)
            else:
                route = self._router.resolve(request, signing_name, target.bucket)
        except ServiceError as error:
            target.error = error
            named = error.service if isinstance(error, UnknownOperation) else _S3
            door = self._doors.get(named)
            if door is not None and signing_name is None:
                target.door, target.service = door.speaking(request), door.name
            return
        if route.service != target.service:
            target.door = self._doors[route.service].speaking(request)
            target.service = route.service
        target.operation = route.operation
        target.params = route.path_params

    def guess(self, target: Target, request: HttpRequest) -> str:
        """Return what a request that was refused seems to ask for: for its record, and no more."""
        signed = target.signed
        if target.error is None and (request.stream is None or not is_form(request)):
            seeming = Target.of(target.door, target.host, target.region)
            self.route(seeming, request, None if signed is None else signed.service)
            if seeming.operation:
                return seeming.operation
        return _named_in(request)


class _Strangers:
    """Which service's protocol a request is answered in when nobody knows its service."""

    __slots__ = ("_by_protocol", "_doors", "_first", "_router", "s3")

    def __init__(self, doors: Sequence[Door], router: Router) -> None:
        self._router = router
        self._doors = {door.name: door for door in doors}
        self._first = doors[0]
        self._by_protocol: dict[str, Door] = {}
        for door in doors:
            for protocol in door.codec.model.protocols:
                spoken = door.others.get(protocol, door)
                self._by_protocol.setdefault(_S3 if door.words.is_s3 else protocol, spoken)
        self.s3 = self._by_protocol.get(_S3, self._first)
        """Who speaks for S3's names."""

    def asked_about(self, preflight: HttpRequest) -> Door:
        """Return the service of the request that a preflight is about."""
        headers = preflight.headers
        method = headers.get("access-control-request-method", "")
        if method == "POST" and preflight.path == "/":
            names = headers.get("access-control-request-headers", "").lower()
            # The type of a form is a header that pages may send unasked: it is not in the list.
            asked = "json" if "x-amz-target" in names else "query"
            open_ = [
                each.others.get(asked, each)
                for each in self._doors.values()
                if each.codec.model.settings.cross_origin and asked in each.codec.model.protocols
            ]
            return open_[0] if open_ else self._by_protocol.get(asked) or self._first
        return self.door_of(HttpRequest(method, preflight.path, preflight.query, {}))

    def door_of(self, request: HttpRequest) -> Door:
        """Return the service that a request names, or one of the protocol that it looks like."""
        told = self._router.find_told(request)
        if told is not None:
            return self._doors[told.name]
        content_type = request.headers.get("content-type", "")
        if "smithy-protocol" in request.headers:
            protocol = "smithy-rpc-v2-cbor"
        elif is_form(request) or (request.path == "/" and has_action(request)):
            protocol = "query"
        elif is_rpc(request):
            protocol = "json"
        elif content_type.startswith("application/json"):
            protocol = "rest-json"
        else:
            protocol = _S3
        return self._by_protocol.get(protocol) or self._first


def _said_in(header: str) -> str:
    """Return the service that a signature names which cannot be read as a whole; '' if none.

    Its error is told in the words of that service.
    """
    found = _SCOPE.search(header[:_SCOPE_WITHIN])
    return "" if found is None else found[1]


def is_form(request: HttpRequest) -> bool:
    """Return whether the body must be read to know what is asked."""
    return request.headers.get("content-type", "").startswith(_FORM)


def _asked_of(request: HttpRequest) -> str:
    """Return what a request to a service that we do not have asks for, for the refusal's text."""
    return _named_in(request) or f"{request.method} {request.path[:64]}"


def _named_in(request: HttpRequest) -> str:
    """Return the operation that a request names in a header or at the begin of a form; '' if none."""
    asked = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if not asked and request.body.startswith(b"Action="):
        asked = request.body[7:72].decode("latin-1").partition("&")[0]
    return asked if _NAME.fullmatch(asked) else ""
