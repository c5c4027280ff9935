"""What the gateway itself says no with, in the words of the service that was asked.

Rule: a client of DynamoDB hears DynamoDB's codes, a client of S3 S3's: SDKs decide by code whether
to try again. Words hang on the protocol, and on the service where AWS's differ from its protocol's.

Source: the "Common Errors" page of each service's API Reference; Amazon S3 API Reference, "Error
responses"; AWS SDKs and Tools Reference Guide, "Retry behavior".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from fogbank.base.errors import (
    Conflict,
    ServiceError,
    Throttled,
    TransactionTooLarge,
    Weather,
)
from fogbank.wire.errors import IncompleteSignature, UnreadableDate
from fogbank.wire.model import ServiceModel


class No(enum.Enum):
    """The reasons the gateway refuses for."""

    NO_SIGNATURE = enum.auto()
    UNKNOWN_KEY = enum.auto()
    BAD_TOKEN = enum.auto()
    EXPIRED_TOKEN = enum.auto()
    INCOMPLETE = enum.auto()
    """A signature that cannot be read; its message says why."""
    BAD_SIGNATURE = enum.auto()
    """Also a signature that is too old, too new or of another scope, where no other code fits."""
    THROTTLED = enum.auto()
    CONFLICT = enum.auto()
    TOO_LARGE = enum.auto()
    """What was asked does not fit into one transaction."""
    BODY_TOO_LARGE = enum.auto()
    """The request itself is longer than its operation takes."""
    UNAVAILABLE = enum.auto()
    INTERNAL = enum.auto()


class Said(NamedTuple):
    """A code, an HTTP status and a message."""

    code: str
    status: int
    message: str


_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
MALFORMED: Final = "The authorization header is malformed; "
"""How S3 begins to say what is wrong with one."""
_NO_DATE: Final = "AWS authentication requires a valid Date or x-amz-date header"
_INVALID: Final = "The security token included in the request is invalid."
_EXPIRED: Final = "The security token included in the request is expired"
_FAILURE: Final = (
    "The request processing has failed because of an unknown error, exception or failure."
)
_UNAVAILABLE: Final = "The request has failed due to a temporary failure of the server."
_TOO_LARGE: Final = "The request changes more than one transaction can hold."

Book = Mapping[No, Said]

_JSON: Final[Book] = {
    No.NO_SIGNATURE: Said(
        "MissingAuthenticationTokenException", 400, "Request is missing Authentication Token"
    ),
    No.UNKNOWN_KEY: Said("UnrecognizedClientException", 400, _INVALID),
    No.BAD_TOKEN: Said("UnrecognizedClientException", 400, _INVALID),
    No.EXPIRED_TOKEN: Said("ExpiredTokenException", 400, _EXPIRED),
    No.INCOMPLETE: Said("IncompleteSignatureException", 400, ""),
    No.BAD_SIGNATURE: Said("InvalidSignatureException", 400, _MISMATCH),
    No.THROTTLED: Said("ThrottlingException", 400, "Rate exceeded"),
    No.CONFLICT: Said("ThrottlingException", 400, "Rate exceeded"),
    No.TOO_LARGE: Said("ValidationException", 400, _TOO_LARGE),
    No.BODY_TOO_LARGE: Said("RequestEntityTooLargeException", 413, ""),
    No.UNAVAILABLE: Said("ServiceUnavailableException", 503, _UNAVAILABLE),
    No.INTERNAL: Said("InternalFailure", 500, _FAILURE),
}
_REST_JSON: Final[Book] = {
    **{what: said._replace(status=max(said.status, 403)) for what, said in _JSON.items()},
    No.THROTTLED: Said("ThrottlingException", 429, "Rate exceeded"),
    No.CONFLICT: Said("ThrottlingException", 429, "Rate exceeded"),
    No.TOO_LARGE: Said("ValidationException", 400, _TOO_LARGE),
}
_QUERY: Final[Book] = {
    No.NO_SIGNATURE: Said(
        "MissingAuthenticationToken", 403, "Request is missing Authentication Token"
    ),
    No.UNKNOWN_KEY: Said("InvalidClientTokenId", 403, _INVALID),
    No.BAD_TOKEN: Said("InvalidClientTokenId", 403, _INVALID),
    No.EXPIRED_TOKEN: Said("ExpiredToken", 403, _EXPIRED),
    No.INCOMPLETE: Said("IncompleteSignature", 400, ""),
    No.BAD_SIGNATURE: Said("SignatureDoesNotMatch", 403, _MISMATCH),
    No.THROTTLED: Said("Throttling", 400, "Rate exceeded"),
    No.CONFLICT: Said("Throttling", 400, "Rate exceeded"),
    No.TOO_LARGE: Said("ValidationError", 400, _TOO_LARGE),
    No.BODY_TOO_LARGE: Said("RequestEntityTooLarge", 413, ""),
    No.UNAVAILABLE: Said("ServiceUnavailable", 503, _UNAVAILABLE),
    No.INTERNAL: Said("InternalFailure", 500, _FAILURE),
}
_S3: Final[Book] = {
    No.NO_SIGNATURE: Said("AccessDenied", 403, "Access Denied"),
    No.UNKNOWN_KEY: Said(
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    No.BAD_TOKEN: Said(
        "InvalidToken", 400, "The provided token is malformed or otherwise invalid."
    ),
    No.EXPIRED_TOKEN: Said("ExpiredToken", 400, "The provided token has expired."),
    No.INCOMPLETE: Said("AuthorizationHeaderMalformed", 400, ""),
    No.BAD_SIGNATURE: Said(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check "
        "your key and signing method.",
    ),
    No.THROTTLED: Said("SlowDown", 503, "Please reduce your request rate."),
    No.CONFLICT: Said(
        "OperationAborted",
        409,
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again.",
    ),
    No.TOO_LARGE: Said("InvalidRequest", 400, _TOO_LARGE),
    No.BODY_TOO_LARGE: Said("MaxMessageLengthExceeded", 400, "Your request was too big."),
    No.UNAVAILABLE: Said("ServiceUnavailable", 503, "Please reduce your request rate."),
    No.INTERNAL: Said("InternalError", 500, "We encountered an internal error. Please try again."),
}
_PROTOCOLS: Final[Mapping[str, Book]] = {
    "json": _JSON,
    "smithy-rpc-v2-cbor": _JSON,
    "rest-json": _REST_JSON,
    "rest-xml": _QUERY,
    "query": _QUERY,
    "ec2": _QUERY,
}
_DYNAMODB: Final[Book] = {
    No.NO_SIGNATURE: Said(
        "MissingAuthenticationTokenException", 400, "Missing Authentication Token"
    ),
    No.UNAVAILABLE: Said("InternalServerError", 500, "Internal Server Error"),
    No.INTERNAL: Said("InternalServerError", 500, "Internal Server Error"),
}
_SERVICES: Final[Mapping[str, Book]] = {
    "dynamodb": _DYNAMODB,
    "dynamodbstreams": _DYNAMODB,
    "lambda": {
        No.NO_SIGNATURE: Said(
            "MissingAuthenticationTokenException", 403, "Missing Authentication Token"
        ),
        No.THROTTLED: Said("TooManyRequestsException", 429, "Rate Exceeded."),
        No.CONFLICT: Said("TooManyRequestsException", 429, "Rate Exceeded."),
        No.TOO_LARGE: Said("InvalidParameterValueException", 400, _TOO_LARGE),
        No.UNAVAILABLE: Said("ServiceException", 500, _UNAVAILABLE),
        No.INTERNAL: Said("ServiceException", 500, _FAILURE),
    },
    "s3control": {**_S3, No.INTERNAL: Said("InternalError", 500, _FAILURE)},
    "iam": {
        No.UNAVAILABLE: Said("ServiceFailure", 500, _UNAVAILABLE),
        No.INTERNAL: Said("ServiceFailure", 500, _FAILURE),
    },
}


@cache
def _class_of(code: str, status: int | None) -> type[ServiceError]:
    """Return an error class; there are as many as entries in the books above and in manifests."""
    return type(code, (ServiceError,), {"code": code, "status": status})


def error_of(code: str, status: int | None, message: str, **members: Any) -> ServiceError:
    """Return an error with a code that only the gateway knows."""
    return _class_of(code, status)(message, **members)


class Words:
    """The refusals of one service."""

    __slots__ = ("_book", "denied_status", "is_s3")

    def __init__(self, model: ServiceModel, protocol: str = "") -> None:
        self.is_s3 = model.settings.s3_style
        protocol = protocol or model.protocol
        book = _S3 if self.is_s3 else _PROTOCOLS[protocol]
        # AWS: the JSON protocols say no with 400, all others with 403.
        self.denied_status = 400 if book is _JSON else 403
        self._book: Book = {**book, **_SERVICES.get(model.name, {})}

    def error(self, what: No, message: str = "", **members: Any) -> ServiceError:
        """Return the error for a refusal, with the service's message unless given another."""
        said = self._book[what]
        return _class_of(said.code, said.status)(message or said.message, **members)

    def denied(self, error: ServiceError) -> ServiceError:
        """Return an access-denied error as the protocol says it."""
        said = error_of(error.code, self.denied_status, error.message, **error.members)
        said.headers.update(error.headers)
        return said

    def too_large(self, bytes_max: int, operation: str) -> ServiceError:
        """Return the error for a request that is longer than its operation takes.

        AWS: "Request must be smaller than 69905067 bytes for the CreateFunction operation".
        """
        if self.is_s3:
            return self.error(No.BODY_TOO_LARGE, MaxMessageLengthBytes=bytes_max)
        named = f" for the {operation} operation" if operation else ""
        return self.error(
            No.BODY_TOO_LARGE, f"Request must be smaller than {bytes_max} bytes{named}"
        )

    def unread(self, error: ServiceError) -> ServiceError:
        """Return the error for a signature that cannot be read, in the service's words."""
        if self.is_s3 and isinstance(error, UnreadableDate):
            return error_of("AccessDenied", 403, _NO_DATE)
        if isinstance(error, IncompleteSignature):
            s3 = self.is_s3 and error.s3
            return self.error(No.INCOMPLETE, MALFORMED + s3 if s3 else error.message)
        return error

    def weather_error(self, weather: Weather) -> ServiceError:
        """Return what the service says about a condition of the platform."""
        if isinstance(weather, Throttled):
            return self.error(No.THROTTLED)
        if isinstance(weather, Conflict):
            return self.error(No.CONFLICT)
        if isinstance(weather, TransactionTooLarge):
            return self.error(No.TOO_LARGE)
        return self.error(No.UNAVAILABLE)
