"""The port of the blob store.

Order of a put: name, write (durable), commit the reference. Order of a removal: commit the
removal, then delete. A crash leaves an orphan, which the sweep above the low-water mark finds,
and never a torn visible blob. Bytes lie in frames of 1 MiB, each verified before its first byte
leaves. ``rows.py`` keeps the reference counts inside the referring domain's transactions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol, runtime_checkable

from fogbank.platform.store.engine import Domain

FRAME_BYTES = 1 << 20
INLINE_BYTES_MAX = 64 << 10
"""Values up to this length lie in their record instead (a setting)."""


class BlobRef(NamedTuple):
    """The name of a blob: the incarnation of its store and a number never given twice."""

    incarnation: int
    number: int


class BlobReader(Protocol):
    """Reads immutable large values, perhaps of another process's store."""

    def read(self, ref: BlobRef, begin: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of the half-open range; every frame is verified before it leaves.

        Raises:
            Corrupt: A frame is not what was written.
        """
        ...


@runtime_checkable
class BlobPlacement(Protocol):
    """Whoever knows where the blobs of every domain are: a ``Placement``, as all of ours are."""

    def blobs_of(self, domain: Domain) -> BlobReader:
        """Return where the blobs of a domain are read."""
        ...


class Blobs(BlobReader, Protocol):
    """Immutable large values of the domains of one store."""

    async def name(self) -> BlobRef:
        """Return a name that no blob has had before."""
        ...

    async def write(self, ref: BlobRef, chunks: AsyncIterator[bytes]) -> int:
        """Store the chunks under a fresh name; durable on return; return the size in bytes.

        Raises:
            Full: No space is left; nothing remains.
        """
        ...

    async def concat(self, ref: BlobRef, parts: list[BlobRef]) -> int:
        """Store under a fresh name the bytes of other blobs in order; durable on return."""
        ...

    async def delete(self, ref: BlobRef) -> None:
        """Remove the blob; it is no error if it is gone."""
        ...

    async def list(self, after: BlobRef | None, limit: int) -> list[tuple[BlobRef, int]]:
        """Return names and sizes in order of name, for sweep and scrub."""
        ...

    async def verify(self, ref: BlobRef, first: int = 0, frames: int | None = None) -> int:
        """Read frames and return the size of the blob.

        Args:
            ref: The blob.
            first: The first frame to read.
            frames: How many; None: all to the end.

        Raises:
            Corrupt: One of them is not what was written, or the blob is missing.
        """
        ...
