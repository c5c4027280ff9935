"""What a codec is, and what all codecs share: decoders and encoders of operations as functions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from fogbank.base.errors import ServiceError
from fogbank.wire.errors import UnknownOperation
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import ErrorModel, OperationModel, ServiceModel

Decode = Callable[[HttpRequest, Mapping[str, str]], dict[str, Any]]
"""From a request and the decoded labels of its path to a request by wire names."""

Encode = Callable[[Mapping[str, Any], str], HttpReply]
"""From a reply by wire names and a request id to an HTTP reply."""

EncodeSteps = Callable[[Mapping[str, Any], str], Generator[None, None, HttpReply]]
"""The same in steps: it yields between any two of them, and returns the reply."""

_SERVER_FAULT = 500

Headers = list[tuple[str, str]]


class Codec(Protocol):
    """The bytes of one service."""

    def decoder(self, operation: OperationModel) -> Decode:
        """Return the compiled decoder of an operation's requests."""
        ...

    def encoder(self, operation: OperationModel) -> Encode:
        """Return the compiled encoder of an operation's replies."""
        ...

    def encode_error(
        self, operation: OperationModel | None, error: ServiceError, request_id: str
    ) -> HttpReply:
        """Return the HTTP reply that tells an error."""
        ...


@runtime_checkable
class SteppedCodec(Protocol):
    """A codec that can write long replies in steps."""

    def stepped_encoder(self, operation: OperationModel) -> EncodeSteps:
        """Return the encoder of an operation's replies, which writes a long one in steps."""
        ...


class Told(NamedTuple):
    """An error as its protocol tells it."""

    code: str
    """The code on the wire, before any the model says otherwise."""
    found: ErrorModel | None
    """Its model: the operation's, or else the service's."""
    status: int
    """The error's own, the model's, the patch's, or 400."""

    @property
    def name(self) -> str:
        """Return the name of its shape, which JSON and CBOR tell."""
        return self.found.shape.name if self.found else self.code

    @property
    def declared(self) -> str:
        """Return the code that its shape declares, which forms are answered with."""
        shape = self.found.shape if self.found else None
        return shape.raw.get("error", {}).get("code", self.code) if shape else self.code

    @property
    def fault(self) -> str:
        """Return whose fault it is, in the words of XML."""
        return "Receiver" if self.status >= _SERVER_FAULT else "Sender"


def told_of(
    service: ServiceModel, operation: OperationModel | None, error: ServiceError, unknown: str = ""
) -> Told:
    """Return how an error is told.

    Args:
        service: The service that is asked.
        operation: The operation, if it is known.
        error: What went wrong.
        unknown: The protocol's code of an unknown operation, where it has one of its own.
    """
    code = error.code
    if isinstance(error, UnknownOperation):
        code = service.settings.unknown_operation or unknown or code
    found = operation.errors.get(code) if operation else None
    found = found or service.errors.get(code)
    status = error.status
    if status is None:
        status = found.status if found else service.settings.statuses.get(code, 400)
    return Told(code, found, status)


def query_compatible(service: ServiceModel, told: Told) -> Headers:
    """Return the header that tells an error as a service's former query interface told it.

    Source: Smithy, "AWS query compatible": ``x-amzn-query-error: CODE;FAULT``.
    """
    if not service.query_compatible:
        return []
    declared = told._replace(found=service.errors.get(told.name)).declared
    code = service.settings.query_codes.get(told.name, declared)
    return [("x-amzn-query-error", f"{code};{told.fault}")]


def without_nones(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply without members that are None: absent and None are one on the wire."""
    if None in reply.values():
        return {name: value for name, value in reply.items() if value is not None}
    return reply
