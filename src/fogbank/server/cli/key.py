"""``fogbank key status | list | rotate | seal``: the keys of a data directory.

Keys are listed and rotated by the server where one runs; with another secret they are sealed only
while none does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded import keys as directory
from fogbank.engines.embedded.keys import Encryption
from fogbank.engines.embedded.recover import take_locks
from fogbank.platform.crypto.keyring import FILE, PASSPHRASE, Secret
from fogbank.platform.crypto.keys import KeyRefused
from fogbank.server import asking, config, control, datadir, keys, privilege


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("status", help="say by what the keys are sealed, and how many there are")
    commands.add_parser("list", help="list the data keys")
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
    try:
        if given.what in {"list", "rotate"}:
            try:
                _ask(data_dir, given.what)
            except control.NotRunning:
                pass
            else:
                return 0
        _run(given, data_dir)
    except (
        Corrupt,
        Weather,
        KeyRefused,
        config.ConfigError,
        control.ControlError,
        datadir.StoresError,
        OSError,
    ) as error:
        return _fail(str(error))
    return 0


def _ask(data_dir: Path, what: str) -> None:
    """Have the server list or rotate the keys.

    Raises:
        NotRunning: There is none.
    """
    rows: list[dict[str, Any]] = []
    stores = control.ask(data_dir, f"key.{what}", on_row=rows.append)["stores"]
    folders = datadir.store_dirs(data_dir, int(stores))
    for row in rows:
        label = _label(folders[int(row["store"])], folders)
        if what == "rotate":
            print(f"{label}data key {row['id']} seals what is written from now on")
        else:
            _print_key(label, int(row["id"]), int(row["made_ms"]), is_newest=bool(row["newest"]))


def _label(store: Path, stores: list[Path]) -> str:
    """Return what a line about a store begins with, if there are several."""
    return f"{store.name}: " if len(stores) > 1 else ""


def _print_key(label: str, key_id: int, made_ms: int, *, is_newest: bool) -> None:
    """Print a data key."""
    role = "seals what is written" if is_newest else "opens what is older"
    print(f"{label}data key {key_id} of {asking.time_of(made_ms)} {role}")


def _run(given: argparse.Namespace, data_dir: Path) -> None:
    """Run one command on a data directory that no server uses."""
    settings = config.load(data_dir).encryption
    stores = datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)
    for store in stores:
        if directory.find_kind(store) is None:
            raise KeyRefused(f"{data_dir} is not encrypted: there are no keys")
    draw, prompt = Ids().random_bytes, keys.terminal_prompt()
    finder = keys.Finder(data_dir, settings, draw, prompt=prompt)
    encryption = finder.encryption(finder.find())
    with ExitStack() as locks:
        for store in stores:
            locks.enter_context(_locked(store))
        if given.what == "seal":
            _seal(given, data_dir, encryption)
            return
        for store in stores:
            label = _label(store, stores)
            if given.what == "rotate":
                made = directory.rotate(store, encryption, SystemClock())
                print(f"{label}data key {made.id} seals what is written from now on")
                continue
            found = directory.list_keys(store, encryption)
            if given.what == "list":
                for key in found:
                    _print_key(label, key.id, key.made_ms, is_newest=key == found[-1])
                continue
            kind = directory.find_kind(store)
            print(f"{label}sealed by: {kind}\n{label}data keys: {len(found)}")


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
    # The first store says which secret is asked for: it is the last, so that a command that was cut
    # short is run again with both secrets and ends what it began.
    stores = datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)
    count = sum(directory.reseal(store, old, new) for store in reversed(stores))
    print(f"{count} data keys are sealed by the new secret; {said}")


def _fail(reason: str) -> int:
    """Say why nothing was done."""
    print(f"fogbank: {reason}", file=sys.stderr)
    return 1
