"""The keyring file of a data directory: made, opened, and written anew.

Rule: the file is only written under the directory's locks, and only replaced whole, so two servers
never make two keyrings and a crash leaves the old one or the new one. A keyring that cannot be
opened ends the start before anything else is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fogbank.base.clock import Clock
from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import replace_file
from fogbank.engines.embedded.keyfile import KEYRING, Encryption, find_keyring
from fogbank.platform.crypto.keyring import (
    DataKey,
    data_keys,
    kind_of,
    open_keyring,
    seal_keyring,
    with_new_key,
)
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.crypto.secret import KeyRefused, Secret


def _named(root: Path, raw: bytes) -> str:
    """Return the kind of a keyring; name the file if it is damaged."""
    try:
        return kind_of(raw)
    except Corrupt as error:
        raise Corrupt(f"{root / KEYRING}: {error}") from error


def require_whole(root: Path) -> None:
    """Refuse a keyring that is not what was written; it is not opened.

    Raises:
        Corrupt: The keyring is damaged.
    """
    raw = find_keyring(root)
    if raw is not None:
        _named(root, raw)


def read_keys(root: Path, encryption: Encryption) -> DataKeys:
    """Return the data keys of a directory, and change nothing.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: The secret does not open it.
    """
    raw = find_keyring(root)
    if raw is None:
        return DataKeys({}, active=None, draw=encryption.draw)
    _named(root, raw)
    keys = open_keyring(raw, encryption.secret)
    return data_keys(keys, encryption.draw, enabled=encryption.enabled)


def ensure_keys(root: Path, encryption: Encryption, clock: Clock, *, is_sealed: bool) -> DataKeys:
    """Return the data keys of a directory; make the keyring if it is to be encrypted and is not.

    Args:
        root: The data directory, whose locks are held.
        encryption: What opens it.
        clock: When a key is made.
        is_sealed: The directory holds something that a keyring sealed.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: The secret does not open it, or there is none, or the keyring is gone.
    """
    if is_sealed and find_keyring(root) is None:
        raise KeyRefused(f"{root / KEYRING} is missing, and without it nothing can be read")
    if encryption.enabled and find_keyring(root) is None:
        if encryption.secret is None:
            raise KeyRefused("the store is to be encrypted, and no key was given")
        write_keyring(root, with_new_key([], encryption.draw, clock.now_ms()), encryption)
    return read_keys(root, encryption)


def write_keyring(root: Path, keys: list[DataKey], encryption: Encryption) -> None:
    """Replace the keyring durably."""
    assert encryption.secret is not None, "a keyring is sealed with a secret"
    raw = seal_keyring(keys, encryption.secret, encryption.draw, encryption.scrypt)
    replace_file(root / KEYRING, raw)


def _require(root: Path) -> bytes:
    """Return the bytes of the keyring file, which must be there."""
    raw = find_keyring(root)
    if raw is None:
        raise KeyRefused(f"{root} is not encrypted: there is no key")
    _named(root, raw)
    return raw


def list_keys(root: Path, encryption: Encryption) -> list[DataKey]:
    """Return the data keys of a directory, the newest last.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: The secret does not open it, or there is no keyring.
    """
    return open_keyring(_require(root), encryption.secret)


def rotate(root: Path, encryption: Encryption, clock: Clock) -> DataKey:
    """Make a new data key for new writes, durably, and return it; under the directory's locks.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: The secret does not open it, or there is no keyring.
    """
    keys = with_new_key(list_keys(root, encryption), encryption.draw, clock.now_ms())
    write_keyring(root, keys, encryption)
    return keys[-1]


def drop(root: Path, encryption: Encryption) -> list[int]:
    """Remove all data keys but the newest and return their ids; under the directory's locks.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: The secret does not open it, or there is no keyring.
    """
    keys = list_keys(root, encryption)
    write_keyring(root, keys[-1:], encryption)
    return [key.id for key in keys[:-1]]


def secret_of(root: Path, secrets: Sequence[Secret]) -> Secret | None:
    """Return which of some secrets opens the keyring; the first, if none does or there is none.

    Raises:
        Corrupt: The keyring is damaged.
    """
    raw = find_keyring(root)
    for secret in secrets:
        try:
            if raw is not None:
                open_keyring(raw, secret)
        except KeyRefused:
            continue
        return secret
    return secrets[0] if secrets else None


def reseal(root: Path, old: Encryption, new: Encryption) -> int:
    """Seal the keyring with another secret and return how many keys it holds; under the locks.

    Harmless to repeat: a keyring that the new secret opens is sealed by it again.

    Raises:
        Corrupt: The keyring is damaged.
        KeyRefused: Neither secret opens it, or there is no keyring.
    """
    try:
        keys = list_keys(root, new)
    except KeyRefused:
        keys = list_keys(root, old)
    write_keyring(root, keys, new)
    return len(keys)
