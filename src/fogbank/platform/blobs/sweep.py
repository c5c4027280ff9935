"""The sweep: finds the files that nothing refers to, and raises the low-water mark.

An orphan is left by a crash or a cancelled request between the writing of a blob and the commit of
its reference. Only names above the low-water mark can be orphans, and only names that no request
uses any more may be judged: those given before this start, or before a moment longer ago than any
request lasts (``upto``).
"""

from __future__ import annotations

from typing import Final, Protocol

from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef, Blobs
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS

_PAGE: Final = 500


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

    async def raise_low_water(self, ref: BlobRef) -> None:
        """Note durably that every blob up to this name is settled."""
        ...


async def sweep(store: Store, blobs: SettlingBlobs, upto: BlobRef) -> int:
    """Remove orphans up to a name, raise the low-water mark to it, return how many there were.

    Args:
        store: The system subspaces of the store whose domains the blobs belong to.
        blobs: Where the files lie.
        upto: ``before_start()`` at a start; later, what ``newest()`` was a day ago.
    """
    swept = 0
    after = blobs.low_water()
    while after < upto:
        page = [ref for ref, _size in await blobs.list(after, _PAGE) if ref <= upto]
        if not page:
            break
        referenced = await referenced_among(store, page)
        for ref in page:
            if ref not in referenced:
                await blobs.delete(ref)
                swept += 1
        after = page[-1]
    if blobs.low_water() < upto:
        await blobs.raise_low_water(upto)
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
            while page := await tr.range(begin, end, limit=_PAGE):
                out += [key for key, _value in page]
                begin = out[-1] + b"\0"
            return out

        found.update(rows.ref_of_file_key(key) for key in await store.read(body))
    return found
