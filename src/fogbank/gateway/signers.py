"""Signers that were proved before: all of a proof that is the same for every request of a client.

Rule: what is remembered here is what a request *begins* its Authorization header with, and only as
long as the account's epoch stands and host, service and token are the same. What differs from
request to request, its time, its head and its body, is checked every time. A request that this does
not know, or whose signature does not hold here, is nobody's yet: ``Authenticator`` goes the long
way, which alone refuses, and says why.

Theory: a client signs with one key for one service all day. Its scope, its key, the names of the
headers it signs, whether these suffice: all that is one look-up then, and what is left is the
canonical request, two hashes and an HMAC.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from fogbank.gateway.claim import Claim
from fogbank.gateway.hosts import HostName
from fogbank.gateway.resolve import Door, Target
from fogbank.gateway.scope import time_ms_of
from fogbank.platform.identity.cache import Epoch
from fogbank.platform.identity.credentials import Proof
from fogbank.wire import sigv4
from fogbank.wire.canonical import Lines, lines_of
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import Authorization, SigningKey

SIGNERS_MAX: Final = 4_096
_CONTENT_HASH: Final = "x-amz-content-sha256"
_TARGET: Final = "x-amz-target"


class Signer(msgspec.Struct, frozen=True, eq=False):
    """What is the same for all requests of one client to one service on one day."""

    begun: Authorization
    """What the header says before the signature; one object while it is remembered."""
    door: Door
    host: HostName
    token: str
    proof: Proof
    expires_ms: int
    """When a session ends; 0: never."""
    account: str
    key: SigningKey
    lines: Lines
    scope: str
    signs_target: bool
    """Whether it signs which operation it asks for, where a header says that."""

    def is_of(self, claim: Claim, target: Target) -> bool:
        """Return whether a claim begins as this signer's do, and asks the same service for it."""
        return (
            self.begun is claim.begun
            and self.door is target.door
            and self.host is target.host
            and self.token == claim.token
        )

    def is_timely(self, timestamp: str, now_ms: int, skew_ms: int) -> bool:
        """Return whether a request was signed on the day of the key and near now."""
        return (
            timestamp[:8] == self.begun.date
            and -skew_ms <= now_ms - time_ms_of(timestamp) <= skew_ms
            and not 0 < self.expires_ms <= now_ms
        )

    def signed(self, request: HttpRequest, claim: Claim) -> bool:
        """Return whether a plain request, its body at hand, was signed with the key.

        False says nothing of a request that is not plain: one with a query, headers with blanks
        that are not signed, characters beyond ASCII, or a body whose pieces are signed.
        """
        headers = request.headers
        if request.query or request.path != "/" or request.stream is not None:
            return False
        if headers.get(_CONTENT_HASH) == sigv4.STREAMING_EVENTS:
            return False
        if not self.signs_target and _TARGET in headers:
            return False
        lines = self.lines
        text = lines.plain(headers)
        if text is None or not text.isascii():
            return False
        digest = sha256(request.body).hexdigest()
        canonical = f"{request.method}\n/\n\n{text}\n{lines.names}\n{digest}".encode()
        hashed = sha256(canonical).hexdigest()
        text = f"{sigv4.ALGORITHM}\n{claim.timestamp}\n{self.scope}\n{hashed}"
        return sigv4.is_signed(self.key, text, claim.signed.signature)


class Signers:
    """The signers that were proved last."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # By the identity of what a header begins with, which the signer holds, so that it is no
        # other one's while it is remembered.
        self._known: dict[int, Signer] = {}

    def find(self, claim: Claim, target: Target, epoch_of: Callable[[str], Epoch]) -> Signer | None:
        """Return who a claim says that it is of, if that was proved before and stands.

        Args:
            claim: The claim.
            target: What is asked for.
            epoch_of: The current epoch of an account: what was proved under another is stale.
        """
        signer = self._known.get(id(claim.begun))
        if (
            signer is None
            or not signer.is_of(claim, target)
            or signer.proof.epoch != epoch_of(signer.proof.account)
        ):
            return None
        return signer

    def note(self, claim: Claim, target: Target, proof: Proof, key: SigningKey) -> None:
        """Remember who has just been proved."""
        begun, credential = claim.begun, proof.credential
        account = credential.principal.account
        if begun is None or target.door.words.is_s3 or "host" not in begun.signed_headers:
            return
        if len(self._known) >= SIGNERS_MAX:
            self._known.clear()
        self._known[id(begun)] = Signer(
            begun,
            target.door,
            target.host,
            claim.token,
            proof,
            credential.expires_ms,
            account,
            key,
            lines_of(begun.signed_headers),
            begun.scope,
            _TARGET in begun.signed_headers,
        )
