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
LOOP_HASH_BYTES_MAX = 128 << 10
"""Up to this many bytes of a body are hashed on the loop: less work than a hop to a thread."""


Chunk = bytes | memoryview
"""Bytes on their way in; a view is let go of once they are written."""


class BlobRef(NamedTuple):
    """The name of a blob: the incarnation of its store and a number never given twice."""

    incarnation: int
    number: int


class BlobReader(Protocol):
    """Reads immutable large values, perhaps of another process's store."""

    def read(
        self, ref: BlobRef, begin: int = 0, end: int | None = None, *, lock: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the half-open range; every frame is verified before it leaves.

        Args:
            ref: The blob.
            begin: The first byte.
            end: The byte behind the last one; None: all to the end.
            lock: The key that it was written with, if it was.

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


class Wanted(NamedTuple):
    """How the bytes of a body shall be kept by whoever has them."""

    ref: BlobRef
    """The name of their blob, fresh, if they are many."""
    algorithms: tuple[str, ...]
    """What shall be computed over them, beside their MD5."""
    inline_bytes_max: int
    """Up to so many come back and are in no blob; none, if it is 0, is not in one either."""
    bytes_max: int
    """Of more than this nothing is kept."""


class Kept(NamedTuple):
    """What became of the bytes of a body."""

    size: int
    digests: dict[str, bytes]
    """By algorithm, their MD5 among them."""
    inline: bytes | None
    """The bytes, if they are few; None: they are in the blob."""
    trailers: dict[str, str]
    """What their sender said behind them."""


@runtime_checkable
class BlobSource(Protocol):
    """A body in the hands of another process, which can write blobs."""

    async def keep(self, wanted: Wanted, lock: bytes | None = None) -> Kept:
        """Have the body kept; where it is a blob, that is durable on return.

        Args:
            wanted: How.
            lock: The key that its blob shall be sealed with; see ``Blobs.write``.

        Raises:
            ServiceError: The body broke off, or is not the one that was signed; nothing is kept.
            Full: There is no space for it; nothing is kept.
        """
        ...


class Permit(NamedTuple):
    """What another process needs to write one blob: a place, and the key of this blob alone."""

    root: str
    """The directory of the blobs."""
    ref: BlobRef
    sealed_by: tuple[int, bytes, bytes] | None
    """Data key id, salt and subkey; None: it stays plain."""


class Loan(NamedTuple):
    """What another process needs to read a range of one blob: a place, and the keys of this range."""

    root: str
    """The directory of the blobs."""
    ref: BlobRef
    begin: int
    end: int | None
    sealed_by: tuple[tuple[int, bytes, bytes], ...]
    """Data key id, salt and subkey of each series that sealed some of it; none: it is plain."""


class BlobLender(Protocol):
    """Lets another process write and read blobs of this store."""

    async def lend(
        self, ref: BlobRef, begin: int, end: int | None, lock: bytes | None = None
    ) -> Loan:
        """Return what it takes to read the half-open range of a blob.

        Raises:
            Corrupt: It is missing, or its end is not what was written.
        """
        ...

    def permit(self, ref: BlobRef, lock: bytes | None = None) -> Permit:
        """Return what it takes to write a blob under a fresh name."""
        ...

    async def adopt(self, ref: BlobRef, size: int) -> None:
        """Take over a blob that another process has written and synced; durable on return.

        Raises:
            Corrupt: It is not there, or not of this size.
        """
        ...


class Keeper(Protocol):
    """Writes and reads blobs of other processes' stores."""

    def read(self, loan: Loan) -> AsyncIterator[bytes]:
        """Yield the bytes that were lent; see ``BlobReader.read``.

        Raises:
            Corrupt: A frame is not what was written, or the blob is gone by now.
        """
        ...

    async def keep(self, permit: Permit, wanted: Wanted, source: ByteStream) -> Kept:
        """Write a body where a permit says; see ``BlobSource.keep``; its file is synced."""
        ...


class ByteStream(Protocol):
    """Bytes that are read with back-pressure."""

    @property
    def length(self) -> int | None:
        """Return how many bytes there will be, or None if nobody knows."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end."""
        ...


class Blobs(BlobReader, Protocol):
    """Immutable large values of the domains of one store."""

    @property
    def seals(self) -> bool:
        """Return whether what is written to the store now, rows and blobs, is encrypted."""
        ...

    async def name(self) -> BlobRef:
        """Return a name that no blob has had before."""
        ...

    async def write(
        self, ref: BlobRef, chunks: AsyncIterator[Chunk], *, lock: bytes | None = None
    ) -> int:
        """Store the chunks under a fresh name; durable on return; return the size in bytes.

        The first chunk is asked for when the blob's turn has come: what waits holds nothing.

        Args:
            ref: The name.
            chunks: The bytes.
            lock: A key of 32 bytes that seals the blob in the place of the store's own keys. It is
                kept nowhere: whoever reads the blob brings it again.

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
