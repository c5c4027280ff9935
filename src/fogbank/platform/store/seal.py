"""How a value lies in an engine that keeps its own bytes: scheme byte + body + check.

Rule: nothing is served that does not pass its check. Scheme 0 ends in the CRC-32C of key, scheme
byte and body, so that a value under another key's name is damage too. Scheme 1 is AES-256-GCM with
the key as additional data: scheme byte, id of the row key (4 bytes), place in its series (4), the
body encrypted, tag of 16 bytes. Which subkey a row key is, the engine keeps beside the rows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from awscrt.checksums import crc32c
from cryptography.exceptions import InvalidTag

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import TAG_BYTES, Cipher, Series
from fogbank.platform.crypto.secret import KeyRefused

_PLAIN: Final = b"\0"
_SEALED: Final = 1
CHECK_BYTES: Final = 4
SEAL_BYTES: Final = 1 + CHECK_BYTES
"""What scheme 0 adds to a value."""
_HEAD: Final = struct.Struct(">BII")
SEALED_BYTES: Final = _HEAD.size + TAG_BYTES
"""What scheme 1 adds to a value."""
PLACES_MAX: Final = 1 << 32
"""A row key seals at most so many values."""
_NONCE_PAD: Final = bytes(8)

CipherOf = Callable[[int], Cipher]
"""Returns the cipher of a row key; raises ``KeyRefused`` or ``Corrupt`` if there is none."""


def no_cipher(row_key: int) -> Cipher:
    """Refuse to open a sealed value: nobody gave a key."""
    raise KeyRefused(f"a value is sealed with the row key {row_key}, and there is no key")


def seal(key: bytes, body: bytes) -> bytes:
    """Return the stored form of a value at a key by scheme 0."""
    return b"".join((_PLAIN, body, crc32c(key + _PLAIN + body).to_bytes(CHECK_BYTES)))


def seal_with(series: Series, row_key: int, key: bytes, body: bytes) -> bytes:
    """Return the stored form of a value at a key by scheme 1.

    Args:
        series: The series of the row key.
        row_key: Its id in this store.
        key: Where the value will lie.
        body: The value.
    """
    place = series.last + 1
    assert place < PLACES_MAX, "a row key is replaced before it has sealed too much"
    return _HEAD.pack(_SEALED, row_key, place) + series.seal(place, body, key)


def unseal(key: bytes, raw: bytes, cipher_of: CipherOf = no_cipher) -> bytes:
    """Return the value whose stored form this is.

    Raises:
        Corrupt: The bytes are not what was sealed at this key.
        KeyRefused: They are encrypted, and their key is not here.
    """
    size = len(raw)
    if size >= SEALED_BYTES and raw[0] == _SEALED:
        cipher = cipher_of(int.from_bytes(raw[1:5]))
        try:
            return cipher.decrypt(_NONCE_PAD + raw[5:9], raw[9:], key)
        except InvalidTag:
            pass
    elif (
        size >= SEAL_BYTES
        and raw[0] == 0
        and crc32c(key + raw[:-CHECK_BYTES]) == int.from_bytes(raw[-CHECK_BYTES:])
    ):
        return raw[1:-CHECK_BYTES]
    raise Corrupt(f"the value at the key {key!r} is not what was written")


def is_sealed(raw: bytes) -> bool:
    """Return whether a stored value is encrypted."""
    return raw[:1] == b"\1"


def row_key_of(raw: bytes) -> int | None:
    """Return the row key that sealed a stored value, or None if it lies open."""
    return int.from_bytes(raw[1:5]) if is_sealed(raw) else None


def check_of(raw: bytes) -> int:
    """Return the check, or its end, at the end of a stored value, for digests over many of them."""
    return int.from_bytes(raw[-CHECK_BYTES:])
