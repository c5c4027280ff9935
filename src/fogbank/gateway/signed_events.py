"""A stream of events of which each is signed: envelopes off, as they are read.

Rule: what an envelope holds passes only after its signature was checked, and each signature is made
over the one before, from the request's own on: no event can be changed, left out, repeated or
added. The stream ends with an envelope of nothing; one that ends without is refused at its end.

Source: Amazon Transcribe Developer Guide, "Event stream encoding"; Smithy, "Amazon Event Stream
Specification".
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from fogbank.wire import sigv4
from fogbank.wire.errors import IncompleteBody, SerializationException, SignatureDoesNotMatch
from fogbank.wire.eventstream import BrokenFrame, Frames, Message, Time, headers_encoded
from fogbank.wire.http import BodyStream

_READ_BYTES: Final = 64 << 10
_DATE: Final = ":date"
_SIGNATURE: Final = ":chunk-signature"
_ENVELOPE: Final = frozenset({_DATE, _SIGNATURE})
_MISMATCH: Final = "The signature of an event does not match the signature you provided."


class Seal(NamedTuple):
    """What the signatures of events are checked with."""

    seed: str
    """The signature of the request."""
    key_of: Callable[[str], sigv4.SigningKey]
    """From a date (``20260102``) to the signing key of that day."""
    scope_of: Callable[[str], str]
    """From a date to the credential scope of that day."""
    now_ms: Callable[[], int]
    skew_ms: int
    """How far an event's time may lie from ours."""


class SignedEvents:
    """The frames inside of signed envelopes, as a body."""

    __slots__ = ("_body", "_ended", "_frames", "_previous", "_ready", "_seal")

    def __init__(self, body: BodyStream, seal: Seal) -> None:
        self._body = body
        self._seal = seal
        self._previous = seal.seed
        self._frames = Frames()
        self._ready: deque[bytes] = deque()
        self._ended = False

    @property
    def length(self) -> int | None:
        """Return None: how much the envelopes hold is not said."""
        return None

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            SignatureDoesNotMatch: An event was not signed with the key, or not in this place.
            SerializationException: The bytes are no envelopes.
            IncompleteBody: The stream ends before its last envelope.
        """
        while not self._ready:
            data = await self._body.read(_READ_BYTES)
            if not data:
                if not self._ended or not self._frames.is_between:
                    raise IncompleteBody("The stream ends without its last signed event")
                return b""
            self._take(data)
        piece = self._ready.popleft()
        if len(piece) > limit:
            self._ready.appendleft(piece[limit:])
            piece = piece[:limit]
        return piece

    def _take(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._open(message)
        except BrokenFrame as error:
            raise SerializationException(f"The stream cannot be read: {error}") from None

    def _open(self, message: Message) -> None:
        """Check an envelope and keep what it holds."""
        headers, seal = message.headers, self._seal
        date, given = headers.get(_DATE), headers.get(_SIGNATURE)
        if (
            _ENVELOPE.symmetric_difference(headers)
            or not isinstance(date, Time)
            or type(given) is not bytes
        ):
            raise SerializationException("An event of a signed stream without its envelope")
        if self._ended:
            raise SerializationException("An event behind the last one of a signed stream")
        if abs(date - seal.now_ms()) > seal.skew_ms:
            raise SignatureDoesNotMatch("The time of an event is too far from the server's.")
        at = datetime.fromtimestamp(date // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        signature = sigv4.event_signature(
            seal.key_of(at[:8]),
            self._previous,
            (at, seal.scope_of(at[:8])),
            headers_encoded({_DATE: date}),
            message.payload,
        )
        if not hmac.compare_digest(bytes.fromhex(signature), given):
            raise SignatureDoesNotMatch(_MISMATCH)
        self._previous = signature
        if message.payload:
            self._ready.append(message.payload)
        else:
            self._ended = True
