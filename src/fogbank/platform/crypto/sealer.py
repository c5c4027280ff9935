"""Small bodies sealed under keys that no keyring has, told apart by numbers.

Rule: what is sealed says by which key, so that keys can follow one another. Which keys there are, and
what of, knows whoever has them; a sealer lives as long as the call or the step of a job that needs it.

Theory: whoever runs a body of a transaction again must get the same bytes again, for a body that
becomes a blob is known by them, and a pure function has no source of salts. So the salt is a keyed
digest of what is sealed and of where it belongs: two bodies have one salt, and so one subkey and one
nonce, only if they are the same body in the same place, and then what is sealed is the same too. That
is the construction of deterministic authenticated encryption (Rogaway and Shrimpton, 2006; RFC 5297):
whoever sees two sealed bodies of one place learns whether they are equal, and no more.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import SALT_BYTES, SEALED_WITH_BYTES, opened_with, sealed_with
from fogbank.platform.crypto.secret import KEY_BYTES

_NUMBER_BYTES: Final = 4
_LENGTH_BYTES: Final = 4
_SALTS: Final = b"fogbank salts of "
SEALER_BYTES: Final = _NUMBER_BYTES + SEALED_WITH_BYTES
"""How much longer sealing makes a body."""


class BodySealer:
    """Seals and opens what belongs to one owner.

    Args:
        keys: Every key by its number.
        active: The number of the key for new bodies; 0: they stay plain.
        about: The owner, which has to be said again to open what is sealed.
    """

    __slots__ = ("_about", "_active", "_keys")

    def __init__(self, keys: Mapping[int, bytes], active: int, about: bytes) -> None:
        assert active == 0 or active in keys, "new bodies are sealed with a key that is there"
        assert all(len(key) == KEY_BYTES for key in keys.values()), "a key has 32 bytes"
        self._keys = dict(keys)
        self._active = active
        self._about = about

    def __repr__(self) -> str:
        """Return which keys there are, and not what they are."""
        return f"BodySealer({sorted(self._keys)}, active={self._active})"

    @property
    def seals(self) -> bool:
        """Return whether new bodies are sealed."""
        return self._active != 0

    def is_current(self, sealed: bytes) -> bool:
        """Return whether a body was sealed with the key for new ones."""
        return int.from_bytes(sealed[:_NUMBER_BYTES]) == self._active

    def seal(self, purpose: bytes, body: bytes, where: bytes) -> bytes:
        """Return a body sealed with the key for new ones.

        Args:
            purpose: What is sealed.
            body: The body.
            where: Where it belongs: equal bodies of two places are not seen to be equal.
        """
        assert self.seals, "bodies stay plain where no key is for new ones"
        key = self._keys[self._active]
        secret = hmac.digest(key, _SALTS + purpose, "sha256")
        digest = blake2b(len(where).to_bytes(_LENGTH_BYTES), digest_size=SALT_BYTES, key=secret)
        digest.update(where)
        digest.update(body)
        sealed = sealed_with(key, purpose, digest.digest(), body, self._about)
        return self._active.to_bytes(_NUMBER_BYTES) + sealed

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        """Return a body that was sealed.

        Raises:
            Corrupt: These are not the bytes, or they are another owner's, or the key is gone.
        """
        key = self._keys.get(int.from_bytes(sealed[:_NUMBER_BYTES]))
        if key is None:
            raise Corrupt("sealed bytes name a key that their owner has not")
        return opened_with(key, purpose, sealed[_NUMBER_BYTES:], self._about)
