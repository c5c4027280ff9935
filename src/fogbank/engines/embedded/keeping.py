"""A front's half of the blob store: bytes go between its sockets and the store's directory.

Of a download the store process lends place, range and key; frames are read, verified and opened here.
Of an upload the store process names the blob and lends the key of this one blob; the bytes are hashed, sealed
and written here, frame by frame, and the file is synced. The store process makes its folder entry
durable, counts it and commits the reference. Until then the file is an orphan like any other: who
gives up removes it, and what a crash leaves the next start's sweep finds.

Rule: nothing is held whole because it is large: three frames of a body at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from fogbank.base.errors import Corrupt, Full
from fogbank.base.lane import Lane
from fogbank.engines.embedded.blobs import THREADS_MAX, WRITES_MAX, fatal_if_broken, read_range
from fogbank.engines.embedded.frames import Writer, is_no_space
from fogbank.engines.embedded.log import end_process
from fogbank.platform.blobs.frames import chained, frames_of
from fogbank.platform.blobs.port import (
    LOOP_HASH_BYTES_MAX,
    ByteStream,
    Chunk,
    Kept,
    Loan,
    Permit,
    Wanted,
)
from fogbank.platform.crypto.keys import LentKeys, lent_series
from fogbank.platform.crypto.secret import KeyRefused


class Hasher(Protocol):
    """An incremental checksum."""

    def update(self, data: Chunk, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """Return the checksum of everything added so far."""
        ...


HasherOf = Callable[[str], Hasher]


class _Hashes:
    """What is computed over one body."""

    def __init__(self, hasher_of: HasherOf, algorithms: tuple[str, ...]) -> None:
        self._hashers = {name: hasher_of(name) for name in ("MD5", *algorithms)}
        self.size = 0

    def update(self, data: Chunk) -> None:
        """Take the next bytes."""
        for hasher in self._hashers.values():
            hasher.update(data)
        self.size += len(data)

    def digests(self) -> dict[str, bytes]:
        """Return the digests so far, by algorithm."""
        return {name: hasher.digest() for name, hasher in self._hashers.items()}


class BlobKeeper:
    """Writes and reads blobs of the store processes beside this one.

    Args:
        hasher_of: Makes a hasher of an algorithm.
        on_fatal: Called in a thread when it is not known what the disk holds; ends the process.
    """

    def __init__(
        self, hasher_of: HasherOf, on_fatal: Callable[[str], object] = end_process
    ) -> None:
        self._hasher_of = hasher_of
        self._on_fatal = on_fatal
        self.damaged_reads = 0
        """How often damage was met instead of bytes."""
        self._pool = ThreadPoolExecutor(THREADS_MAX, "fogbank-blobs")
        self._writes = asyncio.Semaphore(WRITES_MAX)

    async def keep(self, permit: Permit, wanted: Wanted, source: ByteStream) -> Kept:
        """Write a body where a permit says, or return it if it is short; see ``Keeper``.

        Raises:
            Full: No space is left; nothing remains.
        """
        hashes, frames = _Hashes(self._hasher_of, wanted.algorithms), frames_of(source)
        head: list[Chunk] = []
        if source.length is None or source.length <= wanted.inline_bytes_max:
            first: Chunk = await anext(frames, b"")
            if len(first) <= wanted.inline_bytes_max:
                await self._hash(hashes, first)
                return _kept(hashes, bytes(first), source)
            head.append(first)
        async with self._writes:
            writer = Writer(Path(permit.root), permit.ref, lent_series(permit.sealed_by))
            feeding, hashing = Lane(writer.feed, self._pool), Lane(hashes.update, self._pool)
            size = 0
            try:
                async for frame in chained(head, frames):
                    size += len(frame)
                    if size > wanted.bytes_max:
                        await self._in_thread(writer.abort)
                        return Kept(size, {}, None, {})
                    await hashing.put(frame)
                    await feeding.put(frame)
                await feeding.end()
                await self._in_thread(self._finish, writer)
                await hashing.end()
            except BaseException as error:
                await self._in_thread(writer.abort)
                if isinstance(error, OSError) and is_no_space(error):
                    raise Full(f"there is no space for a blob: {error}") from error
                raise
        return _kept(hashes, None, source)

    def _finish(self, writer: Writer) -> None:
        """Write the rest of a blob and sync it."""
        with fatal_if_broken(self._on_fatal):
            writer.finish()

    async def read(self, loan: Loan) -> AsyncGenerator[bytes, None]:
        """Yield the bytes that were lent; see ``Keeper``."""
        blob = (Path(loan.root), loan.ref, LentKeys(loan.sealed_by))
        pieces = read_range(self._pool, blob, loan.begin, loan.end)
        try:
            async for piece in pieces:
                yield piece
        except Corrupt:
            self.damaged_reads += 1
            raise
        except KeyRefused as error:
            # Its file was written anew, under another key, after it was lent: no damage.
            raise Corrupt(f"a blob is not the one that was lent: {error}") from error
        finally:
            await pieces.aclose()

    async def _hash(self, hashes: _Hashes, data: Chunk) -> None:
        if len(data) <= LOOP_HASH_BYTES_MAX:
            hashes.update(data)
        else:
            await self._in_thread(hashes.update, data)

    async def _in_thread(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function in the pool; it runs to its end even if the caller is cancelled."""
        await asyncio.shield(asyncio.wrap_future(self._pool.submit(function, *arguments)))


def _kept(hashes: _Hashes, inline: bytes | None, source: ByteStream) -> Kept:
    trailers: dict[str, str] = dict(getattr(source, "trailers", None) or {})
    return Kept(hashes.size, hashes.digests(), inline, trailers)
