"""``fogbank restore``: a new data directory out of a backup."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fogbank.server import config, datadir, privilege


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("backups", metavar="DIR", help="the folder of backups")
    parser.add_argument("--name", metavar="NAME", default="", help="which (default: the newest)")
    parser.add_argument(
        "--until",
        metavar="WHEN",
        default="",
        help="roll forward over the archived log: a time, a version, or latest",
    )


def run(given: argparse.Namespace) -> int:
    """Verify the backup and make the directory; status 1 with the reason if refused."""
    from fogbank.server import offline, restores  # noqa: PLC0415 (they bring the store)

    data_dir = config.data_dir_of(given.data)
    source = Path(given.backups).absolute()
    os.umask(0o077)
    try:
        datadir.make_data_dir(data_dir)
        settings = config.resolve(data_dir)
        if not any(data_dir.iterdir()):
            privilege.decide(settings.config.service_user, data_dir)
            offline.become_owner(data_dir)
        until = restores.until_of(given.until)
        stores = restores.stores_asked_for(settings)
        made = restores.restore_into(source, given.name, data_dir, until, stores)
    except (config.ConfigError, restores.RestoreRefused, OSError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    for number, restored in enumerate(made):
        which = f" of store {number}" if len(made) > 1 else ""
        print(
            f"fogbank: restored version {restored.version}{which} as incarnation "
            f"{restored.incarnation} in {data_dir}: {restored.rows} rows, {restored.blobs} blobs, "
            f"content {restored.content}",
            file=sys.stderr,
        )
    return 0
