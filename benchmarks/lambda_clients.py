"""AWS's own runtime clients in functions, each unmodified: ``make lambda-clients``.

Functions in Go and Rust with AWS's libraries, AWS's interface clients for Python and Java, Ruby: each is
deployed as its users deploy it and does what its events ask, well and badly: errors, a time-out,
too little memory. ``--only NAME`` runs one and writes nothing.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from field import CLIENTS, HOME, REGION, Field, Program, expect, install_go, main
from lambda_deploys import RUNTIME, TOOLS, install_adapter, web_adapter

SUITE = "lambda"
OURS = CLIENTS / "lambda"
TIMEOUT_S = 10
"""More than a slow machine takes for too much memory."""
MEMORY_MB = 256
JAVA_DATA = HOME / "lambda-java"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
PYTHON = """
import time
def handler(event, context):
    if event.get('do') == 'fail':
        raise ValueError('no')
    if event.get('do') == 'sleep':
        time.sleep(60)
    if event.get('do') == 'memory':
        kept = []
        while True:
            kept.append(b'x' * (1 << 20))
    return {'value': event['value'], 'id': context.aws_request_id, 'arn': context.invoked_function_arn}
"""
RUBY = """
def handler(event:, context:)
  case event['do']
  when 'fail' then raise 'no'
  when 'sleep' then sleep(60)
  when 'memory'
    kept = []
    loop { kept << ('x' * (1 << 20)) }
  end
  { 'value' => event['value'], 'id' => context.aws_request_id, 'arn' => context.invoked_function_arn }
end
"""
NODE = """
exports.handler = async (event, context) => {
  if (event.do === 'fail') throw new TypeError('no')
  if (event.do === 'sleep') await new Promise((done) => setTimeout(done, 60000))
  for (const kept = []; event.do === 'memory';) kept.push(Buffer.alloc(1 << 20, 1))
  return {value: event.value, id: context.awsRequestId, arn: context.invokedFunctionArn}
}
"""
NODE_RUNTIME = "nodejs20.x"
POWERTOOLS_JS = f"""
import {{ Logger }} from '@aws-lambda-powertools/logger'
const logger = new Logger({{ serviceName: 'field' }}), exports = {{}}
{NODE}
export const handler = async (event, context) => {{
  logger.addContext(context)
  logger.info('asked', {{ event }})
  return exports.handler(event, context)
}}
"""
SHARP = """
const sharp = require('sharp')
exports.handler = async (event) => {
  const picture = sharp(Buffer.alloc(event.width * event.height * 3, 128), {
    raw: { width: event.width, height: event.height, channels: 3 },
  })
  const { data, info } = await picture.resize(16).png().toBuffer({ resolveWithObject: true })
  return { size: [info.width, info.height], bytes: data.length }
}
"""
POWERTOOLS = f"""
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
logger, metrics = Logger(service="field"), Metrics(namespace="field", service="field")
{PYTHON.replace("def handler", "def run")}
@logger.inject_lambda_context(log_event=True)
@metrics.log_metrics
def handler(event, context):
    metrics.add_metric(name="calls", unit=MetricUnit.Count, value=1)
    return run(event, context)
"""
PANDAS = """
import numpy, pandas
def handler(event, context):
    frame = pandas.DataFrame({'n': numpy.arange(event['n']), 'even': numpy.arange(event['n']) % 2 == 0})
    return {str(even): int(total) for even, total in frame.groupby('even')['n'].sum().items()}
"""
PILLOW = """
import base64, io
from PIL import Image
def handler(event, context):
    picture = Image.open(io.BytesIO(base64.b64decode(event['picture'])))
    picture.thumbnail((16, 16))
    out = io.BytesIO()
    picture.save(out, 'PNG')
    return {'size': picture.size, 'bytes': len(out.getvalue())}
"""
MANGUM = """
from mangum import Mangum
async def app(scope, receive, send):
    body = (await receive())['body']
    said = scope['method'].encode() + b' ' + scope['path'].encode() + b' ' + body
    await send({'type': 'http.response.start', 'status': 201, 'headers': [(b'x-said', b'yes')]})
    await send({'type': 'http.response.body', 'body': said})
handler = Mangum(app, lifespan='off')
"""
TALKING = """
import time
def handler(event, context):
    print('hello', event)
    time.sleep(0.5)
    return event
"""
TRIES_MAX = 10
PYTHON_BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/var/task
exec /usr/bin/python3 -m awslambdaric "$_HANDLER"
"""


def zipped(files: Mapping[str, bytes], folder: Path | None = None) -> bytes:
    """Return a deployment package of files, and of a folder's; all may be executed."""
    there = (
        {}
        if folder is None
        else {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**there, **files}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def function(
    package: Callable[[], bytes],
    error_type: str,
    runtime: str,
    handler: str,
    memory: str = "Runtime.OutOfMemory",
) -> Callable[[Field], None]:
    """Return what deploys a function and asks it for each of its ends.

    Args:
        package: Its deployment package.
        error_type: Of the error that it returns, in its language's words.
        runtime: Its runtime.
        handler: Its handler.
        memory: The error of too little memory, where the language ends it before the sandbox does.
    """

    def check(field: Field) -> None:
        deployed = _Deployed(field, package(), runtime, handler)
        for number in range(3):
            given = {"do": "echo", "value": [number, "\u00e9"]}
            answer, failed, log = deployed.invoke(given)
            expect(not failed and answer["value"] == given["value"], f"{answer} {log}")
            expect(answer["arn"].endswith(f":function:{field.label}"), str(answer))
            expect(f"START RequestId: {answer['id']}" in log and "REPORT" in log, log)
        ends = {
            "fail": error_type,
            "sleep": "Sandbox.Timedout",
            "memory": memory,
        }
        for what, kind in ends.items():
            error, failed, log = deployed.invoke({"do": what})
            expect(failed and error["errorType"] == kind, f"{what}: {error} {log}")
        answer, failed, log = deployed.invoke({"do": "echo", "value": 1})
        expect(not failed and answer["value"] == 1, f"after the ends: {answer} {log}")

    return check


class _Deployed:
    """A function in the cloud."""

    def __init__(
        self,
        field: Field,
        package: bytes,
        runtime: str,
        handler: str,
        layer: bytes = b"",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        given = {
            "endpoint_url": field.endpoint,
            "region_name": REGION,
            "aws_access_key_id": field.key,
            "aws_secret_access_key": field.secret,
        }
        role = boto3.client("iam", **given).create_role(
            RoleName=field.label, AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        self._name = field.label
        self._lambda = boto3.client("lambda", **given)
        layers: list[str] = []
        if layer:
            made = self._lambda.publish_layer_version(
                LayerName=field.label, Content={"ZipFile": layer}
            )
            layers.append(made["LayerVersionArn"])
        self._lambda.create_function(
            FunctionName=field.label,
            Layers=layers,
            Runtime=runtime,
            Handler=handler,
            Role=role["Role"]["Arn"],
            Code={"ZipFile": package},
            Environment={"Variables": dict(variables or {})},
            Timeout=TIMEOUT_S,
            MemorySize=MEMORY_MB,
        )
        self._lambda.get_waiter("function_active_v2").wait(FunctionName=field.label)

    def invoke(self, event: Any) -> tuple[Any, bool, str]:
        """Return the answer, whether it is an error, and the end of the log."""
        reply = self._lambda.invoke(
            FunctionName=self._name, Payload=json.dumps(event).encode(), LogType="Tail"
        )
        log = base64.b64decode(reply["LogResult"]).decode(errors="replace")
        return json.load(reply["Payload"]), "FunctionError" in reply, log


def install_rust(name: str) -> None:
    """Build the function, or the extension, in Rust."""
    folder = HOME / f"lambda-{name}"
    # A lock file of Cargo would name its registry.
    shutil.copytree(OURS / name, folder, dirs_exist_ok=True)
    subprocess.run(["cargo", "build", "--quiet"], check=True, cwd=folder)


def install_awslambdaric() -> None:
    """Install AWS's interface client for Python beside the function that it is to start."""
    target = HOME / "lambda-python"
    if not (target / "awslambdaric").exists():
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        subprocess.run([*pip, "--target", target, "awslambdaric"], check=True)


def install_python(name: str, *packages: str) -> None:
    """Install what a function in Python brings."""
    target = HOME / f"lambda-{name}"
    if not target.exists():
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        subprocess.run([*pip, "--target", target, *packages], check=True)


def install_node(name: str, *packages: str) -> None:
    """Install what a function in Node.js brings."""
    target = HOME / f"lambda-{name}"
    if not target.exists():
        npm = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", target)
        subprocess.run([*npm, *packages], check=True)


def answering(
    name: str, code: str, event: Mapping[str, Any], right: Callable[[Any], bool]
) -> Callable[[Field], None]:
    """Return what deploys a function, with what it brings, and asks it once and again.

    Args:
        name: Of what was installed for it.
        code: Its module, in Node.js where it exports a handler, else in Python.
        event: What it is asked.
        right: Says whether an answer is right.
    """

    def check(field: Field) -> None:
        node = "exports.handler" in code
        runtime = NODE_RUNTIME if node else f"python3.{sys.version_info[1]}"
        module = {"app.js" if node else "app.py": code.encode()}
        package = zipped(module, HOME / f"lambda-{name}")
        deployed = _Deployed(field, package, runtime, "app.handler")
        for _ in range(2):
            answer, failed, log = deployed.invoke(event)
            expect(not failed and right(answer), f"{answer} {log}")

    return check


def _picture() -> str:
    """Return a picture of 64 by 32 points, as the text of its file (PPM)."""
    return base64.b64encode(b"P6 64 32 255\n" + bytes(64 * 32 * 3)).decode()


HTTP_EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/a",
    "rawQueryString": "",
    "headers": {"host": "example.com"},
    "requestContext": {
        "http": {"method": "POST", "path": "/a", "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
        "stage": "$default",
    },
    "body": "b",
    "isBase64Encoded": False,
}


def install_java() -> None:
    """Compile the functions in Java, against what ``fogbank runtime add`` fetches."""
    jars, classes = JAVA_DATA / "runtimes" / "java", JAVA_DATA / "classes"
    if not (jars / "libaws-lambda-jni.so").exists():
        command = (sys.executable, "-m", "fogbank", "runtime", "add", "java17")
        subprocess.run([*command, "--data", JAVA_DATA], check=True)
    sources = (OURS / "java").rglob("*.java")
    subprocess.run(["javac", "-cp", f"{jars}/*", "-d", classes, *sources], check=True)


def java_streams(field: Field) -> None:
    """Give a stream to a handler of streams, and get it back."""
    package = zipped({}, JAVA_DATA / "classes")
    deployed = _Deployed(field, package, "java17", "field.App$Copy")
    answer, failed, log = deployed.invoke({"a": ["\u00e9" * 1000]})
    expect(not failed and answer == {"a": ["\u00e9" * 1000]}, f"{answer} {log}")


def rust_extension(field: Field) -> None:
    """Have an extension hear of events and, over HTTP, of what the function prints."""
    binary = HOME / "lambda-rust-extension" / "target" / "debug" / "extension"
    layer = zipped({"extensions/extension": binary.read_bytes()})
    runtime = f"python3.{sys.version_info[1]}"
    deployed = _Deployed(field, zipped({"app.py": TALKING.encode()}), runtime, "app.handler", layer)
    answer, failed, log = deployed.invoke(0)
    expect(not failed and answer == 0, f"{answer} {log}")
    for number in range(1, TRIES_MAX):
        answer, failed, log = deployed.invoke(number)
        expect(not failed and "extension invoke " in log, f"{answer} {log}")
        if "extension line hello " in log:
            return
    raise AssertionError(log)


def _binary(path: Path) -> bytes:
    return zipped({"bootstrap": path.read_bytes()})


PROVIDED = "provided.al2023"
PROGRAMS = (
    Program(
        "go",
        [partial(install_go, "lambda", ".", "lambda/go")],
        function(partial(_binary, HOME / "go" / "lambda"), "errorString", PROVIDED, "bootstrap"),
    ),
    Program(
        "rust",
        [partial(install_rust, "rust")],
        function(
            partial(_binary, HOME / "lambda-rust" / "target" / "debug" / "bootstrap"),
            "&alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>",
            PROVIDED,
            "bootstrap",
        ),
    ),
    Program(
        "awslambdaric",
        [install_awslambdaric],
        function(
            lambda: zipped(
                {"app.py": PYTHON.encode(), "bootstrap": PYTHON_BOOTSTRAP.encode()},
                HOME / "lambda-python",
            ),
            "ValueError",
            PROVIDED,
            "app.handler",
        ),
    ),
    Program(
        "java",
        [install_java],
        function(
            lambda: zipped({}, JAVA_DATA / "classes"),
            "java.lang.IllegalStateException",
            "java17",
            "field.App::handle",
            "java.lang.OutOfMemoryError",
        ),
    ),
    Program("rust-extension", [partial(install_rust, "rust-extension")], rust_extension),
    Program(
        "ruby",
        [],
        function(
            lambda: zipped({"app.rb": RUBY.encode()}),
            "Function<RuntimeError>",
            "ruby3.3",
            "app.handler",
        ),
    ),
    Program("java-streams", [install_java], java_streams),
    Program(
        "node",
        [],
        function(
            lambda: zipped({"app.js": NODE.encode()}), "TypeError", "nodejs20.x", "app.handler"
        ),
    ),
    Program(
        "powertools-typescript",
        [partial(install_node, "powertools-js", "@aws-lambda-powertools/logger")],
        function(
            lambda: zipped({"app.mjs": POWERTOOLS_JS.encode()}, HOME / "lambda-powertools-js"),
            "TypeError",
            NODE_RUNTIME,
            "app.handler",
        ),
    ),
    Program(
        "sharp",
        [partial(install_node, "sharp", "sharp")],
        answering(
            "sharp",
            SHARP,
            {"width": 64, "height": 32},
            lambda answer: answer["size"] == [16, 8] and answer["bytes"] > 0,
        ),
    ),
    Program(
        "powertools-python",
        [partial(install_python, "powertools", "aws-lambda-powertools")],
        function(
            lambda: zipped({"app.py": POWERTOOLS.encode()}, HOME / "lambda-powertools"),
            "ValueError",
            f"python3.{sys.version_info[1]}",
            "app.handler",
        ),
    ),
    Program(
        "numpy-pandas",
        [partial(install_python, "pandas", "numpy", "pandas")],
        answering("pandas", PANDAS, {"n": 10}, {"True": 20, "False": 25}.__eq__),
    ),
    Program(
        "pillow",
        [partial(install_python, "pillow", "Pillow")],
        answering(
            "pillow",
            PILLOW,
            {"picture": _picture()},
            lambda answer: answer["size"] == [16, 8] and answer["bytes"] > 0,
        ),
    ),
    Program(
        "mangum",
        [partial(install_python, "mangum", "mangum")],
        answering(
            "mangum",
            MANGUM,
            HTTP_EVENT,
            lambda answer: (answer["statusCode"], answer["body"]) == (201, "POST /a b"),
        ),
    ),
    *(
        Program(name, [install_adapter], web_adapter(_Deployed, zipped, HTTP_EVENT, runtime))
        for name, runtime in (("web-adapter", PROVIDED), ("web-adapter-wrapper", RUNTIME))
    ),
    *(Program(*tool) for tool in TOOLS),
)


if __name__ == "__main__":
    os.umask(0o022)
    install_java()  # before the server, which looks at what the machine has when it starts
    named = json.dumps([str(JAVA_DATA / "runtimes" / "java")])
    sys.exit(main(SUITE, PROGRAMS, f"[functions]\ninterpreters = {named}\nnear_versions = true\n"))
