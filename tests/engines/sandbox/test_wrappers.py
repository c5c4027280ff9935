"""Wrapper scripts start runtimes in AWS's place: what they change is there, what they lack is told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, LEVELS, Lab, lab_at

from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow
PROGRAMS = ["nodejs", *(["ruby"] if shutil.which("ruby") else [])]
"""Ruby is tried where the machine has it; CI installs it."""
WRAPPER = """#!/bin/sh
export COLOUR=red
unset SHAPE
echo "wrapped: $1"
exec "$@"
"""
CODE = {
    "python": {
        "app.py": "import os, sys, boto3\ndef handler(event, context):\n    print('in')\n    return"
        " [os.environ.get('COLOUR'), os.environ.get('SHAPE'), event, os.getcwd(),"
        " 'fogbank' in sys.modules, [p for p in sys.path if 'inside' in p], os.environ['_HANDLER']]"
    },
    "nodejs": {
        "app.js": "exports.handler = async (event) => { console.log('in'); return [process.env.COLOUR,"
        " process.env.SHAPE || null, event, process.cwd(), false, [], process.env._HANDLER] }"
    },
    "ruby": {
        "app.rb": "def handler(event:, context:)\n  puts 'in'\n  [ENV['COLOUR'], ENV['SHAPE'], event,"
        " Dir.pwd, false, [], ENV['_HANDLER']]\nend\n"
    },
}


@pytest.fixture(scope="module", params=ALL)
def anywhere(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = lab_at(LEVELS[0], {"near_versions": True, "stems_max": 1}, slim=True)
    yield made
    made.close()


def start(lab: Lab, language: str, wrapper: str = WRAPPER, mode: int = 0o755) -> Sandbox:
    found = [name for name in lab.runtime.runtimes() if name.startswith(language)]
    assert found, f"{language} is needed"
    code = lab.code({**CODE[language], "wrap": wrapper})
    os.chmod(f"{code}/wrap", mode)
    place = "/var/task" if lab.isolates else code
    variables = {
        "AWS_LAMBDA_EXEC_WRAPPER": f"{place}/wrap",
        "COLOUR": "blue",
        "SHAPE": "round",
    }
    spec = lab.spec_of_code(code, environment=variables, runtime=found[0])
    return lab.run(lab.runtime.start(spec, lab.credentials(), lab.log))


def check(lab: Lab, sandbox: Sandbox) -> None:
    assert sandbox.init.error is None, (sandbox.init, lab.logs)
    assert "wrapped: /" in lab.text("")
    for number in range(2):
        outcome = lab.invoke(sandbox, {"n": number}, request_id="r")
        assert outcome.ending is Ending.RETURNED, outcome
        *answer, folder, loaded, path, handler = json.loads(outcome.payload)
        assert answer == ["red", None, {"n": number}]
        assert (loaded, path, handler) == (False, [], "app.handler")
        assert folder == (sandbox.spec.code_dir if not lab.isolates else "/var/task")
        assert "in" in lab.text("r")
    lab.end(sandbox)


def test_a_python_function_is_started_by_its_wrapper_at_every_level(anywhere: Lab) -> None:
    check(anywhere, start(anywhere, "python"))


@pytest.mark.parametrize("language", PROGRAMS)
def test_programs_are_started_by_their_wrappers(lab: Lab, language: str) -> None:
    check(lab, start(lab, language))
    check(lab, start(lab, language))  # also where a runtime of that kind waits


OTHER = """
import json, os, urllib.request as http
runtime = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/"
while True:
    with http.urlopen(runtime + "invocation/next") as asked:
        request_id, event = asked.headers["Lambda-Runtime-Aws-Request-Id"], json.load(asked)
    print("other", flush=True)
    if event == "fail":
        what, answer = "error", {"errorType": "Other", "errorMessage": "as told"}
    elif event == "exit":
        os._exit(3)
    else:
        what, answer = "response", [event, "other"]
    where = f"{runtime}invocation/{request_id}/{what}"
    http.urlopen(http.Request(where, json.dumps(answer).encode())).close()
"""


def check_other(anywhere: Lab, language: str) -> None:
    """Have a wrapper start another client of the Runtime API, as that of AWS's web adapter does."""
    found = [name for name in anywhere.runtime.runtimes() if name.startswith(language)]
    script = '#!/bin/sh\nexec /usr/bin/python3 "$LAMBDA_TASK_ROOT/other.py"\n'
    code = anywhere.code({**CODE[language], "other.py": OTHER, "wrap": script})
    os.chmod(f"{code}/wrap", 0o755)
    place = "/var/task" if anywhere.isolates else code
    spec = anywhere.spec_of_code(
        code, environment={"AWS_LAMBDA_EXEC_WRAPPER": f"{place}/wrap"}, runtime=found[0]
    )
    sandbox = anywhere.run(anywhere.runtime.start(spec, anywhere.credentials(), anywhere.log))
    assert sandbox.init.error is None, (sandbox.init, anywhere.logs)
    for number in range(2):
        outcome = anywhere.invoke(sandbox, {"n": number}, request_id="r")
        assert outcome.ending is Ending.RETURNED, (outcome, anywhere.text("r")[-300:])
        assert json.loads(outcome.payload) == [{"n": number}, "other"]
        assert "other" in anywhere.text("r")
    outcome = anywhere.invoke(sandbox, "fail")
    assert (outcome.ending, json.loads(outcome.payload)["errorType"]) == (
        Ending.RAISED,
        "Other",
    ), (outcome, anywhere.text("r")[-300:])
    assert not sandbox.closed
    assert anywhere.invoke(sandbox, "exit").ending is Ending.EXITED
    anywhere.end(sandbox)


def test_a_wrapper_may_start_another_client_of_the_runtime_api_at_every_level(
    anywhere: Lab,
) -> None:
    check_other(anywhere, "python")


def test_a_wrapper_of_a_program_may_start_another_client_of_the_runtime_api(lab: Lab) -> None:
    check_other(lab, "nodejs")


def test_a_runtime_of_ours_that_no_wrapper_started_is_asked_in_its_own_way_alone(lab: Lab) -> None:
    handler = """
import os, urllib.error, urllib.request
def handler(event, context):
    api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/next"
    try:
        urllib.request.urlopen(api)
    except urllib.error.HTTPError as refused:
        return [refused.code, event]
"""
    sandbox = lab.start({"app.py": handler})
    for number in range(2):
        assert json.loads(lab.invoke(sandbox, number).payload) == [403, number]
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("wrapper", "mode", "status", "words"),
    [
        (WRAPPER, 0o644, 126, "wrap: is not an executable"),
        ("#!/bin/sh\nexit 3\n", 0o755, 3, ""),
    ],
)
def test_a_wrapper_that_starts_nothing_is_the_error_of_the_start(
    lab: Lab, wrapper: str, mode: int, status: int, words: str
) -> None:
    sandbox = start(lab, "nodejs", wrapper, mode)
    error: Any = sandbox.init.error
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith(f"exit status {status}")
    assert words in lab.text("")


def test_a_wrapper_that_is_not_there_is_told(lab: Lab) -> None:
    values = {"environment": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/none"}}
    sandbox = lab.start(CODE["python"], **values)
    error: Any = sandbox.init.error
    assert error["errorMessage"].endswith("exit status 127")
    assert "/opt/none: does not exist" in lab.text("")
