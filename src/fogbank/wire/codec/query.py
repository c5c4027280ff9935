"""The query protocol: forms in, XML out; spoken by IAM, STS, SNS and older services.

Rule: a form is first a tree of its dotted names, and the tree is walked by the shapes; it is
bounded in fields, in depth and in the numbers of list entries, whose order is that of the numbers
and whose gaps mean nothing.

Source: Smithy, "AWS query protocol".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.plan import Decode, Encode, Headers, told_of
from fogbank.wire.codec.rest import scalar_of
from fogbank.wire.codec.xml import XmlDocuments, error_content, escape
from fogbank.wire.compression import inflate
from fogbank.wire.errors import MalformedInput
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, ServiceModel, Shape
from fogbank.wire.query_string import fields_of
from fogbank.wire.validate import Validator

DEPTH_MAX = 32
_NUMBER_DIGITS_MAX = 6
_SERVER_FAULT = 500

Tree = dict[str, Any]
"""Names to texts or to trees."""


def tree_of(fields: list[tuple[str, str]]) -> Tree:
    """Return the tree of a form's dotted names; a name's subtree wins over its text.

    Raises:
        MalformedInput: A name has too many parts.
    """
    root: Tree = {}
    for name, text in fields:
        parts = name.split(".")
        if len(parts) > DEPTH_MAX:
            raise MalformedInput("Too many levels in a parameter's name")
        node = root
        for part in parts[:-1]:
            beneath = node.get(part)
            if type(beneath) is not dict:
                beneath = node[part] = {}
            node = cast("Tree", beneath)
        if type(node.get(parts[-1])) is not dict:
            node[parts[-1]] = text
    return root


def form_of(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the fields of a query request: of its body, or of its query string for GET.

    Raises:
        MalformedInput: They are not UTF-8, or too many.
    """
    if "content-encoding" in request.headers:
        inflate(request)
    try:
        found = fields_of(request.query)
        if request.body:
            found += fields_of(request.body.decode("ascii").strip())
    except ValueError:
        raise MalformedInput("The form cannot be read") from None
    return found


def subtree(node: Any) -> Tree:
    """Return a tree; a text has nothing beneath."""
    return cast("Tree", node) if type(node) is dict else {}


def numbered(tree: Tree) -> list[Any]:
    """Return the entries of a list in the order of their numbers."""
    entries: list[tuple[int, Any]] = []
    for number, value in tree.items():
        if not (number.isascii() and number.isdigit()) or len(number) > _NUMBER_DIGITS_MAX:
            raise MalformedInput(f"'{number[:64]}' is not the number of a list's member")
        entries.append((int(number), value))
    entries.sort(key=lambda entry: entry[0])
    return [value for _, value in entries]


class Forms:
    """Forms of one service's shapes."""

    def structure(self, shape: Shape, tree: Tree) -> dict[str, Any]:
        """Return a structure's members from its tree.

        Raises:
            MalformedInput: A text is not of its member's type.
        """
        out: dict[str, Any] = {}
        for name, ref in shape.members.items():
            node = self._node_of(ref, tree)
            if node is not None:
                out[name] = self._value(ref, node)
        return out

    def _node_of(self, ref: Ref, tree: Tree) -> Any:
        """Return what a tree has for a member, or None."""
        node = tree.get(ref.wire_name)
        if node is None and ref.flattened and ref.shape.type == "list":
            # Smithy names a flattened list by its member, botocore's serializer by its element.
            node = tree.get(ref.shape.member.raw.get("locationName", ""))
        return node

    def _value(self, ref: Ref, node: Any) -> Any:
        kind = ref.shape.type
        if kind == "list":
            return self._list(ref, node)
        if kind == "map":
            return self._map(ref, node)
        if kind == "structure":
            return self.structure(ref.shape, subtree(node))
        if type(node) is dict:
            raise MalformedInput(f"Unexpected complex element for {ref.wire_name}")
        try:
            return scalar_of(ref.shape, node)
        except ValueError:
            # AWS: Coral's front for forms answers MalformedInput (STS with DurationSeconds=abc).
            raise MalformedInput(f"Invalid value for {ref.wire_name}") from None

    def _list(self, ref: Ref, node: Any) -> list[Any]:
        inner = ref.shape.member
        if type(node) is not dict:
            return []  # AWS: an empty list is sent as an empty text
        tree = cast("Tree", node)
        if not ref.flattened:
            tree = tree.get(inner.raw.get("locationName", "member"), tree)
        return [self._value(inner, each) for each in numbered(subtree(tree))]

    def _map(self, ref: Ref, node: Any) -> dict[str, Any]:
        if type(node) is not dict:
            return {}
        tree = cast("Tree", node)
        if not ref.flattened:
            tree = tree.get("entry", tree)
        key_ref, value_ref = ref.shape.key, ref.shape.value
        out: dict[str, Any] = {}
        for entry in numbered(subtree(tree)):
            pair = subtree(entry)
            key = pair.get(key_ref.trait("locationName") or "key")
            value = pair.get(value_ref.trait("locationName") or "value")
            if type(key) is not str or value is None:
                raise MalformedInput(f"Invalid entry for {ref.wire_name}")
            out[key] = self._value(value_ref, value)
        return out


class QueryCodec:
    """The codec of a service that speaks the query protocol."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings = service.settings
        self._documents = XmlDocuments(service)
        self._forms = Forms()
        self._validator = Validator(service.settings, "ValidationError")
        uri = service.xml_namespace or service.settings.xml_namespace
        self._namespace = f' xmlns="{uri}"' if uri else ""

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the decoder of an operation's requests."""
        shape = operation.input
        check = self._validator.check_of(shape) if shape else None

        def decode(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            del path_params
            tree = tree_of(form_of(request))
            value = self._forms.structure(shape, tree) if shape else {}
            if check is not None and not check(value):
                refused = self._validator.refusal(operation, value)
                if refused is not None:
                    raise refused
            return value

        return decode

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        ref = operation.output_ref
        shape = operation.output
        inside = self._documents.encoder(shape) if shape else None
        wrapper = ref.raw.get("resultWrapper", f"{operation.name}Result") if ref else ""
        begin = f"<{operation.name}Response{self._namespace}>"
        middle = f"<{wrapper}>" if wrapper else ""
        middle_end = f"</{wrapper}>" if wrapper else ""
        end = f"</RequestId></ResponseMetadata></{operation.name}Response>"
        names = frozenset(shape.members if shape else ())

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            content = inside(reply) if inside else ""
            body = (
                f"{begin}{middle}{content}{middle_end}"
                f"<ResponseMetadata><RequestId>{escape(request_id)}{end}"
            )
            return xml_reply(200, body, request_id)

        return encode

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error, with its fault as Sender or Receiver."""
        told = told_of(self._service, operation, error, "InvalidAction")
        content = error_content(told, error, self._documents, told.declared)
        body = (
            f"<ErrorResponse{self._namespace}><Error><Type>{told.fault}</Type>{content}</Error>"
            f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
        )
        return xml_reply(told.status, body, request_id)


def xml_reply(status: int, body: str, request_id: str) -> HttpReply:
    """Return a reply of one of the protocols that answer forms in XML."""
    headers: Headers = [("content-type", "text/xml"), ("x-amzn-RequestId", request_id)]
    return HttpReply(status, headers, body.encode())
