"""Verifying settled rows while the store serves: a page at a time, in a thread of its own.

Each page is read over a snapshot of its own that ends with it, so that no page of the file is kept
from being used again. What the overlay holds is in memory and needs no check.
"""

from __future__ import annotations

from asyncio import wrap_future
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

import lmdb

from fogbank.base.errors import Corrupt, Unavailable
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.seal import RowSeals
from fogbank.platform.crypto.keys import DataKeys
from fogbank.platform.store.engine import RowsVerified

PAGE_BYTES_MAX: Final = 4 << 20


class RowsVerifier:
    """Verifies the rows of one data directory."""

    def __init__(self, env: rows.Environment, keys: DataKeys) -> None:
        self._env = env
        self._seals = RowSeals(keys)
        self._is_over = False
        self._thread = ThreadPoolExecutor(1, "fogbank-scrub")

    async def verify(self, after: bytes, limit: int) -> RowsVerified:
        """Verify up to ``limit`` rows behind a key, the engine's own left out.

        Raises:
            Unavailable: The store is closed.
        """
        if self._is_over:
            raise Unavailable("the store is closed")
        return await wrap_future(self._thread.submit(self._verify, after, limit))

    def _verify(self, after: bytes, limit: int) -> RowsVerified:
        """Verify a page; blocks."""
        size, last = 0, b""
        damage: list[tuple[bytes, str]] = []
        with self._env.begin() as txn, txn.cursor() as cursor:
            unseal = self._seals.opener(txn.get)
            try:
                for key, raw in islice(_behind(cursor, after), limit):
                    last, size = key, size + len(key) + len(raw)
                    try:
                        unseal(key, raw)
                    except Corrupt as error:
                        damage.append((key, str(error)))
                    if size >= PAGE_BYTES_MAX:
                        break
            except lmdb.Error as error:
                # Nothing behind this place can be reached: the round goes on with the blobs.
                damage.append((last, f"the rows cannot be read behind {last!r}: {error}"))
                last = b""
        return RowsVerified(last, size, damage)

    async def stop(self) -> None:
        """Verify nothing more, and return when the thread is idle."""
        self._is_over = True
        await wrap_future(self._thread.submit(lambda: None))
        self._thread.shutdown()


def _behind(cursor: lmdb.Cursor[bytes], after: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the stored rows behind a key; the engine's own rows come first of all."""
    if cursor.set_range(max(after + b"\0", b"\1")):
        yield from cursor.iternext(keys=True, values=True)
