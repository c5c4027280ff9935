"""HTTP requests as a function sees them, and answers of functions as HTTP: payload format 2.0.

Source: Developer Guide, "Invoking Lambda function URLs" (request and response payloads, cookies, and
what is inferred where an answer says no status), "Response streaming" and the Runtime API's
``application/vnd.awslambda.http-integration-response``; events recorded by LocalStack's validated
``TestLambdaUrl``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote_plus

import orjson

from fogbank.base.types import Wire
from fogbank.platform.identity.principal import Principal

INTEGRATION: Final = "application/vnd.awslambda.http-integration-response"
"""The type of a streamed answer that begins with its status and headers."""
PRELUDE_END: Final = bytes(8)
PRELUDE_BYTES_MAX: Final = 64 << 10
STREAMED_TYPE: Final = "application/octet-stream"
_INFERRED_TYPE: Final = "application/json"
_TEXT: Final = ("text/", "json", "xml", "javascript")
_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect", "proxy-connection")
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_UNFIT: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS_MIN: Final = 100
_STATUS_MAX: Final = 599


class Unfit(Exception):
    """What a function has answered is no HTTP response."""


class Visitor(NamedTuple):
    """Who asks, and where."""

    request_id: str
    url_id: str
    host: str
    source_ip: str
    secure: bool
    now_ms: int
    trace_id: str
    signer: Principal | None = None
    access_key: str = ""


class Head(NamedTuple):
    """Status and headers of a response."""

    status: int
    headers: list[tuple[str, str]]


# Requests.


def event_of(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    visitor: Visitor,
) -> Wire:
    """Return the event that a request becomes."""
    event: Wire = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": _headers_of(headers, visitor),
        "requestContext": _context_of(method, path, headers, visitor),
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = _parameters_of(query)
    if cookie := headers.get("cookie", ""):
        event["cookies"] = [each.strip() for each in cookie.split(";") if each.strip()]
    if body:
        text = _text_of(body, headers.get("content-type", ""))
        event["body"] = base64.b64encode(body).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _headers_of(headers: Mapping[str, str], visitor: Visitor) -> dict[str, str]:
    """Return the headers that a function sees: the client's, and what the front adds."""
    _, colon, port = visitor.host.rpartition(":")
    default = "443" if visitor.secure else "80"
    kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
    return {
        **kept,
        "x-amzn-trace-id": visitor.trace_id,
        "x-forwarded-for": visitor.source_ip,
        "x-forwarded-port": port if colon and port.isdigit() else default,
        "x-forwarded-proto": "https" if visitor.secure else "http",
    }


def _context_of(method: str, path: str, headers: Mapping[str, str], visitor: Visitor) -> Wire:
    """Return what the event says of the request beside the request."""
    moment = datetime.fromtimestamp(visitor.now_ms // 1000, UTC)
    signer = visitor.signer
    context: Wire = {
        "accountId": "anonymous" if signer is None else signer.account,
        "apiId": visitor.url_id,
        "domainName": visitor.host.rpartition(":")[0] or visitor.host,
        "domainPrefix": visitor.url_id,
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": visitor.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": visitor.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{moment:%d/%b/%Y:%H:%M:%S} +0000",
        "timeEpoch": visitor.now_ms,
    }
    if signer is not None:
        context["authorizer"] = {
            "iam": {
                "accessKey": visitor.access_key,
                "accountId": signer.account,
                "callerId": signer.user_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": signer.arn,
                "userId": signer.user_id,
            }
        }
    return context


def _parameters_of(query: str) -> dict[str, str]:
    """Return the parameters of a query; the values of one that comes again are joined by commas."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _text_of(body: bytes, content_type: str) -> str | None:
    """Return a body as text, or None if it goes in Base64."""
    if not any(each in content_type.lower() for each in _TEXT):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


# Responses.


def response_of(payload: bytes) -> tuple[Head, bytes]:
    """Return the response that the answer of a function means.

    AWS: without ``statusCode`` the answer itself is the body, of a response that is 200 and JSON; a
    JSON string goes as its text.

    Raises:
        Unfit: It means none.
    """
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unfit("no JSON") from error
    if not isinstance(told, dict) or "statusCode" not in told:
        body = told.encode() if isinstance(told, str) else payload
        return Head(200, [("Content-Type", _INFERRED_TYPE)]), body
    said = cast("Wire", told)
    return head_of(said), _body_of(said)


def head_of(said: Wire) -> Head:
    """Return status and headers as an answer, or the prelude of a streamed one, has them.

    Raises:
        Unfit: They are none.
    """
    status = said.get("statusCode", 200)
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    if type(status) is not int or not _STATUS_MIN <= status <= _STATUS_MAX:
        raise Unfit("statusCode")
    headers: list[tuple[str, str]] = []
    for name, value in _object(said.get("headers")).items():
        if value is not None:
            headers.append(_checked(name, value))
    cookies = said.get("cookies")
    if isinstance(cookies, list):
        headers += [_checked("Set-Cookie", each) for each in cast("list[Any]", cookies)]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", _INFERRED_TYPE))
    return Head(status, headers)


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit("headers")
    return cast("dict[str, Any]", value)


def _checked(name: str, value: Any) -> tuple[str, str]:
    """Return a header as text, if it can be one."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, dict | list) or _NAME.fullmatch(name) is None or _UNFIT.search(text):
        raise Unfit("headers")
    return name, text.encode("utf-8", "replace").decode("latin-1") if not text.isascii() else text


def _body_of(said: Wire) -> bytes:
    """Return the body of an answer."""
    body = said.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return orjson.dumps(body)
    if said.get("isBase64Encoded") is True:
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise Unfit("body") from error
    return body.encode("utf-8", "surrogatepass")


def prelude_of(raw: bytes) -> Head:
    """Return status and headers that a streamed answer begins with.

    Raises:
        Unfit: They are none.
    """
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unfit("prelude") from error
    return head_of(_object(told))
