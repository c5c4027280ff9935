"""Session tokens: everything a temporary credential says, authenticated, and stored nowhere.

A token is a version byte, the session as MessagePack and an HMAC-SHA256 over both, in base64. The
secret of the session's access key is an HMAC of the same bytes under another key. Whoever holds
the master key can check a token without a look into a store; what a token says of its role or user
is checked against the store when it is used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from fogbank.platform.identity.credentials import SECRET_CHARACTERS

MASTER_KEY_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 16_384
_VERSION: Final = b"\x01"
_MAC_BYTES: Final = 32


class Session(msgspec.Struct, frozen=True, array_like=True, tag="session/1"):
    """What a token says."""

    key_id: str
    account: str
    kind: str
    """``session`` of a role, ``user`` or ``root``."""
    unique_id: str
    name: str
    issued_ms: int
    expires_ms: int
    session_name: str = ""
    policies: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    """Keys of tags that go on to sessions of further roles."""
    source_identity: str = ""
    source_function_arn: str = ""
    """The function that the session was made for, of one of an execution role."""
    mfa_ms: int = 0
    """When a second factor was proved; 0: none was."""


class Sealer:
    """Makes and opens tokens under a master key."""

    __slots__ = ("_decode", "_encode", "_master", "_secret_key", "_token_key")

    def __init__(self, master: bytes) -> None:
        assert len(master) == MASTER_KEY_BYTES, "a master key has 32 bytes"
        self._master = master
        self._token_key = hmac.digest(master, b"fogbank session token 1", hashlib.sha256)
        self._secret_key = hmac.digest(master, b"fogbank session secret 1", hashlib.sha256)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Session).decode

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, session: Session) -> tuple[str, str]:
        """Return the token of a session and the secret of its key."""
        body = _VERSION + self._encode(session)
        mac = hmac.digest(self._token_key, body, hashlib.sha256)
        return base64.b64encode(body + mac).decode(), self._secret(body)

    def open(self, token: str) -> tuple[Session, str] | None:
        """Return the session of a token and the secret of its key, or None if it is not ours."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        wanted = hmac.digest(self._token_key, body, hashlib.sha256)
        if not hmac.compare_digest(mac, wanted) or not body.startswith(_VERSION):
            return None
        return self._decode(body[len(_VERSION) :]), self._secret(body)

    def key_for(self, purpose: bytes) -> bytes:
        """Return 64 bytes that are derived for another purpose."""
        return hmac.digest(self._master, purpose, hashlib.sha512)

    def _secret(self, body: bytes) -> str:
        """Return the secret that belongs to a token's body."""
        mac = hmac.digest(self._secret_key, body, hashlib.sha256)
        return base64.b64encode(mac).decode()[:SECRET_CHARACTERS]
