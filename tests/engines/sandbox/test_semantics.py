"""What a well-meant handler finds: AWS's shapes, words and habits."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest
from tests.engines.sandbox.conftest import PORT

from fogbank.platform.runtime.port import Ending

pytestmark = pytest.mark.slow


def start_error(lab: Any, files: Any, handler: str = "app.handler") -> dict[str, Any]:
    """Start code that does not start; return the error."""
    sandbox = lab.start(files, handler=handler)
    assert sandbox.closed
    error = sandbox.init.error
    assert error is not None
    lab.end(sandbox)
    return error


def test_the_handler_gets_event_and_context_and_its_answer_is_json(lab: Any) -> None:
    code = """
def handler(event, context):
    names = ('function_name', 'function_version', 'invoked_function_arn', 'memory_limit_in_mb',
             'aws_request_id', 'log_group_name', 'log_stream_name')
    return {'event': event, 'left': context.get_remaining_time_in_millis(),
            'custom': context.client_context.custom, 'identity': str(context.identity),
            **{name: getattr(context, name) for name in names}}
"""
    sandbox = lab.start(code, function_name="hello", log_stream="2026/[1]x")
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:hello:live"
    client_context = json.dumps({"custom": {"a": 1}, "client": {"app_title": "t"}})
    outcome = lab.invoke(
        sandbox,
        {"x": ["é"]},
        request_id="id-1",
        ms=5000,
        invoked_function_arn=arn,
        client_context=client_context,
    )
    assert outcome.ending == Ending.RETURNED
    answer = json.loads(outcome.payload)
    assert 3000 < answer.pop("left") <= 5000
    assert "cognito_identity_id=None" in answer.pop("identity")
    assert answer == {
        "event": {"x": ["é"]},
        "custom": {"a": 1},
        "function_name": "hello",
        "function_version": "$LATEST",
        "invoked_function_arn": arn,
        "memory_limit_in_mb": "256",
        "aws_request_id": "id-1",
        "log_group_name": "/aws/lambda/hello",
        "log_stream_name": "2026/[1]x",
    }
    assert 0 < outcome.duration_ms < 5000
    assert 10 < outcome.max_memory_mb <= 256
    lab.end(sandbox)


def test_memory_that_is_freed_and_asked_for_again_costs_no_page_faults(lab: Any) -> None:
    """A picture takes some blocks of a few megabytes; given back, each would be faulted in anew."""
    code = """
import resource

def picture():
    blocks = [b'x' * (3 << 20) for _ in range(3)]
    return len(blocks)

def handler(event, context):
    for _ in range(3):
        picture()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        picture()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
    sandbox = lab.start(code)
    faults = json.loads(lab.invoke(sandbox).payload)
    assert faults < 9 * (1 << 20) // 4096, "less than one picture's pages for ten pictures"
    lab.end(sandbox)


def test_an_exception_has_the_shape_and_the_log_line_of_aws(lab: Any) -> None:
    code = "def handler(event, context):\n    return deeper()\n\ndef deeper():\n    raise ValueError('no')\n"
    sandbox = lab.start(code)
    outcome = lab.invoke(sandbox, request_id="id-2")
    assert outcome.ending == Ending.RAISED
    assert json.loads(outcome.payload) == {
        "errorMessage": "no",
        "errorType": "ValueError",
        "requestId": "id-2",
        "stackTrace": [
            '  File "/var/task/app.py", line 2, in handler\n    return deeper()\n',
            "  File \"/var/task/app.py\", line 5, in deeper\n    raise ValueError('no')\n",
        ],
    }
    lines = lab.text("id-2").replace("\u00a0", " ").split("\r")
    assert lines[:3] == [
        "[ERROR] ValueError: no",
        "Traceback (most recent call last):",
        '  File "/var/task/app.py", line 2, in handler',
    ]
    assert lab.invoke(sandbox).ending == Ending.RAISED  # the environment lives on
    lab.end(sandbox)


def test_a_missing_module_fails_the_start_in_the_words_of_aws(lab: Any) -> None:
    error = start_error(lab, "import nowhere\n")
    assert error == {
        "errorMessage": "Unable to import module 'app': No module named 'nowhere'",
        "errorType": "Runtime.ImportModuleError",
        "requestId": "",
        "stackTrace": [],
    }
    text = lab.text("")
    assert "LAMBDA_WARNING: Unhandled exception." in text
    assert "[ERROR] Runtime.ImportModuleError: Unable to import module 'app'" in text


@pytest.mark.parametrize(
    ("files", "handler", "kind", "message"),
    [
        ("x = 1\n", "app.go", "Runtime.HandlerNotFound", "Handler 'go' missing on module 'app'"),
        (
            "def handler(:\n",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (
            "x = 1\n",
            "other.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'other': No module named 'other'",
        ),
        (
            "x = 1\n",
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "x = 1\n",
            "sys.handler",
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
        ("raise KeyError('k')\n", "app.handler", "KeyError", "'k'"),
        ("import sys\nsys.exit(3)\n", "app.handler", "Runtime.ExitError", "exit status 3"),
        ("import os\nos._exit(0)\n", "app.handler", "Runtime.ExitError", "without providing a"),
    ],
)
def test_a_start_that_fails_says_why(
    lab: Any, files: str, handler: str, kind: str, message: str
) -> None:
    error = start_error(lab, files, handler)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


def test_an_import_that_raises_has_a_trace_that_ends_in_the_users_code(lab: Any) -> None:
    error = start_error(lab, "def f():\n    raise OSError('x')\nf()\n")
    assert (
        error["stackTrace"][-1]
        == "  File \"/var/task/app.py\", line 2, in f\n    raise OSError('x')\n"
    )
    assert not any("bootstrap.py" in frame and "fogbank" in frame for frame in error["stackTrace"])


def test_a_handler_may_lie_in_nested_folders(lab: Any) -> None:
    files = {"src/fns/app.py": "from src.fns.words import W\ndef go(e, c): return W\n"}
    files["src/fns/words.py"] = "W = 'nested'\n"
    for handler in ("src/fns/app.go", "src.fns.app.go"):
        sandbox = lab.start(files, handler=handler)
        assert json.loads(lab.invoke(sandbox).payload) == "nested"
        lab.end(sandbox)


ANSWERS = """
import decimal, sys, os
class Odd: pass
def handler(event, context):
    kind = event['kind']
    if kind == 'set': return {1, 2}
    if kind == 'object': return Odd()
    if kind == 'none': return None
    if kind == 'decimal': return [decimal.Decimal('1'), decimal.Decimal('1.25')]
    if kind == 'bytes': return b'{"raw": true}'
    if kind == 'large': return 'x' * 6291555
    if kind == 'fits': return 'x' * 6291554
    if kind == 'exit 0': sys.exit(0)
    if kind == 'exit 7': os._exit(7)
    if kind == 'crash':
        import ctypes
        ctypes.string_at(0)
"""


@pytest.fixture(scope="module")
def answers(lab: Any) -> Any:
    sandbox = lab.start(ANSWERS, memory_mb=512)
    yield sandbox
    lab.end(sandbox)


def test_an_answer_that_is_no_json_is_a_marshal_error(lab: Any, answers: Any) -> None:
    outcome = lab.invoke(answers, {"kind": "set"}, request_id="id-3")
    assert outcome.ending == Ending.RAISED
    assert json.loads(outcome.payload) == {
        "errorMessage": "Unable to marshal response: Object of type set is not JSON serializable",
        "errorType": "Runtime.MarshalError",
        "requestId": "id-3",
        "stackTrace": [],
    }


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("none", b"null"), ("decimal", b"[1, 1.25]"), ("bytes", b'{"raw": true}')],
)
def test_an_answer_is_written_as_aws_writes_it(
    lab: Any, answers: Any, kind: str, payload: bytes
) -> None:
    assert lab.invoke(answers, {"kind": kind}).payload == payload


def test_an_answer_over_six_megabytes_is_refused_and_one_below_passes(
    lab: Any, answers: Any
) -> None:
    assert len(lab.invoke(answers, {"kind": "fits"}).payload) == 6291556
    outcome = lab.invoke(answers, {"kind": "large"})
    assert outcome.ending == Ending.RAISED
    assert json.loads(outcome.payload)["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_large_event_arrives_whole(lab: Any) -> None:
    sandbox = lab.start("def handler(e, c): return len(e)\n")
    assert json.loads(lab.invoke(sandbox, "y" * 6_000_000).payload) == 6_000_000
    lab.end(sandbox)


def test_a_payload_that_is_no_json_is_an_unmarshal_error(lab: Any) -> None:
    sandbox = lab.start()
    outcome = lab.run(sandbox.invoke("r", b"{nonsense", lab.clock.now_ms() + 5000, {}))
    assert json.loads(outcome.payload)["errorType"] == "Runtime.UnmarshalError"
    lab.end(sandbox)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("exit 0", "Runtime exited without providing a reason"),
        ("exit 7", "Runtime exited with error: exit status 7"),
        ("crash", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_process_that_ends_is_an_exit_error(lab: Any, kind: str, words: str) -> None:
    sandbox = lab.start(ANSWERS)
    outcome = lab.invoke(sandbox, {"kind": kind}, request_id="id-4")
    assert outcome.ending == Ending.EXITED
    assert json.loads(outcome.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: id-4 Error: {words}",
    }
    assert sandbox.closed


def test_a_time_out_is_told_as_aws_tells_it_and_keeps_what_was_printed(lab: Any) -> None:
    code = "import time\ndef handler(e, c):\n    print('before', flush=True)\n    time.sleep(60)\n"
    sandbox = lab.start(code, timeout_ms=250)
    outcome = lab.invoke(sandbox, request_id="id-5", ms=250)
    assert outcome.ending == Ending.TIMED_OUT
    assert json.loads(outcome.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id-5 Error: Task timed out after 0.25 seconds",
    }
    assert 250 <= outcome.duration_ms < 3000
    assert lab.text("id-5") == "before\n"
    assert sandbox.closed


def test_out_of_memory_is_told_as_aws_tells_it(lab: Any) -> None:
    sandbox = lab.start(memory_mb=128)
    code = "x = [bytearray(b'x' * 1048576) for _ in range(2000)]"
    outcome = lab.invoke(sandbox, {"code": code}, request_id="id-6")
    assert json.loads(outcome.payload) == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": "RequestId: id-6 Error: Runtime exited with error: signal: killed",
    }


def test_an_import_that_takes_too_long_is_ended(lab: Any) -> None:
    lab.runtime._settings = type(lab.runtime._settings)(init_timeout_ms=300)
    try:
        error = start_error(lab, "import time\ntime.sleep(60)\n")
    finally:
        lab.runtime._settings = type(lab.runtime._settings)()
    assert error["errorType"] == "Sandbox.Timedout"
    assert "timed out after 0.30 seconds" in error["errorMessage"]


LOGGING = """
import logging, os, subprocess, sys
logger = logging.getLogger()
logger.setLevel('INFO')
print('at import')
def handler(event, context):
    print('plain')
    print('to stderr', file=sys.stderr)
    logger.info('hello %s', 'there')
    logger.warning('two\\nlines')
    os.write(1, b'descriptor\\n')
    subprocess.run(['/bin/sh', '-c', 'echo child'])
    print('no line end', end='')
"""


def test_output_of_every_kind_arrives_in_order_before_the_invocation_returns(lab: Any) -> None:
    lab.text("")
    sandbox = lab.start(LOGGING)
    assert lab.text("") == "at import\n"
    lab.invoke(sandbox, request_id="id-7")
    lines = lab.text("id-7").split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert lines[:2] == ["plain", "to stderr"]
    assert re.fullmatch(rf"\[INFO\]\t{stamp}\tid-7\thello there", lines[2])
    assert re.fullmatch(rf"\[WARNING\]\t{stamp}\tid-7\ttwo\rlines", lines[3])
    assert lines[4:] == ["descriptor", "child", "no line end"]
    lab.end(sandbox)


def test_a_megabyte_of_output_is_neither_lost_nor_held(lab: Any) -> None:
    sandbox = lab.start()
    lab.invoke(sandbox, {"code": "for i in range(20000): print('x' * 63)"}, request_id="id-8")
    assert len(lab.text("id-8")) == 20000 * 64
    lab.end(sandbox)


def test_structured_logs_have_the_members_of_aws(lab: Any) -> None:
    code = """
import logging
def handler(event, context):
    logging.getLogger('mine').warning('w', extra={'order': 7})
    raise RuntimeError('bad')
"""
    sandbox = lab.start(code, environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    lab.invoke(sandbox, request_id="id-9")
    first, second = (json.loads(line) for line in lab.text("id-9").splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "level": "WARNING",
        "message": "w",
        "logger": "mine",
        "requestId": "id-9",
        "order": 7,
    }
    assert second["level"] == "ERROR"
    assert second["errorType"] == "RuntimeError"
    assert second["requestId"] == "id-9"
    lab.end(sandbox)


def test_a_client_made_at_import_finds_credentials_that_replaced_its_own(lab: Any) -> None:
    code = """
import boto3
client = boto3.client('sts')
def handler(event, context):
    return client._get_credentials().get_frozen_credentials().access_key
"""
    sandbox = lab.run(
        lab.runtime.start(
            lab.spec(code), lab.credentials("AKIAOLD", 300_000), lambda r, b: lab.log(r, b)
        )
    )
    assert json.loads(lab.invoke(sandbox).payload) == "AKIAOLD"
    lab.run(sandbox.credentials(lab.credentials("AKIANEW")))
    assert json.loads(lab.invoke(sandbox).payload) == "AKIANEW"
    found = lab.start(key="AKIAX")
    lab.run(found.credentials(lab.credentials("AKIAY")))
    code = "import os; answer = [os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_CREDENTIAL_EXPIRATION']]"
    key, expires = lab.ask(found, code)
    assert key == "AKIAY"
    assert dt.datetime.fromisoformat(expires) > dt.datetime.now(tz=dt.UTC)
    lab.end(sandbox)
    lab.end(found)


def test_boto3_is_preloaded_but_the_users_own_copy_wins(lab: Any) -> None:
    files = {"app.py": "import boto3\ndef handler(e, c): return [boto3.__file__, boto3.MARK]\n"}
    files["boto3/__init__.py"] = "MARK = 'mine'\n"
    sandbox = lab.start(files)
    answer = json.loads(lab.invoke(sandbox).payload)
    assert answer == ["/var/task/boto3/__init__.py", "mine"]
    lab.end(sandbox)


def test_boto3_is_preloaded_with_models_that_all_sessions_share(lab: Any) -> None:
    code = """
import sys
preloaded = 'boto3' in sys.modules
import botocore.session
def handler(event, context):
    loaders = [botocore.session.Session().get_component('data_loader') for _ in range(2)]
    return [preloaded, loaders[0] is loaders[1]]
"""
    sandbox = lab.start(code)
    assert json.loads(lab.invoke(sandbox).payload) == [True, True]
    lab.end(sandbox)


def test_boto3_calls_reach_the_endpoint(lab: Any) -> None:
    code = """
import boto3, botocore.config
s3 = boto3.client('s3')
url = s3.generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k'})
def handler(event, context):
    answer = s3.get_object(Bucket='b', Key='k')['Body'].read().decode()
    return [answer, url.partition('?')[0], s3.meta.endpoint_url]
"""
    sandbox = lab.start(code, function_name="reader")
    assert sandbox.init.error is None
    body, url, endpoint = json.loads(lab.invoke(sandbox).payload)
    assert body == "arn:aws:lambda:eu-west-1:123456789012:function:reader"
    assert endpoint == f"http://127.0.0.1:{PORT}"
    assert url == f"http://127.0.0.1:{PORT}/b/k"
    lab.end(sandbox)


def test_state_survives_between_invocations_and_the_trace_id_follows_each(lab: Any) -> None:
    code = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    return [count, os.environ.get('_X_AMZN_TRACE_ID')]
"""
    sandbox = lab.start(code)
    assert json.loads(lab.invoke(sandbox, trace_id="Root=1").payload) == [1, "Root=1"]
    assert json.loads(lab.invoke(sandbox).payload) == [2, None]
    lab.end(sandbox)


def test_the_import_path_and_the_working_folder_are_those_of_aws(lab: Any) -> None:
    sandbox = lab.start()
    path, here = lab.ask(sandbox, "import os, sys; answer = [sys.path, os.getcwd()]")
    assert here == "/var/task"
    assert path[0] == "/var/task"
    assert path[2:4] == ["/opt/python", "/var/runtime"]
    assert not any("fogbank" in entry for entry in path)
    lab.end(sandbox)


def test_a_client_context_that_is_no_json_is_the_modelled_error(lab: Any) -> None:
    sandbox = lab.start()
    outcome = lab.invoke(sandbox, {"code": ""}, client_context="{")
    assert json.loads(outcome.payload)["errorType"] == "Runtime.LambdaContextUnmarshalError"
    lab.end(sandbox)
