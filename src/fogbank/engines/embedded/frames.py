"""The format of blob files: a body, the check of each of its frames, a footer.

The body lies whole at the start of the file, so that frames are aligned and a kernel can copy them.
Behind it lies a table with four bytes for each frame of 1 MiB, then the footer with size and name.
An entry of the table is the CRC-32C of the frame's bytes, mixed with a mask made of the blob's name
and the frame's place: a frame of another blob, or at another place, is damage. Because the mask can
be taken off again, a frame can be copied to another blob without reading it, and what was damaged
before the copy is found after it.

Everything here blocks and runs in threads. A writer removes its file unless it was finished.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from array import array
from pathlib import Path
from typing import Final, Self, cast

from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import NO_SPACE, make_folder, read_all, write_all
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef

SYNC_EVERY_BYTES: Final = 64 << 20
"""A writer waits for the disk after so many bytes: unwritten pages are bounded, and so is the
wait at the end."""
_MAGIC: Final = b"fogblob1"
_FOOTER: Final = struct.Struct(">8sQHQ2x")
FOOTER_BYTES: Final = _FOOTER.size + 4
_PLACE: Final = struct.Struct(">HQQ")
_ENTRY_BYTES: Final = 4
_CANNOT_COPY: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_SUFFIX: Final = ".blob"
_FOLDER_BITS: Final = 12
_TOP_BITS: Final = 24


def path_of(root: Path, ref: BlobRef) -> Path:
    """Return where a blob lies: neighbours in number share folders of at most 4,096 entries."""
    number = ref.number
    low = (1 << _FOLDER_BITS) - 1
    return (
        root
        / f"{ref.incarnation:04x}"
        / f"{number >> _TOP_BITS:010x}"
        / f"{number >> _FOLDER_BITS & low:03x}"
        / f"{number & low:03x}{_SUFFIX}"
    )


def ref_of(root: Path, path: Path) -> BlobRef | None:
    """Return the name of the blob that lies there, or None if that is no place of a blob."""
    try:
        incarnation, top, middle, low = path.relative_to(root).parts
        stem = low.removesuffix(_SUFFIX)
        number = int(top, 16) << _TOP_BITS | int(middle, 16) << _FOLDER_BITS | int(stem, 16)
        ref = BlobRef(int(incarnation, 16), number)
    except ValueError:
        return None
    return ref if path_of(root, ref) == path else None


def frames_of(size: int) -> int:
    """Return how many frames a body of this size has."""
    return -(-size // FRAME_BYTES)


def size_of_file(length: int) -> int:
    """Return the size of the body in a file of this length; of an unfinished file, some number."""
    rest = length - FOOTER_BYTES
    frames = -(-rest // (FRAME_BYTES + _ENTRY_BYTES))
    return max(rest - _ENTRY_BYTES * frames, 0)


def _mask(ref: BlobRef, index: int) -> int:
    """Return what the check of a frame is mixed with."""
    return crc32c(_PLACE.pack(ref.incarnation, ref.number, index))


def _footer(ref: BlobRef, size: int) -> bytes:
    """Return the end of a file."""
    raw = _FOOTER.pack(_MAGIC, size, ref.incarnation, ref.number)
    return raw + crc32c(raw).to_bytes(4)


class Writer:
    """Writes one blob: frames in order, then ``finish``; ``abort`` leaves nothing."""

    def __init__(self, root: Path, ref: BlobRef) -> None:
        self.path = path_of(root, ref)
        self.size = 0
        self._ref = ref
        self._checks = array("I")
        self._rest = bytearray()
        self._synced = 0
        self._fd = -1
        self._is_over = False
        # A cancelled caller aborts from another thread while a frame may still be written.
        self._lock = threading.Lock()

    def open(self) -> None:
        """Create the file, which must not be there."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            for folder in reversed(self.path.parents[:3]):
                make_folder(folder)
            self._fd = os.open(self.path, flags, 0o600)

    def feed(self, data: bytes | memoryview) -> None:
        """Add bytes to the body."""
        with self._lock:
            self._require_open()
            view = memoryview(data)
            if self._rest:
                room = FRAME_BYTES - len(self._rest)
                self._rest += view[:room]
                view = view[room:]
                if len(self._rest) < FRAME_BYTES:
                    return
                self._put_frame(self._rest)
                self._rest.clear()
            while len(view) >= FRAME_BYTES:
                self._put_frame(view[:FRAME_BYTES])
                view = view[FRAME_BYTES:]
            self._rest += view

    def _require_open(self) -> None:
        """Create the file at the first use; refuse once the writing is over."""
        if self._is_over:
            raise InterruptedError("the writing of a blob was given up")
        if self._fd < 0:
            self.open()

    def _put_frame(self, frame: bytes | bytearray | memoryview) -> None:
        """Write a whole frame, or the last one, and note its check."""
        write_all(self._fd, memoryview(frame), self.size)
        self._note_frame(crc32c(cast("bytes", frame)), len(frame))

    def _note_frame(self, check: int, length: int) -> None:
        """Note a frame that lies in the file."""
        self._checks.append(check ^ _mask(self._ref, len(self._checks)))
        self.size += length
        if self.size - self._synced >= SYNC_EVERY_BYTES:
            os.fdatasync(self._fd)
            self._synced = self.size

    def copy(self, reader: Reader) -> None:
        """Add the body of another blob; whole frames at a frame's place go inside the kernel."""
        with self._lock:
            self._require_open()
            whole = 0 if self._rest else reader.size // FRAME_BYTES
            for index in range(whole):
                if not self._copy_frame(reader, index):
                    whole = index
                    break
        for index in range(whole, frames_of(reader.size)):
            self.feed(reader.frame(index))

    def _copy_frame(self, reader: Reader, index: int) -> bool:
        """Copy one whole frame without looking at it; return whether the file system can."""
        source, target, left = index * FRAME_BYTES, self.size, FRAME_BYTES
        while left:
            try:
                count = os.copy_file_range(reader.fd, self._fd, left, source, target)
            except OSError as error:
                if error.errno in _CANNOT_COPY:
                    return False
                raise
            if count == 0:
                raise Corrupt(f"{reader.path} ends inside its body")
            source, target, left = source + count, target + count, left - count
        # The check goes with the bytes: what was damaged before the copy is found after it.
        self._note_frame(reader.check(index), FRAME_BYTES)
        return True

    def finish(self) -> int:
        """Write what is left, the table and the footer, and sync the file; return the size."""
        with self._lock:
            self._require_open()
            if self._rest:
                self._put_frame(self._rest)
            self._checks.byteswap()
            table = self._checks.tobytes()
            write_all(self._fd, table + _footer(self._ref, self.size), self.size)
            os.fsync(self._fd)
            self._is_over = True
            os.close(self._fd)
            return self.size

    def abort(self) -> None:
        """Remove the file, unless it was finished."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._fd >= 0:
                os.close(self._fd)
                self.path.unlink()


class Reader:
    """Reads the frames of one blob; none leaves that is not what was written."""

    def __init__(self, root: Path, ref: BlobRef) -> None:
        self.path = path_of(root, ref)
        self._ref = ref
        try:
            self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Corrupt(f"the blob {ref.incarnation}-{ref.number} is missing") from None
        try:
            self.size = self._checked_size()
        except BaseException:
            os.close(self.fd)
            raise
        # Closing waits for a frame that is being read ahead.
        self._lock = threading.Lock()

    def _checked_size(self) -> int:
        """Return the size that the footer says, if it belongs to this name and this file."""
        length = os.fstat(self.fd).st_size
        size = size_of_file(length)
        if length != size + _ENTRY_BYTES * frames_of(size) + FOOTER_BYTES or os.pread(
            self.fd, FOOTER_BYTES, length - FOOTER_BYTES
        ) != _footer(self._ref, size):
            raise Corrupt(f"{self.path} has not the end that was written")
        return size

    def check(self, index: int) -> int:
        """Return the CRC-32C that the bytes of a frame had when they were written."""
        raw = os.pread(self.fd, _ENTRY_BYTES, self.size + _ENTRY_BYTES * index)
        return int.from_bytes(raw) ^ _mask(self._ref, index)

    def frame(self, index: int) -> bytes:
        """Return a frame.

        Raises:
            Corrupt: It is not what was written.
        """
        with self._lock:
            offset = index * FRAME_BYTES
            length = min(FRAME_BYTES, self.size - offset)
            data = read_all(self.fd, length, offset)
            if len(data) != length or crc32c(data) != self.check(index):
                raise Corrupt(f"frame {index} of {self.path} is not what was written")
            return data

    def verify(self) -> int:
        """Read every frame and return the size.

        Raises:
            Corrupt: One of them is not what was written.
        """
        for index in range(frames_of(self.size)):
            self.frame(index)
        return self.size

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_no_space(error: OSError) -> bool:
    """Return whether a write failed for want of room."""
    return error.errno in NO_SPACE
