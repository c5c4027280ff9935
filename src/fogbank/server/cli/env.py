"""``fogbank env``: what points any SDK at the server."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from fogbank.base.arn import partition_of
from fogbank.server import config, datadir
from fogbank.wire.regions import first_region


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--account", metavar="NAME", default="default", help="whose credentials")
    parser.add_argument("--format", choices=("sh", "json"), default="sh")


def run(given: argparse.Namespace) -> int:
    """Print the variables; say on standard error if no server runs."""
    data_dir = config.data_dir_of(given.data)
    accounts = datadir.read_credentials(data_dir)
    if not accounts:
        return _fail(f"{data_dir} is no data directory: run fogbank serve first")
    account = next((row for row in accounts if row.name == given.account), None)
    if account is None:
        return _fail(f"there is no account named {given.account}")
    try:
        settings = config.load(data_dir)
    except config.ConfigError as error:
        return _fail(str(error))
    server = datadir.find_server(data_dir)
    if server is None:
        print("fogbank: no server runs on this data directory", file=sys.stderr)
        server = _expected(data_dir, settings)
    url, authority = server.client_url, server.client_authority
    region = settings.region
    if partition_of(region) != account.partition:
        region = first_region(account.partition)
    variables = dict(datadir.environment_of(account, url, region, authority))
    if given.format == "json":
        text = json.dumps({**variables, "AWS_ACCOUNT_ID": account.account_id}, indent=1)
    else:
        text = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
    print(text)
    return 0


def _expected(data_dir: Path, settings: config.Config) -> datadir.RunningServer:
    """Return where a server with these settings would serve."""
    scheme, authority = "http", ""
    if settings.tls.enabled:
        scheme = "https"
        local = "" if settings.tls.certificate else str(datadir.authority_file(data_dir))
        authority = settings.tls.authority or local
    endpoint = datadir.endpoint_of(scheme, settings.host, settings.port)
    return datadir.RunningServer(0, endpoint, authority, settings.public_url)


def _fail(reason: str) -> int:
    """Say why there is nothing to print."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
