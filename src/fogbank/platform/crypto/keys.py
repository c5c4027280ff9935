"""Data keys, the subkeys that are derived from them, and the series of nonces of each subkey.

Rule: no data key ever encrypts anything. Whoever seals draws a fresh salt of 128 bits, derives a
subkey from data key, purpose and salt, and seals at *places* of that subkey: numbers that only grow.
The place is the nonce. Salt and key id are stored beside what was sealed.

Theory: AES-GCM loses everything with one repeated pair of key and nonce, and what is repeated after
a crash is exactly a place: a version of the log after a torn write, a number of a blob, a counter.
So no place is trusted across two lives of a writer. A series lives in one object of one process and
is never stored or resumed; a restart, a restored backup, a copied directory and two machines that
run the same copy all draw other salts and so have other subkeys. Inside a series ``seal`` asserts
that the place is above the last one. Two series share a subkey only if two salts of 128 bits are
equal: with 2**40 series under one data key the odds are below 2**-48. One subkey never seals more
than 2**32 bodies (NIST SP 800-38D bounds that only for random nonces), of at most 2**32 blocks each.

A *lock* is a key that is in no keyring: of one object, or of a client. What it seals it seals in the
place of a data key, with a salt of its own like any other series, and only whoever brings it again
opens that.

The derivation is HKDF-Expand of RFC 5869 for one block; its extract step is left out, as section
3.3 allows, because a data key is uniformly random already.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.secret import KEY_BYTES, Draw, KeyRefused

SALT_BYTES: Final = 16
TAG_BYTES: Final = 16
"""What sealing adds to a body, beside what says by which key it was sealed."""
_NONCE_BYTES: Final = 12
_ONE: Final = b"\x01"

LOCKED: Final = (1 << 32) - 1
"""In the place of a data key's id: it was sealed with a key that whoever reads it brings."""
ROWS: Final = b"fogbank row"
LOG: Final = b"fogbank log"
BLOBS: Final = b"fogbank blob"
KEYRING: Final = b"fogbank keyring"

Cipher = AESGCM


def nonce_of(place: int) -> bytes:
    """Return the nonce of a place of a series."""
    return place.to_bytes(_NONCE_BYTES)


def subkey(key: bytes, purpose: bytes, salt: bytes) -> bytes:
    """Return the subkey of 32 bytes for a purpose and a salt."""
    assert len(key) == KEY_BYTES, "a key has 32 bytes"
    assert len(salt) == SALT_BYTES, "a salt has 16 bytes"
    return hmac.digest(key, purpose + salt + _ONE, "sha256")


def unsealed(cipher: Cipher, place: int, sealed: bytes | memoryview, about: bytes) -> bytes:
    """Return what was sealed at a place.

    Raises:
        Corrupt: These are not the bytes, or not what they were said to be about.
    """
    try:
        return cipher.decrypt(place.to_bytes(_NONCE_BYTES), sealed, about)
    except (InvalidTag, ValueError) as error:
        raise Corrupt("sealed bytes are not what was written") from error


class Opens(Protocol):
    """Has the ciphers of series."""

    def cipher(self, key_id: int, purpose: bytes, salt: bytes) -> Cipher:
        """Return what opens the series with this salt."""
        ...


class Series:
    """A subkey that nobody else seals with, and the last place at which it sealed."""

    __slots__ = ("_encrypt", "key_id", "last", "salt")

    def __init__(self, key_id: int, salt: bytes, cipher: Cipher) -> None:
        self.key_id = key_id
        self.salt = salt
        self.last = -1
        self._encrypt = cipher.encrypt

    def seal(self, place: int, body: bytes | memoryview, about: bytes) -> bytes:
        """Return the body sealed at a place above the last one, 16 bytes longer.

        Args:
            place: The nonce, as a number.
            body: What to seal.
            about: What has to be said again to open it; it is not in what is returned.
        """
        assert place > self.last, "a nonce is never used twice"
        self.last = place
        return self._encrypt(place.to_bytes(_NONCE_BYTES), body, about)


class DataKeys:
    """The opened data keys of one store.

    Args:
        keys: Every data key by its id.
        active: The id of the key for new writes; None: new writes stay plain.
        draw: The source of salts.
    """

    __slots__ = ("_draw", "_keys", "active")

    def __init__(self, keys: Mapping[int, bytes], *, active: int | None, draw: Draw) -> None:
        assert active is None or active in keys, "new writes are sealed with a key that is there"
        self._keys = dict(keys)
        self._draw = draw
        self.active = active

    def __repr__(self) -> str:
        """Return which keys there are, and not what they are."""
        return f"DataKeys({sorted(self._keys)}, active={self.active})"

    def adopt(self, key_id: int, key: bytes) -> None:
        """Seal new writes with a further key, which is in the keyring durably by now."""
        assert self.active is not None, "keys are rotated where new writes are sealed"
        assert key_id > max(self._keys), "a key is never replaced"
        self._keys[key_id] = key
        self.active = key_id

    def forget_older(self) -> None:
        """Forget all keys but the one for new writes: nothing is sealed with them any more."""
        assert self.active is not None, "keys are dropped where new writes are sealed"
        self._keys = {self.active: self._keys[self.active]}

    def export(self) -> dict[int, bytes]:
        """Return the keys, to hand them to a child process over a pipe."""
        return dict(self._keys)

    def lent(self, key_id: int, purpose: bytes, salt: bytes) -> tuple[int, bytes, bytes]:
        """Return data key id, salt and subkey of a series, for another process to open it.

        Raises:
            Corrupt: The keyring holds no such data key.
        """
        return key_id, salt, subkey(self._key(key_id), purpose, salt)

    def _key(self, key_id: int) -> bytes:
        """Return a data key."""
        key = self._keys.get(key_id)
        if key is None:
            raise Corrupt(f"stored bytes name the data key {key_id}, which is not in the keyring")
        return key

    def cipher(self, key_id: int, purpose: bytes, salt: bytes) -> Cipher:
        """Return what opens the series with this salt.

        Raises:
            Corrupt: The keyring, which was opened whole, holds no such data key.
        """
        return AESGCM(subkey(self._key(key_id), purpose, salt))

    def lend(self, purpose: bytes, lock: bytes | None = None) -> tuple[int, bytes, bytes] | None:
        """Return data key id, salt and subkey of a series that another process will seal with.

        The subkey opens and seals what is of this series and nothing else. None: it stays plain.
        """
        if lock is not None:
            salt = self._draw(SALT_BYTES)
            return LOCKED, salt, subkey(lock, purpose, salt)
        if self.active is None:
            return None
        salt = self._draw(SALT_BYTES)
        return self.active, salt, subkey(self._keys[self.active], purpose, salt)

    def series(self, purpose: bytes, lock: bytes | None = None) -> Series | None:
        """Return a fresh series for new writes, or None if they stay plain.

        Args:
            purpose: What is sealed.
            lock: The key to seal with in the place of a data key.
        """
        return lent_series(self.lend(purpose, lock))


class Lock:
    """Opens what one lock sealed, and nothing that a data key did."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "Lock()"

    def lent(self, key_id: int, purpose: bytes, salt: bytes) -> tuple[int, bytes, bytes]:
        """Return what another process needs to open a series; see ``DataKeys.lent``.

        Raises:
            Corrupt: A data key sealed it.
        """
        if key_id != LOCKED:
            raise Corrupt("stored bytes name a data key, and should be sealed with a key brought")
        return key_id, salt, subkey(self._key, purpose, salt)

    def cipher(self, key_id: int, purpose: bytes, salt: bytes) -> Cipher:
        """Return what opens the series with this salt.

        Raises:
            Corrupt: A data key sealed it.
        """
        return AESGCM(self.lent(key_id, purpose, salt)[2])


SEALED_WITH_BYTES: Final = SALT_BYTES + TAG_BYTES
"""How much longer ``sealed_with`` makes a body."""


def sealed_with(lock: bytes, purpose: bytes, salt: bytes, body: bytes, about: bytes) -> bytes:
    """Return a short body sealed with a lock: the salt, which must be fresh, then what was sealed."""
    series = Series(LOCKED, salt, AESGCM(subkey(lock, purpose, salt)))
    return salt + series.seal(0, body, about)


def opened_with(lock: bytes, purpose: bytes, sealed: bytes, about: bytes) -> bytes:
    """Return what ``sealed_with`` sealed.

    Raises:
        Corrupt: These are not the bytes, or not what they were said to be about, or the key is not
            the one that sealed them.
    """
    salt, body = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
    if len(salt) < SALT_BYTES:
        raise Corrupt("sealed bytes are cut off")
    return unsealed(AESGCM(subkey(lock, purpose, salt)), 0, body, about)


class LentKeys:
    """The subkeys of some series, for whoever reads what was sealed with them."""

    __slots__ = ("_lent",)

    def __init__(self, lent: Iterable[tuple[int, bytes, bytes]]) -> None:
        self._lent = {(key_id, salt): key for key_id, salt, key in lent}

    def __repr__(self) -> str:
        """Return how many there are, and not what they are."""
        return f"LentKeys({len(self._lent)})"

    def cipher(self, key_id: int, purpose: bytes, salt: bytes) -> Cipher:
        """Return what opens the series with this salt.

        Raises:
            KeyRefused: It was not lent.
        """
        key = self._lent.get((key_id, salt))
        if key is None:
            raise KeyRefused(f"the key of a {purpose.decode()} was not lent")
        return AESGCM(key)


def lent_series(lent: tuple[int, bytes, bytes] | None) -> Series | None:
    """Return the series that was lent; it is sealed with once, by one writer."""
    return None if lent is None else Series(lent[0], lent[1], AESGCM(lent[2]))
