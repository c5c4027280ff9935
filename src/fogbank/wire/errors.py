"""The client errors that the wire itself raises, before any service saw the request.

Rule: whatever is wrong with the bytes ends in one of these, never in an exception of another
kind. Codes that differ between services are made by ``error_class`` from the service's patch.
"""

from __future__ import annotations

from functools import cache

from fogbank.base.errors import ServiceError


class WireError(ServiceError):
    """A request that cannot be read, routed or verified."""


class SerializationException(WireError):
    """A JSON body that is malformed or has a value of another type than the model's."""

    status = 400


class UnreadEncoding(WireError):
    """A body in a coding that is not known, or that is not of its coding; the code is a patch's."""

    status = 500


class RequestEntityTooLarge(WireError):
    """A body that passes a bound."""

    code = "RequestEntityTooLargeException"
    status = 413


class EventStreamError(WireError):
    """An error that the client told inside of the stream that it sends."""

    status = 400


class UnsupportedMediaType(WireError):
    """A body of another kind than the protocol's."""

    code = "UnsupportedMediaTypeException"
    status = 415


class ConstraintError(WireError):
    """A value that breaks a constraint of the model; the code is the service's."""

    status = 400


class MalformedInput(WireError):
    """A form-encoded request with a value that is not of the member's type."""

    status = 400


class MalformedXML(WireError):
    """An XML body that is not well-formed or does not fit the model."""

    status = 400


class InvalidArgument(WireError):
    """A header or query parameter of S3 that is not of the member's type."""

    status = 400


class InvalidRequest(WireError):
    """A request that lacks a part without which it means nothing."""

    status = 400


class InvalidDigest(WireError):
    """A Content-MD5 of S3 that is not the Base64 of an MD5 digest."""

    status = 400


class BadDigest(WireError):
    """A document of S3 that is not the one that its checksum was computed of."""

    status = 400


class InvalidURI(WireError):
    """A path that does not decode."""

    status = 400


class MissingContentLength(WireError):
    """An upload to S3 that does not say how long it is."""

    status = 411


class MissingRequestBodyError(WireError):
    """An operation of S3 that needs a document got none."""

    status = 400


class MethodNotAllowed(WireError):
    """A subresource of S3 that exists, under another method."""

    status = 405


class UnsupportedSubresource(WireError):
    """A subresource of S3 that its model does not know: never answered as the plain operation."""

    code = "NotImplemented"
    status = 501


class UnknownOperation(WireError):
    """A request that names no operation we know a model of.

    ``service`` is the service whose codec should render it, or empty when not even that is known.
    The codec renders it with the code of its protocol.
    """

    code = "UnknownOperationException"

    def __init__(self, message: str = "", *, service: str = "") -> None:
        super().__init__(message)
        self.service = service


class IncompleteSignature(WireError):
    """An Authorization header or presigned query with parts missing or malformed.

    Args:
        message: What most services say.
        s3: What S3 says, behind its own beginning; nothing: the same.
    """

    status = 400

    def __init__(self, message: str = "", *, s3: str = "") -> None:
        super().__init__(message)
        self.s3 = s3


class UnreadableDate(IncompleteSignature):
    """A signed request that does not say when it was signed."""

    code = "IncompleteSignature"


class AuthorizationQueryParametersError(WireError):
    """A presigned query whose parameters are malformed."""

    status = 400


class SignatureDoesNotMatch(WireError):
    """A signature that is not the one that the secret gives."""

    status = 403


class IncompleteBody(WireError):
    """A body that ends before its promised length or its last chunk."""

    status = 400


class InvalidChunkSizeError(WireError):
    """A chunk header of aws-chunked that cannot be read, or a chunk below the least size."""

    status = 400


class MalformedTrailerError(WireError):
    """A trailer of aws-chunked that cannot be read or was not announced."""

    status = 400


@cache
def error_class(code: str, base: type[WireError] = ConstraintError) -> type[WireError]:
    """Return an error class with this wire code, for codes that only a patch knows."""
    return type(code, (base,), {"code": code})
