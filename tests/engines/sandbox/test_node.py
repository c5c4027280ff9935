"""Node.js functions: what a well-meant handler finds, in AWS's shapes, words and habits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, LEVELS, Lab, lab_at

from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow


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


def runtime_of(lab: Lab) -> str:
    found = [name for name in lab.runtime.runtimes() if name.startswith("nodejs")]
    assert found, "Node.js is needed: install nodejs"
    return found[0]


def start(
    lab: Lab, files: dict[str, str] | str, handler: str = "index.handler", **values: Any
) -> Sandbox:
    files = {"index.js": files} if isinstance(files, str) else files
    return lab.start(files, handler=handler, runtime=runtime_of(lab), **values)


def test_a_node_handler_runs_at_every_level(anywhere: Lab) -> None:
    code = "exports.handler = async (event, context) => ({event, id: context.awsRequestId})"
    sandbox = start(anywhere, code)
    assert sandbox.init.error is None, anywhere.logs
    for number in range(3):
        outcome = anywhere.invoke(sandbox, {"n": number}, request_id=f"id-{number}")
        assert json.loads(outcome.payload) == {"event": {"n": number}, "id": f"id-{number}"}
    assert 20 < outcome.max_memory_mb <= 256
    anywhere.end(sandbox)


def test_the_context_is_that_of_aws(lab: Lab) -> None:
    code = """
exports.handler = async (event, context) => ({
  ...context, left: context.getRemainingTimeInMillis(), functions: undefined,
  env: process.env._HANDLER + process.env.COLOUR, cwd: process.cwd(), region: process.env.AWS_REGION,
})"""
    sandbox = start(lab, code, environment={"COLOUR": "blue"}, log_stream="2026/[1]x")
    outcome = lab.invoke(
        sandbox, {}, ms=5000, client_context='{"a": 1}', invoked_function_arn="arn"
    )
    answer = json.loads(outcome.payload)
    assert 3000 < answer.pop("left") <= 5000
    assert answer == {
        "callbackWaitsForEmptyEventLoop": True,
        "functionVersion": "$LATEST",
        "functionName": "f",
        "memoryLimitInMB": "256",
        "logGroupName": "/aws/lambda/f",
        "logStreamName": "2026/[1]x",
        "clientContext": {"a": 1},
        "invokedFunctionArn": "arn",
        "awsRequestId": "r",
        "env": "index.handlerblue",
        "cwd": "/var/task",
        "region": "eu-west-1",
    }
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("exports.handler = (event, context, callback) => callback(null, {a: 1})", {"a": 1}),
        ("exports.handler = (e, c, cb) => { setTimeout(() => {}, 50); cb(null, 1) }", 1),
        (
            """
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false
  setTimeout(() => {}, 60000)
  callback(null, 2)
}""",
            2,
        ),
        ("exports.handler = (event, context) => context.succeed(3)", 3),
        ("exports.handler = () => {}", None),
        ("exports.handler = async () => undefined", None),
        ("exports.handler = async () => { await new Promise(() => {}) }", None),
        ("exports.handler = async () => 'text'", "text"),
        ("exports.handler = async () => process.env.MISSING", None),
    ],
)
def test_answers_come_by_promise_callback_or_an_empty_loop(
    lab: Lab, code: str, answer: Any
) -> None:
    sandbox = start(lab, code)
    for _ in range(2):
        outcome = lab.invoke(sandbox, {})
        assert outcome.ending is Ending.RETURNED, outcome
        assert json.loads(outcome.payload) == answer
    lab.end(sandbox)


@pytest.mark.parametrize(
    "files",
    [
        {"index.mjs": "export const handler = async () => 'module'"},
        {
            "index.js": "export const handler = async () => 'module'",
            "package.json": '{"type": "module"}',
        },
        {"index.cjs": "exports.handler = async () => 'module'"},
        {
            "index.mjs": "import {word} from './lib/word.mjs'\nexport const handler = async () => word",
            "lib/word.mjs": "const word = await Promise.resolve('module')\nexport {word}",
        },
        {"index.mjs": "export default {handler: async () => 'module'}"},
    ],
)
def test_modules_of_either_kind_are_loaded(lab: Lab, files: dict[str, str]) -> None:
    sandbox = start(lab, files)
    assert sandbox.init.error is None, sandbox.init.error
    assert json.loads(lab.invoke(sandbox, {}).payload) == "module"
    lab.end(sandbox)


def test_a_handler_may_lie_in_folders_and_objects(lab: Lab) -> None:
    sandbox = start(
        lab, {"src/app.js": "exports.api = {go: async () => 'nested'}"}, "src/app.api.go"
    )
    assert json.loads(lab.invoke(sandbox, {}).payload) == "nested"
    lab.end(sandbox)


def test_an_error_has_the_shape_and_the_log_line_of_aws(lab: Lab) -> None:
    code = "exports.handler = async () => {\n  throw new TypeError('no\\nway')\n}"
    sandbox = start(lab, code)
    outcome = lab.invoke(sandbox, {}, request_id="id-2")
    assert outcome.ending is Ending.RAISED
    error = json.loads(outcome.payload)
    assert (error["errorType"], error["errorMessage"]) == ("TypeError", "no\nway")
    assert error["trace"][0] == "TypeError: no"
    assert any("/var/task/index.js:2" in line for line in error["trace"])
    text = lab.text("id-2")
    match = re.fullmatch(r"\S+Z\tid-2\tERROR\tInvoke Error \t(\{.*\})\n", text)
    assert match is not None, text
    assert json.loads(match[1])["stack"] == error["trace"]
    assert lab.invoke(sandbox, {}).ending is Ending.RAISED, "it lives on"
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("exports.handler = (e, c, callback) => callback('text')", ("string", "text")),
        ("exports.handler = async () => { throw 7 }", ("number", "7")),
        ("exports.handler = (e, c) => c.fail(new RangeError('r'))", ("RangeError", "r")),
        (
            "exports.handler = async () => { const a = {}; a.a = a; return a }",
            ("Runtime.MarshalError", "Unable to stringify response body"),
        ),
        (
            "exports.handler = async () => 'x'.repeat(6291555)",
            (
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            ),
        ),
    ],
)
def test_what_a_handler_throws_is_told(lab: Lab, code: str, expected: tuple[str, str]) -> None:
    sandbox = start(lab, code)
    outcome = lab.invoke(sandbox, {})
    assert outcome.ending is Ending.RAISED
    error = json.loads(outcome.payload)
    assert (error["errorType"], error["errorMessage"]) == expected
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (
            "exports.handler = (e, c, cb) => { setTimeout(() => { throw new Error('late') }, 5) }",
            "Error",
        ),
        (
            "exports.handler = (e, c, cb) => { Promise.reject(new Error('lost')); setTimeout(cb, 50) }",
            "Runtime.UnhandledPromiseRejection",
        ),
    ],
)
def test_what_nobody_catches_ends_the_environment_and_is_told(
    lab: Lab, code: str, kind: str
) -> None:
    sandbox = start(lab, code)
    outcome = lab.invoke(sandbox, {})
    assert outcome.ending is Ending.RAISED
    assert json.loads(outcome.payload)["errorType"] == kind
    assert sandbox.closed, "no event is given to it any more"
    lab.end(sandbox)


def test_the_console_writes_the_lines_of_aws(lab: Lab) -> None:
    code = """
console.log('at start')
exports.handler = async () => {
  console.log('a %s', 'b', {c: 1})
  console.error('two\\nlines')
  console.debug('d'); console.warn('w'); console.info('i')
  process.stdout.write('plain\\n')
}"""
    sandbox = start(lab, code)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z\tundefined\tINFO\tat start\n", lab.text(""))
    lab.invoke(sandbox, {}, request_id="id-3")
    lines = [
        line.partition("Z\t")[2] or line for line in lab.text("id-3").splitlines(keepends=True)
    ]
    assert "".join(lines).replace("\r", "|").split("\n") == [
        "id-3\tINFO\ta b { c: 1 }",
        "id-3\tERROR\ttwo|lines",
        "id-3\tDEBUG\td",
        "id-3\tWARN\tw",
        "id-3\tINFO\ti",
        "plain",
        "",
    ]
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("files", "handler", "kind", "words"),
    [
        (
            "exports.x = 1",
            "index.handler",
            "Runtime.HandlerNotFound",
            "index.handler is undefined or not exported",
        ),
        (
            "exports.handler = 1",
            "index.handler",
            "Runtime.HandlerNotFound",
            "index.handler is not a function",
        ),
        ("", "other.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'other'"),
        (
            "require('nowhere')",
            "index.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'nowhere'",
        ),
        ("exports.handler = (", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler"),
        ("", "../index.handler", "Runtime.MalformedHandlerName", "is not a valid handler name"),
        ("throw new RangeError('at start')", "index.handler", "RangeError", "at start"),
        ("process.exit(4)", "index.handler", "Runtime.ExitError", "exit status 4"),
    ],
)
def test_a_start_that_fails_says_why(
    lab: Lab, files: str, handler: str, kind: str, words: str
) -> None:
    sandbox = start(lab, files, handler)
    assert sandbox.closed
    error = sandbox.init.error
    assert error is not None
    assert error["errorType"] == kind
    assert words in str(error["errorMessage"])
    lab.end(sandbox)


STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.http) stream = awslambda.HttpResponseStream.from(stream, {statusCode: 201})
  else stream.setContentType('text/plain')
  for (const piece of event.pieces) {
    stream.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  if (event.fail) throw new Error('half-way')
  stream.end()
})
"""


def test_a_streamed_response_comes_in_pieces(lab: Lab) -> None:
    sandbox = start(lab, STREAM)
    heard: list[tuple[bytes, str]] = []

    async def take(piece: bytes, kind: str) -> None:
        heard.append((piece, kind))

    def stream(**event: Any) -> Any:
        heard.clear()
        payload = json.dumps({"pieces": ["one", "two"], **event}).encode()
        return lab.run(sandbox.invoke("r", payload, lab.clock.now_ms() + 9000, {}, take))

    assert stream()[:2] == (Ending.RETURNED, b"")
    assert heard == [(b"one", "text/plain"), (b"two", "text/plain")]
    stream(http=True)
    kind = "application/vnd.awslambda.http-integration-response"
    assert heard == [(b'{"statusCode":201}' + bytes(8) + b"one", kind), (b"two", kind)]
    failed = stream(fail=True)
    assert failed.ending is Ending.RAISED
    assert json.loads(failed.payload)["errorMessage"] == "half-way"
    assert [piece for piece, _ in heard] == [b"one", b"two"]
    whole = lab.invoke(sandbox, {"pieces": ["x" * 3_000_000, "y"]})
    assert whole.ending is Ending.RETURNED
    assert whole.payload == b"x" * 3_000_000 + b"y"
    lab.end(sandbox)


def test_the_end_of_the_time_and_of_the_memory_is_told(lab: Lab) -> None:
    sandbox = start(lab, "exports.handler = async () => { while (true) {} }")
    assert lab.invoke(sandbox, {}, ms=300).ending is Ending.TIMED_OUT
    code = "const kept = []\nexports.handler = async () => { for (;;) kept.push(Buffer.alloc(1 << 20, 1)) }"
    sandbox = start(lab, code)
    assert lab.invoke(sandbox, {}).ending is Ending.OUT_OF_MEMORY
