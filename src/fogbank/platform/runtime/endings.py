"""What a customer is told when the platform, not the handler, ended an invocation.

Rule: pure. Source: AWS Lambda Developer Guide, "Troubleshoot invocation issues"; payloads recorded
by LocalStack's validated tests (``TestLambdaErrors``, ``test_lambda_invoke_with_timeout``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.platform.runtime.port import Ending, InitReport, Outcome


class End(NamedTuple):
    """How an invocation ended, in the customer's words."""

    payload: bytes
    failed: bool
    status: str = ""
    """As the REPORT line has it: empty, ``timeout`` or ``error``."""
    error_type: str = ""
    line: str = ""
    """What the platform adds to the log."""


_EXITED: Final = "Runtime exited without providing a reason"
_PLATFORM: Final = frozenset(
    ("Runtime.ExitError", "Runtime.InvalidEntrypoint", "Runtime.OutOfMemory", "Sandbox.Timedout")
)
"""Errors of a start that the runtime did not tell itself."""
_EXTENSION: Final = "Extension."
"""How errors begin whose cause is an extension (Developer Guide, "Troubleshoot invocation issues")."""
_KILLED: Final = "Runtime exited with error: signal: killed"


def end_of(outcome: Outcome, request_id: str, timeout_ms: int) -> End:
    """Return how an invocation ended."""
    if outcome.ending is Ending.TIMED_OUT:
        message = _message(request_id, f"Task timed out after {timeout_ms / 1000:.2f} seconds")
        return End(_error("Sandbox.Timedout", message), failed=True, status="timeout")
    if outcome.ending is Ending.OUT_OF_MEMORY:
        return _died(request_id, "Runtime.OutOfMemory", _KILLED)
    if outcome.ending is Ending.EXITED:
        kind, told = _told_in(outcome.payload)
        # An engine tells of a runtime that ended, or of an extension that ended it.
        kind = kind if kind.startswith(_EXTENSION) else "Runtime.ExitError"
        return _died(request_id, kind, told or _EXITED)
    return End(outcome.payload, failed=outcome.ending is Ending.RAISED)


def end_of_init(init: InitReport, request_id: str) -> End:
    """Return how an invocation ended whose environment could not start."""
    assert init.error is not None, "the start went well"
    kind = str(init.error.get("errorType", "Runtime.Unknown"))
    if kind in _PLATFORM or kind.startswith(_EXTENSION):
        message = _message(request_id, str(init.error.get("errorMessage", _EXITED)))
        status = "timeout" if kind == "Sandbox.Timedout" else "error"
        return End(_error(kind, message), failed=True, status=status, error_type=kind)
    payload = msgspec.json.encode(init.error)
    return End(payload, failed=True, status="error", error_type=kind)


def _died(request_id: str, kind: str, reason: str) -> End:
    """Return the end of an invocation whose process is gone."""
    message = _message(request_id, reason)
    line = f"{message}\n{kind}\n"
    payload = _error(kind, message)
    return End(payload, failed=True, status="error", error_type=kind, line=line)


def _message(request_id: str, reason: str) -> str:
    """Return a reason in the form that names the request."""
    if reason.startswith("RequestId: "):
        return reason
    # A failed start's reason begins as AWS's INIT_REPORT says it, with a word that stands here too.
    return f"RequestId: {request_id} Error: {reason.removeprefix('Error: ')}"


def _error(kind: str, message: str) -> bytes:
    """Return an error payload in AWS's order."""
    return msgspec.json.encode({"errorType": kind, "errorMessage": message})


def _told_in(payload: bytes) -> tuple[str, str]:
    """Return type and message that an engine gave with an exit; empty where it gave none."""
    try:
        decoded = msgspec.json.decode(payload, type=dict[str, object])
    except msgspec.DecodeError:
        return "", ""
    return str(decoded.get("errorType", "")), str(decoded.get("errorMessage", ""))
