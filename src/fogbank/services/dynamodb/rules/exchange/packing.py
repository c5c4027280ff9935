"""Inflates what was compressed by gzip or Zstandard, a bounded piece at a time.

Rule: whatever comes in, what goes out at once has at most ``PIECE_BYTES``; memory does not grow with
what a few bytes stand for. Files of several members are read through, as ``gzip`` and ``zstd`` do.

Source: RFC 1952, section 2.2 (members); RFC 8878, section 3.1 (frames).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

if sys.version_info >= (3, 14):  # pragma: no cover (the standard library has it from there on)
    from compression import zstd
else:
    from backports import zstd

from fogbank.services.dynamodb.rules.exchange.faults import Malformed

PIECE_BYTES: Final = 64 << 10
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW_LOG_MAX: Final = 23
"""8 MiB, which RFC 8878 section 3.1.1.1.2 asks decoders to support."""
_BROKEN: Final = (zlib.error, zstd.ZstdError)


class Inflater(Protocol):
    """Inflates one stream."""

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the next bytes stand for."""
        ...

    def finish(self) -> None:
        """Refuse a stream that was cut off."""
        ...


class _Plain:
    """Passes a stream that is not compressed on."""

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def finish(self) -> None:
        """Find nothing missing."""


class _Members:
    """Inflates the members of a stream, one after the other.

    Args:
        make: Makes what inflates one member.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._member: Any = None
        """What inflates the member that has begun; None: none has."""

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        left = chunk
        while left or (self._member is not None and not self._member.needs_input):
            if self._member is None:
                self._member = self._make()
            try:
                piece: bytes = self._member.decompress(left, PIECE_BYTES)
            except _BROKEN as error:
                raise Malformed(
                    f"The file is not compressed as it was said to be: {error}"
                ) from None
            left = b""
            if piece:
                yield piece
            if self._member.eof:
                left, self._member = self._member.unused_data, None

    def finish(self) -> None:
        if self._member is not None:
            raise Malformed("The compressed file is cut off")


class _GzipMember:
    """A member of gzip, read as ``ZstdDecompressor`` reads a frame."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_WINDOW)
        self._full = False

    @property
    def eof(self) -> bool:
        """Return whether the member has ended."""
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        """Return what stood behind the member."""
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        """Return whether nothing more comes without further bytes."""
        return not (self._full or self._stream.unconsumed_tail)

    def decompress(self, chunk: bytes, piece_max: int) -> bytes:
        """Return up to so many bytes."""
        piece = self._stream.decompress(self._stream.unconsumed_tail + chunk, piece_max)
        self._full = len(piece) == piece_max
        return piece


def inflater(compression: str) -> Inflater:
    """Return what inflates a stream of an ``InputCompressionType``."""
    if compression == "GZIP":
        return _Members(_GzipMember)
    if compression == "ZSTD":
        options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG_MAX}
        return _Members(lambda: zstd.ZstdDecompressor(options=options))
    return _Plain()
