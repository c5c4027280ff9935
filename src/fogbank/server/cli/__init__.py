"""The command line: ``fogbank serve | account | env | check | ...``. Its forms are a promise.

Only the module of the command that was asked for is imported: ``fogbank env`` in a shell's start
file must not load a server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from fogbank import __version__

COMMANDS = {
    "serve": "serve the cloud until SIGTERM",
    "account": "make and list accounts",
    "s3": "say what each bucket holds",
    "sql": "run a SELECT over DynamoDB's tables",
    "env": "print what points any SDK at the server",
    "config": "print every setting with value, origin and meaning",
    "status": "say how the server is",
    "invoke": "run a function, or queue an event for it",
    "logs": "print what a function has written, and go on with what it writes",
    "top": "show the environments of functions, and what each takes",
    "cost": "say what functions did in a month and what AWS would ask for it",
    "audit": "print the durable trail of calls",
    "why-denied": "name the statement that refused a request",
    "trace": "print the way of an event, step by step",
    "dead-letters": "list, send again or drop what no target took",
    "key": "say, renew or seal the keys of a data directory",
    "runtime": "list the runtimes that functions can have here, and add one",
    "doctor": "say what this machine allows",
    "check": "verify a data directory offline",
    "backup": "write a backup, also while the server serves",
    "restore": "make a data directory of a backup",
    "completion": "print the completion of a shell",
}


def parser(asked: Collection[str]) -> argparse.ArgumentParser:
    """Return the parser of the command line, whole for the commands that are asked for."""
    top = argparse.ArgumentParser(prog="fogbank", description="The serverless cloud you own.")
    top.add_argument("--version", action="version", version=f"fogbank {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--data", metavar="DIR", help="the data directory")
        if name in asked:
            module = import_module(f"fogbank.server.cli.{name.replace('-', '_')}")
            module.arguments(command)
            command.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    asked = next((word for word in words if word in COMMANDS), "")
    given = parser({asked}).parse_args(words)
    try:
        status: int = given.run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away: what is left in the buffer must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
