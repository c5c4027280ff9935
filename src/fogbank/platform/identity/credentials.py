"""Proof of who calls: access keys, their secrets, and what is wrong with a bad one.

Rule: a secret is in no repr, no log line and no error text.

An access key id that we mint holds its account, in AWS's own form: of the ten bytes that the
sixteen base32 characters say, the first bit is set and the next forty are the account number, so
that a lookup needs no directory (and tools that decode AWS's ids decode ours).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.base.ids import Ids
from fogbank.platform.identity.cache import Epoch
from fogbank.platform.identity.principal import Principal

LONG_TERM: Final = "AKIA"
TEMPORARY: Final = "ASIA"
SECRET_CHARACTERS: Final = 40
_KEY_CHARACTERS: Final = 20
_PREFIX_CHARACTERS: Final = 4
_ID_BYTES: Final = 10
_MINTED_BIT: Final = 1 << 79
_ACCOUNT_SHIFT: Final = 39
_ACCOUNT_MASK: Final = (1 << 40) - 1
_ACCOUNT_MAX: Final = 999_999_999_999


class InvalidClientTokenId(ServiceError):
    """No such access key, or its token proves nothing."""

    status = 403


class ExpiredToken(ServiceError):
    """The session is over."""

    status = 403


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An access key with its secret, and who signs with it."""

    access_key_id: str
    secret_access_key: str
    principal: Principal
    session_token: str = ""
    expires_ms: int = 0
    """When a session ends; 0: never."""

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id!r}, {self.principal.arn!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("access_key_id", self.access_key_id)]


class Proof(msgspec.Struct, frozen=True):
    """A credential with the account it belongs to and the epoch under which it was read."""

    account: str
    epoch: Epoch
    credential: Credential


def mint_key_id(prefix: str, account: str, ids: Ids) -> str:
    """Return a fresh access key id that holds its account.

    Args:
        prefix: ``AKIA`` for long-term keys, ``ASIA`` for sessions.
        account: Twelve digits.
        ids: Where the other 39 bits come from.
    """
    low = int.from_bytes(ids.random_bytes(5)) & ((1 << _ACCOUNT_SHIFT) - 1)
    number = _MINTED_BIT | int(account) << _ACCOUNT_SHIFT | low
    return prefix + base64.b32encode(number.to_bytes(_ID_BYTES)).decode()


def find_minted_account(key_id: str) -> str | None:
    """Return the account that a key id of our making holds, or None if it holds none."""
    if len(key_id) != _KEY_CHARACTERS:
        return None
    try:
        number = int.from_bytes(base64.b32decode(key_id[_PREFIX_CHARACTERS:]))
    except (binascii.Error, ValueError):
        return None
    account = number >> _ACCOUNT_SHIFT & _ACCOUNT_MASK
    if not number & _MINTED_BIT or account > _ACCOUNT_MAX:
        return None
    return f"{account:012d}"
