"""Signature Version 4, and 4A where it differs: what was signed, and with what; computation only.

Rule: nothing here knows a secret for longer than a call; the gateway caches signing keys (one per
access key, date, region and service) and calls ``check``. Signatures are compared in constant
time.

Source: AWS, "Signature Version 4 for API requests"; "Authenticating requests: using query
parameters"; "Signature calculations for chunked uploads" (S3 API reference).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from fogbank.wire.canonical import (
    canonical_form,
    canonical_headers,
    canonical_path,
    canonical_query,
    canonical_requests,
    recoded_path,
)
from fogbank.wire.errors import (
    AuthorizationQueryParametersError,
    IncompleteSignature,
    UnreadableDate,
)
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4a import ALGORITHM as ASYMMETRIC
from fogbank.wire.sigv4a import VerifyingKey

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_EVENTS = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_ASYMMETRIC = f"STREAMING-{ASYMMETRIC}-PAYLOAD"
STREAMING_ASYMMETRIC_TRAILER = f"{STREAMING_ASYMMETRIC}-TRAILER"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_HASH_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
"""What HMAC adds to each byte of a key."""
_HEADER_MAX = 16 << 10
_SIGNED_HEADERS_MAX = 256
_ALGORITHMS = (ALGORITHM, ASYMMETRIC)
_REGION_SET_MAX = 64
_CREDENTIAL_MAX = 2048
_EXPIRES_MAX = 604_800
"""A presigned request lives at most a week (S3 API reference)."""
_PARAMETERS = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
    "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)
_CREDENTIAL_FORM = (
    'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/{}SERVICE/aws4_request"'
)
_PARTS = ("Credential", "Signature", "SignedHeaders")
"""Of an Authorization header."""
_ONCE = {
    f"X-Amz-{name}"
    for name in (
        *("Algorithm", "Credential", "Date", "Expires", "Region-Set"),
        *("Security-Token", "Signature", "SignedHeaders"),
    )
}
"""Parameters that say how a request is signed."""
_SIGNATURES = {
    ALGORITHM: re.compile(r"[0-9a-f]{64}"),
    ASYMMETRIC: re.compile(r"(?:[0-9a-f]{2}){8,72}"),
}
"""An HMAC, and the DER of two numbers below 2^256 (at most 72 bytes)."""
_PARTED = re.compile(rf",\s*|\s+(?=(?:{'|'.join(_PARTS)})=)")
_DATE = re.compile(r"\d{8}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


class Authorization(msgspec.Struct, frozen=True):
    """The parts of an Authorization header."""

    access_key_id: str
    date: str
    region: str
    """Empty for version 4A."""
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    algorithm: str = ALGORITHM
    region_set: tuple[str, ...] = ()
    """The regions that a signature of version 4A is good for, as patterns such as ``us-*``."""

    @property
    def scope(self) -> str:
        """Return the credential scope; that of version 4A names no region."""
        if self.algorithm == ASYMMETRIC:
            return f"{self.date}/{self.service}/aws4_request"
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class Presigned(NamedTuple):
    """The parts of a presigned query string."""

    authorization: Authorization
    timestamp: str
    """When it was signed: ``20260102T030405Z``."""
    expires_s: int
    security_token: str | None


def _authorization(
    algorithm: str, credential: str, signed_headers: str, signature: str, *, loose: bool = False
) -> Authorization | None:
    """Return the parts if they are well-formed, or None.

    Args:
        algorithm: The version.
        credential: The key's id and the scope.
        signed_headers: Their names.
        signature: What it came to.
        loose: Whether date and signature may have any form, but for S3: what fits no request is
            told later.
    """
    if len(credential) > _CREDENTIAL_MAX:
        return None
    if algorithm == ASYMMETRIC:
        # A scope without a region, so that what follows reads both alike.
        key_id, *scope = credential.rsplit("/", 3)
        parts = [key_id, *scope[:1], "", *scope[1:]]
    else:
        parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not parts[0]:  # noqa: PLR2004 (the scope's parts)
        return None
    names = tuple(signed_headers.split(";"))
    if len(names) > _SIGNED_HEADERS_MAX or not all(names):
        return None
    formed = _SIGNATURES[algorithm].fullmatch(signature) and _DATE.fullmatch(parts[1])
    if not formed and (not loose or parts[3] == "s3"):
        return None
    return Authorization(parts[0], parts[1], parts[2], parts[3], names, signature, algorithm)


def region_set_of(text: str) -> tuple[str, ...]:
    """Return the patterns of ``X-Amz-Region-Set``: regions and wildcards, between commas.

    Raises:
        IncompleteSignature: It is empty or too long.
    """
    patterns = tuple(part.strip() for part in text.split(","))
    if len(patterns) > _REGION_SET_MAX or not all(patterns):
        raise IncompleteSignature("X-Amz-Region-Set must name at least one region.")
    return patterns


def parse_authorization(header: str) -> Authorization:
    """Return the parts of an Authorization header of Signature Version 4 or 4A.

    The region set of version 4A is a header of its own: see ``region_set_of``.

    Raises:
        IncompleteSignature: A part is missing or malformed.
    """
    algorithm, _, rest = header.partition(" ")
    if algorithm not in _ALGORITHMS or len(header) > _HEADER_MAX:
        raise IncompleteSignature("Authorization header requires AWS4-HMAC-SHA256.")
    fields = _parts_of(rest.split(","))
    if len(fields) < len(_PARTS):
        # AWS: a space parts them as well (ScyllaDB, test/alternator/test_authorization.py).
        fields = _parts_of(_PARTED.split(rest))
    # AWS: the message lists what is missing, each in a sentence of its own.
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in _PARTS
        if not fields.get(name)
    ]
    if missing:
        # AWS: S3 counts the parts first, and names one that is missing among three.
        s3 = "the authorization header requires three components: Credential, SignedHeaders, and "
        s3 += "Signature."
        if len(fields) >= len(_PARTS):
            s3 = f"missing {next(name for name in _PARTS if not fields.get(name))}."
        raise IncompleteSignature(f"{' '.join(missing)} Authorization={algorithm}", s3=s3)
    # AWS: a signature too old is told before one that is none (the same tests).
    found = _authorization(
        algorithm,
        fields["Credential"],
        fields["SignedHeaders"],
        fields["Signature"],
        loose=algorithm == ALGORITHM,
    )
    if found is None:
        form = "5 slash-delimited elements, e.g. keyid/date/region/service/term"
        if algorithm == ASYMMETRIC:
            form = "4 slash-delimited elements, e.g. keyid/date/service/term"
        raise IncompleteSignature(
            f"Credential must have exactly {form}, and Signature must be hexadecimal",
            s3=f"{_CREDENTIAL_FORM.format('' if algorithm == ASYMMETRIC else 'REGION/')}.",
        )
    return found


def _parts_of(parts: Iterable[str]) -> dict[str, str]:
    """Return what the parts of an Authorization header say."""
    fields: dict[str, str] = {}
    for part in parts:
        name, _, value = part.strip().partition("=")
        fields[name] = value
    return fields


def parse_presigned(query: str) -> Presigned | None:
    """Return the parts of a presigned query string, or None if it is not presigned.

    Raises:
        AuthorizationQueryParametersError: A part is missing or malformed.
    """
    if "X-Amz-Algorithm=" not in query and "X-Amz-Signature=" not in query:
        return None
    fields = _fields_of(query)
    algorithm = fields.get("X-Amz-Algorithm", "")
    if algorithm not in _ALGORITHMS:
        raise AuthorizationQueryParametersError(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"'
        )
    wanted = ["Credential", "Signature", "Date", "SignedHeaders"]
    if algorithm == ASYMMETRIC:
        wanted.append("Region-Set")
    if not all(fields.get(f"X-Amz-{name}") for name in wanted):
        raise AuthorizationQueryParametersError(_PARAMETERS)
    found = _authorization(
        algorithm,
        fields["X-Amz-Credential"],
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
    )
    if found is None:
        form = _CREDENTIAL_FORM.format("" if algorithm == ASYMMETRIC else "REGION/")
        raise AuthorizationQueryParametersError(
            f"Error parsing the X-Amz-Credential parameter; {form}."
        )
    if algorithm == ASYMMETRIC:
        found = msgspec.structs.replace(found, region_set=region_set_of(fields["X-Amz-Region-Set"]))
    if found.service == "s3" and "X-Amz-Expires" not in fields:
        raise AuthorizationQueryParametersError(_PARAMETERS)
    return Presigned(
        found, _signed_at(fields), _expires(fields), fields.get("X-Amz-Security-Token")
    )


def _fields_of(query: str) -> dict[str, str]:
    """Return AWS's own parameters of a query string."""
    fields: dict[str, str] = {}
    for part in query.split("&"):
        if part.startswith("X-Amz-"):
            name, _, value = part.partition("=")
            if name in fields and name in _ONCE:
                # Which of them was meant nobody knows, and another reader may take the other.
                raise AuthorizationQueryParametersError(_PARAMETERS)
            fields[name] = unquote_to_bytes(value).decode("utf-8", "replace")
    return fields


def _signed_at(fields: Mapping[str, str]) -> str:
    timestamp = fields["X-Amz-Date"]
    if not _TIMESTAMP.fullmatch(timestamp):
        raise AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    return timestamp


def _expires(fields: Mapping[str, str]) -> int:
    """Return the life of a presigned request in seconds."""
    text = fields.get("X-Amz-Expires")
    if text is None:
        # AWS: only S3 demands it; STS's and others' presigned requests live 15 minutes.
        return 900
    if not (text.isascii() and text.lstrip("-").isdigit()) or len(text) > 9:  # noqa: PLR2004 (digits of an int32)
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    expires = int(text)
    if expires < 0:
        raise AuthorizationQueryParametersError("X-Amz-Expires must be non-negative")
    if expires > _EXPIRES_MAX:
        raise AuthorizationQueryParametersError(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds"
        )
    return expires


def string_to_sign(timestamp: str, scope: str, canonical: bytes, algorithm: str = ALGORITHM) -> str:
    """Return what the signing key signs."""
    return f"{algorithm}\n{timestamp}\n{scope}\n{sha256(canonical).hexdigest()}"


class SigningKey(bytes):
    """A derived key of 32 bytes, with the two hashes of HMAC that have taken it in already.

    Source: RFC 2104, section 4: they are the same for every text, and worth keeping.
    """

    def __init__(self, key: bytes) -> None:
        """Take in the key; that of longer ones would be their hash, and there are none."""
        assert len(key) <= _HASH_BLOCK_BYTES, "a derived key has 32 bytes"
        block = key.ljust(_HASH_BLOCK_BYTES, b"\0")
        self.inner = sha256(block.translate(_INNER_PAD))
        self.outer = sha256(block.translate(_OUTER_PAD))


def signing_key(secret: str, date: str, region: str, service: str) -> SigningKey:
    """Return the key of a secret for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return SigningKey(key)


def signature(key: SigningKey, text: str) -> str:
    """Return the signature of a string to sign, in hexadecimal."""
    inner, outer = key.inner.copy(), key.outer.copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


def timestamp_of(headers: Mapping[str, str]) -> str:
    """Return when a request was signed, as the headers tell it: ``20260102T030405Z``.

    ``X-Amz-Date`` counts before ``Date``, which may also have HTTP's own form (RFC 9110, 5.6.7).

    Raises:
        UnreadableDate: There is no readable date.
    """
    found = headers.get("x-amz-date")
    if found is None:
        found = headers.get("date")
        if found is None:
            raise UnreadableDate(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                "header."
            )
        found = _basic_of(found)
    if not _TIMESTAMP.fullmatch(found):
        raise UnreadableDate(
            "Date must be in ISO-8601 'basic format'. Got "
            f"'{found[:64]}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    return found


def _basic_of(date: str) -> str:
    """Return a date of HTTP's form in the basic form, and any other text as it is."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):
        return date


def check(
    request: HttpRequest,
    authorization: Authorization,
    key: SigningKey | VerifyingKey,
    payload_hash: str,
    timestamp: str | None = None,
) -> bool:
    """Return whether a request signed in its headers was signed with this key.

    Args:
        request: The request.
        authorization: The parts of its Authorization header.
        key: The signing key of the scope that the header names; of version 4A, the access key's.
        payload_hash: The header ``x-amz-content-sha256``, or else the hash of the body.
        timestamp: When it was signed, for who has read that already.

    Raises:
        IncompleteSignature: It carries no readable date.
    """
    query = canonical_query(request.query) if request.query else ""
    if timestamp is None:
        timestamp = timestamp_of(request.headers)
    return _holds(request, authorization, key, (timestamp, query, payload_hash))


def _holds(
    request: HttpRequest,
    authorization: Authorization,
    key: SigningKey | VerifyingKey,
    said: tuple[str, str, str],
) -> bool:
    """Return whether a signature holds for the path as sent or as S3 encodes it anew."""
    timestamp, query, payload_hash = said
    service, given = authorization.service, authorization.signature
    headers, names = canonical_headers(request.headers, authorization.signed_headers)
    end = f"{names}\n{payload_hash}"
    about = f"{authorization.algorithm}\n{timestamp}\n{authorization.scope}\n"
    path: str | None = "/" if request.path == "/" else canonical_path(request.path, service)
    while path is not None:
        begin = f"{request.method}\n{path}\n{query}\n"
        for canonical in canonical_requests(begin, headers, end):
            if is_signed(key, f"{about}{sha256(canonical).hexdigest()}", given):
                return True
        path = recoded_path(path, service)
    return False


def explain(
    request: HttpRequest, authorization: Authorization, said: tuple[str, str, str]
) -> tuple[str, str]:
    """Return the canonical request and the string to sign that a signature should have been made of.

    Args:
        request: The request.
        authorization: The parts of its signature.
        said: Its timestamp, its canonical query string, and the hash of its payload as signed.
    """
    timestamp, query, payload_hash = said
    path = canonical_path(request.path, authorization.service)
    canonical = canonical_form(request, authorization.signed_headers, path, query, payload_hash)[0]
    text = string_to_sign(timestamp, authorization.scope, canonical, authorization.algorithm)
    return canonical.decode("utf-8", "replace"), text


def is_signed(key: SigningKey | VerifyingKey, text: str, given: str) -> bool:
    """Return whether a signature, in hexadecimal, is one of a text by the algorithm of the key."""
    if isinstance(key, SigningKey):
        return given.isascii() and hmac.compare_digest(signature(key, text), given)
    return key.verifies(text, given)


def check_presigned(
    request: HttpRequest,
    presigned: Presigned,
    key: SigningKey | VerifyingKey,
    payload_hash: str = UNSIGNED_PAYLOAD,
) -> bool:
    """Return whether a request signed in its query string was signed with this key."""
    query = canonical_query(request.query, without="X-Amz-Signature")
    said = (presigned.timestamp, query, payload_hash)
    return _holds(request, presigned.authorization, key, said)


def chunk_text(algorithm: str, previous: str, when: tuple[str, str], digest: str) -> str:
    """Return what is signed of a chunk of a signed stream.

    Args:
        algorithm: The request's.
        previous: The signature of the chunk before, or of the headers (the seed).
        when: The request's timestamp and its credential scope.
        digest: The SHA-256 of the chunk's bytes, in hexadecimal.
    """
    return f"{algorithm}-PAYLOAD\n{when[0]}\n{when[1]}\n{previous}\n{EMPTY_SHA256}\n{digest}"


def event_signature(key: SigningKey, previous: str, when: tuple[str, str], *parts: bytes) -> str:
    """Return the signature of an event of a signed stream.

    Args:
        key: The signing key of the event's day.
        previous: The signature of the event before, or of the request (the seed).
        when: The event's time, as ``20260102T030405Z``, and its credential scope.
        parts: The bytes of the envelope's headers but the signature; its payload.

    Source: Amazon Transcribe Developer Guide, "Event stream encoding" (signing of events).
    """
    digests = "\n".join(sha256(part).hexdigest() for part in parts)
    return signature(key, f"AWS4-HMAC-SHA256-PAYLOAD\n{when[0]}\n{when[1]}\n{previous}\n{digests}")


def trailer_text(algorithm: str, previous: str, when: tuple[str, str], trailer: bytes) -> str:
    """Return what is signed of the trailing headers of a signed stream.

    Args:
        algorithm: The request's.
        previous: The signature of the last, empty chunk.
        when: The request's timestamp and its credential scope.
        trailer: The trailing headers, each ``name:value`` and a line feed.
    """
    digest = sha256(trailer).hexdigest()
    return f"{algorithm}-TRAILER\n{when[0]}\n{when[1]}\n{previous}\n{digest}"


def sign(  # noqa: PLR0913 (a signer needs these)
    request: HttpRequest,
    *,
    access_key_id: str,
    secret: str,
    region: str,
    service: str,
    timestamp: str,
    payload_hash: str | None = None,
    token: str | None = None,
) -> None:
    """Sign a request in its headers, in place: for tests and for calls between clouds."""
    digest = payload_hash or sha256(request.body).hexdigest()
    headers = request.headers
    headers["x-amz-date"] = timestamp
    if token:
        headers["x-amz-security-token"] = token
    if service == "s3":
        headers["x-amz-content-sha256"] = digest
    names = tuple(
        sorted(
            name
            for name in headers
            if name in {"host", "content-type", "content-md5"} or name.startswith("x-amz-")
        )
    )
    found = Authorization(access_key_id, timestamp[:8], region, service, names, "")
    key = signing_key(secret, timestamp[:8], region, service)
    path = canonical_path(request.path, service)
    canonical = canonical_form(request, names, path, canonical_query(request.query), digest)[0]
    made = signature(key, string_to_sign(timestamp, found.scope, canonical))
    headers["authorization"] = (
        f"{ALGORITHM} Credential={access_key_id}/{found.scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={made}"
    )
