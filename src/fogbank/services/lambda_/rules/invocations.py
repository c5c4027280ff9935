"""What may be sent to a function, and what is told of its answer.

Source: API Reference, Invoke; payloads and messages recorded by LocalStack's validated
``test_lambda`` (``TestLambdaErrors``, ``test_lambda_too_large_response``).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import orjson

from fogbank.base.types import Request
from fogbank.platform.runtime.functions import Run
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidRequestContentException,
    RequestTooLargeException,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import lambda_ as shapes

EVENT: Final = "Event"
REQUEST_RESPONSE: Final = "RequestResponse"
DRY_RUN: Final = "DryRun"


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


def reply_of(run: Run, response_bytes_max: int, *, tail: bool) -> shapes.InvocationResponse:
    """Return the reply of a synchronous invocation."""
    payload, failed = run.payload, run.failed
    if len(payload) > response_bytes_max:
        failed = True
        payload = orjson.dumps(
            {
                "errorMessage": "Response payload size exceeded maximum allowed payload size "
                f"({response_bytes_max} bytes).",
                "errorType": "Function.ResponseSizeTooLarge",
            }
        )
    reply: shapes.InvocationResponse = {
        "StatusCode": 200,
        "ExecutedVersion": LATEST,
        "Payload": payload,
    }
    if failed:
        reply["FunctionError"] = "Unhandled"
    if tail:
        reply["LogResult"] = base64.b64encode(run.tail).decode()
    return reply


def trace_id_of(now_ms: int, entropy: bytes) -> str:
    """Return an X-Ray trace header that asks for no trace."""
    assert len(entropy) == 20, "96 bits of the root and 64 of the parent"  # noqa: PLR2004 (the message says what they are)
    root = f"1-{now_ms // 1000:08x}-{entropy[:12].hex()}"
    return f"Root={root};Parent={entropy[12:].hex()};Sampled=0"


def backoff_ms_of(age_ms: int) -> int:
    """Return how long an event that found no room waits: the longer the older it is.

    AWS: the interval grows exponentially from one second to five minutes.
    """
    return min(max(quotas.BACKOFF_MS, age_ms // 2), quotas.BACKOFF_MS_MAX)
