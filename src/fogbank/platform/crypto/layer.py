"""A further layer of encryption below one that proves what it holds.

Rule: AES-256 in counter mode, as long as the bytes, so that ranges stay ranges; and no proof of its own.
What it makes is stored under AES-GCM by whoever stores it, with another key. Each body has a subkey of
its own (``keys.subkey``), so counters begin at zero.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from fogbank.platform.crypto.keys import subkey

_PURPOSE: Final = b"fogbank layer"
_BLOCK_BYTES: Final = 16


class Layer:
    """Encrypts, or decrypts, the bytes of one body in order.

    Args:
        key: The key, of 32 bytes.
        name: Of 16 bytes: no two bodies of the key have one name.
        begin: The offset of the first byte that comes.
    """

    __slots__ = ("_update",)

    def __init__(self, key: bytes, name: bytes, begin: int = 0) -> None:
        counter = (begin // _BLOCK_BYTES).to_bytes(_BLOCK_BYTES)
        self._update = Cipher(AES(subkey(key, _PURPOSE, name)), CTR(counter)).encryptor().update
        self._update(bytes(begin % _BLOCK_BYTES))

    def update(self, data: bytes | memoryview) -> bytes:
        """Return the next bytes on the other side of the layer."""
        return self._update(data)
