"""Function URLs: their names, their configuration, and which web pages may call them.

A URL's id says which account it belongs to, so that whoever meets a request finds the domain without
looking anything up: 24 characters of entropy, and the account's number laid over by a digest of them.
That hides the number from the eye and keeps no secret; whether there is such a URL, its record says.

Source: API Reference, CreateFunctionUrlConfig and the data type Cors; Developer Guide, "Creating and
managing Lambda function URLs" and "Configuring CORS"; words recorded by LocalStack's validated
``TestLambdaUrl``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from fogbank.base.types import Request
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_ import arns
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from fogbank.services.lambda_.rules import names
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import CorsRecord, UrlRecord

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

LABEL: Final = "lambda-url"
"""AWS: ``https://ID.lambda-url.REGION.on.aws/``."""
NONE: Final = "NONE"
BUFFERED: Final = "BUFFERED"
RESPONSE_STREAM: Final = "RESPONSE_STREAM"
ENTROPY_BYTES: Final = 15
_ACCOUNT_BYTES: Final = 5
_ACCOUNT_DIGITS: Final = 12
_ID: Final = re.compile("[a-z2-7]{32}", re.ASCII)
_METHODS: Final = frozenset({"GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"})
_LOOPBACK: Final = re.compile(r"(https?)://(?:127\.0\.0\.1|\[::1\])(:\d+)?")
_ADDRESS: Final = re.compile(r"https?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d+)?")
_ANY: Final = "*"

Headers = list[tuple[str, str]]


# Names.


def id_of(account: str, entropy: bytes) -> str:
    """Return the id of a new URL of an account."""
    assert len(entropy) == ENTROPY_BYTES, "24 characters"
    hidden = int(account).to_bytes(_ACCOUNT_BYTES) if account else bytes(_ACCOUNT_BYTES)
    return base64.b32encode(entropy + _laid_over(hidden, entropy)).decode().lower()


def find_place(region: str, name: str) -> tuple[str, Domain] | None:
    """Return the account of a URL's id and the domain of its function, or None if it is no id."""
    if _ID.fullmatch(name) is None:
        return None
    raw = base64.b32decode(name.upper())
    number = int.from_bytes(_laid_over(raw[ENTROPY_BYTES:], raw[:ENTROPY_BYTES]))
    account = f"{number:0{_ACCOUNT_DIGITS}d}"
    if len(account) != _ACCOUNT_DIGITS:
        return None
    return account, names.domain_of(account, region)


def _laid_over(number: bytes, entropy: bytes) -> bytes:
    """Return a number with a digest laid over it, or without the one that was."""
    mask = hashlib.blake2b(entropy, digest_size=_ACCOUNT_BYTES).digest()
    return bytes(a ^ b for a, b in zip(number, mask, strict=True))


def address_of(url_id: str, region: str, base: str) -> str:
    """Return a URL, as whoever asks reaches this cloud.

    Args:
        url_id: Its id.
        region: Its region.
        base: What URLs of this cloud begin with: ``https://cloud.example:4566``.

    A name below an address is none: this machine itself is called ``localhost``, of which every name
    below means the same (RFC 6761, section 6.3), and at other addresses the path says whose URL it is.
    """
    base = _LOOPBACK.sub(r"\1://localhost\2", base)
    if _ADDRESS.fullmatch(base):
        return f"{base}/{LABEL}/{region}/{url_id}/"
    scheme, _, host = base.partition("://")
    return f"{scheme}://{url_id}.{LABEL}.{region}.{host}/"


# Configuration.


def check_named(named: FunctionName) -> None:
    """Refuse a URL for what can have none: a version.

    AWS: the pattern of ``Qualifier`` leaves aliases only.
    """
    if named.qualifier.isdigit() or named.qualifier.startswith("$"):
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{named.qualifier}' at 'qualifier' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: "
            r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"
        )


def configured(before: UrlRecord, request: Request, now_ms: int) -> UrlRecord:
    """Return a URL with what a request says of it.

    Raises:
        InvalidParameterValueException: A method is none that browsers may be told of.
    """
    cors = before.cors
    if "Cors" in request:
        cors = _cors_of(request["Cors"])
    return msgspec.structs.replace(
        before,
        auth=request.get("AuthType", before.auth),
        mode=request.get("InvokeMode", before.mode),
        cors=cors,
        modified_ms=now_ms,
    )


def _cors_of(given: Request) -> CorsRecord | None:
    """Return what a request says of web pages; None: nothing, so that the function says it."""
    if not given:
        return None
    methods: Sequence[str] = given.get("AllowMethods", ())
    for method in methods:
        if method not in _METHODS:
            raise InvalidParameterValueException(f"Invalid method in AllowMethods: {method}")
    return CorsRecord(
        credentials=given.get("AllowCredentials", False),
        headers=tuple(given.get("AllowHeaders", ())),
        methods=tuple(methods),
        origins=tuple(given.get("AllowOrigins", ())),
        exposed=tuple(given.get("ExposeHeaders", ())),
        max_age_s=given.get("MaxAge"),
    )


def view_of(named: FunctionName, url: UrlRecord, base: str) -> shapes.FunctionUrlConfig:
    """Return a URL as the wire has it."""
    arn = arns.function_arn(named.region, named.account, url.function, url.qualifier)
    view: shapes.FunctionUrlConfig = {
        "FunctionUrl": address_of(url.id, named.region, base),
        "FunctionArn": arn,
        "AuthType": url.auth,
        "CreationTime": _moment(url.created_ms),
        "LastModifiedTime": _moment(url.modified_ms),
        "InvokeMode": url.mode,
    }
    if url.cors is not None:
        view["Cors"] = _cors_view(url.cors)
    return view


def _cors_view(cors: CorsRecord) -> shapes.Cors:
    """Return the rules for web pages as the wire has them: what was not given is not there."""
    view: shapes.Cors = {}
    if cors.credentials:
        view["AllowCredentials"] = True
    for member, value in (
        ("AllowHeaders", cors.headers),
        ("AllowMethods", cors.methods),
        ("AllowOrigins", cors.origins),
        ("ExposeHeaders", cors.exposed),
    ):
        if value:
            view[member] = list(value)
    if cors.max_age_s is not None:
        view["MaxAge"] = cors.max_age_s
    return view


def _moment(time_ms: int) -> str:
    """Return a time as these operations write it: ``2026-01-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def no_function() -> ResourceNotFoundException:
    """Return the error that there is no such function to give a URL."""
    return ResourceNotFoundException("Function does not exist")


def not_found() -> ResourceNotFoundException:
    """Return the error that there is no such URL."""
    return ResourceNotFoundException("The resource you requested does not exist.")


def exists(named: FunctionName) -> ResourceConflictException:
    """Return the error that there is a URL already."""
    return ResourceConflictException(
        f"Failed to create function url config for [functionArn = {named.qualified_arn}]. Error "
        "message:  FunctionUrlConfig exists for this Lambda function"
    )


# Web pages of other origins.


def is_preflight(method: str, headers: Request) -> bool:
    """Return whether a request is a browser's question whether it may send another."""
    return (
        method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers
    )


def preflight_headers(cors: CorsRecord, headers: Request) -> Headers:
    """Return what a browser is told that asks; nothing but ``Vary`` if it may not.

    Source: Fetch standard, "CORS-preflight request"; API Reference, Cors.
    """
    vary = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
    granted = _origin_headers(cors, headers.get("origin", ""))
    asked: str = headers["access-control-request-method"]
    if not granted or not (_ANY in cors.methods or asked in cors.methods):
        return [vary]
    listed: str = headers.get("access-control-request-headers", "")
    wanted = [each.strip() for each in listed.lower().split(",") if each.strip()]
    allowed = {each.lower() for each in cors.headers}
    if _ANY not in allowed and not allowed.issuperset(wanted):
        return [vary]
    granted.append(
        ("Access-Control-Allow-Methods", asked if _ANY in cors.methods else ",".join(cors.methods))
    )
    if wanted:
        granted.append(("Access-Control-Allow-Headers", ",".join(wanted)))
    if cors.max_age_s is not None:
        granted.append(("Access-Control-Max-Age", str(cors.max_age_s)))
    return [*granted, vary]


def answer_headers(cors: CorsRecord, origin: str) -> Headers:
    """Return what lets a page read an answer; nothing but ``Vary`` if it may not."""
    granted = _origin_headers(cors, origin)
    if granted and cors.exposed:
        granted.append(("Access-Control-Expose-Headers", ",".join(cors.exposed)))
    return [*granted, ("Vary", "Origin")]


def _origin_headers(cors: CorsRecord, origin: str) -> Headers:
    """Return that an origin may read answers; nothing if it may not."""
    if not origin or not (_ANY in cors.origins or origin in cors.origins):
        return []
    everyone = _ANY in cors.origins and not cors.credentials
    granted = [("Access-Control-Allow-Origin", _ANY if everyone else origin)]
    if cors.credentials:
        granted.append(("Access-Control-Allow-Credentials", "true"))
    return granted
