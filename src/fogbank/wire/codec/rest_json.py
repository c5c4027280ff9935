"""The rest-json protocol, spoken by Lambda, API Gateway and others.

Rule: members in path, query and headers as in ``rest``, the document as in ``json``; an error's
name goes into a header.

Source: Smithy, "AWS restJson1 protocol".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.eventstream import events_reader, events_writer
from fogbank.wire.codec.json import Documents, JsonBodies, dumps, error_body, parsed
from fogbank.wire.codec.plan import Decode, Encode, Headers, told_of
from fogbank.wire.codec.rest import ReplyBindings, RequestBindings, answered_in_body, asked_in_body
from fogbank.wire.coerce import Malformed, document
from fogbank.wire.errors import SerializationException, UnknownOperation, WireError
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, ServiceModel, Shape
from fogbank.wire.validate import Validator

_NO_CONTENT = 204
_NOT_FOUND = 404
_SERVER_FAULT = 500
_JSON = ("content-type", "application/json")

ReadBody = Callable[[HttpRequest, dict[str, Any]], None]
WriteBody = Callable[[Mapping[str, Any], Headers], Any]

_JAVA = {"integer": "Integer", "long": "Long", "boolean": "Boolean", "timestamp": "Date"}


def _refuse(ref: Ref, _text: str) -> WireError:
    shape = ref.shape.member.shape if ref.shape.type == "list" else ref.shape
    java = _JAVA.get(shape.type, "Double")
    return SerializationException(f"STRING_VALUE cannot be converted to {java}")


class RestJsonCodec:
    """The codec of a service that speaks rest-json."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings = service.settings
        self._documents = Documents(service)
        self._validator = Validator(service.settings, "ValidationException")

    # Requests

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the compiled decoder of an operation's requests."""
        shape = operation.input
        bindings = RequestBindings(operation, _refuse, enums=False)
        read_body = self._body_reader(shape) if shape else None
        check = self._validator.check_of(shape) if shape else None

        def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            out = bindings.read(request, path_params)
            suspect = False
            if read_body is not None:
                suspect = bool(read_body(request, out))
            if suspect or (check is not None and not check(out)):
                refused = self._validator.refusal(operation, out)
                if refused is not None:
                    raise refused
            return out

        return decode

    def _body_reader(self, shape: Shape) -> Callable[[HttpRequest, dict[str, Any]], bool] | None:
        """Return what adds the body's members and says whether the law had to read them."""
        for name, ref in shape.members.items():
            if ref.shape.is_event_stream:
                return events_reader(shape, name, JsonBodies(self._documents))
        if shape.payload:
            return self._payload_reader(shape.members[shape.payload])
        if not asked_in_body(shape):
            return None
        fast = self._documents.body_decoder(shape)
        law = self._documents.law

        def read(request: HttpRequest, out: dict[str, Any]) -> bool:
            if not request.body:
                return False
            try:
                out.update(fast(parsed(request.body), 0))
            except Malformed:
                out.update(law.body(shape, parsed(request.body)))
                return True
            return False

        return read

    def _payload_reader(self, ref: Ref) -> Callable[[HttpRequest, dict[str, Any]], bool]:
        name, shape = ref.name, ref.shape
        if shape.type in {"blob", "string"}:
            return _raw_reader(ref)
        fast = free_form if shape.is_document else self._documents.decoder(shape)
        law = self._documents.law

        def read(request: HttpRequest, out: dict[str, Any]) -> bool:
            if not request.body:
                return False
            value = parsed(request.body)
            try:
                out[name] = fast(value, 0)
            except Malformed:
                out[name] = law.value(ref, parsed(request.body))
                return True
            return False

        return read

    # Replies

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        shape = operation.output
        bindings = ReplyBindings(shape)
        write_body = self._body_writer(operation) if shape else None
        names = frozenset(shape.members if shape else ())

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            headers: Headers = [("x-amzn-RequestId", request_id)]
            bindings.write(reply, headers)
            status = reply.get(bindings.status_member) or operation.http_status
            body: Any = b""
            if write_body is not None and status != _NO_CONTENT:
                body = write_body(reply, headers)
            length = reply.get(bindings.length_member) if bindings.length_member else None
            return HttpReply(status, headers, body, length)

        return encode

    def _body_writer(self, operation: OperationModel) -> WriteBody:
        """Return what makes the body of a reply."""
        shape = operation.output
        assert shape is not None, "only an output has a body"
        if operation.event_stream_output:
            bodies = JsonBodies(self._documents)
            return events_writer(shape, operation.event_stream_output, bodies)
        if shape.payload:
            return self._payload_writer(shape.members[shape.payload])
        inside = frozenset(answered_in_body(shape))
        rewrite = self._documents.encoder(shape)

        def write(reply: Mapping[str, Any], headers: Headers) -> bytes:
            value = {
                name: item for name, item in reply.items() if item is not None and name in inside
            }
            headers.append(_JSON)
            return dumps(rewrite(value) if rewrite else value)

        return write

    def _payload_writer(self, ref: Ref) -> WriteBody:
        name, shape = ref.name, ref.shape
        raw = shape.type in {"blob", "string"}
        union = bool(shape.raw.get("union"))
        rewrite = None if raw else self._documents.encoder(shape)

        def write(reply: Mapping[str, Any], headers: Headers) -> Any:
            value = reply.get(name)
            if raw:
                return _raw_of(value)
            if value is None and union:
                return b""  # Smithy: of no member there is nothing to send, not even {}
            headers.append(_JSON)
            value = cast("dict[str, Any]", {} if value is None else value)
            return dumps(rewrite(value) if rewrite else value)

        return write

    # Errors

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error: its name in a header, members in JSON."""
        told = told_of(self._service, operation, error)
        found, status = told.found, told.status
        if isinstance(error, UnknownOperation):
            # AWS: a path that means nothing is not found (Lambda's UnknownOperationException).
            status = _NOT_FOUND
        headers: Headers = [
            ("x-amzn-RequestId", request_id),
            ("x-amzn-errortype", told.name),
            _JSON,
        ]
        body = error_body(self._service, self._documents, error, told)
        if found:
            ReplyBindings(found.shape).write(error.members, headers)
            for ref in found.shape.members.values():
                if ref.location:
                    body.pop(ref.wire_name, None)
            if "Type" in found.shape.members:
                fault = "Service" if status >= _SERVER_FAULT else "User"
                body = {"Type": fault, **body}
        return HttpReply(status, headers, dumps(body))


def free_form(value: Any, _depth: int) -> Any:
    """Return free-form JSON as it is, unless it is nested too deeply."""
    return document(value)


def _raw_of(value: Any) -> Any:
    """Return a streamed or raw payload as a body."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(cast("bytearray", value))
    return value


def _raw_reader(ref: Ref) -> Callable[[HttpRequest, dict[str, Any]], bool]:
    """Return what takes the body as it is."""
    name, streaming, text = ref.name, ref.streaming, ref.shape.type == "string"

    def read(request: HttpRequest, out: dict[str, Any]) -> bool:
        if streaming and request.stream is not None:
            out[name] = request.stream
        elif text:
            try:
                out[name] = request.body.decode("utf-8")
            except UnicodeDecodeError:
                raise SerializationException("The body is not UTF-8") from None
        elif request.body or streaming:
            out[name] = request.body
        return False

    return read
