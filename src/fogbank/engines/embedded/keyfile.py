"""Where the keyring of a data directory lies, and what opens it; ``keys.py`` opens it.

Rule: the supervisor imports this, and so it brings nothing that ciphers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.secret import Draw, Scrypt, Secret, kind_told, no_draw

KEYRING: Final = "keyring"


class Encryption(msgspec.Struct, frozen=True):
    """How a data directory is encrypted, and what opens it."""

    secret: Secret | None
    draw: Draw
    """The source of keys and salts."""
    enabled: bool = True
    """New writes are sealed; what is sealed already is read either way."""
    scrypt: Scrypt = Scrypt()
    """The costs of a passphrase for a keyring that is made."""


PLAIN: Final = Encryption(secret=None, draw=no_draw, enabled=False)
"""A directory that is not encrypted, and never was."""


def find_keyring(root: Path) -> bytes | None:
    """Return the bytes of the keyring file, or None if the directory was never encrypted."""
    try:
        return (root / KEYRING).read_bytes()
    except FileNotFoundError:
        return None


def find_kind(root: Path) -> str | None:
    """Return by what the keyring is sealed: ``file`` or ``passphrase``; None without a keyring.

    Raises:
        Corrupt: The keyring does not say; of other damage hears who opens it.
    """
    raw = find_keyring(root)
    if raw is None:
        return None
    try:
        return kind_told(raw)
    except Corrupt as error:
        raise Corrupt(f"{root / KEYRING}: {error}") from error
