"""``fogbank check``: verify a data directory that no server uses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fogbank.base.errors import Corrupt, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded.check import examine
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.platform.crypto.secret import KeyRefused
from fogbank.server import config, datadir, keys
from fogbank.server.roster import services


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
        findings = _findings(data_dir)
    except (
        OSError,
        ValueError,
        Weather,
        Corrupt,
        KeyRefused,
        config.ConfigError,
        datadir.StoresError,
    ) as error:
        findings = [str(error)]
    for finding in findings:
        print(finding)
    print(f"fogbank: {len(findings)} findings in {data_dir}", file=sys.stderr)
    return 1 if findings else 0


def _findings(data_dir: Path) -> list[str]:
    """Return what is wrong; without its key an encrypted directory is checked as far as it goes."""
    settings = config.load(data_dir).encryption
    draw, prompt = Ids().random_bytes, keys.terminal_prompt()
    finder = keys.Finder(data_dir, settings, draw, prompt=prompt)
    stores = datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)
    found: list[str] = []
    secret = None
    try:
        secret = finder.find()
    except KeyRefused as error:
        found.append(str(error))
    for store in stores:
        damage = _examined(store, finder.encryption(secret))
        found += damage if len(stores) == 1 else [f"{store.name}: {each}" for each in damage]
    return found


def _examined(store: Path, encryption: Encryption) -> list[str]:
    """Return what is wrong with a store; print what is none of it."""
    agreements = [each.agreement for each in services() if each.agreement is not None]
    report = examine(store, encryption, agreements)
    for message in report.reported:
        print(f"fogbank: a scrub found: {message}", file=sys.stderr)
    for message in report.torn:
        print(f"fogbank: as a power cut may leave it: {message}", file=sys.stderr)
    return report.damage + report.unseen
