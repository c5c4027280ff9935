"""``fogbank key status | list | rotate | seal | drop``: the keys of a data directory.

The server does it where one runs, and goes on serving; else the command does.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Corrupt, Weather
from fogbank.base.ids import Ids
from fogbank.engines.embedded import keyfile
from fogbank.engines.embedded import keys as directory
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.recover import take_locks
from fogbank.platform.crypto.secret import FILE, PASSPHRASE, KeyRefused, Secret
from fogbank.server import asking, config, control, datadir, keys, privilege


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("status", help="say by what the keys are sealed, and how many there are")
    commands.add_parser("list", help="list the data keys")
    commands.add_parser("rotate", help="make a new data key, and seal everything with it in time")
    commands.add_parser("drop", help="remove the data keys that nothing is sealed with any more")
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
        try:
            _ask(given, data_dir)
        except control.NotRunning:
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


def _ask(given: argparse.Namespace, data_dir: Path) -> None:
    """Have the server do it.

    Raises:
        NotRunning: There is none.
    """
    if given.what == "seal":
        control.ask(data_dir, "key.list")
        secret, said = _new_secret(given, data_dir)
        asked = {"kind": secret.kind, "value": base64.b64encode(secret.value).decode()}
        count = control.ask(data_dir, "key.seal", asked)["keys"]
        print(f"{count} data keys are sealed by the new secret; {said}")
        return
    rows: list[dict[str, Any]] = []
    stores = control.ask(data_dir, f"key.{given.what}", on_row=rows.append)["stores"]
    folders = datadir.store_dirs(data_dir, int(stores))
    for row in rows:
        store = folders[int(row["store"])]
        label = _label(store, folders)
        if given.what == "rotate":
            print(f"{label}data key {row['id']} seals what is written from now on")
        elif given.what == "drop":
            _print_dropped(label, row["dropped"])
        elif given.what == "list":
            _print_key(label, int(row["id"]), int(row["made_ms"]), is_newest=bool(row["newest"]))
        else:
            _print_status(label, store, int(row["keys"]))
            print(f"{label}sealed anew: {asking.anew_words(row['anew'])}")


def _print_status(label: str, store: Path, count: int) -> None:
    """Print by what a keyring is sealed, and how many keys it holds."""
    print(f"{label}sealed by: {keyfile.find_kind(store)}\n{label}data keys: {count}")


def _print_dropped(label: str, dropped: list[int]) -> None:
    """Print which data keys are gone."""
    said = f"dropped: {', '.join(map(str, dropped))}" if dropped else "there is no older one"
    print(f"{label}data keys {said}")


def _label(store: Path, stores: list[Path]) -> str:
    """Return what a line about a store begins with, if there are several."""
    return f"{store.name}: " if len(stores) > 1 else ""


def _print_key(label: str, key_id: int, made_ms: int, *, is_newest: bool) -> None:
    """Print a data key."""
    role = "seals what is written" if is_newest else "opens what is older"
    print(f"{label}data key {key_id} of {asking.time_of(made_ms)} {role}")


def _run(given: argparse.Namespace, data_dir: Path) -> None:
    """Run one command on a data directory that no server uses."""
    if given.what == "drop":
        label = "store {} " if (datadir.stores_of(data_dir) or 1) > 1 else ""
        asking.ask(
            data_dir,
            "key.drop",
            {},
            lambda row: _print_dropped(label.format(row["store"]), row["dropped"]),
        )
        return
    settings = config.load(data_dir).encryption
    stores = datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)
    for store in stores:
        if keyfile.find_kind(store) is None:
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
            _print_status(label, store, len(found))


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


def _new_secret(given: argparse.Namespace, data_dir: Path) -> tuple[Secret, str]:
    """Return the new secret, and what the settings have to say now."""
    if given.by == PASSPHRASE:
        secret = keys.passphrase(
            os.environ,
            keys.NEW_VARIABLE,
            given.passphrase_file,
            keys.terminal_prompt(),
            confirm=True,
        )
        said = "the passphrase is needed at every start; a root.key that is left opens nothing now"
        return secret, said
    path = data_dir / (given.root_key_file or keys.ROOT_KEY)
    said = f"the root key is {path}"
    if given.root_key_file:
        said += f": set encryption.root_key_file = {given.root_key_file!r}"
    return keys.make_root_key(path, Ids().random_bytes), said


def _seal(given: argparse.Namespace, data_dir: Path, old: Encryption) -> None:
    """Seal the keyring with a new secret and say what the settings have to say now."""
    secret, said = _new_secret(given, data_dir)
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
