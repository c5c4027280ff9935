"""Identifiers and secrets, all drawn from one source of entropy.

Rule: nobody draws entropy but through an ``Ids`` that was handed to them. A server is built on
the operating system's source; a simulation on a seed, and then every id of a run repeats.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE32_OF_BYTES = bytes(ord(_BASE32[byte & 31]) for byte in range(256))
_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Ids:
    """Draws identifiers from a source of random bytes."""

    __slots__ = ("_draw", "_pool", "_pool_at")

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._pool = b""
        self._pool_at = 0

    @classmethod
    def seeded(cls, seed: int) -> Ids:
        """Return ids that repeat for the same seed: for simulation and tests only."""
        from random import Random  # noqa: PLC0415 (it brings OpenSSL, which a server may not need)

        return cls(Random(seed).randbytes)  # noqa: S311 (never used by a server)

    def random_bytes(self, count: int) -> bytes:
        """Return ``count`` fresh bytes; use this for secrets."""
        return self._draw(count)

    def _pooled(self, count: int) -> bytes:
        """Return bytes from a pool, so that a request id costs no system call."""
        if self._pool_at + count > len(self._pool):
            self._pool, self._pool_at = self._draw(4096), 0
        begin, self._pool_at = self._pool_at, self._pool_at + count
        return self._pool[begin : self._pool_at]

    def uuid(self) -> str:
        """Return a version 4 UUID: most services' request ids, Lambda's revision ids."""
        raw = self._pooled(16)
        text, variant = raw.hex(), "89ab"[raw[8] >> 4 & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def base32(self, length: int) -> str:
        """Return upper-case letters and digits 2 to 7: S3 and DynamoDB request ids, key ids."""
        return self._pooled(length).translate(_BASE32_OF_BYTES).decode()

    def base62(self, length: int) -> str:
        """Return letters and digits without bias: secrets and tokens."""
        out: list[str] = []
        while len(out) < length:
            out.extend(_BASE62[byte % 62] for byte in self._draw(length) if byte < 248)  # noqa: PLR2004 (the largest multiple of the base below 256)
        return "".join(out[:length])

    def digits(self, length: int) -> str:
        """Return decimal digits without bias, the first not zero: account ids."""
        out: list[str] = []
        while len(out) < length:
            out.extend(str(byte % 10) for byte in self._draw(length) if byte < 250)  # noqa: PLR2004 (the largest multiple of the base below 256)
            if out and out[0] == "0":
                out.pop(0)
        return "".join(out[:length])
