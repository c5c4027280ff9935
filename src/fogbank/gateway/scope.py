"""Whether a signature was made for here and now: its scope, its date, its age.

Source: the errors of "Troubleshoot Signature Version 4 signing for AWS API requests" (IAM User
Guide) and of "Error responses" (Amazon S3 API Reference); texts as AWS sends them.
"""

from __future__ import annotations

from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from fogbank.gateway.claim import Claim
from fogbank.gateway.render import MALFORMED, No, Words, error_of
from fogbank.gateway.resolve import Target
from fogbank.wire.regions import US_EAST_1, is_region, reached, regions
from fogbank.wire.sigv4 import Authorization, Presigned

_TIMES_REMEMBERED_MAX: Final = 256


@lru_cache(maxsize=_TIMES_REMEMBERED_MAX)
def time_ms_of(timestamp: str) -> int:
    """Return the time of ``20260102T030405Z``, or -1 if there is no such time.

    Clients sign many requests a second: the same text comes again and again.
    """
    try:
        moment = datetime(
            int(timestamp[:4]),
            int(timestamp[4:6]),
            int(timestamp[6:8]),
            int(timestamp[9:11]),
            int(timestamp[11:13]),
            int(timestamp[13:15]),
            tzinfo=UTC,
        )
    except ValueError:
        return -1
    return timegm(moment.timetuple()) * 1000


def basic(time_ms: int) -> str:
    """Return a time as ``20260102T030405Z``."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def extended(time_ms: int) -> str:
    """Return a time as ``2026-01-02T03:04:05Z``."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_scope(timestamp: str, signed: Authorization, target: Target) -> None:
    """Refuse a signature for another day, region or service than the request names.

    Raises:
        ServiceError: In the words of the service.
    """
    words, host = target.door.words, target.host
    if signed.date != timestamp[:8]:
        raise _wrong_date(timestamp, signed, words)
    if host.service and host.service != target.door.codec.model.endpoint_prefix:
        if words.is_s3:
            raise _malformed(f'incorrect service "{signed.service}".')
        text = f"Credential should be scoped to correct service: '{host.service}'. "
        raise words.error(No.BAD_SIGNATURE, text)
    if signed.region not in regions() or host.region not in ("", signed.region):
        _check_region(signed, target)


def _check_region(signed: Authorization, target: Target) -> None:
    """Refuse a signature for another region than the host names, or for none that there is."""
    host_region, named = target.host.region, signed.region or ",".join(signed.region_set)
    region = signed.region or reached(signed.region_set, host_region or US_EAST_1)
    if host_region in ("", region) and is_region(region):
        return
    if target.door.words.is_s3:
        if not named:
            raise _malformed("a non-empty region must be provided in the credential.")
        expecting = host_region or US_EAST_1
        raise _malformed(
            f"the region '{named[:64]}' is wrong; expecting '{expecting}'", Region=expecting
        )
    text = f"Credential should be scoped to a valid region, not '{named[:64]}'. "
    raise target.door.words.error(No.BAD_SIGNATURE, text)


def _malformed(text: str, **members: str) -> Exception:
    return error_of("AuthorizationHeaderMalformed", 400, MALFORMED + text, **members)


def _wrong_date(timestamp: str, signed: Authorization, words: Words) -> Exception:
    if words.is_s3:
        return _malformed(
            f'Invalid credential date "{signed.date}". This date is not the same as X-Amz-Date: '
            f'"{timestamp[:8]}".'
        )
    return words.error(
        No.BAD_SIGNATURE,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
        f"HTTP: '{signed.date}' != '{timestamp[:8]}', from '{timestamp}'.",
    )


def check_time(claim: Claim, target: Target, now_ms: int, skew_ms: int) -> None:
    """Refuse a signature that is too old or from too far in the future.

    Raises:
        ServiceError: In the words of the service.
    """
    signed_ms = time_ms_of(claim.timestamp)
    age_ms = now_ms - signed_ms
    words = target.door.words
    if claim.presigned is not None and words.is_s3:
        _check_presigned_time(claim.presigned, age_ms, now_ms, skew_ms)
    elif not -skew_ms <= age_ms <= skew_ms:
        if not words.is_s3:
            raise words.error(No.BAD_SIGNATURE, _age_text(claim.timestamp, now_ms, skew_ms, age_ms))
        raise error_of(
            "RequestTimeTooSkewed",
            403,
            "The difference between the request time and the current time is too large.",
            RequestTime=claim.timestamp,
            ServerTime=extended(now_ms),
            MaxAllowedSkewMilliseconds=str(skew_ms),
        )


def _age_text(timestamp: str, now_ms: int, skew_ms: int, age_ms: int) -> str:
    now, minutes = basic(now_ms), skew_ms // 60_000
    if age_ms > 0:
        edge = basic(now_ms - skew_ms)
        return f"Signature expired: {timestamp} is now earlier than {edge} ({now} - {minutes} min.)"
    edge = basic(now_ms + skew_ms)
    return f"Signature not yet current: {timestamp} is still later than {edge} ({now} + {minutes} min.)"


def _check_presigned_time(presigned: Presigned, age_ms: int, now_ms: int, skew_ms: int) -> None:
    """Refuse a presigned request of S3 outside of its life."""
    if age_ms < -skew_ms:
        raise error_of("AccessDenied", 403, "Request is not valid yet")
    life_ms = presigned.expires_s * 1000
    if age_ms > life_ms:
        raise error_of(
            "AccessDenied",
            403,
            "Request has expired",
            **{
                "X-Amz-Expires": str(presigned.expires_s),
                "Expires": extended(now_ms - age_ms + life_ms),
                "ServerTime": extended(now_ms),
            },
        )
