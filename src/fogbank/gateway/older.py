"""Signature Version 2 of S3, where an operator has turned it on (``signature_v2``).

Rule: it proves who asks and when, and nothing of the body; headers that are not signed go with it
unproved. So it is off by default, as it is on AWS for every bucket since June 2020.

Source: Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)";
messages as AWS sends them.
"""

from __future__ import annotations

import hmac
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from fogbank.gateway.claim import Claim
from fogbank.gateway.render import error_of
from fogbank.gateway.scope import extended
from fogbank.wire import sigv2
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import Authorization

_PREFIX: Final = "AWS "
_EVERYWHERE: Final = ("*",)
_EXPIRES: Final = "expires"
_EXPIRES_DIGITS_MAX: Final = 15
_NO_DATE: Final = "AWS authentication requires a valid Date or x-amz-date header"


def find_claim(request: HttpRequest) -> Claim | None:
    """Return what a request that is signed by version 2 says of its signer; None if it is not.

    Raises:
        ServiceError: It is, in a way that cannot be read.
    """
    header = request.headers.get("authorization", "")
    token = request.headers.get("x-amz-security-token", "")
    if header.startswith(_PREFIX):
        key_id, colon, signature = header.removeprefix(_PREFIX).partition(":")
        if not (key_id and colon and signature):
            raise error_of(
                "InvalidArgument",
                400,
                "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
                ArgumentName="Authorization",
                ArgumentValue=header[:256],
            )
        date = request.headers.get("x-amz-date", request.headers.get("date", ""))
        return Claim(_signed(key_id, signature.strip()), None, date, token)
    if not header and "AWSAccessKeyId=" in request.query and "Signature=" in request.query:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        signed = _signed(query.get("AWSAccessKeyId", ""), query.get("Signature", ""))
        signed = msgspec.structs.replace(signed, signed_headers=(_EXPIRES,))
        return Claim(
            signed, None, query.get("Expires", ""), query.get("x-amz-security-token", token)
        )
    return None


def _signed(key_id: str, signature: str) -> Authorization:
    """Return the parts of a signature of version 2, which is good for S3 in every region."""
    return Authorization(
        key_id, "", "", "s3", (), signature, sigv2.ALGORITHM, region_set=_EVERYWHERE
    )


def is_query(claim: Claim) -> bool:
    """Return whether the claim was in the query: its time is the end of its life."""
    return claim.signed.signed_headers == (_EXPIRES,)


def check_time(claim: Claim, now_ms: int, skew_ms: int) -> None:
    """Refuse a signature that is too old or too new, or does not say when it was made.

    Raises:
        ServiceError: As S3.
    """
    if is_query(claim):
        _check_expiry(claim.timestamp, now_ms)
        return
    try:
        signed_ms = int(parsedate_to_datetime(claim.timestamp).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError):
        raise error_of("AccessDenied", 403, _NO_DATE) from None
    if signed_ms < 0:
        raise error_of("AccessDenied", 403, _NO_DATE)
    if not -skew_ms <= now_ms - signed_ms <= skew_ms:
        raise error_of(
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
            RequestTime=claim.timestamp,
            ServerTime=extended(now_ms),
            MaxAllowedSkewMilliseconds=str(skew_ms),
        )


def _check_expiry(text: str, now_ms: int) -> None:
    """Refuse a query whose life is over, or that does not say how long it lives."""
    if not (text.isascii() and text.isdigit() and len(text) <= _EXPIRES_DIGITS_MAX):
        raise error_of(
            "AccessDenied", 403, f"Invalid date (should be seconds since epoch): {text[:64]}"
        )
    if int(text) * 1000 < now_ms:
        raise error_of(
            "AccessDenied",
            403,
            "Request has expired",
            Expires=extended(min(int(text), 253_402_300_799) * 1000),
            ServerTime=extended(now_ms),
        )


def holds(request: HttpRequest, claim: Claim, bucket: str, secret: str) -> tuple[bool, str]:
    """Return whether a signature is that of its request, and the text that was to be signed.

    Args:
        request: The request.
        claim: What it says of its signer.
        bucket: The bucket that its host names, if it names one.
        secret: The signer's.
    """
    date = claim.timestamp if is_query(claim) else sigv2.date_of(request)
    texts = sigv2.strings_to_sign(request, bucket, date)
    given = claim.signed.signature.encode()
    fits = [hmac.compare_digest(sigv2.signature_of(secret, text).encode(), given) for text in texts]
    return any(fits), texts[0]
