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
_UUIDS_DRAWN = 64
"""So many are drawn at once: each then costs a fraction of what it costs alone."""
_UUID_PARTS = (4, 2, 2, 2, 6)
"""How many bytes stand between the dashes; the third part has the version, the fourth the variant."""
_UUID_FORMS = {2: ("0fff", "4000"), 3: ("3fff", "8000")}
"""Which bits of a part are drawn, and what the others are (RFC 9562, section 5.4)."""


class Ids:
    """Draws identifiers from a source of random bytes."""

    __slots__ = ("_draw", "_pool", "_pool_at", "_uuids")

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._pool = b""
        self._pool_at = 0
        self._uuids: list[str] = []

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
        if not self._uuids:
            self._uuids = self._drawn_uuids()
        return self._uuids.pop()

    def _drawn_uuids(self) -> list[str]:
        """Return some at once: their first parts are drawn, their second parts, and so on."""
        columns: list[list[str]] = []
        for place, size in enumerate(_UUID_PARTS):
            raw = self._draw(size * _UUIDS_DRAWN)
            if place in _UUID_FORMS:
                free, fixed = (bytes.fromhex(form) * _UUIDS_DRAWN for form in _UUID_FORMS[place])
                number = int.from_bytes(raw) & int.from_bytes(free) | int.from_bytes(fixed)
                raw = number.to_bytes(len(raw))
            columns.append(raw.hex("-", size).split("-"))
        return ["-".join(parts) for parts in zip(*columns, strict=True)]

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
