"""What may be sent to a function, and what is told of its answer.

Source: API Reference, Invoke; payloads and messages recorded by LocalStack's validated
``test_lambda`` (``TestLambdaErrors``, ``test_lambda_too_large_response``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import msgspec
import orjson

from fogbank.base.errors import ServiceError, Throttled
from fogbank.base.types import Request, Wire
from fogbank.platform.runtime.functions import (
    ReservedError,
    RoleNotAssumableError,
    Run,
    UnreadableError,
)
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    AccessDeniedException,
    InvalidRequestContentException,
    InvalidZipFileException,
    RequestTooLargeException,
    TooManyRequestsException,
)
from fogbank.services.lambda_.rules import code, sealing

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

TRACE_HEADER: Final = "x-amzn-trace-id"
_TRACE_CHARACTERS: Final = 256
_ROOT: Final = re.compile("1-[0-9a-f]{8}-[0-9a-f]{24}", re.ASCII)
_PARENT: Final = re.compile("[0-9a-f]{16}", re.ASCII)
EVENT: Final = "Event"
REQUEST_RESPONSE: Final = "RequestResponse"
DRY_RUN: Final = "DryRun"
_OURS: Final = "fogbank"
"""The part of a client context that asks something of this cloud, and is not the handler's."""


def check_size(payload: bytes, kind: str, bytes_max: int) -> None:
    """Refuse a payload that is too large for its kind of invocation."""
    if len(payload) > bytes_max:
        raise too_large(len(payload), bytes_max, kind)


def too_large(size: int, bytes_max: int, kind: str = REQUEST_RESPONSE) -> RequestTooLargeException:
    """Return the error for a payload that is too large for its kind of invocation."""
    return RequestTooLargeException(
        f"{size} byte payload is too large for the {kind} invocation type (limit {bytes_max} bytes)"
    )


def check_json(payload: bytes) -> None:
    """Refuse a payload that is no JSON."""
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestContentException(
            "Could not parse request body into json: Could not parse payload into json: "
            f"{error.msg}\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` "
            f"disabled); line: {error.lineno}, column: {error.colno}]"
        ) from error


def client_context_of(request: Request) -> str:
    """Return the client context of a request as JSON, or ''."""
    encoded: str = request.get("ClientContext", "")
    if not encoded:
        return ""
    try:
        raw = base64.b64decode(encoded, validate=True)
        orjson.loads(raw)
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise InvalidRequestContentException(
            "Client context must be a valid Base64-encoded JSON object."
        ) from error
    return raw.decode()


class _Ours(msgspec.Struct, forbid_unknown_fields=True):
    """What a client context may ask for."""

    cold: bool = msgspec.field(name="coldStart")


class Asked(NamedTuple):
    """What a client context asks of this cloud, and what is left of it for the handler."""

    context: str
    """JSON, or empty."""
    cold: bool = False
    """Whether the invocation is to start an environment."""


def asked_of(client_context: str, kind: str = REQUEST_RESPONSE) -> Asked:
    """Return what a client context asks for: ``{"fogbank": {"coldStart": true}}``.

    An extension of ours, for tests of what a function does when it starts.

    Raises:
        InvalidRequestContentException: It asks for what there is not, or of an event that is queued.
    """
    if _OURS not in client_context:
        return Asked(client_context)
    context: object = orjson.loads(client_context)
    if not isinstance(context, dict) or _OURS not in context:
        return Asked(client_context)
    rest = cast("dict[str, object]", context)
    try:
        asked = msgspec.convert(rest.pop(_OURS), _Ours)
    except msgspec.ValidationError as error:
        raise InvalidRequestContentException(
            'Client context: "fogbank" has the member "coldStart", true or false, and no other.'
        ) from error
    if kind == EVENT:
        raise InvalidRequestContentException(
            "Client context: a cold start cannot be asked for an event that is queued."
        )
    left = orjson.dumps(rest).decode() if rest else ""
    return Asked(left, asked.cold)


def reply_of(
    run: Run, version: str, response_bytes_max: int, *, tail: bool
) -> shapes.InvocationResponse:
    """Return the reply of a synchronous invocation of a version."""
    payload, failed = run.payload, run.failed
    if len(payload) > response_bytes_max:
        failed = True
        payload = _answer_too_large(response_bytes_max)
    reply: shapes.InvocationResponse = {
        "StatusCode": 200,
        "ExecutedVersion": version,
        "Payload": payload,
    }
    if failed:
        reply["FunctionError"] = "Unhandled"
    if tail:
        reply["LogResult"] = base64.b64encode(run.tail).decode()
    return reply


def _answer_too_large(bytes_max: int) -> bytes:
    """Return the error that an answer becomes that is too long."""
    return orjson.dumps(
        {
            "errorMessage": "Response payload size exceeded maximum allowed payload size "
            f"({bytes_max} bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }
    )


def refusal_of(error: Exception) -> ServiceError:
    """Return why a function did not run, in the service's words."""
    if isinstance(error, ReservedError):
        return TooManyRequestsException(
            "Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded"
        )
    if isinstance(error, Throttled):
        return TooManyRequestsException(
            "Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded"
        )
    if isinstance(error, RoleNotAssumableError):
        return AccessDeniedException(code.UNASSUMABLE)
    if isinstance(error, UnreadableError):
        return sealing.uninvoked(error)
    return InvalidZipFileException("Lambda could not unzip the deployment package.")


def completion_of(
    run: Run, bytes_passed: int, *, tail: bool
) -> shapes.InvokeWithResponseStreamCompleteEvent:
    """Return the last event of a streamed answer.

    Args:
        run: How the invocation went.
        bytes_passed: The bound that the answer has passed; 0: none.
        tail: Whether the end of the log is wanted.
    """
    complete: shapes.InvokeWithResponseStreamCompleteEvent = {}
    error = run.payload if run.failed else b""
    if bytes_passed and not error:
        error = _answer_too_large(bytes_passed)
    if error:
        complete["ErrorCode"] = error_type_of(error)
        complete["ErrorDetails"] = error.decode(errors="replace")
    if tail:
        complete["LogResult"] = base64.b64encode(run.tail).decode()
    return complete


def error_type_of(payload: bytes) -> str:
    """Return the type of an error that a function has answered; ``Unhandled`` if it has none."""
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return "Unhandled"
    kind = cast("Wire", told).get("errorType") if isinstance(told, dict) else None
    return kind if isinstance(kind, str) and kind else "Unhandled"


def trace_id_of(
    now_ms: int, entropy: bytes, given: str = "", sample: Callable[[], bool] | None = None
) -> str:
    """Return the X-Ray trace header of an invocation: the caller's, where it has one.

    Args:
        now_ms: The time.
        entropy: Twenty random bytes.
        given: What came with the request; empty: nothing.
        sample: Decides whether an invocation is traced that nobody has decided on, of a function
            that has traces made; None: it has none made, and a new header asks for none.

    Source: X-Ray Developer Guide, "Tracing header"; Lambda Developer Guide, "Visualize Lambda function
    invocations using AWS X-Ray" (PassThrough). What is no trace is left out. The parent of what a
    traced function does is the invocation's own segment.
    """
    assert len(entropy) == 20, "96 bits of the root and 64 of the parent"  # noqa: PLR2004 (the message says what they are)
    parts: dict[str, str] = {}
    for part in given[:_TRACE_CHARACTERS].split(";"):
        name, _, value = part.strip().partition("=")
        parts[name] = value
    root, parent = parts.get("Root", ""), parts.get("Parent", "")
    if _ROOT.fullmatch(root) is None:
        root, parts = f"1-{now_ms // 1000:08x}-{entropy[:12].hex()}", {}
    if sample is not None or _PARENT.fullmatch(parent) is None or not parts:
        parent = entropy[12:].hex()
    sampled = parts.get("Sampled") == "1"
    if sample is not None and parts.get("Sampled") not in {"0", "1"}:
        sampled = sample()
    return f"Root={root};Parent={parent};Sampled={int(sampled)}"


def backoff_ms_of(age_ms: int) -> int:
    """Return how long an event that found no room waits: the longer the older it is.

    AWS: the interval grows exponentially from one second to five minutes.
    """
    return min(max(quotas.BACKOFF_MS, age_ms // 2), quotas.BACKOFF_MS_MAX)
