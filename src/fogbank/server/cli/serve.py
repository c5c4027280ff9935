"""``fogbank serve``: the server, in the foreground."""

from __future__ import annotations

import argparse
import os
import sys

from fogbank.server import config, datadir
from fogbank.server.supervisor import StartError, Supervisor
from fogbank.wire.regions import is_region


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", metavar="H", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, help="port (default 4566; 0: a free one)")
    parser.add_argument(
        "--tls", action="store_true", default=None, help="serve HTTPS (docs/operating/tls.md)"
    )
    parser.add_argument("--config", metavar="FILE", help="settings (default DIR/fogbank.toml)")


def announce(line: str) -> None:
    """Print one line whole, even into a pipe that others write to."""
    os.write(sys.stdout.fileno(), line.encode() + b"\n")


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    os.umask(0o077)
    data_dir = config.data_dir_of(given.data)
    try:
        overrides = {"host": given.host, "port": given.port, "tls.enabled": given.tls}
        settings = config.load(data_dir, given.config, overrides)
        _check_region(settings.region)
        datadir.make_data_dir(data_dir)
        return Supervisor(data_dir, settings, announce).run()
    except (config.ConfigError, datadir.StoresError, StartError, OSError) as error:
        print(f"fogbank: {error}", file=sys.stderr)
        return 1


def _check_region(region: str) -> None:
    """Refuse to name a region that there is not; checked here, as other commands read no models."""
    if not is_region(region):
        raise config.ConfigError(f"region: there is no region {region}")
