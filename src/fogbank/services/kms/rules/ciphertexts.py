"""Ciphertexts: what was encrypted, and by which material of which key.

A ciphertext is ``version 1 | account 5 | key id 16 | material 4 | salt 16 | nonce 12 | sealed``. It
is sealed by AES-256-GCM under a subkey that is derived from the material and the salt, with all
that precedes it and the encryption context as additional data: nothing of it can be changed, and
no other context opens it. Salt and nonce are drawn afresh each time, 28 bytes in all, so that a
material never uses a pair of subkey and nonce twice.

Theory: ``platform/crypto/keys``; AWS derives a key for each ciphertext in the same way (AWS KMS
Cryptographic Details, "Encrypt"). The encryption context is a set of pairs: its canonical form has
them in order of their keys, each text behind its length, so that no two contexts have one form.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import SALT_BYTES, TAG_BYTES, Cipher, subkey, unsealed
from fogbank.services.kms.errors import InvalidCiphertextException

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">B5s16sI")
_NONCE_BYTES: Final = 12
_DIGITS: Final = 12
_SEALED_AT: Final = _HEAD.size + SALT_BYTES + _NONCE_BYTES
_PURPOSE: Final = b"fogbank kms ciphertext"
_LENGTH: Final = struct.Struct(">I")

Draw = Callable[[int], bytes]


class Header(NamedTuple):
    """Whose ciphertext it is."""

    account: str
    key_id: str
    material: int


def canonical(context: Mapping[str, str]) -> bytes:
    """Return the one form of an encryption context."""
    out = bytearray()
    for key, value in sorted((key.encode(), value.encode()) for key, value in context.items()):
        out += _LENGTH.pack(len(key)) + key + _LENGTH.pack(len(value)) + value
    return bytes(out)


def find_header(blob: bytes) -> Header | None:
    """Return what a ciphertext says of its key, which nothing has proved yet; None: it is none."""
    if len(blob) < _SEALED_AT + TAG_BYTES or blob[0] != _VERSION:
        return None
    _, account, key_id, material = _HEAD.unpack_from(blob)
    digits = f"{int.from_bytes(account):012}"
    return Header(digits, str(UUID(bytes=key_id)), material) if len(digits) == _DIGITS else None


def sealed(
    secret: bytes, header: Header, plaintext: bytes, context: Mapping[str, str], draw: Draw
) -> bytes:
    """Return the ciphertext of a plaintext."""
    head = _HEAD.pack(
        _VERSION, int(header.account).to_bytes(5), UUID(header.key_id).bytes, header.material
    )
    salt, nonce = draw(SALT_BYTES), draw(_NONCE_BYTES)
    before = head + salt + nonce
    cipher = Cipher(subkey(secret, _PURPOSE, salt))
    return before + cipher.encrypt(nonce, plaintext, before + canonical(context))


def opened(secret: bytes, blob: bytes, context: Mapping[str, str]) -> bytes:
    """Return the plaintext of a ciphertext.

    Raises:
        InvalidCiphertextException: It is damaged, or was made under another context.
    """
    before, body = blob[:_SEALED_AT], blob[_SEALED_AT:]
    salt = before[_HEAD.size : _HEAD.size + SALT_BYTES]
    nonce = int.from_bytes(before[-_NONCE_BYTES:])
    cipher = Cipher(subkey(secret, _PURPOSE, salt))
    try:
        return unsealed(cipher, nonce, body, before + canonical(context))
    except Corrupt as error:
        raise InvalidCiphertextException from error
