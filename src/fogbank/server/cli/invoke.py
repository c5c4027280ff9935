"""``fogbank invoke``: run a function of the running server, or queue an event for it.

The answer goes to standard output, with a newline behind it, all else to standard error. Exit statuses: 0 the function
has answered (or the event is queued), 1 the call was refused or came to nobody, 2 the command line is
wrong, 3 the function has failed: its error is the output.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from fogbank.server import calling, config
from fogbank.server.calling import Answer, CallError
from fogbank.wire.http import HttpRequest

FAILED: Final = 3
STDIN: Final = "-"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("function", metavar="NAME", help="the function, NAME:QUALIFIER or an ARN")
    event = parser.add_mutually_exclusive_group()
    event.add_argument("--payload", metavar="JSON", help="the event; {} by default")
    event.add_argument("--file", metavar="FILE", help="a file with the event; - is standard input")
    event.add_argument(
        "stdin", nargs="?", choices=(STDIN,), help="read the event from standard input"
    )
    parser.add_argument("--qualifier", metavar="Q", default="", help="a version or an alias")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--async", action="store_true", dest="queued", help="queue the event and return"
    )
    kind.add_argument("--dry-run", action="store_true", help="only say whether it could be run")
    parser.add_argument("--tail", action="store_true", help="show the end of its log")
    parser.add_argument("--cold", action="store_true", help="in a new environment")
    parser.add_argument("--client-context", metavar="JSON", default="", help="for the handler")
    parser.add_argument("--account", metavar="NAME", default="default", help="whose; or its id")
    parser.add_argument("--region", metavar="R", default="", help="where; the settings' by default")


def run(given: argparse.Namespace) -> int:
    """Run the function and print what it answers; return the status that the module names."""
    try:
        payload = _payload(given)
        caller = calling.caller_of(given.data, given.account, given.region)
        answer = caller.call("lambda", request_of(given, payload))
    except (CallError, config.ConfigError, OSError, ValueError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    return _show(answer)


def _payload(given: argparse.Namespace) -> bytes:
    """Return the event.

    Raises:
        OSError: Its file cannot be read.
    """
    if given.payload is not None:
        text: str = given.payload
        return text.encode()
    if given.stdin or given.file == STDIN:
        return sys.stdin.buffer.read()
    return Path(given.file).read_bytes() if given.file else b"{}"


def request_of(given: argparse.Namespace, payload: bytes) -> HttpRequest:
    """Return the request: Lambda's Invoke.

    Raises:
        ValueError: A cold start is to be asked for in a client context that is no object.
    """
    kinds = {given.queued: "Event", given.dry_run: "DryRun"}
    headers = {
        "content-type": "application/json",
        "x-amz-invocation-type": kinds.get(True, "RequestResponse"),
    }
    if given.tail:
        headers["x-amz-log-type"] = "Tail"
    context: str = given.client_context
    if given.cold:
        given_context = json.loads(context or "{}")
        if not isinstance(given_context, dict):
            raise ValueError("--client-context is no JSON object")
        context = json.dumps({**given_context, "fogbank": {"coldStart": True}})
    if context:
        headers["x-amz-client-context"] = base64.b64encode(context.encode()).decode()
    path = f"/2015-03-31/functions/{quote(given.function, safe='')}/invocations"
    query = urlencode({"Qualifier": given.qualifier}, quote_via=quote) if given.qualifier else ""
    return HttpRequest("POST", path, query, headers, payload)


def _show(answer: Answer) -> int:
    """Print an answer; return the status."""
    if tail := answer.headers.get("x-amz-log-result"):
        sys.stderr.write(base64.b64decode(tail).decode(errors="replace"))
        sys.stderr.flush()
    if answer.body:
        sys.stdout.buffer.write(answer.body + b"\n")
        sys.stdout.flush()
    else:
        print(f"fogbank: {answer.headers.get('x-amzn-requestid', '')}", file=sys.stderr)
    if kind := answer.headers.get("x-amz-function-error"):
        print(f"fogbank: the function has failed ({kind})", file=sys.stderr)
        return FAILED
    return 0
