"""Extensions: processes beside the runtime, and threads in it, that take part in its life."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, EXEC, LEVELS, Lab, lab_at

from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow
RUNTIMES = Path(__file__).parent / "runtimes"


@pytest.fixture(scope="module", params=ALL)
def anywhere(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param, slim=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = lab_at(LEVELS[0], slim=True)
    yield made
    made.close()


def start(
    lab: Lab, behaviour: str = "", names: tuple[str, ...] = ("watcher",), **values: Any
) -> Sandbox:
    """Start a function of Python, or of what ``values`` say, beside extensions."""
    code = Path(lab.code(values.pop("files", EXEC)))
    for name in names:
        path = code / "extensions" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((RUNTIMES / "extension.py").read_text())
        path.chmod(0o755)
    place = "/var/task" if lab.isolates else os.path.realpath(code)
    values.setdefault("environment", {"BEHAVIOUR": behaviour})
    spec = lab.spec_of_code(str(code), extensions_dir=f"{place}/extensions", **values)
    return lab.run(lab.runtime.start(spec, lab.credentials(), lab.log))


def printed(lab: Lab) -> list[str]:
    """Return the lines that were printed since the last time, but for what was heard."""
    text = b"".join(piece for _, piece in lab.logs).decode()
    lab.logs.clear()
    return [line for line in text.splitlines() if " heard [" not in line]


def test_an_external_extension_lives_through_start_events_and_end(anywhere: Lab) -> None:
    lab = anywhere
    sandbox = start(lab)
    assert sandbox.init.error is None, lab.logs
    [report] = sandbox.init.extensions
    assert report == ("watcher", "Ready", ("INVOKE", "SHUTDOWN"), "")
    for number in range(2):
        assert lab.ask(sandbox, f"answer = {number}") == number
    lab.end(sandbox)
    registered, *events = printed(lab)
    assert json.loads(registered.removeprefix("watcher registered 200 ")) == {
        "accountId": "123456789012",
        "functionName": "f",
        "functionVersion": "$LATEST",
        "handler": "app.handler",
    }
    assert events == ["watcher INVOKE r", "watcher INVOKE r", "watcher SHUTDOWN spindown"]


def test_a_runtime_of_aws_protocol_is_kept_beside_extensions_too(lab: Lab) -> None:
    files = {"bootstrap": (RUNTIMES / "bootstrap.sh").read_text(), "app.py": ""}
    code = Path(lab.code(files))
    (code / "bootstrap").chmod(0o755)
    folder = code / "extensions"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text((RUNTIMES / "extension.py").read_text())
        (folder / name).chmod(0o755)
    spec = lab.spec_of_code(
        str(code), runtime="provided.al2023", extensions_dir="/var/task/extensions"
    )
    sandbox = lab.run(lab.runtime.start(spec, lab.credentials(), lab.log))
    assert [each.name for each in sandbox.init.extensions] == ["one", "two"]
    assert lab.invoke(sandbox, {"n": 1}).ending is Ending.RETURNED
    lab.end(sandbox)
    assert {"one INVOKE r", "two INVOKE r", "one SHUTDOWN spindown"} <= set(printed(lab))


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [("crash", "Extension.Crash", "exit status 3"), ("init/error", "Extension.InitError", "1")],
)
def test_an_extension_that_fails_to_start_is_the_error_of_the_start(
    lab: Lab, behaviour: str, kind: str, words: str
) -> None:
    sandbox = start(lab, behaviour)
    assert sandbox.init.error is not None
    assert sandbox.init.error["errorType"] == kind
    assert str(sandbox.init.error["errorMessage"]).endswith(words)
    assert sandbox.closed
    lab.end(sandbox)


def test_what_cannot_be_executed_is_an_error_of_the_launch(lab: Lab) -> None:
    code = Path(lab.code(EXEC))
    (code / "extensions").mkdir()
    (code / "extensions" / "plain").write_text("no program")
    spec = lab.spec_of_code(str(code), extensions_dir="/var/task/extensions")
    sandbox = lab.run(lab.runtime.start(spec, lab.credentials(), lab.log))
    assert sandbox.init.error is not None
    assert sandbox.init.error["errorType"] == "Extension.LaunchError"
    words = "fork/exec /var/task/extensions/plain: permission denied"
    assert sandbox.init.error["errorMessage"] == f"Error: {words}"
    lab.end(sandbox)


def test_an_extension_that_ends_within_an_invocation_ends_it(lab: Lab) -> None:
    sandbox = start(lab, "late crash")
    outcome = lab.invoke(sandbox, {"code": "import time; time.sleep(5)"})
    assert outcome.ending is Ending.EXITED
    assert json.loads(outcome.payload) == {
        "errorType": "Extension.Crash",
        "errorMessage": "RequestId: r Error: exit code 0",
    }
    assert outcome.duration_ms < 4000
    assert sandbox.closed
    lab.end(sandbox)


def test_an_environment_is_done_when_its_extensions_are(lab: Lab) -> None:
    sandbox = start(lab, "slow")
    printed(lab)
    assert lab.invoke(sandbox, {"code": "answer = 1"}).payload == b"1"
    assert printed(lab) == ["watcher INVOKE r", "watcher done"]
    lab.end(sandbox)


def test_extensions_hear_of_time_outs_and_of_runtimes_that_end(lab: Lab) -> None:
    for code, reason, ending in (
        ("import time; time.sleep(9)", "timeout", Ending.TIMED_OUT),
        ("import os; os._exit(7)", "failure", Ending.EXITED),
        ("import os; os.close(3); import time; time.sleep(9)", None, Ending.EXITED),
    ):
        sandbox = start(lab)
        printed(lab)
        outcome = lab.invoke(sandbox, {"code": code}, ms=700)
        assert outcome.ending is ending, outcome
        assert sandbox.closed
        lab.end(sandbox)
        told = [] if reason is None else [f"watcher SHUTDOWN {reason}"]
        assert printed(lab) == ["watcher INVOKE r", *told]


def test_an_extension_that_lingers_is_killed_at_its_deadline(lab: Lab) -> None:
    sandbox = start(lab, "linger")
    before = lab.clock.monotonic()
    lab.end(sandbox)
    assert 1.5 < lab.clock.monotonic() - before < 4
    assert printed(lab)[-1] == "watcher SHUTDOWN spindown"


def test_an_extension_finds_the_variables_that_aws_gives_it(lab: Lab) -> None:
    sandbox = start(lab, environment={"BEHAVIOUR": "environment", "COLOUR": "blue"})
    lab.end(sandbox)
    [listed] = [line for line in printed(lab) if line.startswith("watcher [")]
    names = set(eval(listed.removeprefix("watcher ")))
    assert {"COLOUR", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "PATH"} <= names
    assert not names & {"_HANDLER", "AWS_EXECUTION_ENV", "LAMBDA_TASK_ROOT", "PYTHONPATH"}


INTERNAL = """
import http.client, json, os, threading

def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=10)
    sent = {f"Lambda-Extension-{name}": value for name, value in headers.items()}
    connection.request(method, "/2020-01-01/extension/" + path, body, sent)
    reply = connection.getresponse()
    return reply.status, reply.getheader("Lambda-Extension-Identifier"), reply.read().decode()

_, identifier, _ = ask("POST", "register", '{"events": ["INVOKE"]}', Name="inner")
heard = []

def listen():
    while True:
        heard.append(json.loads(ask("GET", "event/next", Identifier=identifier)[2]))

threading.Thread(target=listen, daemon=True).start()

def handler(event, context):
    names = {"event": event, "ask": ask, "heard": heard, "identifier": identifier}
    exec(event["code"], names)
    return names.get("answer")
"""


def test_an_extension_within_a_python_runtime_registers_and_hears(anywhere: Lab) -> None:
    lab = anywhere
    sandbox = lab.start(INTERNAL)
    assert sandbox.init.extensions == (("inner", "Ready", ("INVOKE",), ""),)
    code = "import time\nwhile not heard: time.sleep(0.01)\nanswer = heard.pop()"
    event = lab.ask(sandbox, code)
    assert (event["eventType"], event["requestId"]) == ("INVOKE", "r")
    lab.end(sandbox)


def test_what_is_out_of_order_or_of_another_environment_is_refused(lab: Lab) -> None:
    other = lab.start(INTERNAL)
    foreign = lab.ask(other, "answer = identifier")
    sandbox = lab.start(INTERNAL)

    def refused(call: str) -> tuple[int, str]:
        status, _, body = lab.ask(sandbox, f"answer = ask({call})")
        return status, json.loads(body)["errorType"].removeprefix("Extension.")

    late = """"POST", "register", '{"events": ["INVOKE"]}', Name="late" """
    assert refused(late) == (403, "RegistrationClosed")
    assert refused('"GET", "event/next"') == (403, "MissingExtensionIdentifier")
    assert refused('"GET", "event/next", Identifier="x"') == (403, "InvalidExtensionIdentifier")
    asked = f'"GET", "event/next", Identifier="{foreign}"'
    assert refused(asked) == (403, "UnknownExtensionIdentifier")
    assert refused('"POST", "exit/error", Identifier=identifier') == (403, "MissingHeader")
    assert refused('"GET", "../runtime/invocation/next"') == (404, "NotFound")
    for each in (sandbox, other):
        lab.end(each)


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_extensions_are_told_what_happens_and_what_is_printed(lab: Lab, protocol: str) -> None:
    sandbox = start(lab, protocol)
    assert sandbox.init.error is None, lab.logs

    async def tell(kind: str, record: dict[str, Any], moment: str = "") -> None:
        assert sandbox.tell is not None
        sandbox.tell(kind, record, moment)

    lab.run(tell("initStart", {"phase": "init"}, "2026-01-01T00:00:00.000Z"))
    lab.run(tell("start", {"requestId": "r", "version": "$LATEST"}))
    lab.ask(sandbox, "print('hello'); print('world', end='')")
    lab.run(tell("report", {"requestId": "r", "metrics": {"durationMs": 1.0}}))
    lab.end(sandbox)
    text = b"".join(piece for _, piece in lab.logs).decode()
    lab.logs.clear()
    [line] = [line for line in text.splitlines() if " heard [" in line]
    heard = json.loads(line.partition(" heard ")[2])
    kinds = [event["type"] for event in heard]
    records = [event["record"] for event in heard]
    assert "hello" in records, text
    assert "watcher INVOKE r" in records
    assert all(event["time"].endswith("Z") for event in heard)
    of_platform = [kind for kind in kinds if kind.startswith("platform.")]
    if protocol == "HTTP":
        assert of_platform == [
            *("platform.telemetrySubscription", "platform.initStart"),
            *("platform.start", "platform.report"),
        ]
    else:
        assert of_platform == [
            *("platform.logsSubscription", "platform.start", "platform.report", "platform.end")
        ]


def test_a_subscription_from_within_a_runtime_says_that_it_is_not_built(lab: Lab) -> None:
    code = """
import http.client, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=10)
connection.request("PUT", "/2022-07-01/telemetry", "{}", {"Lambda-Extension-Identifier": identifier})
answer = connection.getresponse().status
"""
    sandbox = lab.start(INTERNAL)
    assert lab.ask(sandbox, code) == 501
    lab.end(sandbox)
