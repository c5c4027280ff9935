"""What a codec is, and what all codecs share: decoders and encoders of operations as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fogbank.base.errors import ServiceError
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import ErrorModel, OperationModel, ServiceModel

Decode = Callable[[HttpRequest, Mapping[str, str]], dict[str, Any]]
"""From a request and the decoded labels of its path to a request by wire names."""

Encode = Callable[[Mapping[str, Any], str], HttpReply]
"""From a reply by wire names and a request id to an HTTP reply."""

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
        self, operation: OperationModel | None, error: ServiceError, request_id: str, resource: str
    ) -> HttpReply:
        """Return the HTTP reply that tells an error."""
        ...


def find_error(
    service: ServiceModel, operation: OperationModel | None, code: str
) -> ErrorModel | None:
    """Return the model of an error: the operation's, or else the service's, or None."""
    found = operation.errors.get(code) if operation else None
    return found or service.errors.get(code)


def status_of(
    service: ServiceModel, error: ServiceError, code: str, found: ErrorModel | None
) -> int:
    """Return the HTTP status of an error: its own, the model's, the patch's, or 400."""
    if error.status is not None:
        return error.status
    return found.status if found else service.settings.statuses.get(code, 400)


def query_error_of(service: ServiceModel, name: str, status: int) -> str:
    """Return an error's code and fault as a service's former query interface told them.

    Source: Smithy, "AWS query compatible": ``x-amzn-query-error: CODE;FAULT``.
    """
    found = service.errors.get(name)
    declared = found.shape.raw.get("error", {}).get("code", name) if found else name
    fault = "Receiver" if status >= _SERVER_FAULT else "Sender"
    return f"{service.settings.query_codes.get(name, declared)};{fault}"


def without_nones(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply without members that are None: absent and None are one on the wire."""
    if None in reply.values():
        return {name: value for name, value in reply.items() if value is not None}
    return reply
