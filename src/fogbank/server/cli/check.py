"""``fogbank check``: verify a data directory that no server uses."""

from __future__ import annotations

import argparse
import sys

from fogbank.base.errors import Weather
from fogbank.engines.embedded.check import check
from fogbank.server import config, datadir


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none beyond --data."""


def run(given: argparse.Namespace) -> int:
    """Print what is wrong, one line each; status 1 if anything is."""
    data_dir = config.data_dir_of(given.data)
    if not data_dir.is_dir():
        print(f"fogbank: {data_dir} is no data directory", file=sys.stderr)
        return 1
    try:
        datadir.read_credentials(data_dir)
        findings = check(data_dir / datadir.STORE)
    except (OSError, ValueError, Weather) as error:
        findings = [str(error)]
    for finding in findings:
        print(finding)
    print(f"fogbank: {len(findings)} findings in {data_dir}", file=sys.stderr)
    return 1 if findings else 0
