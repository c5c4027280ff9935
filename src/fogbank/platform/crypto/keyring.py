"""The keyring: the data keys of one store in one sealed envelope.

Rule: whoever has the file has no key; whoever has file and secret has them all. The secret is the
root key, 32 random bytes in a file of mode 0600, or what scrypt (RFC 7914) makes of a passphrase,
which is stored nowhere. A new secret or a new data key writes the envelope anew; what the data keys
sealed is not touched.

The file: a line that names the format, one line of JSON, a line with the CRC-32C of both. The JSON
holds in the open how the secret is made (``kind``, the salt of scrypt and its costs), and sealed
the list of keys. Each writing draws a fresh salt, so the envelope's nonce is always 0 (``keys.py``
says why that is safe).
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from awscrt.checksums import crc32c
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import KEYRING, SALT_BYTES, DataKeys, nonce_of, subkey, unsealed
from fogbank.platform.crypto.secret import (
    KEY_BYTES,
    MAGIC,
    PASSPHRASE,
    Draw,
    KeyRefused,
    Scrypt,
    Secret,
)

PASSPHRASE_BYTES_MIN: Final = 12
KEYS_MAX: Final = 10_000
_SCRYPT_MEMORY_MAX: Final = 1 << 30
_SCRYPT_COST_MAX: Final = 20


class DataKey(msgspec.Struct, frozen=True, array_like=True):
    """One data key."""

    id: int
    made_ms: int
    key: bytes

    def __repr__(self) -> str:
        """Return which key it is, and not what it is."""
        return f"DataKey({self.id})"


class _Envelope(msgspec.Struct, frozen=True):
    """The line of JSON."""

    kind: str
    scrypt: Scrypt | None
    salt: bytes
    sealed: bytes


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_keys = msgspec.msgpack.Decoder(list[DataKey]).decode


def _envelope_of(raw: bytes) -> _Envelope:
    """Return the envelope of a keyring file.

    Raises:
        Corrupt: The file is not what was written.
    """
    body, check = raw[:-9], raw[-9:]
    if not raw.startswith(MAGIC) or check != b"%08x\n" % crc32c(body):
        raise Corrupt("the keyring is not what was written")
    try:
        return _decode_envelope(body[len(MAGIC) :])
    except msgspec.DecodeError as error:
        raise Corrupt(f"the keyring is not what was written: {error}") from error


def kind_of(raw: bytes) -> str:
    """Return by what a keyring is sealed: ``file`` or ``passphrase``.

    Raises:
        Corrupt: The file is not what was written.
    """
    return _envelope_of(raw).kind


def _root_key(secret: Secret, scrypt: Scrypt | None) -> bytes:
    """Return the key of 32 bytes that a secret stands for."""
    if scrypt is None:
        if len(secret.value) != KEY_BYTES:
            raise KeyRefused("a root key has 32 bytes")
        return secret.value
    if scrypt.cost > _SCRYPT_COST_MAX:
        raise Corrupt("the keyring asks for more work than a passphrase is worth")
    return hashlib.scrypt(
        secret.value,
        salt=scrypt.salt,
        n=1 << scrypt.cost,
        r=scrypt.block,
        p=scrypt.lanes,
        maxmem=_SCRYPT_MEMORY_MAX,
        dklen=KEY_BYTES,
    )


def _about(kind: str, scrypt: Scrypt | None) -> bytes:
    """Return what is authenticated beside the keys."""
    return MAGIC + msgspec.json.encode([kind, scrypt])


def seal_keyring(
    keys: list[DataKey], secret: Secret, draw: Draw, scrypt: Scrypt | None = None
) -> bytes:
    """Return the bytes of a keyring file.

    Args:
        keys: The data keys, the newest last.
        secret: What shall open it.
        draw: The source of salts.
        scrypt: The costs for a passphrase, without a salt.

    Raises:
        KeyRefused: The passphrase is too short.
    """
    assert 0 < len(keys) <= KEYS_MAX
    if secret.kind == PASSPHRASE:
        if len(secret.value) < PASSPHRASE_BYTES_MIN:
            raise KeyRefused(f"a passphrase has at least {PASSPHRASE_BYTES_MIN} characters")
        scrypt = msgspec.structs.replace(scrypt or Scrypt(), salt=draw(SALT_BYTES))
    else:
        scrypt = None
    salt = draw(SALT_BYTES)
    cipher = AESGCM(subkey(_root_key(secret, scrypt), KEYRING, salt))
    about = _about(secret.kind, scrypt)
    sealed = cipher.encrypt(nonce_of(0), msgspec.msgpack.encode(keys), about)
    body = MAGIC + msgspec.json.encode(_Envelope(secret.kind, scrypt, salt, sealed)) + b"\n"
    return body + b"%08x\n" % crc32c(body)


def open_keyring(raw: bytes, secret: Secret | None) -> list[DataKey]:
    """Return the data keys of a keyring file, the newest last.

    Raises:
        Corrupt: The file is not what was written.
        KeyRefused: There is no secret, or not the one that sealed it.
    """
    envelope = _envelope_of(raw)
    wanted = "a passphrase" if envelope.kind == PASSPHRASE else "the root key of a file"
    if secret is None:
        raise KeyRefused(f"the store is encrypted, and {wanted} is needed to open it")
    if secret.kind != envelope.kind:
        raise KeyRefused(f"the store is sealed by {wanted}, and was given another kind of secret")
    cipher = AESGCM(subkey(_root_key(secret, envelope.scrypt), KEYRING, envelope.salt))
    try:
        body = unsealed(cipher, 0, envelope.sealed, _about(envelope.kind, envelope.scrypt))
    except Corrupt:
        raise KeyRefused(
            "the passphrase is not the one that sealed this store"
            if envelope.kind == PASSPHRASE
            else "the root key is not the one that sealed this store"
        ) from None
    return _decode_keys(body)


def with_new_key(keys: list[DataKey], draw: Draw, now_ms: int) -> list[DataKey]:
    """Return the keys with one more, which new writes will be sealed with.

    Raises:
        KeyRefused: There are too many.
    """
    if len(keys) >= KEYS_MAX:
        raise KeyRefused(f"a keyring holds at most {KEYS_MAX} data keys")
    newest = keys[-1].id if keys else 0
    return [*keys, DataKey(newest + 1, now_ms, draw(KEY_BYTES))]


def data_keys(keys: list[DataKey], draw: Draw, *, enabled: bool) -> DataKeys:
    """Return the keys for use; unless enabled, new writes stay plain and old ones are read."""
    active = keys[-1].id if enabled else None
    return DataKeys({key.id: key.key for key in keys}, active=active, draw=draw)
