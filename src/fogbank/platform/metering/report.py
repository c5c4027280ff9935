"""The lines that the platform writes around an invocation, and what they say of its cost.

Rule: pure. Source of the forms: AWS Lambda Developer Guide, "Understanding the Lambda execution
environment lifecycle" and "Working with Lambda function logs"; recorded log streams of real
functions (the Python and Node.js cases of LocalStack's validated ``test_invocation_with_logs``).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec


class Traced(NamedTuple):
    """The segment of a trace that an invocation is."""

    trace_id: str
    segment_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """Return it as a header has it, and the events of the platform."""
        return f"Root={self.trace_id};Parent={self.segment_id};Sampled={int(self.sampled)}"


def find_traced(header: str) -> Traced | None:
    """Return what the trace header of an invocation says, or None if it is none."""
    match = _HEADER.match(header)
    return (
        None if match is None else Traced(match["root"], match["parent"], match["sampled"] == "1")
    )


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
    traced: Traced | None = None
    """Of a function that has traces made; not read back."""


def billed_ms_of(duration_ms: float, init_ms: float | None) -> int:
    """Return the billed duration: whole milliseconds, begun ones count.

    AWS: since 1 August 2025 the start of an environment is billed for zip packages too ("AWS
    Lambda standardizes billing for INIT Phase", AWS Compute Blog, April 2025).
    """
    return max(1, math.ceil(round(duration_ms + (init_ms or 0.0), 3)))


class Oddity(NamedTuple):
    """What every START line of an environment says that AWS's does not."""

    stands_in: str = ""
    """The runtime that runs in the place of the function's, if another does."""
    folder: str = ""
    """The folder of the machine that the code was taken from, if it was."""
    debug_port: int = 0
    """The port of the machine's loopback at which a debugger is reached, if one is."""

    @property
    def words(self) -> str:
        """Return the end of a START line."""
        said = f" Runtime: {self.stands_in} stands in" if self.stands_in else ""
        said += f" Hot reload: {self.folder}" if self.folder else ""
        return said + (f" Debugger: 127.0.0.1:{self.debug_port}" if self.debug_port else "")

    @property
    def fields(self) -> dict[str, Any]:
        """Return the fields of a ``platform.start`` event."""
        named = {"runtime": self.stands_in, "hotReload": self.folder, "debugPort": self.debug_port}
        return {name: value for name, value in named.items() if value}


ORDINARY: Final = Oddity()


def start_line(request_id: str, version: str, oddity: Oddity = ORDINARY) -> str:
    """Return the line that begins an invocation.

    Args:
        request_id: The invocation.
        version: Of the function.
        oddity: What is not as on AWS.
    """
    return f"START RequestId: {request_id} Version: {version}{oddity.words}\n"


def end_line(request_id: str) -> str:
    """Return the line that ends an invocation."""
    return f"END RequestId: {request_id}\n"


def report_line(report: Report) -> str:
    """Return the REPORT line: fields end in a tab, the line in a newline; a line of the trace follows.

    Source of that: "Visualize Lambda function invocations using AWS X-Ray", and "Working with Lambda
    function logs" on ``XRAY TraceId``, ``SegmentId`` and ``Sampled`` of traced requests.
    """
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
    line = "\t".join((*fields, "\n"))
    if report.traced is None:
        return line
    trace_id, segment_id, sampled = report.traced
    said = (
        f"XRAY TraceId: {trace_id}",
        f"SegmentId: {segment_id}",
        f"Sampled: {str(sampled).lower()}",
    )
    return line + "\t".join((*said, "\n"))


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


_HEADER: Final = re.compile(
    r"Root=(?P<root>[^;]+);Parent=(?P<parent>[^;]+);Sampled=(?P<sampled>[01])"
)
_REPORT: Final = re.compile(
    r"REPORT RequestId: (?P<request_id>\S+)\s+Duration: (?P<duration>[\d.]+) ms\s+"
    r"Billed Duration: (?P<billed>\d+) ms\s+Memory Size: (?P<memory>\d+) MB\s+"
    r"Max Memory Used: (?P<used>\d+) MB(?:\s+Init Duration: (?P<init>[\d.]+) ms)?"
    r"(?:\s+Status: (?P<status>\S+))?(?:\s+Error Type: (?P<error>\S+))?"
)


_JSON: Final = re.compile(r'\{"time":"[^"]{1,40}","type":"platform\.report",')


class _Metrics(msgspec.Struct, rename="camel"):
    duration_ms: float
    billed_duration_ms: int
    memory_mb: int = msgspec.field(name="memorySizeMB")
    max_memory_mb: int = msgspec.field(name="maxMemoryUsedMB")
    init_duration_ms: float | None = None


class _Record(msgspec.Struct, rename="camel"):
    request_id: str
    metrics: _Metrics
    status: str = ""
    error_type: str = ""


class _Event(msgspec.Struct):
    record: _Record


def find_report(message: str) -> Report | None:
    """Return what a log message reports, or None if it is no REPORT line and no such event."""
    if _JSON.match(message) is not None:
        return _find_json(message)
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


def _find_json(message: str) -> Report | None:
    """Return what an event reports; None if a function has written what only looks like one."""
    try:
        record = msgspec.json.decode(message.encode(), type=_Event).record
    except msgspec.DecodeError:
        return None
    metrics = record.metrics
    return Report(
        request_id=record.request_id,
        duration_ms=metrics.duration_ms,
        billed_ms=metrics.billed_duration_ms,
        memory_mb=metrics.memory_mb,
        max_memory_mb=metrics.max_memory_mb,
        init_ms=metrics.init_duration_ms,
        status="" if record.status == "success" else record.status,
        error_type=record.error_type,
    )
