"""The rows of a store that no server uses, as of its last commit: settled rows under newer writes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from fogbank.engines.embedded import rows
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import Writes
from fogbank.platform.blobs.port import BlobRef

_LAST: Final = b"\xff" * 2_000
"""No key lies behind it."""


class OfflineRows:
    """Settled rows, and over them the writes of the log that are not settled yet.

    Raises:
        Corrupt: A row is not what was written.
    """

    def __init__(
        self,
        txn: rows.Reader,
        seals: RowSeals,
        laid: Writes,
        read_blob: Callable[[BlobRef], bytes],
    ) -> None:
        self._txn = txn
        self._unseal = seals.opener(txn.get)
        self._read_blob = read_blob
        self._laid = laid
        self._order = sorted(laid)

    def get(self, key: bytes) -> bytes | None:
        """Return the value at the key, or None."""
        if key in self._laid:
            return self._laid[key]
        raw = self._txn.get(key)
        return None if raw is None else self._unseal(key, raw)

    def rows(self, begin: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a half-open range in order."""
        laid = islice(self._order, bisect_left(self._order, begin), None)
        newer = next(laid, _LAST)
        for key, raw in rows.walk_from(self._txn, begin):
            while newer < min(key, end):
                yield from self._laid_at(newer)
                newer = next(laid, _LAST)
            if key >= end:
                return
            if newer == key:
                yield from self._laid_at(key)
                newer = next(laid, _LAST)
            elif not rows.is_own(key):
                yield key, self._unseal(key, raw)
        while newer < end:
            yield from self._laid_at(newer)
            newer = next(laid, _LAST)

    def blob(self, incarnation: int, number: int) -> bytes:
        """Return the content of a blob."""
        return self._read_blob(BlobRef(incarnation, number))

    def _laid_at(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the newer row at a key, unless it was removed."""
        value = self._laid[key]
        if value is not None:
            yield key, value
