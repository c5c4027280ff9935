"""``fogbank backup``: a consistent copy of a data directory, served or not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fogbank.base.errors import Corrupt
from fogbank.server import asking, config, control, datadir


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="DIR", help="the folder of backups, made if need be")
    parser.add_argument(
        "--name", metavar="NAME", default="", help="of this one (default: the time)"
    )
    parser.add_argument(
        "--copy", action="store_true", help="copy blobs even where a hard link would do"
    )
    parser.add_argument(
        "--keep",
        metavar="N",
        type=int,
        help="verify this one, then remove all but the N newest (default: remove none)",
    )


def run(given: argparse.Namespace) -> int:
    """Have the backup written and say what it holds; status 1 with the reason if refused."""
    data_dir = config.data_dir_of(given.data)
    if datadir.stores_of(data_dir) is None:
        return _fail(f"{data_dir} is no data directory")
    if given.keep is not None and given.keep < 1:
        return _fail("--keep must be at least 1: the newest backup always stays")
    asked = {
        "target": str(Path(given.target).absolute()),
        "name": given.name,
        "copy": given.copy,
        "keep": given.keep or 0,
    }
    try:
        done = asking.ask(data_dir, "backup", asked, print)
    except (control.ControlError, config.ConfigError, Corrupt, OSError) as error:
        return _fail(str(error))
    print(done["name"])
    print(
        f"fogbank: {done['rows']} rows, {done['blobs']} blobs ({done['blobs_new']} new), "
        f"{done['bytes']} bytes, content {done['content']}",
        file=sys.stderr,
    )
    if done["removed"]:
        print(f"fogbank: removed {', '.join(done['removed'])}", file=sys.stderr)
    return 0


def _fail(reason: str) -> int:
    """Say why there is no backup."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
