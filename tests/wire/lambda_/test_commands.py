"""``fogbank invoke`` and ``fogbank logs``, as they call a cloud: signed HTTP requests, no SDK."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from fogbank.server import calling
from fogbank.server.calling import Answer, Caller, CallError, Place
from fogbank.server.cli import logs as logs_command
from fogbank.server.cli import main
from fogbank.server.datadir import AccountCredentials
from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest

Command = Callable[..., tuple[int, str, str]]
SOURCE = """
def handler(event, context):
    print("seen", event)
    if event == "fail": raise ValueError("as told")
    client = context.client_context
    return [event, context.function_version, client and client["custom"]]
"""


@pytest.fixture
def caller(cloud: Cloud) -> Caller:
    """Return what calls the cloud as the root of its account."""
    keys = cloud.account
    account = AccountCredentials(
        "default", keys.principal.account, keys.access_key_id, keys.secret_access_key
    )

    def carry(place: Place, request: HttpRequest) -> Answer:
        assert request.headers["host"] == urlsplit(place.url).netloc
        reply, body = cloud.handle(request)
        return Answer(reply.status, {name.lower(): text for name, text in reply.headers}, body)

    place = Place("http://127.0.0.1:4566")
    return Caller(lambda: place, account, "us-east-1", carry, cloud.clock.now_ms)


@pytest.fixture
def command(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return what runs a command and returns its status, output and errors."""
    monkeypatch.setattr(calling, "caller_of", lambda *_: caller)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


# fogbank invoke


def test_a_function_is_run_with_an_event_from_anywhere(
    create: Any, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    create(SOURCE)
    (tmp_path / "event.json").write_text('"of a file"')
    stdin = io.TextIOWrapper(io.BytesIO(b'"of a pipe"'))
    monkeypatch.setattr(sys, "stdin", stdin)
    for words, event in (
        ([], {}),
        (["--payload", '{"a": 1}'], {"a": 1}),
        (["--file", str(tmp_path / "event.json")], "of a file"),
        (["-"], "of a pipe"),
    ):
        status, out, err = command("invoke", "f", *words)
        assert (status, json.loads(out), err) == (0, [event, "$LATEST", None], "")


def test_a_qualifier_a_context_and_the_end_of_the_log_can_be_asked_for(
    create: Any, functions: Any, command: Command
) -> None:
    arn = create(SOURCE)["FunctionArn"]
    functions.publish_version(FunctionName="f")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    context = '{"custom": {"a": "b"}}'
    for words in (["f", "--qualifier", "live"], ["f:1"], [f"{arn}:live"]):
        status, out, err = command("invoke", *words, "--client-context", context, "--tail")
        assert (status, json.loads(out)) == (0, [{}, "1", {"a": "b"}])
        assert "Version: 1" in err
        assert "seen {}" in err


def test_a_cold_start_can_be_asked_for(create: Any, command: Command, cloud: Cloud) -> None:
    create(SOURCE)
    for words in ([], ["--cold"], ["--cold", "--client-context", '{"custom": {"a": "b"}}']):
        assert command("invoke", "f", *words)[0] == 0
    assert cloud.app.parts.functions.cold_starts == 3
    assert command("invoke", "f", "--cold", "--client-context", "[]")[0] == 1


def test_an_event_is_queued_and_a_dry_run_runs_nothing(
    create: Any, command: Command, cloud: Cloud, lines: Any
) -> None:
    create(SOURCE)
    status, out, err = command("invoke", "f", "--async", "--payload", '"later"')
    assert (status, out) == (0, "")
    assert command("invoke", "f", "--dry-run")[:2] == (0, "")
    cloud.advance(1_000)
    assert [each for each in lines() if each.startswith("seen")] == ["seen later\n"]
    assert any(err.split()[-1] in each for each in lines())  # the id of the request is the event's


def test_a_failure_of_the_function_and_a_refusal_are_told_apart(
    create: Any, command: Command
) -> None:
    create(SOURCE)
    status, out, err = command("invoke", "f", "--payload", '"fail"')
    assert (status, json.loads(out)["errorMessage"]) == (3, "as told")
    assert err == "fogbank: the function has failed (Unhandled)\n"
    status, out, err = command("invoke", "nothing")
    assert (status, out) == (1, "")
    assert err.startswith("fogbank: ResourceNotFoundException: Function not found: arn:aws:lambda")
    assert command("invoke", "f", "--file", "/none/here")[0] == 1


# fogbank logs


def test_the_log_of_a_function_is_found_wherever_it_is_written(
    create: Any, functions: Any, command: Command, cloud: Cloud, invoke: Any
) -> None:
    create(SOURCE)
    invoke("one")
    cloud.advance(200)
    status, out, _ = command("logs", "f", "--filter", "seen")
    assert (status, [line.split(" ", 1)[1] for line in out.splitlines()]) == (0, ["seen one"])
    functions.update_function_configuration(FunctionName="f", LoggingConfig={"LogGroup": "/other"})
    invoke("two")
    cloud.advance(200)
    for name in ("f", "/other"):
        status, out, _ = command("logs", name, "--format", "json", "--filter", "seen")
        assert [json.loads(line)["message"] for line in out.splitlines()] == ["seen two\n"]
    functions.delete_function(FunctionName="f")
    assert "seen one" in command("logs", "f")[1]
    status, out, err = command("logs", "nobody")
    assert (status, out) == (1, "")
    assert "ResourceNotFoundException" in err
    assert command("logs", "f", "--since", "whenever")[0] == 1


def test_a_follower_waits_for_a_server_that_is_away_and_ends_where_it_is_refused(
    command: Command, caller: Caller, monkeypatch: pytest.MonkeyPatch, cloud: Cloud
) -> None:
    logs, names = cloud.client("logs"), {"logGroupName": "/g", "logStreamName": "s"}
    logs.create_log_group(logGroupName="/g")
    logs.create_log_stream(**names)
    event = {"timestamp": cloud.clock.now_ms(), "message": "one"}
    logs.put_log_events(**names, logEvents=[event])
    answers = [
        CallError("", "nobody is there"),
        CallError("ServiceUnavailableException", "soon", 503),
        CallError("ThrottlingException", "slowly", 400),
        None,
        None,
        CallError("AccessDeniedException", "no", 400),
    ]
    ask, slept = caller.ask, []

    def flaky(*given: Any) -> Any:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return ask(*given)

    monkeypatch.setattr(caller, "ask", flaky)
    monkeypatch.setattr(logs_command.time, "sleep", slept.append)
    status, out, err = command("logs", "/g", "--follow")
    assert (status, [line.split(" ", 1)[1] for line in out.splitlines()]) == (1, ["one"])
    assert err.splitlines() == [
        "fogbank: nobody is there; waiting",
        "fogbank: AccessDeniedException: no",
    ]
    assert len(slept) == 5


def test_a_terminal_is_shown_nothing_that_it_would_obey(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"timestamp": 0, "message": "a\x1b[2Jb\tc\r\n"}
    logs_command._print_text(event)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    logs_command._print_text(event)
    raw, shown = capsys.readouterr().out.split("\n")[:2]
    assert raw == "1970-01-01T00:00:00.000Z a\x1b[2Jb\tc\r"
    assert (
        shown
        == "1970-01-01T00:00:00.000Z a\N{REPLACEMENT CHARACTER}[2Jb\tc\N{REPLACEMENT CHARACTER}"
    )
