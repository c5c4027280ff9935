"""What a request says of its signer, before anybody believes it.

Source: IAM User Guide, "Elements of an AWS API request signature"; Amazon S3 API Reference,
"Authenticating Requests: Using Query Parameters".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.gateway.render import error_of
from fogbank.wire import sigv4
from fogbank.wire.errors import AuthorizationQueryParametersError, IncompleteSignature
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import Authorization, Presigned

SIGNATURE_CHARACTERS: Final = 64
HEADERS_REMEMBERED_MAX: Final = 4_096
"""Beginnings of Authorization headers that are remembered; a client has one a day and service."""
_REGION_SET: Final = "x-amz-region-set"


class Claim(msgspec.Struct, frozen=True):
    """What a request says of its signer, before it is believed."""

    signed: Authorization
    presigned: Presigned | None
    timestamp: str
    token: str
    begun: Authorization | None = None
    """The same but the signature: one object for all claims of a client that begin alike."""


def claim_of(request: HttpRequest) -> Claim | None:
    """Return what a request says of its signer, or None if it is not signed.

    Raises:
        ServiceError: It is signed in a way that cannot be read, or in two ways.
    """
    headers = request.headers
    # A header without a value proves nobody, as one that is not there.
    header = headers.get("authorization") or None
    query = request.query
    presigned = sigv4.parse_presigned(query) if "X-Amz-" in query else None
    if header is None:
        if presigned is not None:
            _check_expiry(presigned, query)
            token = presigned.security_token or headers.get("x-amz-security-token", "")
            return Claim(presigned.authorization, presigned, presigned.timestamp, token)
        if "AWSAccessKeyId=" in query and "Signature=" in query:
            raise unsupported()
        return None
    if presigned is not None:
        raise error_of(
            "InvalidArgument",
            400,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    begun: Authorization | None = None
    if header.startswith(sigv4.ALGORITHM):
        signed, begun = _signed(header)
    elif header.startswith(sigv4.ASYMMETRIC):
        signed = _asymmetric(header, headers)
    else:
        raise unsupported()
    timestamp = sigv4.timestamp_of(headers)
    return Claim(signed, None, timestamp, headers.get("x-amz-security-token", ""), begun)


def _signed(header: str) -> tuple[Authorization, Authorization | None]:
    """Return the parts of a header, and those that are the same all day for a client, if known."""
    begin, _, signature = header.rpartition("Signature=")
    if not (len(signature) == SIGNATURE_CHARACTERS and signature.isascii() and signature.isalnum()):
        return sigv4.parse_authorization(header), None
    of = _parts_of(begin)
    signed = Authorization(
        of.access_key_id, of.date, of.region, of.service, of.signed_headers, signature
    )
    return signed, of


def _asymmetric(header: str, headers: Mapping[str, str]) -> Authorization:
    """Return the parts of a header of version 4A, with the regions that it is good for.

    Raises:
        IncompleteSignature: A part is missing or malformed, or the regions were not signed.
    """
    signed = sigv4.parse_authorization(header)
    regions = headers.get(_REGION_SET)
    if regions is None or _REGION_SET not in signed.signed_headers:
        raise IncompleteSignature(
            "Authorization header requires existence of a signed 'X-Amz-Region-Set' header."
        )
    return msgspec.structs.replace(signed, region_set=sigv4.region_set_of(regions))


@lru_cache(maxsize=HEADERS_REMEMBERED_MAX)
def _parts_of(begin: str) -> Authorization:
    """Return the parts of a header that goes on with a signature, which is left open."""
    return sigv4.parse_authorization(f"{begin}Signature={'0' * SIGNATURE_CHARACTERS}")


def _check_expiry(presigned: Presigned, query: str) -> None:
    """Refuse a presigned request of S3 that does not say how long it lives."""
    if presigned.authorization.service == "s3" and "X-Amz-Expires=" not in query:
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters."
        )


def unsupported() -> ServiceError:
    """Return the error for a signature that is not taken."""
    return error_of(
        "InvalidRequest",
        400,
        "The authorization mechanism you have provided is not supported. Please use "
        "AWS4-HMAC-SHA256.",
    )
