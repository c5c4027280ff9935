"""``fogbank key status | rotate | seal``: the keys of a data directory that no server uses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded import keys as directory
from fogbank.engines.embedded.keys import Encryption
from fogbank.engines.embedded.recover import take_locks
from fogbank.platform.crypto.keyring import FILE, PASSPHRASE, Secret
from fogbank.platform.crypto.keys import KeyRefused
from fogbank.server import config, datadir, keys, privilege


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("status", help="say by what the keys are sealed, and how many there are")
    commands.add_parser("rotate", help="make a new data key for what is written from now on")
    seal = commands.add_parser("seal", help="seal the keys with another secret")
    seal.add_argument("--by", choices=(FILE, PASSPHRASE), required=True, help="the new secret")
    seal.add_argument("--root-key-file", metavar="FILE", default="", help="made if it is missing")
    seal.add_argument("--passphrase-file", metavar="FILE", default="", help="the new passphrase")
    for command in commands.choices.values():
        command.add_argument(
            "--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory"
        )


def run(given: argparse.Namespace) -> int:
    """Run one command; status 1 with the reason if it is refused, and then nothing is changed."""
    data_dir = config.data_dir_of(given.data)
    store = data_dir / datadir.STORE
    try:
        settings = config.load(data_dir).encryption
        if (datadir.stores_of(data_dir) or 1) > 1:
            return _fail("fogbank has not built changes of the keys of several stores")
        if directory.find_kind(store) is None:
            return _fail(f"{data_dir} is not encrypted: there are no keys")
        draw, prompt = Ids().random_bytes, keys.terminal_prompt()
        finder = keys.Finder(data_dir, settings, draw, prompt=prompt)
        encryption = finder.encryption(finder.find())
        with _locked(store):
            if given.what == "rotate":
                made = directory.rotate(store, encryption, SystemClock())
                print(f"data key {made} seals what is written from the next start on")
            elif given.what == "seal":
                _seal(given, data_dir, encryption)
            else:
                opened = directory.read_keys(store, encryption)
                print(f"sealed by: {directory.find_kind(store)}\ndata keys: {len(opened.export())}")
    except (
        Corrupt,
        Weather,
        KeyRefused,
        config.ConfigError,
        datadir.StoresError,
        OSError,
    ) as error:
        return _fail(str(error))
    return 0


@contextmanager
def _locked(store: Path) -> Generator[None]:
    """Hold the locks of a store, so that no server uses its keyring; leave its owner as it was."""
    locks = take_locks(store)
    try:
        yield
        privilege.own_like(store / directory.KEYRING, store)
    finally:
        for lock in reversed(locks):
            lock.release()


def _seal(given: argparse.Namespace, data_dir: Path, old: Encryption) -> None:
    """Seal the keyring with a new secret and say what the settings have to say now."""
    secret: Secret
    if given.by == PASSPHRASE:
        secret = keys.passphrase(
            os.environ,
            keys.NEW_VARIABLE,
            given.passphrase_file,
            keys.terminal_prompt(),
            confirm=True,
        )
        said = "the passphrase is needed at every start; a root.key that is left opens nothing now"
    else:
        path = data_dir / (given.root_key_file or keys.ROOT_KEY)
        secret = keys.make_root_key(path, old.draw)
        said = f"the root key is {path}"
        if given.root_key_file:
            said += f": set encryption.root_key_file = {given.root_key_file!r}"
    new = Encryption(secret, old.draw)
    count = directory.reseal(data_dir / datadir.STORE, old, new)
    print(f"{count} data keys are sealed by the new secret; {said}")


def _fail(reason: str) -> int:
    """Say why nothing was done."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
