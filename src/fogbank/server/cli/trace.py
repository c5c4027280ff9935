"""``fogbank trace EVENT_ID``: an event's way, step by step.

The id is an event's, that of the request that caused it (``x-amz-request-id``) or that of the
invocation that it became (the ``RequestId`` of a function's log). Works whether a server runs or not.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from fogbank.server import asking


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("event", metavar="EVENT_ID")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(given: argparse.Namespace) -> int:
    """Print the steps; status 1 if nothing is known of the event."""

    def show(row: dict[str, Any]) -> None:
        if given.format == "json":
            print(json.dumps(row))
        else:
            print(
                f"{asking.time_of(row['at_ms'])}  {row['step']:<10} {row['detail']}  [{row['id']}]"
            )

    return asking.told(given.data, "trace", {"event": given.event}, show)
