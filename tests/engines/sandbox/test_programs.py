"""Custom runtimes: what a function brings is executed, and finds AWS's Runtime API."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, Lab, lab_at

from fogbank.platform.runtime.port import Ending, Outcome, Sandbox, UndeliveredError

pytestmark = pytest.mark.slow
RUNTIMES = Path(__file__).parent / "runtimes"


@pytest.fixture(scope="module", params=ALL)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param, slim=True)
    yield made
    made.close()


def start(lab: Lab, bootstrap: str | bytes | None, mode: int = 0o755, **values: Any) -> Sandbox:
    code = Path(lab.code("nothing = True\n"))
    if bootstrap is not None:
        path = code / "bootstrap"
        path.write_bytes(bootstrap if isinstance(bootstrap, bytes) else bootstrap.encode())
        path.chmod(mode)
    spec = lab.spec_of_code(str(code), runtime="provided.al2023", **values)
    return lab.run(lab.runtime.start(spec, lab.credentials(), lab.log))


def script(name: str) -> str:
    return (RUNTIMES / name).read_text()


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The C runtime, compiled."""
    compiler = shutil.which("cc")
    assert compiler is not None, "a C compiler is needed: install gcc"
    made = tmp_path_factory.mktemp("c") / "bootstrap"
    subprocess.run([compiler, "-O1", "-o", made, RUNTIMES / "bootstrap.c"], check=True)
    return made.read_bytes()


@pytest.fixture(scope="module")
def puppet(lab: Lab) -> Iterator[Sandbox]:
    """A runtime that does what each event says."""
    sandbox = start(lab, script("bootstrap.py"), environment={"COLOUR": "blue"})
    assert sandbox.init.error is None, lab.logs
    yield sandbox
    lab.end(sandbox)


def ask(lab: Lab, sandbox: Sandbox, what: str, **event: Any) -> Outcome:
    return lab.invoke(sandbox, {"do": what, **event}, request_id=f"id of {what}".replace(" ", "-"))


def told(lab: Lab, sandbox: Sandbox) -> Any:
    return json.loads(ask(lab, sandbox, "told").payload)


def test_a_shell_script_is_a_runtime(lab: Lab) -> None:
    sandbox = start(lab, script("bootstrap.sh"), handler="my.handler")
    for number in range(2):
        outcome = lab.invoke(sandbox, {"n": number}, request_id=f"id-{number}")
        assert outcome.ending is Ending.RETURNED
        answer = json.loads(outcome.payload)
        assert answer["event"] == {"n": number}
        assert answer["uid"] != 0
        if lab.isolates:
            assert answer["cwd"] == "/var/task"
        assert 0 < outcome.max_memory_mb < 256
        assert lab.text(f"id-{number}") == f'my.handler got {{"n": {number}}}\n'
    lab.end(sandbox)


def test_a_native_program_answers_and_fails_in_its_own_words(lab: Lab, native: bytes) -> None:
    sandbox = start(lab, native)
    assert json.loads(lab.invoke(sandbox, ["a"]).payload) == ["a"]
    failed = lab.invoke(sandbox, "error")
    assert failed.ending is Ending.RAISED
    assert json.loads(failed.payload) == {
        "errorMessage": "no",
        "errorType": "Native.Refused",
        "stackTrace": [],
    }
    assert lab.invoke(sandbox, ["b"]).ending is Ending.RETURNED, "it lives on"
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("event", "ending", "kind", "words"),
    [
        ("exit", Ending.EXITED, "Runtime.ExitError", "exit status 7"),
        ("crash", Ending.EXITED, "Runtime.ExitError", "signal: segmentation fault"),
        ("spin", Ending.TIMED_OUT, "Sandbox.Timedout", "Task timed out after 10.00 seconds"),
        ("memory", Ending.OUT_OF_MEMORY, "Runtime.OutOfMemory", "signal: killed"),
    ],
)
def test_the_end_of_a_native_program_is_told_as_aws_tells_it(
    lab: Lab, native: bytes, event: str, ending: Ending, kind: str, words: str
) -> None:
    sandbox = start(lab, native)
    outcome = lab.invoke(sandbox, event, ms=1000 if event == "spin" else 10_000)
    assert outcome.ending is ending
    payload = json.loads(outcome.payload)
    assert payload["errorType"] == kind
    assert words in payload["errorMessage"]
    assert sandbox.closed
    lab.end(sandbox)


def test_an_event_comes_with_the_headers_and_variables_of_aws(lab: Lab, puppet: Sandbox) -> None:
    outcome = lab.run(
        puppet.invoke(
            "id-1",
            b'{"do": "headers"}',
            lab.clock.now_ms() + 10_000,
            {
                "invoked_function_arn": "arn:x",
                "client_context": '{"a": "\u00e9"}',
                "trace_id": "Root=1-2-3",
                "identity": '{"cognitoIdentityId": "i"}',
            },
        )
    )
    answer = json.loads(outcome.payload)
    headers = answer["headers"]
    assert abs(int(headers.pop("Lambda-Runtime-Deadline-Ms")) - lab.clock.now_ms()) < 20_000
    assert headers == {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": "id-1",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:x",
        "Lambda-Runtime-Trace-Id": "Root=1-2-3",
        "Lambda-Runtime-Client-Context": '{"a": "\\xe9"}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "i"}',
    }
    environment = answer["env"]
    assert environment["COLOUR"] == "blue"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert environment["AWS_ACCESS_KEY_ID"] == "AKIAONE"
    assert not {"AWS_EXECUTION_ENV", "PYTHONPATH"} & set(environment)
    if lab.isolates:
        assert environment["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"


def test_a_streamed_response_comes_in_pieces_or_whole(lab: Lab, puppet: Sandbox) -> None:
    pieces: list[tuple[bytes, str]] = []

    async def take(piece: bytes, kind: str) -> None:
        pieces.append((piece, kind))

    event = json.dumps({"do": "stream", "pieces": ["one", "two"]}).encode()
    until = lab.clock.now_ms() + 10_000
    outcome = lab.run(puppet.invoke("id-2", event, until, {}, take))
    assert outcome[:2] == (Ending.RETURNED, b"")
    assert outcome.content_type == "text/x-a"
    assert b"".join(piece for piece, _ in pieces) == b"onetwo"
    assert {kind for _, kind in pieces} == {"text/x-a"}
    assert told(lab, puppet) == 202
    whole = ask(lab, puppet, "stream", pieces=["one", "two"])
    assert whole[:2] == (Ending.RETURNED, b"onetwo")


def test_a_slow_reader_holds_a_streaming_runtime_back(lab: Lab, puppet: Sandbox) -> None:
    """Ten megabytes pass, and not all at once: each piece is asked for."""
    sizes: list[int] = []

    async def take(piece: bytes, _: str) -> None:
        sizes.append(len(piece))

    until = lab.clock.now_ms() + 10_000
    outcome = lab.run(puppet.invoke("id-3", b'{"do": "large stream"}', until, {}, take))
    assert outcome.ending is Ending.RETURNED
    assert sum(sizes) == 10_000_000
    too_large = ask(lab, puppet, "large stream")
    assert too_large.ending is Ending.RAISED, "six megabytes are the most of what is not streamed"
    assert json.loads(too_large.payload)["errorType"] == "Function.ResponseSizeTooLarge"


def test_trailers_tell_of_a_failure_half_way(lab: Lab, puppet: Sandbox) -> None:
    pieces: list[bytes] = []

    async def take(piece: bytes, _: str) -> None:
        pieces.append(piece)

    until = lab.clock.now_ms() + 10_000
    outcome = lab.run(puppet.invoke("id-4", b'{"do": "stream error"}', until, {}, take))
    assert outcome[:2] == (Ending.RAISED, b'{"errorMessage": "half-way"}')
    assert pieces == [b"one"]
    assert told(lab, puppet) == 202


def test_a_streamed_response_that_is_cut_short_has_failed(lab: Lab, puppet: Sandbox) -> None:
    outcome = ask(lab, puppet, "cut")
    assert outcome.ending is Ending.RAISED
    assert json.loads(outcome.payload)["errorType"] == "Runtime.TruncatedResponse"


def test_answers_out_of_order_are_refused_in_the_words_of_aws(lab: Lab, puppet: Sandbox) -> None:
    assert ask(lab, puppet, "wrong id")[:2] == (Ending.RETURNED, b"2")
    after = "State transition from RuntimeResponseSentState to"
    why = "failed for runtime. Error: State transition is not allowed"
    assert [(status, json.loads(body)) for status, body in told(lab, puppet)] == [
        (400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}),
        (202, {"status": "OK"}),
        *(
            (403, {"errorMessage": f"{after} {to} {why}", "errorType": "InvalidStateTransition"})
            for to in ("InvocationResponse", "InvocationErrorResponse")
        ),
    ]


def test_a_response_over_the_limit_fails_the_invocation(lab: Lab, puppet: Sandbox) -> None:
    outcome = ask(lab, puppet, "large")
    assert json.loads(outcome.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
    }
    status, body = told(lab, puppet)
    assert status == 413
    assert json.loads(body)["errorType"] == "RequestEntityTooLarge"


@pytest.mark.parametrize(
    ("what", "status"),
    [("mode", 400), ("next again", 403), ("elsewhere", None), ("nonsense", None)],
)
def test_what_the_api_does_not_know_it_refuses(
    lab: Lab, puppet: Sandbox, what: str, status: int | None
) -> None:
    outcome = ask(lab, puppet, what)
    assert outcome.ending is (Ending.RAISED if what == "mode" else Ending.RETURNED)
    answer = told(lab, puppet)
    if what == "elsewhere":
        assert answer == [404, 403], "a registration without a name"
    elif status is not None:
        assert answer[0] == status


def test_nobody_but_the_sandbox_is_served(lab: Lab, puppet: Sandbox) -> None:
    """Where the listener is on the machine's loopback, the user of a connection is looked at."""
    if lab.isolates or os.getuid() != 0:
        return  # its loopback is its own, or its user is ours
    environment = json.loads(ask(lab, puppet, "headers").payload)["env"]
    host, _, port = environment["AWS_LAMBDA_RUNTIME_API"].partition(":")

    async def ask_from_outside() -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    assert lab.run(ask_from_outside()) == b""
    assert ask(lab, puppet, "headers").ending is Ending.RETURNED


def test_an_event_that_a_leaving_runtime_never_saw_is_not_its_failure(lab: Lab) -> None:
    sandbox = start(lab, script("bootstrap.py"))
    assert ask(lab, sandbox, "leave").ending is Ending.RETURNED
    with pytest.raises(UndeliveredError):
        ask(lab, sandbox, "told")
    lab.end(sandbox)


def test_an_error_of_the_start_is_the_runtimes_own(lab: Lab) -> None:
    sandbox = start(lab, script("bootstrap.py"), environment={"START": "init error"})
    assert sandbox.init.error == {
        "errorMessage": "no database",
        "errorType": "My.StartError",
        "stackTrace": ["a"],
    }
    assert sandbox.closed
    lab.end(sandbox)


def test_a_runtime_that_leaves_before_it_asks_has_not_started(lab: Lab) -> None:
    sandbox = start(lab, script("bootstrap.py"), environment={"START": "exit"})
    assert sandbox.init.error is not None
    assert sandbox.init.error["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in str(sandbox.init.error["errorMessage"])
    assert lab.text("") == "leaving\n"
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("bootstrap", "mode", "words"),
    [
        (None, 0, "Couldn't find valid bootstrap(s): [{task}/bootstrap /opt/bootstrap]"),
        ("#!/bin/sh\n", 0o644, "fork/exec {task}/bootstrap: permission denied"),
        ("no program\n", 0o755, "fork/exec {task}/bootstrap: exec format error"),
        (b"\x7fELF" + bytes(60), 0o755, "fork/exec {task}/bootstrap: exec format error"),
    ],
)
def test_a_bootstrap_that_cannot_be_executed_is_named(
    lab: Lab, bootstrap: str | bytes | None, mode: int, words: str
) -> None:
    sandbox = start(lab, bootstrap, mode)
    assert sandbox.init.error is not None
    assert sandbox.init.error["errorType"] == "Runtime.InvalidEntrypoint"
    told = str(sandbox.init.error["errorMessage"])
    task = "/var/task" if lab.isolates else sandbox.spec.code_dir  # type: ignore[attr-defined]
    assert told == f"Error: {words.format(task=task)}"
    lab.end(sandbox)
