"""The file calls whose order durability depends on.

Rule: the supervisor imports this, and so it brings the standard library only.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that mean: there is no room, and nothing is broken."""
BROKEN: Final = frozenset({errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV})
"""Errors that mean: what was written before may not be there, whatever is said afterwards."""
_NOT_AT_HAND: Final = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_ZEROS: Final = bytes(1 << 20)


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all bytes at the offset."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


def read_all(fd: int, count: int, offset: int) -> bytes:
    """Read so many bytes at the offset, fewer only at the end of the file."""
    data = os.pread(fd, count, offset)
    if len(data) == count or not data:
        return data
    parts = [data]
    got = len(data)
    while got < count and (data := os.pread(fd, count - got, offset + got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def read_into(fd: int, buffer: memoryview, offset: int) -> int:
    """Fill a buffer with the bytes at the offset; return how many there were before the end."""
    got = 0
    while got < len(buffer) and (count := os.preadv(fd, [buffer[got:]], offset + got)):
        got += count
    return got


def read_at_hand(fd: int, buffer: memoryview, offset: int) -> bool:
    """Fill a buffer from the kernel's memory; return whether all of it was there.

    Never waits for the disk, and says False where the file system cannot promise that.
    """
    try:
        return os.preadv(fd, [buffer], offset, os.RWF_NOWAIT) == len(buffer)
    except OSError as error:
        if error.errno in _NOT_AT_HAND:
            return False
        raise


def sync_folder(path: Path) -> None:
    """Make the entries of a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create a folder durably, and those above it, as far as they are not there."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def fill_zeros(fd: int, begin: int, end: int) -> None:
    """Write zeros from begin to end, so that later writes change no metadata of the file."""
    for offset in range(begin, end, len(_ZEROS)):
        write_all(fd, memoryview(_ZEROS)[: min(len(_ZEROS), end - offset)], offset)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file durably: after a crash it is the old one or the new one."""
    beside = path.with_name(path.name + ".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    except BaseException:
        beside.unlink()
        raise
    finally:
        os.close(fd)
    beside.replace(path)
    sync_folder(path.parent)
