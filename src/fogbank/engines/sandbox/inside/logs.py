"""What a function's log looks like: ``logging`` and errors as AWS's Python runtime writes them.

Rule: one event per line feed; a line break inside an event is a carriage return, as AWS's runtime
writes it where it has a plain stream. Whoever stores the lines turns it back.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from typing import Any

_TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
_JSON_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NO_BREAK_SPACE = "\u00a0"
_STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "aws_request_id", "tenant_id", "message"}
UNHANDLED_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "However, in rare cases, a Lambda runtime update can cause unexpected function behavior. "
    "For functions using managed runtimes, runtime updates can be triggered by a function change, "
    "or can be applied automatically. To determine if the runtime has been updated, check the "
    "runtime version in the INIT_START log entry. If this error correlates with a change in the "
    "runtime version, you may be able to mitigate this error by temporarily rolling back to the "
    "previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)

_request = {"id": ""}  # this process serves one invocation at a time


def begin(request_id: str) -> None:
    """Mark what follows as belonging to an invocation."""
    _request["id"] = request_id


def wants_json() -> bool:
    """Return whether the function asked for structured logs."""
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


class _Handler(logging.Handler):
    """Writes each record as one event to the standard output of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        record.aws_request_id = _request["id"]
        text = self.format(record).replace("\n", "\r")
        sys.stdout.write(text.rstrip("\r") + "\n")


class _JsonFormatter(logging.Formatter):
    """The record as AWS's structured log line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        kind, value, trace = record.exc_info or (None, None, None)
        message: Any = record.msg
        whole = isinstance(message, dict) and not record.args
        line: dict[str, Any] = {
            "timestamp": self.formatTime(record, _JSON_TIME),
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": message if whole else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if kind else None,
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(value) if kind else None,
            "requestId": getattr(record, "aws_request_id", None),
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if kind else None,
        }
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD_FIELDS}
        line = {**line, **{k: v for k, v in extra.items() if k not in line}}
        kept = {k: v for k, v in line.items() if v is not None}
        return json.dumps(kept, ensure_ascii=False, default=str)


def install() -> None:
    """Give the root logger AWS's handler, format and level."""
    logging.Formatter.converter = time.gmtime
    handler = _Handler()
    if wants_json():
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter(_TEXT_FORMAT, "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper().replace("TRACE", "DEBUG")
    if level in {"DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"}:
        root.setLevel(level)
    root.addHandler(handler)


def write_error(error: dict[str, Any]) -> None:
    """Write an error of the handler or of its import, with its trace, as one event."""
    if wants_json():
        now = time.strftime(_JSON_TIME, time.gmtime())
        line = json.dumps({"timestamp": now, "level": "ERROR", **error}, default=str)
        sys.stdout.write(line + "\n")
        return
    lines = [f"[ERROR] {error['errorType']}"]
    if error["errorMessage"]:
        lines[0] += f": {error['errorMessage']}"
    lines.append("Traceback (most recent call last):")
    for element in error["stackTrace"]:
        lines.extend(_indented(line) for line in element.splitlines())
    sys.stdout.write("\r".join(lines).replace("\n", "\r") + "\n")


def _indented(line: str) -> str:
    """Return a line whose leading spaces survive a console that eats them."""
    bare = line.lstrip(" ")
    return _NO_BREAK_SPACE * (len(line) - len(bare)) + bare
