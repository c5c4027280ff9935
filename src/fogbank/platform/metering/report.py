"""The lines that the platform writes around an invocation, and what they say of its cost.

Rule: pure. Source of the forms: AWS Lambda Developer Guide, "Understanding the Lambda execution
environment lifecycle" and "Working with Lambda function logs"; recorded log streams of real
functions (the Python and Node.js cases of LocalStack's validated ``test_invocation_with_logs``).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple


class Report(NamedTuple):
    """What a REPORT line says of one invocation."""

    request_id: str
    duration_ms: float
    billed_ms: int
    memory_mb: int
    max_memory_mb: int
    init_ms: float | None = None
    """How long the start of the environment took, if this invocation caused it."""
    status: str = ""
    """Empty, ``timeout`` or ``error``."""
    error_type: str = ""


def billed_ms_of(duration_ms: float, init_ms: float | None) -> int:
    """Return the billed duration: whole milliseconds, begun ones count.

    AWS: since 1 August 2025 the start of an environment is billed for zip packages too ("AWS
    Lambda standardizes billing for INIT Phase", AWS Compute Blog, April 2025).
    """
    return max(1, math.ceil(round(duration_ms + (init_ms or 0.0), 3)))


def start_line(request_id: str, version: str) -> str:
    """Return the line that begins an invocation."""
    return f"START RequestId: {request_id} Version: {version}\n"


def end_line(request_id: str) -> str:
    """Return the line that ends an invocation."""
    return f"END RequestId: {request_id}\n"


def report_line(report: Report) -> str:
    """Return the REPORT line: fields end in a tab, the line in a newline."""
    fields = [
        f"REPORT RequestId: {report.request_id}",
        f"Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {report.billed_ms} ms",
        f"Memory Size: {report.memory_mb} MB",
        f"Max Memory Used: {report.max_memory_mb} MB",
    ]
    if report.init_ms is not None:
        fields.append(f"Init Duration: {report.init_ms:.2f} ms")
    if report.status:
        fields.append(f"Status: {report.status}")
    if report.error_type:
        fields.append(f"Error Type: {report.error_type}")
    return "\t".join((*fields, "\n"))


def init_report_line(duration_ms: float, status: str, error_type: str) -> str:
    """Return the line that tells of a start that failed."""
    fields = [
        f"INIT_REPORT Init Duration: {duration_ms:.2f} ms",
        "Phase: init",
        f"Status: {status}",
    ]
    if error_type:
        fields.append(f"Error Type: {error_type}")
    return "\t".join((*fields, "\n"))


def timeout_line(request_id: str, timeout_ms: int, now_ms: int) -> str:
    """Return the line that tells of an invocation that was cut off; an empty line follows it."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"
    return f"{text} {request_id} Task timed out after {timeout_ms / 1000:.2f} seconds\n\n"


_REPORT: Final = re.compile(
    r"REPORT RequestId: (?P<request_id>\S+)\s+Duration: (?P<duration>[\d.]+) ms\s+"
    r"Billed Duration: (?P<billed>\d+) ms\s+Memory Size: (?P<memory>\d+) MB\s+"
    r"Max Memory Used: (?P<used>\d+) MB(?:\s+Init Duration: (?P<init>[\d.]+) ms)?"
    r"(?:\s+Status: (?P<status>\S+))?(?:\s+Error Type: (?P<error>\S+))?"
)


def find_report(message: str) -> Report | None:
    """Return what a log message reports, or None if it is no REPORT line."""
    match = _REPORT.match(message)
    if match is None:
        return None
    return Report(
        request_id=match["request_id"],
        duration_ms=float(match["duration"]),
        billed_ms=int(match["billed"]),
        memory_mb=int(match["memory"]),
        max_memory_mb=int(match["used"]),
        init_ms=None if match["init"] is None else float(match["init"]),
        status=match["status"] or "",
        error_type=match["error"] or "",
    )
