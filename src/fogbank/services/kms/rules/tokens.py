"""Grant tokens: proof that a grant was made, for who cannot see it yet.

Grants are in force here as soon as they are answered, so that nobody needs a token; one that is
given is checked all the same. A token is ``account 5 | key id 16 | grant id 32 | salt 16 | MAC
32``, and different each time. Source: AWS KMS Developer Guide, "Using a grant token".
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from typing import Final, NamedTuple
from uuid import UUID

SALT_BYTES: Final = 16
_BYTES: Final = 5 + 16 + 32 + SALT_BYTES + 32


class Named(NamedTuple):
    """Which grant a token speaks of, as it says itself."""

    account: str
    key_id: str
    grant_id: str
    raw: bytes


def token_of(account: str, key_id: str, grant_id: str, secret: bytes, salt: bytes) -> str:
    """Return a token of a grant."""
    said = int(account).to_bytes(5) + UUID(key_id).bytes + bytes.fromhex(grant_id) + salt
    return b64encode(said + hmac.digest(secret, said, "sha256")).decode()


def find_named(token: str) -> Named | None:
    """Return which grant a token speaks of, or None if it is no token."""
    try:
        raw = b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _BYTES:
        return None
    account, key_id = int.from_bytes(raw[:5]), UUID(bytes=raw[5:21])
    return Named(f"{account:012}", str(key_id), raw[21:53].hex(), raw)


def is_proved(named: Named, secret: bytes) -> bool:
    """Return whether a token was made for the grant that it speaks of."""
    said, mac = named.raw[:-32], named.raw[-32:]
    return hmac.compare_digest(hmac.digest(secret, said, "sha256"), mac)
