"""The embedded blob store: one file per blob, in folders by number.

Rule: a blob is durable when ``write`` returns (its file synced, then its folder), it is never
changed, and its number is never given twice. Numbers are reserved in blocks in a durable note, so a
name costs no I/O; after a restart numbering goes on behind the last block. The note also keeps the
low-water mark: below it every number is settled (its file is referenced or gone), so only the files
above it can be orphans, and a sweep looks only there, and not at what is being written.

All file calls run in a bounded pool of threads; of a body that is written three frames are held at
most, of one that is read two.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import Future as Job
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from fogbank.base.errors import Corrupt, Full
from fogbank.base.lane import Lane
from fogbank.engines.embedded.files import BROKEN, sync_folder
from fogbank.engines.embedded.frames import (
    Reader,
    Writer,
    is_no_space,
    path_of,
    ref_of,
    size_of_file,
)
from fogbank.engines.embedded.holdings import Held, Holdings
from fogbank.engines.embedded.log import end_process
from fogbank.engines.embedded.notes import find_note, write_note
from fogbank.engines.embedded.rewriting import Rewriter
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef, Chunk, Loan, Permit
from fogbank.platform.crypto.keys import BLOBS, DataKeys, Lock, Opens

T = TypeVar("T")

THREADS_MAX: Final = 8
WRITES_MAX: Final = 64
"""Blobs written at the same time; further ones wait, and their senders with them."""
CONCATS_MAX: Final = 2
NUMBERS_BLOCK: Final = 4_096
NOTE: Final = "numbers.note"
_RESERVED: Final = "reserved"
_LOW_WATER: Final = "low_water"
_LOW_INCARNATION: Final = "low_incarnation"
"""Only in a store that was rolled forward after a restore, until its first sweep."""


@contextmanager
def fatal_if_broken(on_fatal: Callable[[str], object]) -> Generator[None]:
    """End the process on an error after which it is not known what the disk holds.

    At once: whoever waits for the same folder would sync it again, and may be told that all is well.
    """
    try:
        yield
    except OSError as error:
        if error.errno in BROKEN:
            on_fatal(f"the blobs cannot be written: {error}")
        raise


class FolderSyncs:
    """Syncs folders below a root in groups: a sync that began after a change covers the change."""

    def __init__(self, root: Path, on_fatal: Callable[[str], object]) -> None:
        self._root = root
        self._on_fatal = on_fatal
        self._entered: set[Path] = {root}
        """Folders whose own entries were synced in this life: a dead one may not have got there."""
        self._changed = threading.Condition()
        self._ticket = 0
        self._wanted: dict[Path, int] = {}
        self._synced: dict[Path, int] = {}
        self._running: set[Path] = set()

    def sync(self, folder: Path) -> None:
        """Return when the entries of the folder, as they are now, are durable, and it is itself."""
        below = [each for each in (folder, *folder.parents) if each.is_relative_to(self._root)]
        # From the top: a folder that was entered is below folders that were.
        for each in reversed(below):
            if each not in self._entered:
                self._sync(each.parent)
                self._entered.add(each)
        self._sync(folder)

    def _sync(self, folder: Path) -> None:
        """Return when the entries of the folder, as they are now, are durable."""
        with self._changed:
            self._ticket += 1
            ticket = self._wanted[folder] = self._ticket
            while folder in self._running:
                self._changed.wait()
                if self._synced.get(folder, 0) >= ticket:
                    return
            if self._synced.get(folder, 0) >= ticket:
                return
            self._running.add(folder)
            covered = self._wanted.get(folder, ticket)
        done = False
        try:
            with fatal_if_broken(self._on_fatal):
                sync_folder(folder)
            done = True
        finally:
            with self._changed:
                self._running.discard(folder)
                if done:
                    self._synced[folder] = max(covered, self._synced.get(folder, 0))
                if self._synced.get(folder, 0) >= self._wanted.get(folder, 0):
                    self._wanted.pop(folder, None)
                self._changed.notify_all()


class FileBlobs:
    """The blobs of one data directory; made in a thread, because it reads the note."""

    def __init__(
        self,
        root: Path,
        incarnation: int,
        keys: DataKeys,
        on_fatal: Callable[[str], object] = end_process,
    ) -> None:
        self._root = root
        self._on_fatal = on_fatal
        self._keys = keys
        self._incarnation = incarnation
        note = find_note(root / NOTE) or {_RESERVED: 0, _LOW_WATER: 0}
        self._reserved = note[_RESERVED]
        self._low_water = _low_water_in(note, incarnation)
        self._next = self._reserved + 1
        self._first = self._next
        self._note_lock = threading.Lock()
        self._reserving = asyncio.Lock()
        self._begun: set[BlobRef] = set()
        self._writes = asyncio.Semaphore(WRITES_MAX)
        self._concats = asyncio.Semaphore(CONCATS_MAX)
        self._syncs = FolderSyncs(root, on_fatal)
        self._holdings = Holdings(root, BlobRef(incarnation, self._first))
        self.damaged_reads = 0
        """How often damage was met instead of bytes."""
        self._pool = ThreadPoolExecutor(THREADS_MAX, "fogbank-blobs")
        self.rewriter = Rewriter(root, keys, self._holdings, self._syncs.sync, self.in_thread)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in the pool; it runs to its end even if the caller is cancelled."""
        return await _done(self._pool.submit(function, *arguments))

    @property
    def seals(self) -> bool:
        """Return whether what is written now is encrypted."""
        return self._keys.active is not None

    # Names.

    async def name(self) -> BlobRef:
        """Return a name that no blob has had before."""
        while self._next > self._reserved:
            async with self._reserving:
                if self._next > self._reserved:
                    await self.in_thread(self._reserve)
        number = self._next
        self._next += 1
        return BlobRef(self._incarnation, number)

    def _reserve(self) -> None:
        """Reserve the next block of numbers durably."""
        with self._note_lock:
            reserved = self._reserved + NUMBERS_BLOCK
            self._write_note(reserved, self._low_water)
            self._reserved = reserved

    def _write_note(self, reserved: int, low_water: BlobRef) -> None:
        """Replace the note."""
        values = {_RESERVED: reserved, _LOW_WATER: low_water.number}
        if low_water.incarnation != self._incarnation:
            values[_LOW_INCARNATION] = low_water.incarnation
        try:
            with fatal_if_broken(self._on_fatal):
                write_note(self._root / NOTE, values)
        except OSError as error:
            if is_no_space(error):
                raise Full(f"there is no space to name a blob: {error}") from error
            raise

    def low_water(self) -> BlobRef:
        """Return the name up to which every blob is settled."""
        return self._low_water

    def before_start(self) -> BlobRef:
        """Return the last name that may have been given before this start."""
        return BlobRef(self._incarnation, self._first - 1)

    def newest(self) -> BlobRef:
        """Return the last name that was given."""
        return BlobRef(self._incarnation, self._next - 1)

    def oldest_begun(self) -> BlobRef | None:
        """Return the first name whose blob is being written now, or None if none is."""
        return min(self._begun, default=None)

    async def raise_low_water(self, ref: BlobRef) -> None:
        """Note durably that every blob up to this name is settled."""
        assert ref <= self.newest(), "a number is settled after it was given"

        def settle() -> None:
            with self._note_lock:
                if ref > self._low_water:
                    self._write_note(self._reserved, ref)
                    self._low_water = ref

        await self.in_thread(settle)

    # Writing.

    async def write(
        self, ref: BlobRef, chunks: AsyncIterator[Chunk], *, lock: bytes | None = None
    ) -> int:
        """Store the chunks under a fresh name; durable on return; return the size in bytes.

        The first chunk is asked for when there is a slot: what waits for one holds nothing.

        Raises:
            Full: No space is left; nothing remains.
        """
        async with self._writing(ref, self._writes, lock) as writer:
            return await self._write_chunks(writer, chunks)

    @asynccontextmanager
    async def _writing(
        self, ref: BlobRef, slots: asyncio.Semaphore, lock: bytes | None = None
    ) -> AsyncGenerator[Writer]:
        """Give a writer for a name when there is a slot; a name that is begun is never swept."""
        self._begun.add(ref)
        try:
            async with slots:
                writer = Writer(self._root, ref, self._keys.series(BLOBS, lock))
                try:
                    yield writer
                except BaseException as error:
                    await self._give_up(writer, error)
                    raise
        finally:
            self._begun.discard(ref)

    async def _write_chunks(self, writer: Writer, chunks: AsyncIterator[Chunk]) -> int:
        """Feed a writer beside the chunks that come; short ones are gathered into frames."""
        feeding: Lane[Chunk] = Lane(writer.feed, self._pool)
        parts: list[Chunk] = []
        have = 0
        async for chunk in chunks:
            if len(chunk) == FRAME_BYTES and not parts:
                await feeding.put(chunk)
                continue
            parts.append(chunk)
            have += len(chunk)
            if have >= FRAME_BYTES:
                await feeding.put(b"".join(parts))
                parts, have = [], 0
        await feeding.end()
        return await self.in_thread(self._finish, writer, parts)

    def _finish(self, writer: Writer, rest: Iterable[Chunk]) -> int:
        """Write the rest of a blob and make it durable."""
        with fatal_if_broken(self._on_fatal):
            for part in rest:
                writer.feed(part)
            size = writer.finish()
        self._syncs.sync(writer.path.parent)
        self._holdings.added(writer.file_bytes)
        return size

    async def _give_up(self, writer: Writer, error: BaseException) -> None:
        """Remove what was written; want of space becomes ``Full``."""
        await self.in_thread(writer.abort)
        if isinstance(error, OSError) and is_no_space(error):
            raise Full(f"there is no space for a blob: {error}") from error

    def permit(self, ref: BlobRef, lock: bytes | None = None) -> Permit:
        """Return what another process needs to write a blob under a fresh name."""
        return Permit(str(self._root.absolute()), ref, self._keys.lend(BLOBS, lock))

    async def adopt(self, ref: BlobRef, size: int) -> None:
        """Take over a blob that another process has written and synced; durable on return.

        Raises:
            Corrupt: It is not there, or not of this size.
        """

        def adopt() -> None:
            with Reader(self._root, ref, self._keys) as reader:
                if reader.size != size:
                    raise Corrupt(f"{reader.path} has {reader.size} bytes of {size}")
                file_bytes = os.fstat(reader.fd).st_size
            self._syncs.sync(reader.path.parent)
            self._holdings.added(file_bytes)

        await self.in_thread(adopt)

    async def concat(self, ref: BlobRef, parts: list[BlobRef]) -> int:
        """Store under a fresh name the bytes of other blobs in order; durable on return.

        Raises:
            Full: No space is left; nothing remains.
            Corrupt: One of the parts is damaged.
        """
        async with self._writing(ref, self._concats) as writer:
            return await self.in_thread(self._concat, writer, parts)

    def _concat(self, writer: Writer, parts: list[BlobRef]) -> int:
        """Copy the bodies of parts behind each other."""
        for part in parts:
            with Reader(self._root, part, self._keys) as reader:
                writer.copy(reader)
        return self._finish(writer, ())

    # Reading.

    async def read(
        self, ref: BlobRef, begin: int = 0, end: int | None = None, *, lock: bytes | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the half-open range; every frame is verified before it leaves.

        What is past the end of the blob is not there. What comes from the disk is read a frame
        ahead; what the kernel has in memory is read when its turn comes.

        Raises:
            Corrupt: A frame is not what was written, or the blob is missing.
        """
        opens = self._keys if lock is None else Lock(lock)
        pieces = read_range(self._pool, (self._root, ref, opens), begin, end)
        try:
            async for piece in pieces:
                yield piece
        except Corrupt:
            self.damaged_reads += 1
            raise
        finally:
            await pieces.aclose()

    async def lend(
        self, ref: BlobRef, begin: int, end: int | None, lock: bytes | None = None
    ) -> Loan:
        """Return what another process needs to read the half-open range of a blob.

        Raises:
            Corrupt: It is missing, or its end is not what was written.
        """
        opens = self._keys if lock is None else Lock(lock)

        def lend() -> Loan:
            with Reader(self._root, ref, opens) as reader:
                series = reader.series(begin, end)
            lent = tuple(opens.lent(key_id, BLOBS, salt) for key_id, salt in series)
            return Loan(str(self._root.absolute()), ref, begin, end, lent)

        try:
            return await self.in_thread(lend)
        except Corrupt:
            self.damaged_reads += 1
            raise

    async def verify(self, ref: BlobRef, first: int = 0, frames: int | None = None) -> int:
        """Read frames and return the size of the blob; raise ``Corrupt`` if one is damaged."""

        def verify() -> int:
            with Reader(self._root, ref, self._keys) as reader:
                return reader.verify(first, frames)

        return await self.in_thread(verify)

    # Removing and listing.

    async def delete(self, ref: BlobRef) -> None:
        """Remove the blob durably; it is no error if it is gone."""

        def delete() -> None:
            path = path_of(self._root, ref)
            self._holdings.remove(path, ref)
            if path.parent.is_dir():
                self._syncs.sync(path.parent)

        await self.in_thread(delete)

    async def list(self, after: BlobRef | None, limit: int) -> list[tuple[BlobRef, int]]:
        """Return names and sizes in order of name."""

        def some() -> list[tuple[BlobRef, int]]:
            out: list[tuple[BlobRef, int]] = []
            for path, ref in blob_files(self._root, after):
                if len(out) == limit:
                    break
                try:
                    out.append((ref, size_of_file(path)))
                except FileNotFoundError:
                    # Removed since its folder was read.
                    continue
            return out

        return await self.in_thread(some)

    def begin_counting(self) -> None:
        """Begin to count what was there at the start; ``held`` tells when that is known."""
        self._holdings.begin()

    def held(self) -> Held | None:
        """Return how many blobs there are and what they take; None while that is being counted."""
        return self._holdings.held()

    async def close(self) -> None:
        """Wait for what is being written or read and end the threads."""
        await asyncio.to_thread(self._holdings.end)
        await asyncio.to_thread(self._pool.shutdown)


async def read_range(
    pool: ThreadPoolExecutor, blob: tuple[Path, BlobRef, Opens], begin: int, end: int | None
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the half-open range of a blob; see ``FileBlobs.read``."""
    assert begin >= 0, "a range begins inside the blob"
    opening = pool.submit(Reader, *blob)
    try:
        reader = await _done(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise
    try:
        stop = reader.size if end is None else min(end, reader.size)
        if begin >= stop:
            return
        first, last = begin // FRAME_BYTES, (stop - 1) // FRAME_BYTES
        ahead: Job[bytes] | None = None
        for index in range(first, last + 1):
            if index > first:
                # Whoever reads all of a blob lets others have their turn.
                await asyncio.sleep(0)  # noqa: TID251 (no time passes)
            # Another thread takes longer to begin than this one to open a frame.
            frame = reader.frame_at_hand(index) if ahead is None else None
            if frame is None:
                frame = await _done(ahead or pool.submit(reader.frame, index))
                ahead = pool.submit(reader.frame, index + 1) if index < last else None
            offset = index * FRAME_BYTES
            if begin > offset or stop < offset + len(frame):
                frame = frame[max(begin - offset, 0) : stop - offset]
            yield frame
    finally:
        # Not waited for: the reader's lock has it wait for the frame that is read ahead.
        _close_soon(pool, reader)


def _close_soon(pool: ThreadPoolExecutor, reader: Reader) -> None:
    """Close a reader in the pool; here, if the pool has ended."""
    try:
        pool.submit(reader.close)
    except RuntimeError:
        reader.close()


async def _done(job: Job[T]) -> T:
    """Return the result of a job, which goes on if the caller is cancelled."""
    return await asyncio.shield(asyncio.wrap_future(job))


def _close_opened(opening: Job[Reader]) -> None:
    """Close a reader that nobody waits for any more."""
    if opening.exception() is None:
        opening.result().close()


def low_water_of(root: Path, incarnation: int) -> BlobRef:
    """Return the name up to which every blob is settled, from the note.

    Raises:
        Corrupt: The note is damaged.
    """
    return _low_water_in(find_note(root / NOTE) or {_LOW_WATER: 0}, incarnation)


def _low_water_in(note: dict[str, int], incarnation: int) -> BlobRef:
    """Return the low-water mark of a note.

    What is of an earlier incarnation is settled: a restore takes over only what has a row. Only one
    that rolls forward cannot tell, and says so.
    """
    return BlobRef(note.get(_LOW_INCARNATION, incarnation), note[_LOW_WATER])


def unsettle(root: Path, incarnation: int) -> None:
    """Have the first sweep of a new store look at every blob of an earlier incarnation."""
    write_note(root / NOTE, {_RESERVED: 0, _LOW_WATER: 0, _LOW_INCARNATION: incarnation})


def blob_files(root: Path, after: BlobRef | None = None) -> Iterator[tuple[Path, BlobRef]]:
    """Yield the files of blobs behind a name, in order of name."""
    edge = None if after is None else path_of(root, after)
    for incarnation in _entries(root, None if edge is None else edge.parents[2]):
        if not incarnation.is_dir():
            continue
        for top in _entries(incarnation, None if edge is None else edge.parents[1]):
            for folder in _entries(top, None if edge is None else edge.parents[0]):
                for path in _entries(folder, edge):
                    ref = ref_of(root, path)
                    if ref is not None and (after is None or ref > after):
                        yield path, ref


def _entries(folder: Path, edge: Path | None) -> list[Path]:
    """Return the entries of a folder from an edge on, in order; other folders' edges are none."""
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    if edge is None or edge.parent != folder:
        return paths
    return [path for path in paths if path >= edge]
