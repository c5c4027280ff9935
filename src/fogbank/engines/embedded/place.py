"""Bringing an immutable file to another place: shared blocks, a second name, or a copy.

Rule: under its final name a file is whole and durable, or not there. Shared blocks (a reflink) are
tried first: they cost nothing and stay apart. A second name for the same file (a hard link) costs
nothing either, but damage to the one is damage to the other, so it is the caller's to allow.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fogbank.engines.embedded.files import sync_folder

FICLONE: Final = 0x40049409
"""ioctl_ficlone(2): make one file share the blocks of another."""
_COPY_BYTES: Final = 8 << 20
_CANNOT_SHARE: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM}
)
_CANNOT_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
PARTIAL: Final = ".partial"
"""How the names of files end that are being brought. What a kill left of them goes as a stray."""


def place(source: Path, target: Path, *, link: bool) -> None:
    """Bring a file to a place where there is none; the caller syncs the folder.

    Args:
        source: A file that nobody changes.
        target: Its new place, in a folder that is there.
        link: A second name for the same file will do.

    Raises:
        FileNotFoundError: The source is not there.
    """
    # Two processes, an archiver and a backup, may bring the same file to a set at the same time.
    beside = target.with_name(f"{target.name}.{os.getpid()}{PARTIAL}")
    beside.unlink(missing_ok=True)
    with source.open("rb") as file:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            shared = _shared(file.fileno(), fd)
            if not shared and link and _linked(source, target):
                return
            if not shared:
                _copy(file.fileno(), fd)
            os.fsync(fd)
            beside.replace(target)
        finally:
            os.close(fd)
            beside.unlink(missing_ok=True)


def _shared(source: int, target: int) -> bool:
    """Share the blocks of a file; return whether the file system can."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT_SHARE:
            return False
        raise
    return True


def _linked(source: Path, target: Path) -> bool:
    """Give a file a second name; return whether the file system can."""
    second = target.with_name(f"{target.name}.{os.getpid()}.link{PARTIAL}")
    second.unlink(missing_ok=True)
    try:
        second.hardlink_to(source)
        second.replace(target)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    finally:
        second.unlink(missing_ok=True)  # rename(2) leaves it if both are names of the same file
    return True


def _copy(source: int, target: int) -> None:
    """Copy all bytes, in the kernel where it can."""
    while True:
        try:
            if os.copy_file_range(source, target, _COPY_BYTES) == 0:
                return
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            break
    while data := os.read(source, _COPY_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]


def make_folders(root: Path, folder: Path) -> None:
    """Create the folders between a root, which is there, and a folder below it."""
    for below in reversed([folder, *folder.parents]):
        if below != root and below.is_relative_to(root):
            below.mkdir(mode=0o700, exist_ok=True)


def sync_folders(root: Path, folders: Iterable[Path]) -> None:
    """Make the entries of folders durable, and theirs in the folders above them, up to a root.

    Whoever made a folder may have been killed before it was durable.
    """
    above = {each for folder in folders for each in (folder, *folder.parents)}
    for folder in sorted(each for each in above if each.is_relative_to(root)):
        sync_folder(folder)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
