"""``fogbank dead-letters list | redrive | drop``: deliveries that no target took.

Works whether a server runs or not; what is sent again without one leaves with the next start.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from fogbank.server import asking


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    listed = commands.add_parser("list", help="print every dead letter, the oldest first")
    listed.add_argument("--target", metavar="ARN", default="", help="only those for this target")
    listed.add_argument("--format", choices=("text", "json"), default="text")
    redrive = commands.add_parser("redrive", help="send one on its way again")
    drop = commands.add_parser("drop", help="remove one")
    for command in (redrive, drop):
        command.add_argument("id", metavar="ID")
    for command in (listed, redrive, drop):
        # Also before the word; what stands behind it wins.
        command.add_argument(
            "--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory"
        )


def run(given: argparse.Namespace) -> int:
    """Ask the server, or open the store where none runs; status 1 with the reason if refused."""

    def show(row: dict[str, Any]) -> None:
        if given.format == "json":
            print(json.dumps(row))
        else:
            print(f"{row['id']}  {asking.time_of(row['at_ms'])}  {row['target']}  {row['reason']}")

    asked = {"target": given.target} if given.what == "list" else {"id": given.id}
    return asking.told(given.data, f"dead-letters.{given.what}", asked, show)
