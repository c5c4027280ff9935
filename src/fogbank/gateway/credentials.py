"""Credentials of a process that has no store: asked of one that has, kept under the epoch.

Rule: a secret that is kept here is as fresh as one that is read: its epoch lies in the page that
all processes share, and whoever changes an account ends it there before anybody hears of the change.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from fogbank.base.clock import Clock
from fogbank.base.errors import Unavailable
from fogbank.gateway.forward import OwnerOf
from fogbank.platform.identity.cache import Epoch, Epochs, Lru
from fogbank.platform.identity.credentials import ExpiredToken, Proof, find_minted_account
from fogbank.platform.identity.identity import (
    CREDENTIALS_CACHED_MAX,
    KEY_ID_CHARACTERS_MAX,
    Identity,
)
from fogbank.platform.identity.records import iam_domain
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.store.engine import DIRECTORY

PROVE: Final = "identity.proof"
"""(key id, token) -> the proof, empty if it proves nothing; or that the session is over"""
_EXPIRED: Final = "expired"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Proof).decode


class ProofOwner:
    """Answers for the credentials of this cloud.

    Args:
        identity: Reads them.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def handlers(self) -> Handlers:
        """Return what can be asked."""
        return {PROVE: self.prove}

    async def prove(self, asked: Asked) -> Answer:
        """Answer what an access key proves."""
        if not self._identity.is_open:
            raise Unavailable("the store process is starting")
        key_id, token = asked.value
        try:
            proof = await self._identity.proof(key_id, token)
        except ExpiredToken:
            return Answer(_EXPIRED)
        return Answer(b"" if proof is None else _encode(proof))


class RemoteProofs:
    """Reads credentials where they lie.

    Args:
        owner_of: The process that owns a domain.
        epochs: The epochs of accounts.
        clock: What ends sessions.
    """

    def __init__(self, owner_of: OwnerOf, epochs: Epochs, clock: Clock) -> None:
        self._owner_of = owner_of
        self._epochs = epochs
        self._clock = clock
        self._proofs: Lru[str, Proof] = Lru(CREDENTIALS_CACHED_MAX)

    def epoch_of(self, account: str) -> Epoch:
        """Return the current epoch of an account: what was read under another is stale."""
        return self._epochs.of(account)

    def find_proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return what ``proof`` returns if it was asked before and is in force, or else None.

        Raises:
            ExpiredToken: The session is over.
        """
        proof = self._proofs.find(key_id)
        if proof is not None and proof.epoch == self._epochs.of(proof.account):
            credential = proof.credential
            if hmac.compare_digest(token.encode(), credential.session_token.encode()):
                if credential.session_token and self._clock.now_ms() >= credential.expires_ms:
                    raise ExpiredToken("The security token included in the request is expired")
                return proof
        return None

    async def proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return the credential of an access key, or None if it proves nothing.

        Raises:
            ExpiredToken: The session is over.
        """
        found = self.find_proof(key_id, token)
        if found is not None:
            return found
        if len(key_id) > KEY_ID_CHARACTERS_MAX:
            return None
        return await self._asked(key_id, token)

    async def _asked(self, key_id: str, token: str) -> Proof | None:
        """Ask who owns the key's account, or the directory, and keep the answer."""
        account = find_minted_account(key_id)
        owner = self._owner_of(DIRECTORY if account is None else iam_domain(account))
        assert owner is not None, "a process without a store owns no domain"
        answer = (await owner.call(PROVE, (key_id, token))).value
        if answer == _EXPIRED:
            raise ExpiredToken("The security token included in the request is expired")
        if not answer:
            return None
        proof = _decode(answer)
        self._proofs.put(key_id, proof)
        return proof
