"""``fogbank s3 usage``: what each bucket holds, served or not."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from fogbank.server import asking

_COLUMNS: Final = (
    *("bucket", "account", "region", "objects", "bytes", "versions", "version_bytes", "markers"),
    *("uploads", "upload_bytes"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command and its arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    usage = commands.add_parser(
        "usage", help="print objects, versions, uploads and bytes of every bucket"
    )
    usage.add_argument("--account", metavar="NAME", default="", help="only this one's; or its id")
    usage.add_argument("--format", choices=("text", "json"), default="text")
    # Also before the word; what stands behind it wins.
    usage.add_argument(
        "--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory"
    )


def run(given: argparse.Namespace) -> int:
    """Ask the server, or open the store where none runs; status 1 with the reason if refused."""
    is_text = given.format == "text"

    def show(row: dict[str, Any]) -> None:
        print("\t".join(str(row[name]) for name in _COLUMNS) if is_text else json.dumps(row))

    if is_text:
        print("\t".join(_COLUMNS))
    return asking.told(given.data, "s3.usage", {"account": given.account}, show)
