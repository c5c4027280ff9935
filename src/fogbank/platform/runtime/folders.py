"""Folders of the machine that functions take their code from while it is written: hot reload.

Rule: only what lies below folders that the operator has named is read, and nothing by way of a link:
each part of a path is opened from the one above it. Links, what is neither file nor folder, ``.git`` and
``__pycache__`` are left out. A look reads names, sizes and times, and no content; its number of entries
and the bytes of a pack are bounded.

Theory: nobody watches. Who wants to run what a folder has looks at it, so that an invocation after a
change runs the change, and a folder that nobody runs costs nothing. Those who come while a look is under
way share the next one: theirs must have begun after they came.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

ENTRIES_MAX: Final = 20_000
BYTES_MAX: Final = 262_144_000
"""AWS Lambda quotas: deployment package, unzipped, 250 MB."""
DEPTH_MAX: Final = 64
_LEFT_OUT: Final = frozenset({".git", "__pycache__"})
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_MEMORY_BYTES: Final = 8 << 20
_PIECE_BYTES: Final = 1 << 20
_FIRST_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
"""All files of a pack have this time, so that equal files are equal packs."""


class FolderError(Exception):
    """A folder cannot be read, or may not be; the message says why."""


class _File(NamedTuple):
    """A file, seen in its folder."""

    name: str
    """Below the top, with slashes."""
    folder: int
    """The descriptor of its folder, while it is given out."""
    status: os.stat_result


class Packed(NamedTuple):
    """A folder as a zip file."""

    mark: str
    """As ``look`` tells it of what was packed."""
    pieces: AsyncIterator[bytes]


class _Look:
    """A look at a folder that those share who want it while another is under way.

    Args:
        work: Looks; runs in a thread.
    """

    def __init__(self, work: Callable[[], str]) -> None:
        self._work = work
        self._lock = asyncio.Lock()
        self._next: asyncio.Future[str] | None = None
        self.users = 0

    async def result(self) -> str:
        """Return what a look comes to that begins from now on."""
        while True:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            wanted = self._next
            async with self._lock:
                if self._next is wanted:
                    return await self._lead(wanted)
            if not wanted.cancelled():
                return await wanted

    async def _lead(self, wanted: asyncio.Future[str]) -> str:
        """Look for all who wait; if who looks goes away, one of the others looks."""
        self._next = None
        try:
            found = await asyncio.to_thread(self._work)
        except FolderError as error:
            wanted.set_exception(error)
            wanted.exception()  # maybe nobody else waits
            raise
        except BaseException:
            wanted.cancel()
            raise
        wanted.set_result(found)
        return found


class Folders:
    """The folders that functions may be run from.

    Args:
        tops: What the operator has named; empty: there are none.
    """

    def __init__(self, tops: Sequence[str] = ()) -> None:
        self._tops = [os.path.realpath(top) for top in tops]
        self._looks: dict[str, _Look] = {}

    @property
    def are_allowed(self) -> bool:
        """Return whether any folder may be named."""
        return bool(self._tops)

    def require(self, folder: str) -> str:
        """Return the real path of a folder that may be read.

        Raises:
            FolderError: It may not.
        """
        if not folder.startswith("/") or "\0" in folder:
            raise FolderError(f"{folder} is no absolute path of a folder")
        real = os.path.realpath(folder)
        if not self._is_below(real):
            raise FolderError(f"{folder} is not below a folder that functions.hot_reload names")
        return real

    def _is_below(self, real: str) -> bool:
        return any(Path(real).is_relative_to(top) for top in self._tops)

    async def look(self, folder: str) -> str:
        """Return a mark of what a folder has: another one when any file is another.

        Raises:
            FolderError: It cannot be read, or may not be.
        """
        real = self.require(folder)
        shared = self._looks.setdefault(real, _Look(lambda: self._mark_of(real)))
        shared.users += 1
        try:
            return await shared.result()
        finally:
            shared.users -= 1
            if not shared.users:
                del self._looks[real]

    def _mark_of(self, real: str) -> str:
        """Look at a folder; runs in a thread."""
        digest = hashlib.sha256()
        for file in self._files(real):
            digest.update(_seen(file.name, file.status))
        return digest.hexdigest()

    async def pack(self, folder: str) -> Packed:
        """Return a folder as a zip file; the caller reads it to its end, or closes it.

        Raises:
            FolderError: It cannot be read, may not be, or is too large.
        """
        real = self.require(folder)
        mark, file = await asyncio.to_thread(self._pack, real)
        return Packed(mark, _pieces_of(file))

    def _pack(self, real: str) -> tuple[str, IO[bytes]]:
        """Write a zip file that has no name; runs in a thread."""
        out = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 (its reader closes it)
        try:
            left, digest = BYTES_MAX, hashlib.sha256()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in self._files(real):
                    status, content = _read(file, left)
                    left -= len(content)
                    digest.update(_seen(file.name, status))
                    info = zipfile.ZipInfo(file.name, _FIRST_MOMENT)
                    info.external_attr = (stat.S_IFREG | stat.S_IMODE(status.st_mode) & 0o777) << 16
                    archive.writestr(info, content, zipfile.ZIP_DEFLATED, compresslevel=1)
            out.seek(0)
        except BaseException:
            out.close()
            raise
        return digest.hexdigest(), out

    def _files(self, real: str) -> Iterator[_File]:
        """Yield the files of a folder, in order of their names.

        Raises:
            FolderError: It cannot be read, or is too large.
        """
        try:
            top = os.open(real, _FOLDER)
            try:
                if not self._is_below(str(Path(f"/proc/self/fd/{top}").readlink())):
                    raise FolderError(f"{real} is another folder now")
                yield from _below(top, "", 0, [ENTRIES_MAX])
            finally:
                os.close(top)
        except OSError as error:
            raise FolderError(f"{real} cannot be read: {error.strerror}") from error


def _seen(name: str, status: os.stat_result) -> bytes:
    """Return what is marked of a file."""
    mode = stat.S_IMODE(status.st_mode)
    seen = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0{mode}\0{status.st_ino}\n"
    return seen.encode(errors="surrogateescape")


def _below(folder: int, prefix: str, depth: int, left: list[int]) -> Iterator[_File]:
    """Yield the files below an open folder; ``left`` counts entries down."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    left[0] -= len(found)
    if left[0] < 0 or depth > DEPTH_MAX:
        raise FolderError(
            f"it has more than {ENTRIES_MAX} entries, or more than {DEPTH_MAX} levels"
        )
    for entry in found:
        if entry.name in _LEFT_OUT:
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield _File(prefix + entry.name, folder, status)
        elif stat.S_ISDIR(status.st_mode):
            inner = os.open(entry.name, _FOLDER, dir_fd=folder)
            try:
                yield from _below(inner, f"{prefix}{entry.name}/", depth + 1, left)
            finally:
                os.close(inner)


def _read(file: _File, bytes_max: int) -> tuple[os.stat_result, bytes]:
    """Return what a file is and has, now.

    Raises:
        FolderError: It cannot be read, is no file any more, or together they are too large.
    """
    try:
        descriptor = os.open(file.name.rpartition("/")[2], _FILE, dir_fd=file.folder)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            content = opened.read(bytes_max + 1) if stat.S_ISREG(status.st_mode) else None
    except OSError as error:
        raise FolderError(f"{file.name} cannot be read: {error.strerror}") from error
    if content is None:
        raise FolderError(f"{file.name} is no file any more")
    if len(content) > bytes_max:
        raise FolderError(f"its files have more than {BYTES_MAX} bytes")
    return status, content


async def _pieces_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield a file in pieces, then close it."""
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
