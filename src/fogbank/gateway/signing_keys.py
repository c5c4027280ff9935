"""Keys that signatures are checked with, each derived once.

Rule: a key is filed with the secret that it came from, so that it dies with it. The number of them
is bounded.

Theory: the signing key of a day, region and service costs four hashes of a secret; the public key of
version 4A costs a search on a curve, and is good on every day and everywhere.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from fogbank.base.clock import Clock
from fogbank.gateway.signed_events import Seal
from fogbank.platform.identity.cache import Lru
from fogbank.platform.identity.credentials import Credential
from fogbank.wire import sigv4
from fogbank.wire.sigv4 import Authorization, SigningKey
from fogbank.wire.sigv4a import VerifyingKey, verifying_key

SIGNING_KEYS_MAX: Final = 8_192


class _SigningKey(NamedTuple):
    """A signing key, and the secret that it was derived from."""

    secret: str
    key: SigningKey | VerifyingKey


class SigningKeys:
    """The keys of the access keys that sign."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: Lru[tuple[str, str, str, str], _SigningKey] = Lru(SIGNING_KEYS_MAX)

    def of(self, credential: Credential, signed: Authorization) -> SigningKey | VerifyingKey:
        """Return the key that a signature is checked with."""
        key_id, secret = credential.access_key_id, credential.secret_access_key
        asymmetric = signed.algorithm == sigv4.ASYMMETRIC
        name = (key_id, signed.date, signed.region, signed.service)
        if asymmetric:
            name = (key_id, signed.algorithm, "", "")
        found = self._keys.find(name)
        if found is not None and found.secret == secret:
            return found.key
        key: SigningKey | VerifyingKey
        if asymmetric:
            key = verifying_key(key_id, secret)
        else:
            key = sigv4.signing_key(secret, signed.date, signed.region, signed.service)
        self._keys.put(name, _SigningKey(secret, key))
        return key

    def seal(
        self, signed: Authorization, credential: Credential, clock: Clock, skew_ms: int
    ) -> Seal:
        """Return what the events of a request are checked with; each day has a key of its own."""

        def key_of(date: str) -> SigningKey:
            key = self.of(credential, replace(signed, date=date))
            assert isinstance(key, SigningKey), "events are signed with the derived key"
            return key

        def scope_of(date: str) -> str:
            return replace(signed, date=date).scope

        return Seal(signed.signature, key_of, scope_of, clock.now_ms, skew_ms)
