"""Writing the file of a blob anew, under the newest data key, beside the one that is there.

A ``Rewriting`` blocks and runs in threads; a ``Rewriter`` is asked from the loop.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Self

from fogbank.base.errors import Full
from fogbank.engines.embedded.frames import (
    BESIDE,
    Reader,
    Writer,
    frames_of,
    is_no_space,
    path_of,
)
from fogbank.engines.embedded.holdings import Holdings
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.crypto.keys import BLOBS, DataKeys

ANEW_NOTE: Final = "anew.note"
"""Says how far the blobs of a store are; not of a backup, whose pool may have older files."""
FRAMES_MAX: Final = 4
"""So many frames are written in one step."""


class Rewriting:
    """One file on its way: ``some`` until it is done, or ``give_up``.

    Args:
        root: Where the blobs lie.
        ref: The name of the blob.
        reader: Reads the file that is there.
        keys: The data keys.
    """

    def __init__(self, root: Path, ref: BlobRef, reader: Reader, keys: DataKeys) -> None:
        self.ref = ref
        self.is_done = False
        self._reader = reader
        self._beside = reader.path.with_name(reader.path.name + BESIDE)
        self._beside.unlink(missing_ok=True)
        self._writer = Writer(root, ref, keys.series(BLOBS), self._beside)
        self._next = 0
        self._is_over = False
        # Whoever is cancelled gives up while a frame may still be written.
        self._lock = threading.Lock()

    @classmethod
    def find(cls, root: Path, ref: BlobRef, keys: DataKeys) -> Self | None:
        """Return how a blob is written anew, or None if its file takes the newest key alone, or none.

        Raises:
            Corrupt: It is missing, or damaged.
        """
        reader = Reader(root, ref, keys)
        try:
            if reader.is_locked or reader.key_ids() == {keys.active}:
                reader.close()
                return None
            return cls(root, ref, reader, keys)
        except BaseException:
            reader.close()
            raise

    def some(self, holdings: Holdings) -> int:
        """Write some frames; with the last one the file takes the other's place; return the bytes.

        Raises:
            Corrupt: A frame is not what was written.
            OSError: There is no space.
        """
        with self._lock:
            return 0 if self._is_over else self._some(holdings)

    def _some(self, holdings: Holdings) -> int:
        """Write some frames; see ``some``."""
        count = frames_of(self._reader.size)
        end = min(self._next + FRAMES_MAX, count)
        for index in range(self._next, end):
            self._writer.feed(self._reader.frame(index))
        read = min(end * FRAME_BYTES, self._reader.size) - self._next * FRAME_BYTES
        self._next = end
        if end == count:
            self._writer.finish()
            holdings.replace(self._reader.path, self._beside, self.ref)
            self._reader.close()
            self.is_done = self._is_over = True
        return max(read, 0)

    @property
    def folder(self) -> Path:
        """Return the folder whose entries change."""
        return self._beside.parent

    def give_up(self) -> None:
        """Leave the file that is there."""
        with self._lock:
            if not self._is_over:
                self._is_over = True
                self._writer.abort()
                self._reader.close()


class Rewriter:
    """Writes the blobs of one directory anew.

    Args:
        root: Where the blobs lie.
        keys: The data keys.
        holdings: Counts the files.
        sync: Makes the entries of a folder durable.
        in_thread: Runs what blocks.
    """

    def __init__(
        self,
        root: Path,
        keys: DataKeys,
        holdings: Holdings,
        sync: Callable[[Path], None],
        in_thread: Callable[..., Awaitable[Any]],
    ) -> None:
        self._root = root
        self._keys = keys
        self._holdings = holdings
        self._sync = sync
        self.in_thread = in_thread

    async def find(self, ref: BlobRef) -> Rewriting | None:
        """Return how a blob is written anew, or None if it takes the newest data key alone.

        Raises:
            Corrupt: It is missing, or damaged.
        """
        found: Rewriting | None = await self.in_thread(Rewriting.find, self._root, ref, self._keys)
        return found

    async def some(self, rewriting: Rewriting) -> int:
        """Write some frames of a blob anew; when all are, its place is taken durably.

        Raises:
            Corrupt: A frame is not what was written.
            Full: There is no space.
        """

        def some() -> int:
            read = rewriting.some(self._holdings)
            if rewriting.is_done:
                self._sync(rewriting.folder)
            return read

        try:
            read: int = await self.in_thread(some)
        except OSError as error:
            if is_no_space(error):
                raise Full(f"there is no space to write a blob anew: {error}") from error
            raise
        return read

    async def give_up(self, rewriting: Rewriting) -> None:
        """Leave the file of a blob that is there."""
        await self.in_thread(rewriting.give_up)

    async def has(self, ref: BlobRef) -> bool:
        """Return whether there is a file of a blob, whatever it holds."""
        there: bool = await self.in_thread(path_of(self._root, ref).exists)
        return there

    async def remove_beside(self) -> None:
        """Remove what a crash left of blobs that were being written anew."""

        def remove() -> None:
            for path in self._root.rglob(f"*{BESIDE}"):
                path.unlink()

        await self.in_thread(remove)
