"""The rest-xml protocol, spoken by S3 and its relatives.

Rule: what differs between S3 and the others is a setting. S3's front checks little: enumerations
in headers and queries (InvalidArgument), and required members and enumerations inside of
documents (MalformedXML); lengths and patterns are left to the service.

Source: Smithy, "AWS restXml protocol"; S3 API reference, "REST error responses".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, cast
from xml.etree.ElementTree import Element

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.eventstream import events_reader, events_writer
from fogbank.wire.codec.plan import (
    Decode,
    Encode,
    Headers,
    told_of,
)
from fogbank.wire.codec.rest import ReplyBindings, RequestBindings, answered_in_body, asked_in_body
from fogbank.wire.codec.xml import (
    Unreadable,
    XmlDocuments,
    error_content,
    escape,
    legible,
    namespace_attribute,
)
from fogbank.wire.errors import (
    InvalidArgument,
    InvalidRequest,
    MalformedXML,
    MissingContentLength,
    MissingRequestBodyError,
    WireError,
    error_class,
)
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.integrity import document_check_of
from fogbank.wire.model import OperationModel, Ref, ServiceModel, Shape
from fogbank.wire.settings import Settings
from fogbank.wire.validate import Validator
from fogbank.wire.xml import MALFORMED, local, parse

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_PARTIAL_CONTENT = 206
_NOT_MODIFIED = 304
_BODILESS = frozenset({204, 304})
_SERVER_FAULT = 500


def _refuser(settings: Settings) -> Callable[[Ref, str], WireError]:
    """Return what makes the error for an unreadable member of path, query or headers."""

    def refuse(ref: Ref, text: str) -> WireError:
        known = settings.member_refusals.get(ref.wire_name.lower())
        if known:
            code = error_class(known.code, InvalidArgument)
            return code(known.message, ArgumentName=ref.wire_name, ArgumentValue=text)
        # AWS: the argument is repeated in two elements (S3 API reference, "Error responses").
        return InvalidArgument(
            f"Invalid value for {ref.wire_name}.", ArgumentName=ref.wire_name, ArgumentValue=text
        )

    return refuse


class XmlBodies:
    """XML documents of events."""

    media_type = "text/xml"

    def __init__(self, documents: XmlDocuments) -> None:
        self._documents = documents

    def dump(self, shape: Shape, value: Mapping[str, Any]) -> bytes:
        """Return the document of a structure."""
        return f"<{shape.name}>{self._documents.encoder(shape)(value)}</{shape.name}>".encode()

    def load(self, shape: Shape, body: bytes) -> dict[str, Any]:
        """Return the structure of a document.

        Raises:
            MalformedXML: It is none.
        """
        try:
            return self._documents.decode(shape, parse(body)) if body else {}
        except Unreadable:
            raise MalformedXML(MALFORMED) from None


class RestXmlCodec:
    """The codec of a service that speaks rest-xml."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings = service.settings
        self._documents = XmlDocuments(service)
        self._validator = Validator(service.settings, "InvalidInput")
        self._refuse = _refuser(service.settings)
        uri = service.xml_namespace or service.settings.xml_namespace
        self._namespace = f' xmlns="{uri}"' if uri else ""

    # Requests

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the compiled decoder of an operation's requests."""
        bindings = RequestBindings(operation, self._refuse, enums=self._settings.s3_style)
        read_body = self._body_reader(operation)
        check = self._checker(operation)
        check_sum = document_check_of(operation) if self._settings.s3_style else None

        def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            if check_sum is not None:
                check_sum(request)
            out = bindings.read(request, path_params)
            if read_body is not None:
                read_body(request, out)
            if check is not None:
                check(out)
            return out

        return decode

    def _body_reader(
        self, operation: OperationModel
    ) -> Callable[[HttpRequest, dict[str, Any]], object] | None:
        """Return what adds the members of the body, or None if there are none."""
        shape = operation.input
        if shape is None:
            return None
        if operation.event_stream_input:
            return events_reader(shape, operation.event_stream_input, XmlBodies(self._documents))
        if shape.payload:
            return self._payload_reader(operation, shape.members[shape.payload])
        if not asked_in_body(shape):
            return None

        def read(request: HttpRequest, out: dict[str, Any]) -> None:
            if request.body:
                out.update(self._document(shape, parse(request.body)))

        return read

    def _payload_reader(
        self, operation: OperationModel, ref: Ref
    ) -> Callable[[HttpRequest, dict[str, Any]], None]:
        name, shape = ref.name, ref.shape
        if shape.type in {"blob", "string"}:
            read_raw = _raw_reader(ref)
            measured = self._settings.s3_style and operation.http_method == "PUT" and ref.streaming
            return _measured(read_raw) if measured else read_raw
        root = ref.trait("locationName") or shape.name
        required = name in operation.required
        strict = self._settings.s3_style

        def read(request: HttpRequest, out: dict[str, Any]) -> None:
            if request.body:
                node = parse(request.body)
                if strict and local(node.tag) != root:
                    raise MalformedXML(MALFORMED)
                out[name] = self._document(shape, node)
            elif required and strict:
                raise MissingRequestBodyError("Request Body is empty")

        return read

    def _document(self, shape: Shape, node: Element) -> dict[str, Any]:
        try:
            return self._documents.decode(shape, node)
        except Unreadable as error:
            raise self._malformed(error.shape) from None

    def _malformed(self, shape: Shape) -> WireError:
        """Return the error for a bad value of a shape in a document."""
        known = self._settings.shape_refusals.get(shape.name)
        if known:
            return error_class(known.code, MalformedXML)(known.message)
        return MalformedXML(MALFORMED)

    def _checker(self, operation: OperationModel) -> Callable[[dict[str, Any]], None] | None:
        """Return what raises for a request that breaks a constraint, or None."""
        shape = operation.input
        if shape is None:
            return None
        if self._settings.s3_style:
            return self._document_checker(operation, shape)
        whole = self._validator.check_of(shape)
        if whole is None:
            return None

        def check(value: dict[str, Any]) -> None:
            if not whole(value):
                refused = self._validator.refusal(operation, value)
                if refused is not None:
                    raise refused

        return check

    def _document_checker(
        self, operation: OperationModel, shape: Shape
    ) -> Callable[[dict[str, Any]], None] | None:
        """Return S3's checks: members outside of the body that must be there, and the document."""
        required = [name for name in operation.required if name != shape.payload]
        payload = shape.members[shape.payload] if shape.payload else None
        inside = payload.shape if payload and payload.shape.type == "structure" else None
        holds = self._validator.check_of(inside) if inside else None

        def check(value: dict[str, Any]) -> None:
            for name in required:
                if name not in value:
                    wire_name = shape.members[name].wire_name
                    raise InvalidRequest(f"Missing required header for this request: {wire_name}")
            if holds is not None and payload is not None:
                found = value.get(payload.name)
                if found is not None and not holds(found):
                    raise self._malformed(_culprit(payload.shape, found) or payload.shape)

        return check

    # Replies

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        shape = operation.output
        bindings = ReplyBindings(shape)
        status, headers_of = operation.http_status, self._standard_headers
        write_body = self._body_writer(operation)
        names = frozenset(shape.members if shape else ())
        length_member, range_member = bindings.length_member, bindings.range_member
        head = operation.http_method == "HEAD"

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            headers: Headers = headers_of(request_id)
            bindings.write(reply, headers)
            code = reply.get(bindings.status_member) or status
            if range_member and reply.get(range_member):
                code = _PARTIAL_CONTENT
            body, length = write_body(reply, headers) if write_body else (b"", None)
            if length_member:
                length = reply.get(length_member, length)
            answer = HttpReply(code, headers, body, length)
            if head and length is not None:
                # The length of what a GET would send, beside an empty body.
                answer.length = length
            return answer

        return encode

    def _standard_headers(self, request_id: str) -> Headers:
        if self._settings.s3_style:
            return [("x-amz-request-id", request_id), ("x-amz-id-2", host_id_of(request_id))]
        return [("x-amzn-RequestId", request_id)]

    def _body_writer(self, operation: OperationModel) -> Callable[..., Any] | None:
        """Return what makes the body of a reply: (reply, headers) to (body, length)."""
        shape = operation.output
        if shape is None or operation.http_method == "HEAD":
            return None
        if operation.event_stream_output:
            bodies = XmlBodies(self._documents)
            return _stream_writer(events_writer(shape, operation.event_stream_output, bodies))
        if shape.payload and shape.members[shape.payload].shape.type in {"blob", "string"}:
            return _raw_writer(shape.members[shape.payload])
        if shape.payload:
            return self._payload_writer(operation, shape.members[shape.payload])
        if answered_in_body(shape):
            return self._root_writer(operation, shape)
        return None

    def _payload_writer(self, operation: OperationModel, ref: Ref) -> Callable[..., Any]:
        root = self._settings.roots.get(operation.name) or ref.raw.get("locationName")
        root = root or ref.shape.raw.get("locationName") or ref.shape.name
        namespace = namespace_attribute(ref.xml_namespace) or self._namespace
        begin, end = f"{DECLARATION}<{root}{namespace}", f"</{root}>"
        inside = self._documents.encoder(ref.shape)
        attributes = self._documents.attributes_of(ref.shape)

        def write(reply: Mapping[str, Any], headers: Headers) -> tuple[bytes, None]:
            value = reply.get(ref.name)
            if value is None:
                return b"", None
            headers.append(("content-type", "application/xml"))
            head = f"{begin}{attributes(value)}>" if attributes else f"{begin}>"
            return f"{head}{inside(value)}{end}".encode(), None

        return write

    def _root_writer(self, operation: OperationModel, shape: Shape) -> Callable[..., Any]:
        ref = operation.output_ref
        assert ref is not None, "an output shape comes with its use"
        root = self._settings.roots.get(operation.name) or ref.trait("locationName") or shape.name
        namespace = namespace_attribute(ref.xml_namespace) or self._namespace
        begin, end = f"{DECLARATION}<{root}{namespace}", f"</{root}>"
        inside = self._documents.encoder(shape)
        attributes = self._documents.attributes_of(shape)
        if operation.name in self._settings.unwrapped:
            (member,) = answered_in_body(shape)
            inside = _text_of(member)

        def write(reply: Mapping[str, Any], headers: Headers) -> tuple[bytes, None]:
            headers.append(("content-type", "application/xml"))
            head = f"{begin}{attributes(reply)}>" if attributes else f"{begin}>"
            return f"{head}{inside(reply)}{end}".encode(), None

        return write

    # Errors

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error; HEAD and 304 have no body."""
        told = told_of(self._service, operation, error)
        found, status = told.found, told.status
        headers = self._standard_headers(request_id)
        bound = found.shape if found else None
        if status == _NOT_MODIFIED and bound is None and operation:
            # RFC 9110, 15.4.5: a 304 has the headers by which the client knows its copy again.
            bound = operation.output
        ReplyBindings(bound).write(error.members, headers)
        if status in _BODILESS or (operation and operation.http_method == "HEAD"):
            return HttpReply(status, headers)
        known: Mapping[str, Ref] = found.shape.members if found else {}
        inside = error_content(told, error, self._documents, told.code)
        inside += "".join(
            _plain_element(name, value)
            for name, value in error.members.items()
            if name not in known
        )
        if self._settings.s3_style:
            body = s3_error(inside, request_id)
        else:
            body = (
                f"{DECLARATION}<ErrorResponse{self._namespace}><Error><Type>{told.fault}</Type>"
                f"{inside}</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
            )
        headers.append(("content-type", "application/xml"))
        return HttpReply(status, headers, body.encode())


def s3_error(inside: str, request_id: str) -> str:
    """Return S3's error document around its code, message and members."""
    return (
        f"{DECLARATION}<Error>{inside}<RequestId>{escape(request_id)}</RequestId>"
        f"<HostId>{escape(host_id_of(request_id))}</HostId></Error>"
    )


def host_id_of(request_id: str) -> str:
    """Return S3's second id, which means nothing to anyone else: derived from the first."""
    return f"{request_id.lower()}fogbank="


def _plain_element(name: str, value: Any) -> str:
    """Return an element of an error for a member that may not be in the model."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{legible(str(value))}</{name}>"


def _text_of(member: str) -> Callable[[Any], str]:
    return lambda reply: escape(str(reply.get(member) or ""))


def _raw_reader(ref: Ref) -> Callable[[HttpRequest, dict[str, Any]], None]:
    """Return what takes the body as it is."""
    name, streaming, text = ref.name, ref.streaming, ref.shape.type == "string"

    def read(request: HttpRequest, out: dict[str, Any]) -> None:
        if streaming and request.stream is not None:
            out[name] = request.stream
        elif not text:
            if request.body or streaming:
                out[name] = request.body
        elif request.body:
            try:
                out[name] = request.body.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidRequest("The body is not UTF-8") from None

    return read


def _measured(
    read: Callable[[HttpRequest, dict[str, Any]], None],
) -> Callable[[HttpRequest, dict[str, Any]], None]:
    """Return the reader of a body that must have a length, or be chunked."""

    def check(request: HttpRequest, out: dict[str, Any]) -> None:
        # AWS: objects and parts alone; documents may come without (ceph s3-tests,
        # test_object_create_bad_contentlength_none, test_object_acl_create_contentlength_none).
        if not request.body and request.stream is None and "content-length" not in request.headers:
            raise MissingContentLength("You must provide the Content-Length HTTP header.")
        read(request, out)

    return check


def _stream_writer(
    write: Callable[[Mapping[str, Any], Headers], AsyncIterator[bytes]],
) -> Callable[..., Any]:
    """Return what makes a body of events: of no known length."""
    return lambda *parts: (write(*parts), None)


def _raw_writer(ref: Ref) -> Callable[..., Any]:
    """Return what sends a member as the body."""
    name, text = ref.name, ref.shape.type == "string"

    def write(reply: Mapping[str, Any], headers: Headers) -> tuple[Any, int | None]:
        del headers
        value = reply.get(name)
        if value is None:
            return b"", None
        if text and isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytearray | memoryview):
            value = bytes(cast("bytearray", value))
        return value, None

    return write


def _culprit(shape: Shape, value: Any) -> Shape | None:
    """Return the shape of the first value with a bad enumeration or a missing member."""
    return next(_culprits(shape, value), None)


def _culprits(shape: Shape, value: Any) -> Iterator[Shape]:
    if shape.type == "structure":
        for name, ref in shape.members.items():
            if name in value:
                yield from _culprits(ref.shape, value[name])
        if any(name not in value for name in shape.required):
            yield shape
    elif shape.type == "list":
        for item in value:
            yield from _culprits(shape.member.shape, item)
    elif shape.enum and value not in shape.enum:
        yield shape
