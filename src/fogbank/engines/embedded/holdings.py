"""How many blobs a directory holds, and what they take on disk.

Rule: what was there at the start is counted once, folder by folder, in a thread of its own that
never hurries; what is finished or removed since counts at once. A folder is counted, and a file
removed, under one lock, so that no file counts twice or goes uncounted.

Theory: folders are counted in the order of names, so one name says which are done: a file that goes
counts only if its folder was counted, or if it came after the start.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fogbank.engines.embedded.frames import first_in, folder_of, place_of
from fogbank.platform.blobs.port import BlobRef

PAUSE_S: Final = 0.002
"""Between two folders of up to 4,096 files: users' work goes first."""
log = logging.getLogger("fogbank.store")


class Held(NamedTuple):
    """What a directory holds."""

    blobs: int
    size_bytes: int
    """Of their files: frames with their checks, as they lie on the disk."""


class Holdings:
    """Counts the files of one directory of blobs.

    Args:
        root: The directory.
        first: The first name that can be given since the start.
    """

    def __init__(self, root: Path, first: BlobRef) -> None:
        self._root = root
        self._first = first
        self._lock = threading.Lock()
        self._count = 0
        self._size_bytes = 0
        self._done: tuple[int, int] = (-1, -1)
        """The last folder that was counted."""
        self._is_complete = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fogbank-holdings", daemon=True)

    def begin(self) -> None:
        """Begin to count what was there at the start."""
        self._thread.start()

    def end(self) -> None:
        """End the counting, finished or not."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def held(self) -> Held | None:
        """Return what the directory holds, or None as long as that is being counted."""
        with self._lock:
            return Held(self._count, self._size_bytes) if self._is_complete else None

    def added(self, size_bytes: int) -> None:
        """Count a file that was finished, by its size: it may be removed again already."""
        with self._lock:
            self._count += 1
            self._size_bytes += size_bytes

    def remove(self, path: Path, ref: BlobRef) -> None:
        """Remove a file; it is no error if it is gone."""
        with self._lock:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return
            if self._is_new(ref) or folder_of(ref) <= self._done:
                self._count -= 1
                self._size_bytes -= size

    def replace(self, path: Path, beside: Path, ref: BlobRef) -> None:
        """Let a file take another's place, unless that is gone: then the new one goes too."""
        with self._lock:
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                beside.unlink()
                return
            beside.replace(path)
            if self._is_new(ref) or folder_of(ref) <= self._done:
                self._size_bytes += path.stat().st_size - size

    def _is_new(self, ref: BlobRef) -> bool:
        """Return whether a name was given since the start."""
        return ref.incarnation == self._first.incarnation and ref.number >= self._first.number

    def _run(self) -> None:
        """Count what was there at the start, until told to end."""
        try:
            for folder in _folders(self._root):
                if self._stop.wait(PAUSE_S):
                    return
                with self._lock:
                    self._count_folder(folder)
        except OSError as error:
            log.warning("the blobs that are there cannot be counted: %s", error)
            return
        with self._lock:
            self._is_complete = True

    def _count_folder(self, folder: Path) -> None:
        """Count the old files of a folder."""
        first = first_in(self._root, folder)
        if first is None:
            return
        self._done = folder_of(first)
        with os.scandir(folder) as entries:
            for entry in entries:
                place = place_of(entry.name)
                if place < 0 or self._is_new(BlobRef(first.incarnation, first.number + place)):
                    continue
                self._count += 1
                self._size_bytes += entry.stat().st_size


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of files, in the order of their blobs' names."""
    tops: list[Path] = [root]
    for _ in range(2):
        tops = [each for top in tops for each in _folders_in(top)]
    for top in tops:
        yield from _folders_in(top)


def _folders_in(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir())
