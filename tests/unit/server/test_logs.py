from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.contract.call import HttpFacts
from fogbank.gateway.visit import Visit
from fogbank.platform.metering.current import IN_WORK
from fogbank.server.logs import JsonLines, TextLines, begin


@pytest.fixture
def record() -> logging.LogRecord:
    return logging.LogRecord("fogbank.x", logging.WARNING, "f.py", 1, "said %s", ("it",), None)


@pytest.fixture
def visit() -> Any:
    visit = Visit("s3", "PutObject", "us-east-1", "REQUEST", HttpFacts())
    visit.admit("123456789012", 0)
    was = IN_WORK.set(visit)
    yield visit
    IN_WORK.reset(was)


def test_a_line_of_json_says_when_how_bad_who_and_what(record: logging.LogRecord) -> None:
    record.created = 1_767_225_600.25
    assert json.loads(JsonLines().format(record)) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "fogbank.x",
        "message": "said it",
    }


def test_a_line_during_a_call_names_it(record: logging.LogRecord, visit: Visit) -> None:
    line = json.loads(JsonLines().format(record))
    assert line["request_id"] == "REQUEST"
    assert line["operation"] == "s3:PutObject"
    assert line["account"] == "123456789012"
    assert (
        TextLines()
        .format(record)
        .endswith("WARNING fogbank.x: said it [REQUEST 123456789012 s3:PutObject]")
    )


def test_a_bug_stays_one_line_of_json_with_its_trace() -> None:
    error = ValueError("bug")
    info = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "failed", (), info)
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "ValueError: bug" in json.loads(text)["exception"]


def test_outside_of_calls_text_names_none(record: logging.LogRecord) -> None:
    assert IN_WORK.get() is None
    assert TextLines().format(record).endswith("WARNING fogbank.x: said it")
    IN_WORK.set(
        SimpleNamespace(
            request_id="R", service="s3", operation="", scope=SimpleNamespace(account="")
        )
    )  # type: ignore[arg-type]
    assert TextLines().format(record).endswith("[R s3:]")
    IN_WORK.set(None)


@pytest.mark.parametrize(("form", "kind"), [("json", JsonLines), ("text", TextLines)])
def test_lines_have_the_form_that_is_set(
    form: Any, kind: type[logging.Formatter], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    begin("warning", form)
    assert [type(handler.formatter) for handler in root.handlers] == [kind]
    assert root.level == logging.WARNING
