"""``fogbank account create | list``: the accounts of a data directory, served or not."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from fogbank.server import asking, config, control, datadir


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    create = commands.add_parser("create", help="make an account with its root credentials")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--id", metavar="DIGITS", default="", help="twelve digits")
    create.add_argument("--access-key-id", metavar="K", default="", help="of the root user")
    create.add_argument("--secret-access-key", metavar="S", default="", help="of the root user")
    create.add_argument(
        "--partition", default="", help="whose regions it has, such as aws-cn; else the first's"
    )
    listed = commands.add_parser("list", help="print name and id of every account")
    for command in (create, listed):
        # Also before the word; what stands behind it wins.
        command.add_argument(
            "--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory"
        )


def run(given: argparse.Namespace) -> int:
    """Ask the server, or open the store where none runs; status 1 with the reason if refused."""
    data_dir = config.data_dir_of(given.data)
    asked: dict[str, Any] = {}
    if given.what == "create":
        asked = {
            "name": given.name,
            "id": given.id,
            "access_key_id": given.access_key_id,
            "secret_access_key": given.secret_access_key,
            "partition": given.partition,
        }
    elif not (data_dir / datadir.CREDENTIALS_FILE).exists():
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    try:
        result = asking.ask(data_dir, f"account.{given.what}", asked, _print)
    except (control.ControlError, config.ConfigError, OSError) as error:
        return _fail(str(error))
    if given.what == "create":
        _print(result)
    return 0


def _print(account: dict[str, Any]) -> None:
    """Print an account's name and id."""
    print(f"{account['name']}\t{account['id']}")


def _fail(reason: str) -> int:
    """Say why nothing was done."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
