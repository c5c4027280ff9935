"""From a request to the operation that it means.

Rule: everything is derived from the models. JSON services are told by ``X-Amz-Target``, query
services by ``Action`` and ``Version``, CBOR services by ``smithy-protocol`` and their path (a
service may be all of these, and is answered in the protocol that it was asked in), REST services by method, path and what the query string and
headers carry: an operation's fixed query and its required query and header members must be there,
and of those that fit the one with the most demands is meant. A query key that names a subresource
of S3 is never ignored: what has no operation for it is refused, not answered as something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fogbank.wire.codec.query import form_of
from fogbank.wire.errors import (
    InvalidArgument,
    InvalidURI,
    MethodNotAllowed,
    UnknownOperation,
    UnsupportedSubresource,
)
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import OperationModel, ServiceModel, load
from fogbank.wire.query_string import decoded, fields_of, query_of

POST_OBJECT = "PostObject"
"""S3's upload by a browser's form: no operation of the model, answered by an endpoint."""

_SEGMENTS_MAX = 64
_DOTS = frozenset((".", ".."))
_PATH_PARTS = 5
_WRITE_RESPONSE = "/WriteGetObjectResponse"
_REST = frozenset({"rest-json", "rest-xml"})
_FORMS = frozenset({"query", "ec2"})
_CBOR = "smithy-rpc-v2-cbor"
_FORM = "application/x-www-form-urlencoded"
_VERSIONED = re.compile(r"/[0-9]{4}-[0-9]{2}-[0-9]{2}/")
"""How the paths of a REST service begin that has the version of its API in them."""
_JSON = "application/x-amz-json-"
_MULTIPART = "multipart/form-data"
_NONE: frozenset[str] = frozenset()
_IGNORED = frozenset({"x-id"})
"""AWS: newer SDKs add ``x-id=<Operation>`` to requests of S3; it means nothing."""


class Route(NamedTuple):
    """The operation that a request means; ``path_params`` are decoded labels by their names."""

    service: str
    operation: str
    path_params: Mapping[str, str]


def protocol_of(service: ServiceModel, request: HttpRequest) -> str:
    """Return the protocol in which a service is asked, or the one we prefer for it."""
    offered = service.protocols
    if len(offered) == 1:
        return offered[0]
    headers = request.headers
    if "smithy-protocol" in headers:
        meant: Iterable[str] = (_CBOR,)
    elif "x-amz-target" in headers:
        meant = ("json",)
    elif has_action(request):
        meant = _FORMS
    else:
        meant = _REST
    return next((each for each in offered if each in meant), offered[0])


class _Asked(NamedTuple):
    """What a request carries beside method and path."""

    keys: frozenset[str]
    fields: frozenset[tuple[str, str]]
    headers: Mapping[str, str]


class _Candidate(NamedTuple):
    """What a request must carry beside method and path to mean an operation."""

    operation: str
    fixed_keys: frozenset[str]
    fixed_values: frozenset[tuple[str, str]]
    required_keys: frozenset[str]
    headers: frozenset[str]
    known: frozenset[str]
    """All query keys that the operation knows."""

    @property
    def weight(self) -> int:
        """Return how much is demanded."""
        return sum(map(len, (self.fixed_keys, self.required_keys, self.headers)))

    @property
    def needs_query(self) -> bool:
        """Return whether a request without a query string cannot mean it."""
        return bool(self.fixed_keys or self.required_keys)

    def met(self, asked: _Asked) -> bool:
        """Return whether a request carries what is demanded."""
        return (
            self.fixed_keys <= asked.keys
            and self.required_keys <= asked.keys
            and self.fixed_values <= asked.fields
            and self.headers <= asked.headers.keys()
        )


def _candidate_of(operation: OperationModel) -> _Candidate:
    """Return what an operation demands, from its template and its required members."""
    fixed = fields_of(operation.http_uri.partition("?")[2])
    keys: set[str] = set()
    headers: set[str] = set()
    known = {name for name, _ in fixed}
    for name, ref in operation.input.members.items() if operation.input else ():
        if ref.location == "querystring":
            known.add(ref.wire_name)
            if name in operation.required:
                keys.add(ref.wire_name)
        elif ref.location == "header" and name in operation.required:
            headers.add(ref.wire_name.lower())
    return _Candidate(
        operation.name,
        frozenset(name for name, _ in fixed),
        frozenset((name, value) for name, value in fixed if value),
        frozenset(keys),
        frozenset(headers),
        frozenset(known),
    )


def _routed(service: ServiceModel) -> Iterator[OperationModel]:
    """Yield the operations that requests can mean: of two on one route, the one that lives."""
    outlived = outlived_of(service)
    operations = [service.operations[name] for name in service.operations]
    for operation in sorted(operations, key=lambda each: each.deprecated):
        if operation.name not in service.settings.unrouted and operation.name not in outlived:
            yield operation


def outlived_of(service: ServiceModel) -> Mapping[str, str]:
    """Return the deprecated operations whose requests are those of another, and which that is.

    AWS has the older forms of documents answered by the newer operation.
    """
    taken: dict[tuple[object, ...], str] = {}
    outlived: dict[str, str] = {}
    operations = [service.operations[name] for name in service.operations]
    for operation in sorted(operations, key=lambda each: each.deprecated):
        if operation.name in service.settings.unrouted:
            continue
        path, _, query = operation.http_uri.partition("?")
        route = (operation.http_method, path, query, _candidate_of(operation)[3:5])
        if operation.deprecated and route in taken:
            outlived[operation.name] = taken[route]
        else:
            taken.setdefault(route, operation.name)
    return outlived


class _Group:
    """The operations of one method and path, the most demanding first."""

    __slots__ = ("all", "plain")

    def __init__(self, candidates: Iterable[_Candidate]) -> None:
        self.all = sorted(candidates, key=lambda each: -each.weight)
        self.plain = [each for each in self.all if not each.needs_query]

    def find(self, asked: _Asked) -> _Candidate | None:
        """Return the operation that a request means, or None."""
        for candidate in self.all if asked.keys else self.plain:
            if candidate.met(asked):
                return candidate
        return None


def _asked(request: HttpRequest) -> _Asked:
    """Return what a request carries beside method and path.

    Raises:
        InvalidURI: The query string does not decode.
    """
    if not request.query:
        return _Asked(_NONE, frozenset(), request.headers)
    try:
        fields = query_of(request.query)
    except ValueError:
        raise InvalidURI("Couldn't parse the specified URI.") from None
    return _Asked(frozenset(name for name, _ in fields), frozenset(fields), request.headers)


class _Node:
    """A segment of path templates."""

    __slots__ = ("greedy", "groups", "label", "literals", "names")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: _Node | None = None
        self.groups: dict[str, _Group] = {}
        self.names: dict[str, tuple[str, ...]] = {}


class _RestRouter:
    """Routes of a REST service: a trie of its path templates."""

    def __init__(self, service: ServiceModel) -> None:
        self.service = service
        self._root = _Node()
        for operation in _routed(service):
            self._add(operation)

    def _add(self, operation: OperationModel) -> None:
        node = self._root
        names: list[str] = []
        for segment in _segments(operation.http_uri.partition("?")[0]):
            if segment.endswith("+}"):
                names.append(segment[1:-2])
                node.greedy = node.greedy or _Node()
                node = node.greedy
            elif segment.startswith("{"):
                names.append(segment[1:-1])
                node.label = node.label or _Node()
                node = node.label
            else:
                node = node.literals.setdefault(segment, _Node())
        others = node.groups.get(operation.http_method)
        candidates = [*(others.all if others else ()), _candidate_of(operation)]
        node.groups[operation.http_method] = _Group(candidates)
        node.names[operation.name] = tuple(names)

    def find(self, request: HttpRequest) -> Route | None:
        """Return the route of a request, or None.

        A path with ``.`` or ``..`` is none of ours: it is signed as if they were resolved, and so
        whoever changes one such path into another would keep the signature.
        """
        segments = _segments(request.path)
        if len(segments) > _SEGMENTS_MAX or not _DOTS.isdisjoint(segments):
            return None
        asked = _asked(request)
        for node, values in self._walk(segments):
            group = node.groups.get(request.method)
            found = group.find(asked) if group else None
            if found is not None:
                names = node.names[found.operation]
                params = dict(zip(names, map(_label, values), strict=True))
                return Route(self.service.name, found.operation, params)
        return None

    def _walk(self, segments: list[str]) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        """Yield the nodes that a path ends at, literal segments before labels."""
        steps: list[tuple[_Node, int, tuple[str, ...]]] = [(self._root, 0, ())]
        while steps:
            node, at, values = steps.pop()
            if at == len(segments):
                yield node, values
                continue
            if node.greedy is not None:
                # What goes on behind a greedy label says more than one that takes all that is left.
                for end in (len(segments), *range(at + 1, len(segments))):
                    steps.append((node.greedy, end, (*values, "/".join(segments[at:end]))))  # noqa: PERF401 (the list is what is walked)
            if node.label is not None and segments[at]:
                steps.append((node.label, at + 1, (*values, segments[at])))
            literal = node.literals.get(segments[at])
            if literal is not None:
                steps.append((literal, at + 1, values))


def _segments(path: str) -> list[str]:
    """Return the segments of a path; a slash at its end means nothing."""
    path = path.strip("/")
    return path.split("/") if path else []


def _label(text: str) -> str:
    """Return a decoded label.

    Raises:
        InvalidURI: It is not UTF-8.
    """
    try:
        return decoded(text)
    except ValueError:
        raise InvalidURI("Couldn't parse the specified URI.") from None


class _S3Router:
    """Routes of S3: the service, a bucket or an object, and a subresource in the query."""

    def __init__(self, service: ServiceModel) -> None:
        self.service = service
        gathered: dict[tuple[str, str], list[_Candidate]] = {}
        for operation in _routed(service):
            path = operation.http_uri.partition("?")[0]
            gathered.setdefault((operation.http_method, path), []).append(_candidate_of(operation))
        self._groups = {key: _Group(candidates) for key, candidates in gathered.items()}
        every = [each for candidates in gathered.values() for each in candidates]
        self._known = frozenset(key for each in every for key in each.known) | _IGNORED
        # A key that alone tells operations apart: ?acl, ?uploads, and uploadId and partNumber.
        self._telling = frozenset(
            key for each in every for key in each.fixed_keys or each.required_keys
        )

    def find(self, request: HttpRequest, bucket: str | None) -> Route:
        """Return the route of a request.

        Raises:
            MethodNotAllowed: The subresource exists, but not under this method.
            UnsupportedSubresource: It does not exist.
            InvalidURI: The path does not decode.
        """
        template, params = self.resource(request, bucket)
        asked = _asked(request)
        if asked.keys:
            self._refuse_unknown(request)
        group = self._groups.get((request.method, template))
        found = group.find(asked) if group else None
        if found is None or not (asked.keys & self._telling) <= found.known:
            if request.method == "POST" and template == "/{Bucket}" and _is_upload(request):
                return Route(self.service.name, POST_OBJECT, params)
            raise self._refusal(request, asked)
        return Route(self.service.name, found.operation, params)

    def resource(self, request: HttpRequest, bucket: str | None) -> tuple[str, dict[str, str]]:
        """Return the template and the labels of a path."""
        path = request.path[1:]
        if bucket is None:
            if not path:
                return "/", {}
            if request.path == _WRITE_RESPONSE and request.method == "POST":
                return request.path, {}
            bucket, _, path = path.partition("/")
            bucket = _label(bucket)
        if not path:
            return "/{Bucket}", {"Bucket": bucket}
        return "/{Bucket}/{Key+}", {"Bucket": bucket, "Key": _label(path)}

    def _refuse_unknown(self, request: HttpRequest) -> None:
        """Raise for a bare key that no operation knows: it would be taken for the plain one."""
        for part in request.query.split("&"):
            if part and "=" not in part and _label(part) not in self._known:
                raise UnsupportedSubresource(
                    "A header or query you provided requested a function that is not implemented.",
                    Header=_label(part)[:256],
                )

    def _refusal(self, request: HttpRequest, asked: _Asked) -> Exception:
        telling = sorted(asked.keys & self._telling)
        if "list-type" in asked.keys:
            return InvalidArgument(
                "Invalid List Type specified in Request", ArgumentName="list-type"
            )
        return MethodNotAllowed(
            "The specified method is not allowed against this resource.",
            Method=request.method,
            ResourceType=telling[0].upper() if telling else "OBJECT",
        )


def _is_upload(request: HttpRequest) -> bool:
    """Return whether this is a browser's form."""
    return request.headers.get("content-type", "").lower().startswith(_MULTIPART)


class Router:
    """Resolves requests of several services.

    Args:
        services: Their botocore names, or their models.
    """

    def __init__(self, services: Iterable[str | ServiceModel]) -> None:
        self._by_signing: dict[str, list[ServiceModel]] = {}
        self._targets: dict[str, ServiceModel] = {}
        self._paths: dict[str, ServiceModel] = {}
        self._versions: dict[str, list[ServiceModel]] = {}
        self._prefixes: dict[str, ServiceModel] = {}
        self._rest: dict[str, _RestRouter] = {}
        self._s3: _S3Router | None = None
        for name in services:
            self._add(load(name) if isinstance(name, str) else name)

    def _add(self, service: ServiceModel) -> None:
        if not service.settings.told_by:
            self._by_signing.setdefault(service.signing_name, []).append(service)
        self._prefixes[service.endpoint_prefix] = service
        offered = service.protocols
        if "json" in offered:
            self._targets[service.target_prefix] = service
        if _CBOR in offered:
            self._paths[service.target_prefix] = service
        if not _FORMS.isdisjoint(offered):
            self._versions.setdefault(service.api_version, []).append(service)
        if service.settings.s3_style:
            self._s3 = _S3Router(service)
        elif not _REST.isdisjoint(offered):
            self._rest[service.name] = _RestRouter(service)

    def resolve(
        self, request: HttpRequest, signing_name: str | None, bucket: str | None = None
    ) -> Route:
        """Return the operation that a request means.

        Args:
            request: Its body must be whole if it is a form.
            signing_name: The service in the credential scope, or None for anonymous requests.
            bucket: The bucket that the host names; the path is then the key alone.

        Raises:
            UnknownOperation: It means none that we have a model of.
            WireError: S3 refuses it: a subresource unknown or under another method.
        """
        if bucket is not None and self._s3 and signing_name in {None, "s3"}:
            return self._s3.find(request, bucket)
        if signing_name is None:
            return self._resolve_anonymous(request)
        candidates = self._by_signing.get(signing_name)
        if not candidates:
            raise UnknownOperation(f"no service signs as {signing_name[:64]}")
        return self._resolve_among(request, candidates)

    def resolve_told(self, service: str, request: HttpRequest) -> Route:
        """Return the operation of a service that a header told (``Settings.told_by``).

        Raises:
            UnknownOperation: It means none of them.
        """
        found = self._rest[service].find(request)
        if found is None:
            raise UnknownOperation(service=service)
        return found

    def _resolve_among(self, request: HttpRequest, candidates: list[ServiceModel]) -> Route:
        """Return the operation of one of the services that sign under one name."""
        target = request.headers.get("x-amz-target")
        for service in candidates:
            protocol = protocol_of(service, request)
            if protocol == "json":
                found = _find_target(service, target)
            elif protocol == _CBOR:
                found = _find_path(service, request)
            elif service.settings.s3_style and self._s3:
                found = self._s3.find(request, None)
            elif protocol in _REST:
                found = self._rest[service.name].find(request)
            else:
                found = _find_action(service, request)
            if found is not None:
                return found
        raise _unknown(candidates, request)

    def _resolve_anonymous(self, request: HttpRequest) -> Route:
        """Return the operation of a request without credentials; whatever is left is S3's."""
        service = self.find_told(request)
        if service is not None:
            return self._resolve_among(request, [service])
        if request.path == "/" and self._versions and has_action(request):
            version = dict(form_of(request)).get("Version", "")
            if version in self._versions:
                return self._resolve_among(request, self._versions[version])
        service = self._service_of_host(request.headers.get("host", ""))
        if service is not None:
            return self._resolve_among(request, [service])
        if self._s3 is None or is_rpc(request):
            raise UnknownOperation
        return self._s3.find(request, None)

    def s3_labels(self, request: HttpRequest, bucket: str | None) -> Mapping[str, str]:
        """Return the bucket and the key that a path names under S3's names; none without S3.

        Raises:
            InvalidURI: The path does not decode.
        """
        return {} if self._s3 is None else self._s3.resource(request, bucket)[1]

    def find_told(self, request: HttpRequest) -> ServiceModel | None:
        """Return the service that the head of a request names by its target or path, or None.

        A path names a service if it begins with the version of an API and is one of the service's:
        paths of other beginnings are more likely to mean a bucket.
        """
        headers = request.headers
        target = headers.get("x-amz-target")
        if target:
            return self._targets.get(target.rpartition(".")[0])
        if "smithy-protocol" in headers:
            return self._paths.get(_path_names(request)[0])
        if _VERSIONED.match(request.path):
            for router in self._rest.values():
                if router.find(request) is not None:
                    return router.service
        return None

    def _service_of_host(self, host: str) -> ServiceModel | None:
        """Return the service whose endpoint prefix begins a host name, or None."""
        labels = host.split(":", 1)[0].lower().split(".")
        for count in (2, 1):
            if len(labels) > count:
                service = self._prefixes.get(".".join(labels[:count]))
                if service is not None:
                    return service
        return None


def _find_target(service: ServiceModel, target: str | None) -> Route | None:
    if target is None:
        return None
    prefix, _, name = target.rpartition(".")
    if prefix == service.target_prefix and name in service.operations:
        return Route(service.name, name, {})
    return None


def _path_names(request: HttpRequest) -> tuple[str, str]:
    """Return service and operation of ``.../service/NAME/operation/NAME``, or two empty texts."""
    parts = request.path.rsplit("/", 4)
    if len(parts) == _PATH_PARTS and parts[1] == "service" and parts[3] == "operation":
        return parts[2], parts[4]
    return "", ""


def _find_path(service: ServiceModel, request: HttpRequest) -> Route | None:
    prefix, name = _path_names(request)
    spoken = request.headers.get("smithy-protocol") == "rpc-v2-cbor" and request.method == "POST"
    if spoken and prefix == service.target_prefix and name in service.operations:
        return Route(service.name, name, {})
    return None


def is_rpc(request: HttpRequest) -> bool:
    """Return whether this can mean no bucket or object: it is of a protocol that has one path."""
    headers = request.headers
    if "x-amz-target" in headers or "smithy-protocol" in headers:
        return True
    if request.path != "/":
        return False
    return has_action(request) or (
        request.method == "POST" and headers.get("content-type", "").startswith(_JSON)
    )


def has_action(request: HttpRequest) -> bool:
    """Return whether this may be a query request."""
    if request.method == "GET":
        return "Action=" in request.query
    return request.headers.get("content-type", "").startswith(_FORM)


def _find_action(service: ServiceModel, request: HttpRequest) -> Route | None:
    fields = dict(form_of(request))
    action = fields.get("Action", "")
    if action in service.operations and fields.get("Version", "") == service.api_version:
        return Route(service.name, action, {})
    return None


def _unknown(candidates: list[ServiceModel], request: HttpRequest) -> UnknownOperation:
    """Return the error for a request that means no operation of these services."""
    service = candidates[0]
    if protocol_of(service, request) in _FORMS:
        fields = dict(form_of(request))
        action, version = fields.get("Action", "")[:128], fields.get("Version", "")[:32]
        # AWS: the text of IAM's and STS's front for an unknown action.
        text = f"Could not find operation {action} for version {version}"
        return UnknownOperation(text, service=service.name)
    return UnknownOperation(service=service.name)
