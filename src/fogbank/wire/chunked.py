"""The ``aws-chunked`` content coding, as a decoder that is fed bytes and gives bytes.

Rule: no I/O and no clock; every line is bounded, and a chunk's bytes leave only after its signature
was checked where there is one, so a signed chunk is held whole (SDKs send 64 KiB to 1 MiB) and is
bounded too. Unsigned chunks are passed on as they come.

Source: S3 API reference, "Signature calculations for the Authorization header: transferring
payload in multiple chunks"; the same "including trailing headers".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from fogbank.wire.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    MalformedTrailerError,
    SignatureDoesNotMatch,
)
from fogbank.wire.sigv4 import (
    ALGORITHM,
    ASYMMETRIC,
    SigningKey,
    chunk_text,
    is_signed,
    trailer_text,
)
from fogbank.wire.sigv4a import VerifyingKey

LINE_BYTES_MAX = 1024
TRAILERS_MAX = 16
TRAILER_BYTES_MAX = 8 << 10
SIGNED_CHUNK_BYTES_MAX = 16 << 20
CHUNK_BYTES_MAX = 5 << 30

_HEADER = re.compile(
    rb"([0-9a-fA-F]{1,16})(?:\s*;\s*chunk-signature=([0-9a-f]{16,144}\*{0,144}))?\s*"
)
_TRAILER = re.compile(rb"([A-Za-z0-9-]{1,128})\s*:\s*([\x20-\x7e]*)")
_PADDING = "*"
"""Signatures of version 4A differ in length: signers pad them, so that a body's length is known.

Source: AWS Common Runtime, aws-c-auth, ``aws_trim_padded_sigv4a_signature``.
"""
_SIGNATURE_NAME = "x-amz-trailer-signature"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your key and signing method."
)


class Chain(NamedTuple):
    """What the signatures of chunks are made with."""

    key: SigningKey | VerifyingKey
    """The signing key, or the public key of version 4A."""
    seed: str
    """The signature of the request's headers."""
    timestamp: str
    scope: str

    @property
    def algorithm(self) -> str:
        """Return the algorithm of the request and its chunks."""
        return ALGORITHM if isinstance(self.key, SigningKey) else ASYMMETRIC

    @property
    def when(self) -> tuple[str, str]:
        """Return what is signed of every part beside the part itself."""
        return self.timestamp, self.scope

    def trimmed(self, given: str) -> str:
        """Return a signature as it was made."""
        return given if isinstance(self.key, SigningKey) else given.rstrip(_PADDING)


class ChunkedDecoder:
    """Decodes one body.

    Args:
        chain: How to check the chunks; None for an unsigned body.
        trailers: The names of announced trailers, lower case; others are refused.
        decoded_length: The promised ``x-amz-decoded-content-length``, or None.
    """

    def __init__(
        self,
        chain: Chain | None = None,
        trailers: Iterable[str] = (),
        decoded_length: int | None = None,
    ) -> None:
        self._chain = chain
        self._previous = chain.seed if chain else ""
        self._announced = frozenset(trailers)
        self._promised = decoded_length
        self._received = 0
        self._buffer = bytearray()
        self._state = self._read_header
        self._left = 0
        self._signature = ""
        self._signed_trailer = b""
        self._trailer_bytes = 0
        self.trailers: dict[str, str] = {}
        """Trailing headers by lower-case name, complete when ``done``."""
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return decoded ones, checked where they are signed.

        Raises:
            InvalidChunkSizeError: A chunk's header cannot be read, or is beyond a bound.
            SignatureDoesNotMatch: A chunk or the trailer was not signed with the key.
            MalformedTrailerError: A trailer cannot be read, or was not announced.
            IncompleteBody: There are more bytes than promised.
        """
        if self.done and data:
            raise IncompleteBody("There are bytes behind the last chunk")
        self._buffer += data
        out: list[bytes] = []
        while not self.done and self._state(out):
            pass
        if self.done and self._buffer:
            raise IncompleteBody("There are bytes behind the last chunk")
        return b"".join(out)

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            IncompleteBody: Its last chunk is missing, or it is shorter than promised.
        """
        if not self.done or (self._promised is not None and self._received != self._promised):
            raise IncompleteBody(
                "You did not provide the number of bytes specified by the "
                "x-amz-decoded-content-length HTTP header"
            )

    def _take_line(self) -> bytes | None:
        """Return the next line without its end, or None if it has not all come."""
        end = self._buffer.find(b"\n", 0, LINE_BYTES_MAX)
        if end < 0:
            if len(self._buffer) >= LINE_BYTES_MAX:
                raise InvalidChunkSizeError("A chunk's header is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _read_header(self, _out: list[bytes]) -> bool:
        line = self._take_line()
        if line is None:
            return False
        match = _HEADER.fullmatch(line)
        if match is None:
            raise InvalidChunkSizeError("A chunk's header cannot be read")
        self._left = int(match.group(1), 16)
        self._signature = (match.group(2) or b"").decode("ascii")
        if self._chain and not self._signature:
            raise SignatureDoesNotMatch(_MISMATCH)
        if self._left > (SIGNED_CHUNK_BYTES_MAX if self._chain else CHUNK_BYTES_MAX):
            raise InvalidChunkSizeError("A chunk is too large")
        self._received += self._left
        if self._promised is not None and self._received > self._promised:
            raise IncompleteBody("There are more bytes than x-amz-decoded-content-length says")
        if self._left == 0:
            self._check_chunk(b"")
            self._state = self._read_trailer
        else:
            self._state = self._read_signed if self._chain else self._read_plain
        return True

    def _read_plain(self, out: list[bytes]) -> bool:
        if not self._buffer:
            return False
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(taken)
        out.append(taken)
        if self._left == 0:
            self._state = self._read_end
        return True

    def _read_signed(self, out: list[bytes]) -> bool:
        if len(self._buffer) < self._left:
            return False
        taken = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._check_chunk(taken)
        out.append(taken)
        self._state = self._read_end
        return True

    def _read_end(self, _out: list[bytes]) -> bool:
        """Read the line break behind a chunk's bytes."""
        if len(self._buffer) < 2:  # noqa: PLR2004 (a carriage return and a line feed)
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise InvalidChunkSizeError("A chunk is longer than its header says")
        del self._buffer[:2]
        self._state = self._read_header
        return True

    def _check_chunk(self, data: bytes) -> None:
        chain = self._chain
        if chain is None:
            return
        digest, given = sha256(data).hexdigest(), chain.trimmed(self._signature)
        text = chunk_text(chain.algorithm, self._previous, chain.when, digest)
        if not is_signed(chain.key, text, given):
            raise SignatureDoesNotMatch(_MISMATCH)
        self._previous = given

    def _read_trailer(self, _out: list[bytes]) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            self._end()
            return True
        self._trailer_bytes += len(line)
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailer_bytes > TRAILER_BYTES_MAX:
            raise MalformedTrailerError("A trailing header cannot be read")
        name = match.group(1).decode("ascii").lower()
        value = match.group(2).decode("ascii").strip()
        if name == _SIGNATURE_NAME:
            self._check_trailer(value)
        else:
            self._add_trailer(name, value)
        return True

    def _add_trailer(self, name: str, value: str) -> None:
        if name not in self._announced or name in self.trailers:
            raise MalformedTrailerError(
                "The request contained trailing data that was not announced"
            )
        if _SIGNATURE_NAME in self.trailers or len(self.trailers) >= TRAILERS_MAX:
            raise MalformedTrailerError("A trailing header follows the trailer's signature")
        self.trailers[name] = value
        self._signed_trailer += f"{name}:{value}\n".encode("ascii")

    def _check_trailer(self, given: str) -> None:
        chain = self._chain
        if chain is None:
            return
        text = trailer_text(chain.algorithm, self._previous, chain.when, self._signed_trailer)
        if not is_signed(chain.key, text, chain.trimmed(given)):
            raise SignatureDoesNotMatch(_MISMATCH)
        self._signed_trailer = b""

    def _end(self) -> None:
        """End the body: what was announced must have come, and signed if chunks were."""
        if self._chain and self._signed_trailer:
            raise SignatureDoesNotMatch(_MISMATCH)
        if self._announced - self.trailers.keys():
            raise MalformedTrailerError("An announced trailing header is missing")
        self.done = True
