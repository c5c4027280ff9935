"""The ec2 protocol: forms in, XML out, as the query protocol with names of its own.

Rule: in forms a member is called by its ``queryName``, or else by its ``locationName`` with a
capital, or else by its own name; lists are never wrapped. Answers have no result wrapper and carry
their id as ``requestId``; errors come in a list of one.

Source: Smithy, "AWS EC2 query protocol"; Amazon EC2 Developer Guide, "Error codes for the Amazon
EC2 API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fogbank.base.errors import ServiceError
from fogbank.wire.codec.plan import Decode, Encode, told_of
from fogbank.wire.codec.query import Forms, Tree, form_of, numbered, subtree, tree_of, xml_reply
from fogbank.wire.codec.xml import XmlDocuments, error_content, escape
from fogbank.wire.errors import WireError, error_class
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import OperationModel, Ref, ServiceModel
from fogbank.wire.settings import Settings
from fogbank.wire.validate import Validator


def form_name(ref: Ref) -> str:
    """Return a member's name in a form."""
    known = ref.raw.get("queryName")
    if known is not None:
        return cast("str", known)
    name = ref.raw.get("locationName")
    return name[:1].upper() + name[1:] if name else ref.name


class Ec2Forms(Forms):
    """Forms of EC2's shapes."""

    def _node_of(self, ref: Ref, tree: Tree) -> Any:
        name = form_name(ref)
        node = tree.get(name)
        # Smithy writes a member without any name of its own with a capital, botocore as it is.
        return tree.get(name[:1].upper() + name[1:]) if node is None else node

    def _list(self, ref: Ref, node: Any) -> list[Any]:
        inner = ref.shape.member
        return [self._value(inner, each) for each in numbered(subtree(node))]


class Ec2Codec:
    """The codec of a service that speaks the ec2 protocol."""

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._settings: Settings = service.settings
        self._documents = XmlDocuments(service)
        self._forms = Ec2Forms()
        self._validator = Validator(service.settings, "InvalidParameterValue")
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
                refused = self._refusal(operation, value)
                if refused is not None:
                    raise refused
            return value

        return decode

    def _refusal(self, operation: OperationModel, value: dict[str, Any]) -> WireError | None:
        """Return the error for a request that breaks a constraint."""
        if "required" in self._settings.constraints and operation.input:
            for name in operation.required:
                if name not in value:
                    # AWS: EC2's own code and words ("Error codes for the Amazon EC2 API").
                    asked = form_name(operation.input.members[name])
                    text = f"The request must contain the parameter {asked}"
                    return error_class("MissingParameter")(text)
        return self._validator.refusal(operation, value)

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        shape = operation.output
        inside = self._documents.encoder(shape) if shape else None
        begin = f"<{operation.name}Response{self._namespace}><requestId>"
        end = f"</{operation.name}Response>"
        names = frozenset(shape.members if shape else ())

        def encode(reply: Mapping[str, Any], request_id: str) -> HttpReply:
            assert reply.keys() <= names, f"{operation}: not in the model: {reply.keys() - names}"
            content = inside(reply) if inside else ""
            body = f"{begin}{escape(request_id)}</requestId>{content}{end}"
            return xml_reply(200, body, request_id)

        return encode

    def encode_error(
        self,
        operation: OperationModel | None,
        error: ServiceError,
        request_id: str,
    ) -> HttpReply:
        """Return the HTTP reply that tells an error: a list of one, and the request's id."""
        told = told_of(self._service, operation, error, "InvalidAction")
        content = error_content(told, error, self._documents, told.declared)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error>{content}</Error></Errors>"
            f"<RequestID>{escape(request_id)}</RequestID></Response>"
        )
        return xml_reply(told.status, body, request_id)
