"""``fogbank logs``: what a function, or whoever writes into a log group, has written.

``--follow`` goes on with what comes (``tailing``). Whether a name is that of a group is told by its
slashes; else it is a function's, whose configuration names the group.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from typing import Any, Final
from urllib.parse import quote

from fogbank.server import asking, calling, config
from fogbank.server.calling import Caller, CallError
from fogbank.server.cli.audit import time_ms_of
from fogbank.server.tailing import Round, Tail, search
from fogbank.wire.http import HttpRequest

SINCE: Final = "10m"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="a function, or a log group by its whole name")
    parser.add_argument("--follow", action="store_true", help="go on with what comes")
    parser.add_argument(
        "--since",
        metavar="T",
        default=SINCE,
        help="2026-01-02T03:04:05Z, or 90s, 15m, 2h, 1d ago; 10m by default",
    )
    parser.add_argument("--filter", metavar="PATTERN", default="", help="as FilterLogEvents has it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--account", metavar="NAME", default="default", help="whose; or its id")
    parser.add_argument("--region", metavar="R", default="", help="where; the settings' by default")


def run(given: argparse.Namespace) -> int:
    """Print events; status 1 with the reason if there is no reading them."""
    try:
        caller = calling.caller_of(given.data, given.account, given.region)
        begin_ms = max(0, time_ms_of(given.since, caller.now_ms()))
        asked: dict[str, Any] = {"logGroupName": group_of(caller, given.name)}
        if given.filter:
            asked["filterPattern"] = given.filter
        printed = _print_json if given.format == "json" else _print_text
        if not given.follow:
            for event in search(caller, {**asked, "startTime": begin_ms}):
                printed(event)
            return 0
        _follow(caller, Tail(begin_ms), asked, printed)
    except KeyboardInterrupt:
        return 0
    except (CallError, config.ConfigError, ValueError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    return 0


def _follow(caller: Caller, tail: Tail, asked: dict[str, Any], printed: Any) -> None:
    """Print events as they come, until interrupted.

    Raises:
        CallError: What is asked for is refused; a server that is away for a while is waited for.
    """
    is_away = False
    while True:
        turn: Round = tail.begin(caller.now_ms())
        try:
            for event in search(caller, {**asked, "startTime": turn.begin_ms}):
                if tail.is_new(event):
                    printed(event)
        except CallError as error:
            if not error.is_weather:
                raise
            if not is_away:
                print(f"fogbank: {error}; waiting", file=sys.stderr)
            is_away = True
        else:
            is_away = False
            tail.end(turn)
        time.sleep(tail.pause_s)


def group_of(caller: Caller, name: str) -> str:
    """Return the log group of a function; a name with slashes is a group's already.

    Raises:
        CallError: There is no server, or it refuses.
    """
    if "/" in name:
        return name
    path = f"/2015-03-31/functions/{quote(name, safe='')}/configuration"
    try:
        answer = caller.call("lambda", HttpRequest("GET", path, "", {}))
    except CallError as error:
        if error.code != "ResourceNotFoundException":
            raise
        return f"/aws/lambda/{name}"  # what a function that is gone has written
    configuration: dict[str, Any] = json.loads(answer.body)
    group: str = configuration["LoggingConfig"]["LogGroup"]
    return group


def _print_json(event: dict[str, Any]) -> None:
    """Print an event on one line."""
    print(json.dumps(event), flush=True)


def _print_text(event: dict[str, Any]) -> None:
    """Print the time of an event and its message; a terminal is shown nothing that it would obey."""
    message = str(event["message"]).rstrip("\n")
    if sys.stdout.isatty():
        message = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", message)
    print(asking.time_of(event["timestamp"]), message, flush=True)
