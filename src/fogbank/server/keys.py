"""Where the secret that opens the keyring comes from: the file of a root key, or a passphrase.

Rule: the supervisor or a command finds the secret, and it goes on over a pipe: never on a command
line, never in a child's environment, never in a log or an answer. A passphrase is stored nowhere;
it is read from ``$FOGBANK_PASSPHRASE``, from a file that a setting names, or asked on a terminal.
A file with a secret that others can read is refused. Only a directory without a keyring gets a new
root key, so a lost one is never replaced by one that opens nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping
from getpass import getpass
from pathlib import Path
from typing import Final

from fogbank.engines.embedded.files import sync_folder
from fogbank.engines.embedded.keyfile import Encryption, find_kind
from fogbank.platform.crypto.secret import FILE, KEY_BYTES, PASSPHRASE, Draw, KeyRefused, Secret
from fogbank.server import datadir, privilege
from fogbank.server.config import EncryptionSettings

ROOT_KEY: Final = "root.key"
VARIABLE: Final = "FOGBANK_PASSPHRASE"
NEW_VARIABLE: Final = "FOGBANK_NEW_PASSPHRASE"
_OTHERS: Final = 0o077
_SECRET_FILE_BYTES_MAX: Final = 64 << 10

Prompt = Callable[[str], str]


def terminal_prompt() -> Prompt | None:
    """Return what asks on the terminal, or None if there is none."""
    return getpass if sys.stdin.isatty() else None


def root_key_path(data_dir: Path, settings: EncryptionSettings) -> Path:
    """Return where the root key lies."""
    return data_dir / (settings.root_key_file or ROOT_KEY)


def _read_private(path: Path) -> bytes:
    """Return the content of a file that only its owner can read.

    Raises:
        KeyRefused: It is not there, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_SECRET_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyRefused(f"{path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyRefused(f"{path} can be read by others: chmod 600 {path}")
    return content


def read_root_key(path: Path) -> Secret:
    """Return the root key of a file.

    Raises:
        KeyRefused: It cannot be read, or holds something else.
    """
    content = _read_private(path)
    try:
        value = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        value = b""
    if len(value) != KEY_BYTES:
        raise KeyRefused(f"{path} holds no root key: that is {2 * KEY_BYTES} hexadecimal digits")
    return Secret(FILE, value)


def make_root_key(path: Path, draw: Draw) -> Secret:
    """Make the file of a root key durably, unless it is there; return what it holds.

    Raises:
        KeyRefused: It cannot be made or read.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        datadir.write_durably(beside, draw(KEY_BYTES).hex().encode() + b"\n")
        privilege.own_like(beside, path.parent)
        try:
            # A link and not a rename: of two servers that start at once, both use the first key.
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise KeyRefused(f"{path} cannot be made: {error.strerror}") from error
    return read_root_key(path)


class Finder:
    """Finds the secret of one data directory.

    Args:
        data_dir: The data directory.
        settings: What the settings say about encryption.
        draw: The source of a new root key.
        environment: Where a passphrase may stand; it is taken out of there.
        prompt: What asks for a passphrase; None: nobody can be asked.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: EncryptionSettings,
        draw: Draw,
        environment: MutableMapping[str, str] = os.environ,
        prompt: Prompt | None = None,
    ) -> None:
        # All stores of a directory are sealed by one secret: the first is made first.
        self._store = datadir.store_dirs(data_dir, datadir.stores_of(data_dir) or 1)[0]
        self._root_key = root_key_path(data_dir, settings)
        self._settings = settings
        self._draw = draw
        self._environment = environment
        self._prompt = prompt

    def find(self) -> Secret | None:
        """Return what opens the keyring that there is; None if there is none.

        Raises:
            Corrupt: The keyring is damaged.
            KeyRefused: The secret is not where it should be.
        """
        kind = find_kind(self._store)
        if kind is None:
            return None
        return self._of_kind(kind)

    def find_or_make(self) -> Secret | None:
        """Return the secret of a data directory that may be new; None if it stays plain.

        Raises:
            Corrupt: The keyring is damaged.
            KeyRefused: The secret is not where it should be.
        """
        found = self.find()
        if found is not None or not self._settings.enabled:
            self._environment.pop(VARIABLE, None)
            return found
        if self._settings.sealed_by == FILE and not self._root_key.exists():
            return make_root_key(self._root_key, self._draw)
        return self._of_kind(self._settings.sealed_by, fresh=True)

    def _of_kind(self, kind: str, *, fresh: bool = False) -> Secret:
        """Return the secret of a kind from where it is."""
        if kind == FILE:
            return read_root_key(self._root_key)
        file = self._settings.passphrase_file
        return passphrase(self._environment, VARIABLE, file, self._prompt, confirm=fresh)

    def encryption(self, secret: Secret | None) -> Encryption:
        """Return what the engine needs to know."""
        return Encryption(secret, self._draw, enabled=self._settings.enabled)


def passphrase(
    environment: MutableMapping[str, str],
    variable: str,
    file: str,
    prompt: Prompt | None,
    *,
    confirm: bool,
) -> Secret:
    """Return a passphrase from a variable, which is taken away, a file, or whoever is asked.

    Raises:
        KeyRefused: There is none, or two answers differ.
    """
    if text := environment.pop(variable, ""):
        return Secret(PASSPHRASE, text.encode())
    if file:
        return Secret(PASSPHRASE, _read_private(Path(file)).rstrip(b"\r\n"))
    if prompt is None:
        raise KeyRefused(
            f"the data is sealed by a passphrase: set {variable}, or encryption.passphrase_file, "
            "or start on a terminal"
        )
    text = prompt("fogbank: passphrase of the data directory: ")
    if confirm and prompt("fogbank: once more: ") != text:
        raise KeyRefused("the two passphrases differ")
    return Secret(PASSPHRASE, text.encode())
