"""The sweep: finds the files that nothing refers to, and raises the low-water mark.

An orphan is left by a crash or a cancelled request between the writing of a blob and the commit of
its reference. Only names above the low-water mark can be orphans, and only names that no request
uses any more may be judged: those given before this start, or that were written to their end when
``Sweeper`` looked a period ago, which is longer than any request takes to commit what it wrote.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS

PAGE: Final = 500
"""So many files are judged at once."""
PAGES_MAX: Final = 8
"""A step judges at most so many pages; the next one goes on."""

log = logging.getLogger("fogbank.blobs")


class SettlingBlobs(Blobs, Protocol):
    """A blob store that remembers up to which name every blob is settled."""

    def low_water(self) -> BlobRef:
        """Return the name up to which every blob is settled."""
        ...

    def before_start(self) -> BlobRef:
        """Return the last name that may have been given before this start."""
        ...

    def newest(self) -> BlobRef:
        """Return the last name that was given."""
        ...

    def oldest_begun(self) -> BlobRef | None:
        """Return the first name whose blob is being written now, or None if none is."""
        ...

    async def raise_low_water(self, ref: BlobRef) -> None:
        """Note durably that every blob up to this name is settled."""
        ...


class Sweeper:
    """Sweeps the blobs of one store, a step at a time, for as long as the process runs.

    Args:
        store: The system subspaces of the store whose domains the blobs belong to.
        blobs: Where the files lie.
    """

    def __init__(self, store: Store, blobs: SettlingBlobs) -> None:
        self._store = store
        self._blobs = blobs
        self._upto = blobs.before_start()
        """Every name up to here was written to its end, or given up, when the last look began."""

    async def step(self) -> bool:
        """Judge some names; return whether there are more that can be judged now.

        Once it has returned False, the next call judges what is settled now: it must come no
        sooner than any request commits what it has written.
        """
        upto = self._upto
        swept = await sweep(self._store, self._blobs, upto, PAGES_MAX)
        if swept:
            log.warning("removed %d blobs that nothing refers to", swept)
        if self._blobs.low_water() < upto:
            return True
        self._upto = self._settled()
        return False

    def _settled(self) -> BlobRef:
        """Return the last name before the first one that is being written."""
        newest, begun = self._blobs.newest(), self._blobs.oldest_begun()
        return newest if begun is None else BlobRef(begun.incarnation, begun.number - 1)


async def sweep(
    store: Store, blobs: SettlingBlobs, upto: BlobRef, pages_max: int | None = None
) -> int:
    """Remove orphans up to a name, raise the low-water mark, return how many there were.

    Args:
        store: The system subspaces of the store whose domains the blobs belong to.
        blobs: Where the files lie.
        upto: The last name that may be judged.
        pages_max: Stop after so many pages of files; the mark then is the last one judged.
    """
    swept = pages = 0
    after = blobs.low_water()
    while after < upto:
        page = [ref for ref, _size in await blobs.list(after, PAGE) if ref <= upto]
        if not page:
            after = upto
            break
        referenced = await referenced_among(store, page)
        for ref in page:
            if ref not in referenced:
                await blobs.delete(ref)
                swept += 1
        after = page[-1]
        pages += 1
        if pages == pages_max:
            break
    if blobs.low_water() < after:
        await blobs.raise_low_water(after)
    return swept


async def referenced_among(store: Store, refs: list[BlobRef]) -> set[BlobRef]:
    """Return which of these blobs, in order of name, have an entry that their file should exist."""
    found: set[BlobRef] = set()
    for partition in range(PARTITIONS):
        begin = rows.file_key(partition, refs[0])
        end = rows.file_key(partition, refs[-1]) + b"\0"

        async def body(tr: Transaction, begin: bytes = begin, end: bytes = end) -> list[bytes]:
            # The names between first and last are dense only on average: ask for all of them.
            out: list[bytes] = []
            while page := await tr.range(begin, end, limit=PAGE):
                out += [key for key, _value in page]
                begin = out[-1] + b"\0"
            return out

        found.update(rows.ref_of_file_key(key) for key in await store.read(body))
    return found
