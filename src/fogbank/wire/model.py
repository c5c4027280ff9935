"""A read-only view of the published models of AWS services.

Rule: shapes are thin objects over the raw JSON (``published``), made when asked for and kept per
service, so that a service's model is loaded once and only when it is used.

Operations of our own are added (``extensions``); corrections lie in ``patches/<service>.toml`` and are applied at load, each with its reason and
evidence; behaviour on the wire that no model states (error codes of constraint violations, root
elements, namespaces of error types) lies there too and is read through ``ServiceModel.settings``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from fogbank.wire import published
from fogbank.wire.published import NotPublished
from fogbank.wire.settings import Settings, settings_of

Raw = Mapping[str, Any]

_PROTOCOLS = ("json", "rest-json", "rest-xml", "query", "ec2", "smithy-rpc-v2-cbor")
"""Protocols in the order of our preference, where nothing says what the client speaks."""

_EMPTY: Raw = MappingProxyType({})
_PATCHES = Path(__file__).with_name("patches")


class UnknownService(LookupError):
    """There is no published model of this name."""


class Ref:
    """A use of a shape: a member, a list's element, a map's key or value, an input or output.

    Traits of the use win over traits of the shape, as in botocore's ``Shape.serialization``.
    """

    __slots__ = ("_service", "name", "raw", "shape_name")

    def __init__(self, service: ServiceModel, name: str, raw: Raw) -> None:
        self._service = service
        self.name = name
        """The member's wire name; empty for elements, keys and values."""
        self.raw = raw
        self.shape_name: str = raw["shape"]

    @property
    def shape(self) -> Shape:
        """Return the shape that is used."""
        return self._service.shape(self.shape_name)

    def trait(self, name: str) -> Any:
        """Return a trait of the use or else of the shape, or None."""
        found = self.raw.get(name)
        return self.shape.raw.get(name) if found is None else found

    @property
    def location(self) -> str | None:
        """Return ``uri``, ``querystring``, ``header``, ``headers``, ``statusCode`` or None."""
        return self.trait("location")

    @property
    def wire_name(self) -> str:
        """Return the name on the wire: ``locationName`` or else the member's own."""
        found = self.raw.get("locationName")
        if found is None and self.shape.type != "structure":
            # The name of a structure is that of a document's root, never of a member.
            found = self.shape.raw.get("locationName")
        return self.name if found is None else found

    @property
    def flattened(self) -> bool:
        """Return whether elements of this list or map stand without a wrapper."""
        return bool(self.trait("flattened"))

    @property
    def xml_attribute(self) -> bool:
        """Return whether this member is an attribute of its parent's element."""
        return bool(self.raw.get("xmlAttribute"))

    @property
    def streaming(self) -> bool:
        """Return whether this is the streamed body."""
        return bool(self.trait("streaming"))

    @property
    def timestamp_format(self) -> str | None:
        """Return ``iso8601``, ``rfc822``, ``unixTimestamp`` or None for the location's default."""
        return self.trait("timestampFormat")

    @property
    def xml_namespace(self) -> Raw | None:
        """Return ``{"uri": ..., "prefix": ...}`` where an element declares one."""
        found = self.trait("xmlNamespace")
        return {"uri": found} if isinstance(found, str) else found


class Shape:
    """A shape of a model; see the Smithy and botocore documentation for the words."""

    __slots__ = ("__dict__", "name", "raw", "service", "type")

    def __init__(self, service: ServiceModel, name: str, raw: Raw) -> None:
        self.service = service
        self.name = name
        self.raw = raw
        self.type: str = "string" if raw["type"] == "character" else raw["type"]
        """One of structure, list, map, string, integer, long, boolean, float, double, blob,
        timestamp; a character of old models is a string."""

    @cached_property
    def members(self) -> Mapping[str, Ref]:
        """Return the members of a structure by wire name, in the model's order."""
        members = cast("Mapping[str, Raw]", self.raw.get("members", _EMPTY))
        return {name: Ref(self.service, name, raw) for name, raw in members.items()}

    def _ref(self, part: str) -> Ref:
        return Ref(self.service, "", self.raw[part])

    @cached_property
    def member(self) -> Ref:
        """Return the element of a list."""
        return self._ref("member")

    @cached_property
    def key(self) -> Ref:
        """Return the key of a map."""
        return self._ref("key")

    @cached_property
    def value(self) -> Ref:
        """Return the value of a map."""
        return self._ref("value")

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Return the names of members that must be present."""
        return tuple(self.raw.get("required", ()))

    @cached_property
    def enum(self) -> tuple[str, ...]:
        """Return the values that a string may have; empty means any."""
        return tuple(self.raw.get("enum", ()))

    @property
    def payload(self) -> str | None:
        """Return the member that is the whole HTTP body, or None."""
        return self.raw.get("payload")

    @property
    def is_document(self) -> bool:
        """Return whether this is free-form JSON."""
        return bool(self.raw.get("document"))

    @property
    def is_event_stream(self) -> bool:
        """Return whether this is a stream of framed events."""
        return bool(self.raw.get("eventstream"))

    @property
    def is_error(self) -> bool:
        """Return whether this is an error's shape."""
        return bool(self.raw.get("exception") or self.raw.get("error"))

    @property
    def sensitive(self) -> bool:
        """Return whether values must not be repeated in messages or logs."""
        return bool(self.raw.get("sensitive"))

    @cached_property
    def parts(self) -> tuple[Ref, ...]:
        """Return the uses directly beneath: members, or element, or key and value."""
        if self.type == "structure":
            return tuple(self.members.values())
        if self.type == "list":
            return (self.member,)
        return (self.key, self.value) if self.type == "map" else ()

    @cached_property
    def reachable(self) -> frozenset[str]:
        """Return the names of all shapes beneath this one, itself only if it is recursive."""
        found: set[str] = set()
        left = [part.shape for part in self.parts]
        while left:
            shape = left.pop()
            if shape.name not in found:
                found.add(shape.name)
                left.extend(part.shape for part in shape.parts)
        return frozenset(found)

    @property
    def recursive(self) -> bool:
        """Return whether this shape can contain itself."""
        return self.name in self.reachable

    def __repr__(self) -> str:
        return f"<Shape {self.name}: {self.type}>"


class ErrorModel(NamedTuple):
    """An error that an operation or service declares."""

    status: int
    shape: Shape


class Paginator(NamedTuple):
    """How an operation is paged; names are wire names, result keys are JMESPath."""

    input_tokens: tuple[str, ...]
    output_tokens: tuple[str, ...]
    result_keys: tuple[str, ...]
    limit_key: str | None
    more_results: str | None


class OperationModel:
    """One operation of a service."""

    __slots__ = ("__dict__", "name", "raw", "service")

    def __init__(self, service: ServiceModel, name: str, raw: Raw) -> None:
        self.service = service
        self.name = name
        self.raw = raw

    def __repr__(self) -> str:
        return f"<Operation {self.service.name}:{self.name}>"

    @cached_property
    def function(self) -> str:
        """Return the name that boto3 gives this operation's method."""
        return published.method_of(self.name)

    @cached_property
    def input_ref(self) -> Ref | None:
        """Return the use of the input shape with its traits, or None."""
        raw = self.raw.get("input")
        return Ref(self.service, "", raw) if raw else None

    @cached_property
    def output_ref(self) -> Ref | None:
        """Return the use of the output shape with its traits, or None."""
        raw = self.raw.get("output")
        return Ref(self.service, "", raw) if raw else None

    @property
    def input(self) -> Shape | None:
        """Return the input shape, or None if the operation takes nothing."""
        return self.input_ref.shape if self.input_ref else None

    @property
    def output(self) -> Shape | None:
        """Return the output shape, or None if the operation answers nothing."""
        return self.output_ref.shape if self.output_ref else None

    @cached_property
    def errors(self) -> Mapping[str, ErrorModel]:
        """Return the declared errors by wire code; a shape's name that differs is a key too."""
        found: dict[str, ErrorModel] = {}
        for ref in self.raw.get("errors", ()):
            found.update(self.service.error_entries(ref["shape"]))
        return found

    @property
    def http_method(self) -> str:
        """Return the HTTP method."""
        return self.raw["http"]["method"]

    @property
    def http_uri(self) -> str:
        """Return the URI template with its fixed query."""
        return self.raw["http"]["requestUri"]

    @property
    def http_status(self) -> int:
        """Return the status of success."""
        return self.raw["http"].get("responseCode", 200)

    @property
    def auth_none(self) -> bool:
        """Return whether callers need no credentials for it."""
        return self.raw.get("authtype") == "none" or "smithy.api#noAuth" in self.raw.get("auth", ())

    @property
    def deprecated(self) -> bool:
        """Return whether the model calls it deprecated."""
        return bool(self.raw.get("deprecated"))

    @property
    def host_prefix(self) -> str:
        """Return what clients put before the endpoint's host, a template; or empty."""
        return self.raw.get("endpoint", _EMPTY).get("hostPrefix", "")

    @property
    def checksum(self) -> Raw:
        """Return the ``httpChecksum`` trait."""
        return self.raw.get("httpChecksum", _EMPTY)

    @cached_property
    def streaming_input(self) -> str | None:
        """Return the input member that is the streamed body, or None."""
        return _streaming_member(self.input)

    @cached_property
    def streaming_output(self) -> str | None:
        """Return the output member that is the streamed body, or None."""
        return _streaming_member(self.output)

    @cached_property
    def event_stream_input(self) -> str | None:
        """Return the input member that is a stream of events, or None."""
        return _event_stream_member(self.input)

    @cached_property
    def event_stream_output(self) -> str | None:
        """Return the output member that is a stream of events, or None."""
        return _event_stream_member(self.output)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Return the names of required input members."""
        return self.input.required if self.input else ()

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Return the names of the input members."""
        return tuple(self.input.members) if self.input else ()

    @cached_property
    def idempotency_token(self) -> str | None:
        """Return the input member that the SDKs fill as an idempotency token, or None."""
        for name, ref in self.input.members.items() if self.input else ():
            if ref.raw.get("idempotencyToken"):
                return name
        return None

    @cached_property
    def paginator(self) -> Paginator | None:
        """Return how this operation is paged, or None."""
        raw = self.service.paginators.get(self.name)
        if raw is None:
            return None
        return Paginator(
            input_tokens=_texts(raw.get("input_token")),
            output_tokens=_texts(raw.get("output_token")),
            result_keys=_texts(raw.get("result_key")),
            limit_key=raw.get("limit_key"),
            more_results=raw.get("more_results"),
        )


def _texts(value: str | list[str] | None) -> tuple[str, ...]:
    """Return one or several names as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _streaming_member(shape: Shape | None) -> str | None:
    """Return the payload member if it is raw bytes, or None."""
    if shape is None or shape.payload is None:
        return None
    ref = shape.members[shape.payload]
    return shape.payload if ref.streaming and ref.shape.type in {"blob", "string"} else None


def _event_stream_member(shape: Shape | None) -> str | None:
    """Return the member that is a stream of events, or None."""
    for name, ref in shape.members.items() if shape else ():
        if ref.shape.is_event_stream:
            return name
    return None


class Operations(Mapping[str, OperationModel]):
    """The operations of a service by name, made when asked for."""

    __slots__ = ("_made", "_raw", "_service")

    def __init__(self, service: ServiceModel, raw: Raw) -> None:
        self._service = service
        self._raw = raw
        self._made: dict[str, OperationModel] = {}

    def __getitem__(self, name: str) -> OperationModel:
        made = self._made.get(name)
        if made is None:
            made = OperationModel(self._service, name, self._raw[name])
            self._made[name] = made
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class ServiceModel:
    """One service's published model with our corrections."""

    def __init__(self, name: str, raw: Raw, paginators: Raw, settings: Settings) -> None:
        self.name = name
        """The service's name in botocore, such as ``lambda``."""
        self.settings = settings
        """What no model states, from the service's patch."""
        self.paginators: Mapping[str, Raw] = paginators
        self.metadata: Raw = raw["metadata"]
        self._shapes: Mapping[str, Raw] = raw["shapes"]
        self._made: dict[str, Shape] = {}
        self.operations: Mapping[str, OperationModel] = Operations(self, raw["operations"])

    def __repr__(self) -> str:
        return f"<Service {self.name}>"

    def shape(self, name: str) -> Shape:
        """Return a shape by name."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Shape(self, name, self._shapes[name])
        return made

    @cached_property
    def shape_names(self) -> tuple[str, ...]:
        """Return the names of all shapes."""
        return tuple(self._shapes)

    @cached_property
    def protocol(self) -> str:
        """Return the protocol we prefer for this service."""
        return self.protocols[0]

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        """Return every protocol that clients of this service may speak, best first."""
        offered = self.metadata.get("protocols") or [self.metadata["protocol"]]
        known = tuple(protocol for protocol in _PROTOCOLS if protocol in offered)
        return known or (self.metadata["protocol"],)

    @property
    def signing_name(self) -> str:
        """Return the service's name in credential scopes."""
        return self.metadata.get("signingName", self.endpoint_prefix)

    @property
    def endpoint_prefix(self) -> str:
        """Return the first label of the service's host names."""
        return self.metadata["endpointPrefix"]

    @property
    def target_prefix(self) -> str:
        """Return what stands before the dot in X-Amz-Target; empty if not a JSON service."""
        return self.metadata.get("targetPrefix", "")

    @property
    def json_version(self) -> str:
        """Return the version in the JSON protocols' content type."""
        return self.metadata.get("jsonVersion", "1.0")

    @property
    def api_version(self) -> str:
        """Return the date that names this version of the interface."""
        return self.metadata["apiVersion"]

    @property
    def xml_namespace(self) -> str:
        """Return the default namespace of XML answers; may be empty."""
        found = self.metadata.get("xmlNamespace", "")
        return found if isinstance(found, str) else found.get("uri", "")

    @property
    def global_endpoint(self) -> bool:
        """Return whether the service has one endpoint for all regions."""
        return "globalEndpoint" in self.metadata

    @property
    def query_compatible(self) -> bool:
        """Return whether errors carry the code of a former query interface."""
        return "awsQueryCompatible" in self.metadata

    @cached_property
    def by_function(self) -> Mapping[str, OperationModel]:
        """Return the operations by the name boto3 gives their methods."""
        return {published.method_of(name): self.operations[name] for name in self.operations}

    @cached_property
    def errors(self) -> Mapping[str, ErrorModel]:
        """Return all errors of the service by wire code and by shape name."""
        found: dict[str, ErrorModel] = {}
        for name, raw in self._shapes.items():
            if raw.get("exception") or raw.get("error"):
                found.update(self.error_entries(name))
        return found

    def error_entries(self, shape_name: str) -> Iterator[tuple[str, ErrorModel]]:
        """Yield an error under its shape's name and under its wire code."""
        shape = self.shape(shape_name)
        declared = shape.raw.get("error", _EMPTY)
        code = declared.get("code", shape_name)
        fallback = 500 if shape.raw.get("fault") else 400
        status = declared.get("httpStatusCode") or self.settings.statuses.get(code, fallback)
        entry = ErrorModel(status, shape)
        yield shape_name, entry
        yield code, entry


def _read_patch(service: str) -> Raw:
    """Return the service's patch file, or nothing."""
    file = _PATCHES / f"{service}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else _EMPTY


def _correct(raw: Any, correction: Raw) -> None:
    """Apply one correction to the raw model in place."""
    assert correction["reason"], f"a correction without a reason: {correction}"
    assert correction["evidence"], f"a correction without evidence: {correction}"
    *path, last = correction["path"]
    for step in path:
        raw = raw[step]
    if correction.get("drop"):
        # A correction that no longer applies must be noticed: a missing key raises.
        del raw[last]
    else:
        raw[last] = correction["value"]


@cache
def load(service: str) -> ServiceModel:
    """Return the model of a service by its botocore name.

    Raises:
        UnknownService: There is no published model of this name.
    """
    try:
        raw = published.without_prose(published.extended(service, "service-2"))
    except NotPublished as error:
        raise UnknownService(service) from error
    patch = _read_patch(service)
    for correction in patch.get("correction", ()):
        _correct(raw, correction)
    return ServiceModel(service, raw, _paginators(service), settings_of(patch))


def _paginators(service: str) -> Raw:
    """Return the paginators of a service; a service without any has none."""
    try:
        found = published.read(service, "paginators-1")
    except NotPublished:
        return _EMPTY
    return cast("Raw", found["pagination"])


def documentation(operation: OperationModel) -> str:
    """Return what AWS says that an operation does, as HTML; for tools, as it reads a file anew."""
    raw = published.extended(operation.service.name, "service-2")
    return str(raw["operations"][operation.name].get("documentation", ""))
