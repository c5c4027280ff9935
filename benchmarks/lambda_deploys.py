"""Tools that deploy functions, each unmodified, and AWS's adapter for web servers: parts of ``make lambda-clients``.

API Gateway does not stand, so of Chalice its functions without routes are deployed, and Zappa's
applications without an API.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import boto3
from field import HOME, REGION, Field, expect, install_python, installed, python_of

CHALICE = """
from chalice import Chalice
app = Chalice(app_name='{name}')

@app.lambda_function(name='plain')
def plain(event, context):
    return {{'got': event, 'id': context.aws_request_id, 'colour': __import__('os').environ['COLOUR']}}

@app.on_s3_event(bucket='{name}', events=['s3:ObjectCreated:*'], prefix='in/')
def stored(event):
    print('stored', event.bucket, event.key)
"""
ZAPPA = """
def answer():
    print('answered')
    return 'forty-two'

def app(environ, start_response):
    start_response('200 OK', [])
    return [b'web']
"""
WEB = """
import http.server, os

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b'')
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers['content-length'])))
    def answer(self, body):
        said = f'{self.command} {self.path} '.encode() + body
        self.send_response(201)
        self.send_header('content-length', str(len(said)))
        self.send_header('x-said', 'yes')
        self.end_headers()
        self.wfile.write(said)

http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Answers).serve_forever()
"""
RUN = "#!/bin/sh\nexec /usr/bin/python3 -u web.py\n"
WRAPPER = '#!/bin/bash\nexec -- "$LAMBDA_TASK_ROOT/$_HANDLER"\n'
"""What the adapter's layer has as ``/opt/bootstrap``: the function's handler is the web server."""
PORT = "8000"
WAIT_S = 30
RUNTIME = f"python3.{sys.version_info[1]}"


def install_tool(name: str, *packages: str) -> None:
    """Install a tool in an environment of its own."""
    install_python(name, packages)


def install_adapter() -> None:
    """Build AWS's web adapter."""
    if not adapter().exists():
        installed("cargo", "install", "--quiet", "--root", HOME / "adapter", "lambda_web_adapter")


def adapter() -> Any:
    """Return where AWS's web adapter is."""
    return HOME / "adapter" / "bin" / "lambda-adapter"


def client(field: Field, service: str) -> Any:
    """Return a client of the root of the server's account."""
    return boto3.client(
        service,
        endpoint_url=field.endpoint,
        region_name=REGION,
        aws_access_key_id=field.key,
        aws_secret_access_key=field.secret,
    )


def logged(field: Field, function: str) -> str:
    """Return all that a function has logged; nothing before its first lines are kept."""
    logs = client(field, "logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")
    except logs.exceptions.ResourceNotFoundException:
        return ""
    return "".join(event["message"] for event in events["events"])


def soon(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds, within a bound."""
    end = time.monotonic() + WAIT_S
    while not holds():
        expect(time.monotonic() < end, what)
        time.sleep(0.2)


def chalice(field: Field) -> None:
    """Deploy a function and one that hears of uploads, change them, ask them, and remove both."""
    name = field.label
    client(field, "s3").create_bucket(Bucket=name)
    settings = {"environment_variables": {"COLOUR": "grey"}, "lambda_memory_size": 256}
    config = {"version": "2.0", "app_name": name, "stages": {"dev": settings}}
    (field.folder / ".chalice").mkdir()
    (field.folder / "requirements.txt").write_text("")
    (field.folder / "app.py").write_text(CHALICE.format(name=name))
    tool = python_of("chalice") / "chalice"
    for colour in ("grey", "green"):
        settings["environment_variables"] = {"COLOUR": colour}
        (field.folder / ".chalice" / "config.json").write_text(json.dumps(config))
        field.run(tool, "deploy", "--stage", "dev", "--connection-timeout", "30")
        functions = client(field, "lambda")
        answer = json.load(
            functions.invoke(FunctionName=f"{name}-dev-plain", Payload=b'{"a": 1}')["Payload"]
        )
        expect((answer["got"], answer["colour"]) == ({"a": 1}, colour), str(answer))
    client(field, "s3").put_object(Bucket=name, Key="in/a b", Body=b"x")
    stored = f"{name}-dev-stored"
    soon("an upload was told of", lambda: f"stored {name} in/a b" in logged(field, stored))
    expect("stored" in field.run(tool, "logs", "--stage", "dev", "--name", "stored"), "no logs")
    field.run(tool, "delete", "--stage", "dev")
    left = [each["FunctionName"] for each in functions.list_functions()["Functions"]]
    expect(not [each for each in left if each.startswith(name)], str(left))
    said = client(field, "s3").get_bucket_notification_configuration(Bucket=name)
    expect("LambdaFunctionConfigurations" not in said, str(said))


def zappa(field: Field) -> None:
    """Deploy an application, change it, and have a function of it run.

    Its ``undeploy`` asks EventBridge, which does not stand.
    """
    (field.folder / "app.py").write_text(ZAPPA)
    settings = {
        "dev": {
            "project_name": field.label,
            "app_function": "app.app",
            "runtime": RUNTIME,
            "aws_region": REGION,
            "s3_bucket": f"{field.label}-code",
            "apigateway_enabled": False,
            "keep_warm": False,
            "memory_size": 256,
        }
    }
    (field.folder / "zappa_settings.json").write_text(json.dumps(settings))
    home = python_of("zappa")
    variables = {"VIRTUAL_ENV": str(home.parent), "PATH": f"{home}:/usr/bin:/bin"}
    run = partial(field.run, home / "zappa", **variables)
    run("deploy", "dev")
    expect("forty-two" in run("invoke", "dev", "app.answer"), "no answer")
    (field.folder / "app.py").write_text(ZAPPA.replace("forty-two", "forty-three"))
    run("update", "dev")
    expect("forty-three" in run("invoke", "dev", "app.answer"), "no new answer")
    expect("answered" in logged(field, f"{field.label}-dev"), "no logs")


def web_adapter(
    deploy: Callable[..., Any], zipped: Callable[..., bytes], event: Any, runtime: str
) -> Callable[[Field], None]:
    """Return what has a web server answer events, through AWS's adapter in a layer.

    Args:
        deploy: Makes a function.
        zipped: Makes a package.
        event: Of a request over HTTP.
        runtime: A custom one, which starts the web server, or one that AWS manages, in whose place a
            wrapper script starts it.
    """

    def check(field: Field) -> None:
        layer = zipped(
            {"extensions/lambda-adapter": adapter().read_bytes(), "bootstrap": WRAPPER.encode()}
        )
        package = zipped({"web.py": WEB.encode(), "bootstrap": RUN.encode()})
        variables = {"PORT": PORT, "AWS_LWA_READINESS_CHECK_PATH": "/ready"}
        if runtime == RUNTIME:
            variables["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/bootstrap"
        deployed = deploy(field, package, runtime, "bootstrap", layer, variables)
        for number in range(3):
            answer, failed, log = deployed.invoke({**event, "body": f"b{number}"})
            expect(not failed, f"{answer} {log}")
            found = (answer["statusCode"], answer["body"], answer["headers"]["x-said"])
            expect(found == (201, f"POST /a b{number}", "yes"), f"{answer} {log}")

    return check


TOOLS: Sequence[tuple[str, Sequence[Callable[[], None]], Callable[[Field], None]]] = (
    ("chalice", [partial(install_tool, "chalice", "chalice", "setuptools")], chalice),
    ("zappa", [partial(install_tool, "zappa", "zappa", "setuptools", "werkzeug")], zappa),
)
