"""``fogbank restore``: a new data directory out of a backup, or one domain put back in one."""

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
    parser.add_argument(
        "--domain",
        metavar="NAME",
        default="",
        help="put this back in a data directory that no server uses, such as s3/BUCKET or "
        "dynamodb/ACCOUNT/REGION",
    )


def run(given: argparse.Namespace) -> int:
    """Verify the backup and restore it; status 1 with the reason if refused."""
    return _put_back(given) if given.domain else _restore(given)


def _put_back(given: argparse.Namespace) -> int:
    """Put one domain back."""
    from fogbank.base.errors import Corrupt, Weather  # noqa: PLC0415 (as below)
    from fogbank.base.ids import Ids  # noqa: PLC0415 (as below)
    from fogbank.platform.crypto.secret import KeyRefused  # noqa: PLC0415 (as below)
    from fogbank.server import domains, keys, offline, restores  # noqa: PLC0415 (they bring the store)

    data_dir = config.data_dir_of(given.data)
    source = Path(given.backups).absolute()
    os.umask(0o077)
    try:
        domain, until = domains.domain_of(given.domain), restores.until_of(given.until)
        if datadir.stores_of(data_dir) is None:
            raise restores.RestoreRefused(f"{data_dir} is no data directory")  # noqa: TRY301 (one way to say why not)
        settings = config.load(data_dir)
        finder = keys.Finder(
            data_dir, settings.encryption, Ids().random_bytes, prompt=keys.terminal_prompt()
        )
        encryption = finder.encryption(finder.find())
        offline.become_owner(data_dir)
        asked = domains.Asked(source, given.name, domain, until)
        done = domains.put_back(asked, data_dir, settings, encryption)
    except (
        config.ConfigError,
        restores.RestoreRefused,
        datadir.StoresError,
        KeyRefused,
        Corrupt,
        Weather,
        OSError,
    ) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1
    print(
        f"fogbank: put {given.domain} back: {done.written} rows written, {done.removed} removed, "
        f"{done.blobs} blobs brought back",
        file=sys.stderr,
    )
    return 0


def _restore(given: argparse.Namespace) -> int:
    """Make a data directory."""
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
