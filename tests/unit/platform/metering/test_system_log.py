"""What the platform says in functions' logs, as text and as JSON events by their levels."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from fogbank.platform.metering.report import Report, find_report
from fogbank.platform.metering.system_log import TEXT, LogForm, RuntimeVersion, SystemLog
from fogbank.testing.clock import VirtualClock

BUILD = RuntimeVersion.of("python3.11", "/usr/bin/python3.11", "eu-west-1")
WENT = Report("r-1", 12.3456, 20, 128, 40, 7.0)
FAILED = Report("r-2", 3_000.0, 3_000, 128, 40, None, "timeout", "Sandbox.Timedout")


class Lines:
    """Takes the place of a journal."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.begun = 0

    def line(self, message: str) -> None:
        self.written.append(message)

    def begin(self) -> None:
        self.begun = len(self.written)


def story(form: LogForm) -> Lines:
    lines = Lines()
    told = SystemLog(cast("Any", lines), VirtualClock(), "7", form)
    told.init_start(BUILD)
    told.init_end(7.0)
    told.start("r-1")
    told.end(WENT)
    told.start("r-2")
    told.end(FAILED, timed_out_ms=3_000)
    return lines


def test_text_is_written_as_aws_writes_it() -> None:
    lines = story(TEXT)
    assert lines.begun == 1
    assert lines.written == [
        f"INIT_START Runtime Version: python:3.11.fogbank\tRuntime Version ARN: {BUILD.arn}\n",
        "START RequestId: r-1 Version: 7\n",
        "END RequestId: r-1\n",
        (
            "REPORT RequestId: r-1\tDuration: 12.35 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 40 MB\tInit Duration: 7.00 ms\t\n"
        ),
        "START RequestId: r-2 Version: 7\n",
        "2026-01-01T00:00:00.000Z r-2 Task timed out after 3.00 seconds\n\n",
        "END RequestId: r-2\n",
        (
            "REPORT RequestId: r-2\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 40 MB\tStatus: timeout\tError Type: Sandbox.Timedout\t\n"
        ),
    ]
    assert BUILD.arn.startswith("arn:aws:lambda:eu-west-1::runtime:")
    assert len(BUILD.arn.rpartition(":")[2]) == 64


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        (
            "DEBUG",
            "initStart initRuntimeDone initReport start runtimeDone report start runtimeDone report",
        ),
        ("INFO", "initStart start report start runtimeDone report"),
        ("WARN", "runtimeDone report"),
    ],
)
def test_events_below_the_level_of_a_function_are_not_written(level: str, kinds: str) -> None:
    written = [json.loads(line) for line in story(LogForm(True, "INFO", level)).written]
    assert [each["type"] for each in written] == [f"platform.{kind}" for kind in kinds.split()]
    assert {each["time"] for each in written} == {"2026-01-01T00:00:00.000Z"}


def test_events_say_what_aws_says() -> None:
    written = [json.loads(line) for line in story(LogForm(True, "INFO", "DEBUG")).written]
    records = [each["record"] for each in written]
    init = {"initializationType": "on-demand", "phase": "init"}
    assert records[0] == {
        **init,
        "runtimeVersion": "python:3.11.fogbank",
        "runtimeVersionArn": BUILD.arn,
    }
    assert records[2] == {**init, "status": "success", "metrics": {"durationMs": 7.0}}
    assert records[3] == {"requestId": "r-1", "version": "7"}
    assert records[5] == {
        "requestId": "r-1",
        "status": "success",
        "metrics": {
            "durationMs": 12.346,
            "billedDurationMs": 20,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 40,
            "initDurationMs": 7.0,
        },
    }
    assert (records[8]["status"], records[8]["errorType"]) == ("timeout", "Sandbox.Timedout")


def test_a_start_that_failed_is_told_in_both_forms() -> None:
    for form in (TEXT, LogForm(True, "INFO", "WARN")):
        lines = Lines()
        told = SystemLog(cast("Any", lines), VirtualClock(), "7", form)
        told.init_end(9.0, "error", "Runtime.ImportModuleError")
        assert any("Runtime.ImportModuleError" in line for line in lines.written)


def test_what_an_event_reports_is_read_back() -> None:
    lines = story(LogForm(True, "INFO", "INFO")).written
    found = [report for line in lines if (report := find_report(line)) is not None]
    assert found == [WENT._replace(duration_ms=12.346), FAILED]
    forged = '{"time":"t","type":"platform.report","record":{"requestId":1}}'
    assert find_report(forged) is None
    assert find_report('{"time":"t","type":"platform.report","rec') is None
