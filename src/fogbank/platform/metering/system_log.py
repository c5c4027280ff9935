"""What the platform says in a function's log: lines of text, or events in JSON by their levels.

Rule: one ``SystemLog`` belongs to one environment and writes into its journal in order. What is said
is the same in both forms; only JSON has levels, and what lies below the function's is not written.

Source: AWS Lambda Developer Guide, "Configuring JSON and plain text log formats", "Log level filtering"
(the table of events and levels) and "Lambda Telemetry API Event schema reference" (the records).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from fogbank.base.clock import Clock
from fogbank.platform.metering.journal import Journal
from fogbank.platform.metering.report import (
    ORDINARY,
    Report,
    Traced,
    end_line,
    init_report_line,
    report_line,
    start_line,
    timeout_line,
)

DEBUG: Final = "DEBUG"
INFO: Final = "INFO"
WARN: Final = "WARN"
_LEVELS: Final = (DEBUG, INFO, WARN)


class LogForm(NamedTuple):
    """How the log of a function is written (``LoggingConfig``)."""

    json: bool = False
    application_level: str = ""
    """Empty with text, which has no levels."""
    system_level: str = INFO


TEXT: Final = LogForm()
Tap = Callable[[str, Mapping[str, Any], str], None]
"""Told the kind of an event, what it says and when it was."""


def moment_of(now_ms: int) -> str:
    """Return a time as AWS writes it in events."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"


class RuntimeVersion(NamedTuple):
    """Which build of a runtime an environment has.

    AWS names its own builds; these name the interpreter of this machine, in the same form.
    """

    name: str
    arn: str

    @classmethod
    def of(cls, runtime: str, interpreter: str, region: str) -> RuntimeVersion:
        """Return the version of a Lambda runtime that an interpreter of this machine runs."""
        language = runtime.rstrip("0123456789.x")
        number = runtime.removeprefix(language) or "0"
        digest = hashlib.sha256(f"{runtime}\0{interpreter}".encode()).hexdigest()
        return cls(f"{language}:{number}.fogbank", f"arn:aws:lambda:{region}::runtime:{digest}")


class SystemLog:
    """Tells of one environment and its invocations.

    Args:
        journal: Where it is written.
        clock: The time of events.
        version: The version of the function.
        form: How it is written.
    """

    def __init__(self, journal: Journal, clock: Clock, version: str, form: LogForm) -> None:
        self._journal = journal
        self._clock = clock
        self._version = version
        self._form = form
        self.initialization = "on-demand"
        """Why the environment was started, as AWS calls it."""
        self.oddity = ORDINARY
        """What is not as on AWS."""
        self._early: list[tuple[str, Mapping[str, Any], str]] = []
        self._tap: Tap | None = self._keep

    def _keep(self, kind: str, record: Mapping[str, Any], moment: str) -> None:
        """Keep an event of a start that nobody can listen to yet."""
        self._early.append((kind, record, moment))

    def listen(self, tap: Tap | None) -> None:
        """Tell somebody of all events from the first on, whatever the log's form; or nobody."""
        self._tap = tap
        early, self._early = self._early, []
        if tap is not None:
            for event in early:
                tap(*event)

    @property
    def _init(self) -> Mapping[str, str]:
        """Return what every event of a start says."""
        return {"initializationType": self.initialization, "phase": "init"}

    @property
    def _told(self) -> bool:
        """Return whether anybody is told of events."""
        return self._form.json or self._tap is not None

    def _event(self, level: str, kind: str, record: Mapping[str, Any]) -> None:
        """Tell an event; the log has it in JSON, unless it lies below the function's level."""
        time = moment_of(self._clock.now_ms())
        if self._tap is not None:
            self._tap(kind, record, time)
        if self._form.json and _LEVELS.index(level) >= _LEVELS.index(self._form.system_level):
            event = {"time": time, "type": f"platform.{kind}", "record": record}
            self._journal.line(msgspec.json.encode(event).decode() + "\n")

    def init_start(self, build: RuntimeVersion) -> None:
        """Tell that an environment starts, and with what; it is no part of an invocation's tail."""
        build_told = {"runtimeVersion": build.name, "runtimeVersionArn": build.arn}
        self._event(INFO, "initStart", {**self._init, **build_told})
        if not self._form.json:
            self._journal.line(
                f"INIT_START Runtime Version: {build.name}\tRuntime Version ARN: {build.arn}\n"
            )
        self._journal.begin()

    def init_end(self, duration_ms: float, status: str = "", error_type: str = "") -> None:
        """Tell how the start went; text tells of failures only."""
        if status and not self._form.json:
            self._journal.line(init_report_line(duration_ms, status, error_type))
        if not self._told:
            return
        level = WARN if status else DEBUG
        ended: dict[str, Any] = {**self._init, "status": status or "success"}
        if error_type:
            ended["errorType"] = error_type
        self._event(level, "initRuntimeDone", ended)
        self._event(level, "initReport", {**ended, "metrics": {"durationMs": _ms(duration_ms)}})

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str = "") -> None:
        """Tell how the start of an extension went.

        The line is that of AWS's logs; the event is in its schema reference.
        """
        if not self._form.json:
            told = f"EXTENSION\tName: {name}\tState: {state}\tEvents: [{', '.join(events)}]"
            error = f"\tError Type: {error_type}" if error_type else ""
            self._journal.line(f"{told}{error}\n")
        record: dict[str, Any] = {"name": name, "state": state, "events": list(events)}
        if error_type:
            record["errorType"] = error_type
        self._event(WARN if error_type else INFO, "extension", record)

    def start(self, request_id: str, traced: Traced | None = None) -> None:
        """Tell that an invocation begins, and in which runtime if it is another than the function's."""
        if self._told:
            told: dict[str, Any] = {"requestId": request_id, "version": self._version}
            told |= _tracing_of(traced)
            told |= self.oddity.fields
            self._event(INFO, "start", told)
        if not self._form.json:
            self._journal.line(start_line(request_id, self._version, self.oddity))

    def end(self, report: Report, line: str = "", timed_out_ms: int = 0) -> None:
        """Tell how an invocation went.

        Args:
            report: What it took.
            line: What text says of it beside that.
            timed_out_ms: The limit that cut it off; 0: none has.
        """
        if self._told:
            self._end_event(report)
        if self._form.json:
            return
        if timed_out_ms:
            now_ms = self._clock.now_ms()
            self._journal.line(timeout_line(report.request_id, timed_out_ms, now_ms))
        elif line:
            self._journal.line(line)
        self._journal.line(end_line(report.request_id))
        self._journal.line(report_line(report))

    def _end_event(self, report: Report) -> None:
        level = WARN if report.status else INFO
        ended: dict[str, Any] = {
            "requestId": report.request_id,
            "status": report.status or "success",
        }
        if report.error_type:
            ended["errorType"] = report.error_type
        ended |= _tracing_of(report.traced)
        took = {"durationMs": _ms(report.duration_ms)}
        self._event(WARN if report.status else DEBUG, "runtimeDone", {**ended, "metrics": took})
        metrics: dict[str, Any] = {
            **took,
            "billedDurationMs": report.billed_ms,
            "memorySizeMB": report.memory_mb,
            "maxMemoryUsedMB": report.max_memory_mb,
        }
        if report.init_ms is not None:
            metrics["initDurationMs"] = _ms(report.init_ms)
        self._event(level, "report", {**ended, "metrics": metrics})


def _tracing_of(traced: Traced | None) -> dict[str, Any]:
    """Return what events tell of a trace; nothing where there is none.

    Source: Developer Guide, "Lambda Telemetry API Event schema reference", TraceContext.
    """
    if traced is None:
        return {}
    told = {"spanId": traced.segment_id, "type": "X-Amzn-Trace-Id", "value": traced.header}
    return {"tracing": told}


def _ms(value: float) -> float:
    """Return a duration as precisely as AWS writes it."""
    return round(value, 3)
