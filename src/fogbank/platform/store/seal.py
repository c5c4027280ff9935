"""How a value lies in an engine that keeps its own bytes: scheme byte + body + check.

Rule: nothing is served that does not pass its check. Scheme 0 ends in the CRC-32C of key, scheme
byte and body, so that a value under another key's name is damage too. Scheme 1 (AES-256-GCM) is
reserved; a reader without it refuses the value.
"""

from __future__ import annotations

from typing import Final

from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt

_PLAIN: Final = b"\0"
CHECK_BYTES: Final = 4
SEAL_BYTES: Final = 1 + CHECK_BYTES
"""What sealing adds to a value."""


def seal(key: bytes, body: bytes) -> bytes:
    """Return the stored form of a value at a key."""
    return b"".join((_PLAIN, body, crc32c(key + _PLAIN + body).to_bytes(CHECK_BYTES)))


def unseal(key: bytes, raw: bytes) -> bytes:
    """Return the value whose stored form this is.

    Raises:
        Corrupt: The bytes are not what was sealed at this key.
    """
    if (
        len(raw) < SEAL_BYTES
        or crc32c(key + raw[:-CHECK_BYTES]) != int.from_bytes(raw[-CHECK_BYTES:])
        or raw[0] != 0
    ):
        raise Corrupt(f"the value at the key {key!r} is not what was written")
    return raw[1:-CHECK_BYTES]


def check_of(raw: bytes) -> int:
    """Return the check at the end of a stored value, for digests over many of them."""
    return int.from_bytes(raw[-CHECK_BYTES:])
