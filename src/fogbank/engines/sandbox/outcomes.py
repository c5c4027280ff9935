"""How the end of an invocation is told to the caller: AWS's payloads, word for word.

AWS: a time-out is ``Sandbox.Timedout`` and a process that ended ``Runtime.ExitError`` (recorded
answers in floci issue 3314 and the Lambda runtime interface emulator); an out-of-memory kill is
reported as ``Runtime.OutOfMemory`` since 2022 (platform.report), with the words of a kill.
"""

from __future__ import annotations

import json
import signal

from fogbank.platform.runtime.port import Ending

_TMP = "/tmp"  # noqa: S108 (what the user calls it; no file of ours)


def timed_out(request_id: str, timeout_ms: int) -> bytes:
    """Return the payload of an invocation that ran into its time limit."""
    seconds = f"{timeout_ms / 1000:.2f}"
    return _payload("Sandbox.Timedout", request_id, f"Task timed out after {seconds} seconds")


def out_of_memory(request_id: str) -> bytes:
    """Return the payload of an invocation whose sandbox passed its memory."""
    return _payload("Runtime.OutOfMemory", request_id, "Runtime exited with error: signal: killed")


def exited(request_id: str, cause: str, status: int, kind: str = "", words: str = "") -> bytes:
    """Return the payload of an invocation whose process ended before it answered.

    Args:
        request_id: The invocation.
        cause: ``exited`` or ``signalled``, as the daemon saw it.
        status: The exit status, or the number of the signal.
        kind: The type of an extension's error that ended the environment, if one did.
        words: What is told of that.
    """
    if kind:
        return _payload(kind, request_id, words)
    return _payload("Runtime.ExitError", request_id, exit_words(cause, status))


def exit_words(cause: str, status: int) -> str:
    """Return how AWS says that a process ended."""
    if cause == "exited":
        if status == 0:
            return "Runtime exited without providing a reason"
        return f"Runtime exited with error: exit status {status}"
    names = {
        signal.SIGKILL: "killed",
        signal.SIGSEGV: "segmentation fault",
        signal.SIGABRT: "aborted",
        signal.SIGBUS: "bus error",
        signal.SIGFPE: "floating point exception",
        signal.SIGILL: "illegal instruction",
        signal.SIGTERM: "terminated",
        signal.SIGSYS: "bad system call",
    }
    name = names.get(signal.Signals(status)) if status in _SIGNALS else None
    return f"Runtime exited with error: signal: {name or status}"


_SIGNALS = {int(member) for member in signal.Signals}


def ending_of(cause: str) -> Ending:
    """Return how an invocation ended when its sandbox ended of this cause."""
    return Ending.OUT_OF_MEMORY if cause == "memory" else Ending.EXITED


def explained(cause: str, tmp_mb: int) -> str:
    """Return what the log says of an end that nothing else explains; or nothing."""
    if cause != "tmp":
        return ""
    return f"{_TMP} held more than {tmp_mb} MB: the environment was ended\n"


def init_error(kind: str, words: str) -> dict[str, object]:
    """Return the error of a start that ended without one of the runtime's own."""
    return {"errorMessage": f"Error: {words}", "errorType": kind, "stackTrace": []}


def start_timed_out(limit_ms: int) -> dict[str, object]:
    """Return the error of a start that took too long."""
    return init_error("Sandbox.Timedout", f"Task timed out after {limit_ms / 1000:.2f} seconds")


def start_ended(cause: str, status: int) -> dict[str, object]:
    """Return the error of a start whose process ended, as the daemon saw it."""
    if cause == "memory":
        return init_error("Runtime.OutOfMemory", exit_words("signalled", signal.SIGKILL))
    return init_error("Runtime.ExitError", exit_words(cause, status))


def _payload(kind: str, request_id: str, words: str) -> bytes:
    message = f"RequestId: {request_id} Error: {words}"
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
