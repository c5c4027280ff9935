"""Unpacks zip files that strangers made, or says why not.

Rule: nothing is written outside the given folder, nothing but plain files and folders comes into
being, and neither the listing nor the contents can take more memory or disk than the limits say,
whatever the headers claim. Names must be unique, relative and plain; links, devices and encrypted
entries are refused; only the methods *stored* and *deflated* are read.

Theory: a zip bomb lies in its sizes or has a huge directory. Both are checked before anything is
read; while unpacking, bytes are counted as they come, so a lie is noticed at the limit. Deflate
cannot expand beyond 1,032 to 1, so a larger promise is a lie as well. Source: PKWARE APPNOTE.TXT
6.3.10; D. Fifield, "A better zip bomb", WOOT 2019.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final, NamedTuple

from fogbank.platform.runtime.functions import (
    PackageEmptyError,
    PackageError,
    PackageTooLargeError,
)

DIRECTORY_BYTES_MAX: Final = 16 << 20
"""The largest listing that is read: some 150,000 entries."""
ENTRIES_MAX: Final = 100_000
NAME_BYTES_MAX: Final = 1_024
PART_BYTES_MAX: Final = 255
DEPTH_MAX: Final = 100
"""Folders above a file: what is checked per entry grows with it."""
RATIO_MAX: Final = 1_040
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x0041
_PIECE_BYTES: Final = 256 << 10
_FILE_MODES: Final = (0, stat.S_IFREG)
_END_RECORD_SIZE: Final = 5


class Entry(NamedTuple):
    """One entry that has been found harmless."""

    info: zipfile.ZipInfo
    parts: tuple[str, ...]
    folder: bool
    executable: bool


def unpack(file: IO[bytes], into: Path, bytes_max: int) -> int:
    """Unpack a zip file into an empty folder and return how many bytes that made.

    Raises:
        PackageTooLargeError: It would make more than ``bytes_max``.
        PackageEmptyError: It holds no file.
        PackageError: It is damaged, or holds what is refused.
    """
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            entries = checked(archive.infolist(), bytes_max)
            return _extract(archive, entries, into, bytes_max)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise PackageError(f"the zip file is damaged: {error}") from error


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a listing that would take too much memory to read."""
    # The module's own reader of the end record, so that no crafted file can show two of them.
    record = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001 (zipfile has no public reader of the record)
    if record is None:
        raise PackageError("no zip file")
    if record[_END_RECORD_SIZE] > DIRECTORY_BYTES_MAX:
        raise PackageError("the zip file has too many entries")


def checked(infos: list[zipfile.ZipInfo], bytes_max: int) -> list[Entry]:
    """Return the entries of a listing if all of them are harmless."""
    if len(infos) > ENTRIES_MAX:
        raise PackageError("the zip file has too many entries")
    if sum(info.file_size for info in infos) > bytes_max:
        raise PackageTooLargeError(f"the zip file unpacks to more than {bytes_max} bytes")
    entries = [_entry_of(info) for info in infos]
    files = [entry.parts for entry in entries if not entry.folder]
    if not files:
        raise PackageEmptyError("the zip file holds no file")
    taken = set(files)
    if len(taken) != len(files):
        raise PackageError("the zip file names a file twice")
    for entry in entries:
        above = {entry.parts[:depth] for depth in range(1, len(entry.parts))}
        if above & taken or (entry.folder and entry.parts in taken):
            raise PackageError(f"{'/'.join(entry.parts)} is both a file and a folder")
    return entries


def _entry_of(info: zipfile.ZipInfo) -> Entry:
    """Return an entry if it is harmless."""
    mode = info.external_attr >> 16
    folder = info.filename.endswith("/")
    kind = stat.S_IFMT(mode)
    if kind not in ((0, stat.S_IFDIR) if folder else _FILE_MODES):
        raise PackageError(f"{info.filename!r} is a link or a device")
    if info.flag_bits & _ENCRYPTED:
        raise PackageError(f"{info.filename!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise PackageError(f"{info.filename!r} is packed by an unknown method")
    if info.file_size > RATIO_MAX * max(info.compress_size, 1):
        raise PackageError(f"{info.filename!r} claims an impossible size")
    return Entry(info, _parts_of(info), folder, bool(mode & 0o111))


def _parts_of(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return the folders and the name of an entry, if they are plain."""
    name = info.orig_filename
    if "\0" in name or "\\" in name or len(name.encode()) > NAME_BYTES_MAX:
        raise PackageError(f"{name!r} is no plain name")
    parts = name.removesuffix("/").split("/")
    if parts[0] == ".":
        del parts[0]
    if not parts or any(part in {"", ".", ".."} for part in parts):
        raise PackageError(f"{name!r} is no plain name")
    if len(parts) > DEPTH_MAX or any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        raise PackageError(f"{name!r} is too long or too deep")
    return tuple(parts)


def _extract(archive: zipfile.ZipFile, entries: list[Entry], into: Path, bytes_max: int) -> int:
    """Write the entries; return the bytes written."""
    left = bytes_max
    for entry in entries:
        path = into.joinpath(*entry.parts)
        if entry.folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = 0o555 if entry.executable else 0o444
        with archive.open(entry.info) as source, os.fdopen(os.open(path, flags, mode), "wb") as out:
            while piece := source.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise PackageTooLargeError(
                        f"the zip file unpacks to more than {bytes_max} bytes"
                    )
                out.write(piece)
    return bytes_max - left
