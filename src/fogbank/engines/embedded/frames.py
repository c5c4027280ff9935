"""The format of blob files: a body, an entry for each of its frames, a footer.

The body lies whole at the start of the file, so that frames are aligned and a kernel can copy them.
Behind it lies a table with an entry for each frame of 1 MiB, then the footer with size and name.
An entry begins with the CRC-32C of the frame's bytes, mixed with a mask made of the blob's name and
the frame's place: a frame of another blob, or at another place, is damage. Because the mask can be
taken off again, a frame can be copied to another blob without reading it, and what was damaged
before the copy is found after it. A plain file (format 1) has only that; ``sealing.py`` has what an
encrypted one (format 2) has besides.

Everything here blocks and runs in threads. A writer removes its file unless it was finished.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from pathlib import Path
from typing import Final, NamedTuple, Self, cast

from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import sealing
from fogbank.engines.embedded.files import NO_SPACE, read_all, read_at_hand, read_into, write_all
from fogbank.engines.embedded.sealing import Entry, FileOpener, FileSealer, mask_of
from fogbank.engines.embedded.writeback import WRITE_BACK_BYTES, begin_write_back
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.crypto.keys import TAG_BYTES, DataKeys, Lock, Opens, Series
from fogbank.platform.crypto.secret import KeyRefused

SYNC_EVERY_BYTES: Final = 64 << 20
"""A writer waits for the disk after so many bytes: unwritten pages are bounded, and so is the
wait at the end."""
_PLAIN: Final = b"fogblob1"
_SEALED: Final = b"fogblob2"
_FOOTER: Final = struct.Struct(">8sQHQ2x")
FOOTER_BYTES: Final = _FOOTER.size + 4
_ENTRY_BYTES: Final = {_PLAIN: 4, _SEALED: sealing.ENTRY_BYTES}
_BLOCK_BYTES: Final = {_PLAIN: 0, _SEALED: sealing.BLOCK_BYTES}
_CANNOT_COPY: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_SUFFIX: Final = ".blob"
BESIDE: Final = ".anew"
"""What a blob's file is called that is to take the place of the one that is there."""
_FOLDER_BITS: Final = 12
_LOW_DIGITS: Final = 3
_DIGITS: Final = frozenset("0123456789abcdef")
_TOP_BITS: Final = 24
_rooms: Final = threading.local()


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


def folder_of(ref: BlobRef) -> tuple[int, int]:
    """Return what names the folder of a blob, in the order of folders."""
    return ref.incarnation, ref.number >> _FOLDER_BITS


def first_in(root: Path, folder: Path) -> BlobRef | None:
    """Return the lowest name whose blob can lie in a folder, or None if it is no such folder."""
    return ref_of(root, folder / f"000{_SUFFIX}")


def place_of(name: str) -> int:
    """Return which of its folder's names a file has; -1 if it is no blob's."""
    stem = name.removesuffix(_SUFFIX)
    is_blob = len(stem) == _LOW_DIGITS and stem != name and _DIGITS.issuperset(stem)
    return int(stem, 16) if is_blob else -1


def frames_of(size: int) -> int:
    """Return how many frames a body of this size has."""
    return -(-size // FRAME_BYTES)


class Shape(NamedTuple):
    """How a file of a blob is laid out."""

    magic: bytes
    size: int
    """Of the body."""

    @property
    def entry_bytes(self) -> int:
        """Return the length of an entry of the table."""
        return _ENTRY_BYTES[self.magic]

    @property
    def block_begin(self) -> int:
        """Return where the table ends."""
        return self.size + self.entry_bytes * frames_of(self.size)

    @property
    def length(self) -> int:
        """Return the length of the file."""
        return self.block_begin + _BLOCK_BYTES[self.magic] + FOOTER_BYTES


def find_shape(fd: int) -> Shape | None:
    """Return the shape of a file, going by its end; None if it has no such end."""
    length = os.fstat(fd).st_size
    raw = read_all(fd, FOOTER_BYTES, max(length - FOOTER_BYTES, 0))
    if len(raw) != FOOTER_BYTES or crc32c(raw[:-4]) != int.from_bytes(raw[-4:]):
        return None
    magic, size, _incarnation, _number = cast(
        "tuple[bytes, int, int, int]", _FOOTER.unpack_from(raw)
    )
    if magic not in _ENTRY_BYTES:
        return None
    shape = Shape(magic, size)
    return shape if shape.length == length else None


def size_of_file(path: Path) -> int:
    """Return the size of the body in a file; of an unfinished one, the bytes that it has."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        shape = find_shape(fd)
        return os.fstat(fd).st_size if shape is None else shape.size
    finally:
        os.close(fd)


def _footer(magic: bytes, ref: BlobRef, size: int) -> bytes:
    """Return the end of a file."""
    raw = _FOOTER.pack(magic, size, ref.incarnation, ref.number)
    return raw + crc32c(raw).to_bytes(4)


class Writer:
    """Writes one blob: frames in order, then ``finish``; ``abort`` leaves nothing.

    Args:
        root: Where the blobs lie.
        ref: The name of the blob.
        series: What it is sealed with; None: it stays plain.
        beside: Write there instead, for a blob that has a file already.
    """

    def __init__(
        self, root: Path, ref: BlobRef, series: Series | None, beside: Path | None = None
    ) -> None:
        self.path = beside or path_of(root, ref)
        self.size = 0
        self.file_bytes = 0
        """What a finished file takes."""
        self._ref = ref
        self._sealer = None if series is None else FileSealer(series, ref)
        self._table = bytearray()
        self._frames = 0
        self._rest = bytearray()
        self._begun = self._synced = 0
        self._fd = -1
        self._is_over = False
        # A cancelled caller aborts from another thread while a frame may still be written.
        self._lock = threading.Lock()

    def open(self) -> None:
        """Create the file, which must not be there; its folders last once they are synced."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            for folder in reversed(self.path.parents[:3]):
                folder.mkdir(mode=0o700, exist_ok=True)
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
        """Write a whole frame, or the last one, and note its entry."""
        view, index = memoryview(frame), self._frames
        if self._sealer is None:
            write_all(self._fd, view, self.size)
            check = crc32c(cast("bytes", frame)) ^ mask_of(self._ref, index)
            self._note_frame(check.to_bytes(4), len(view))
            return
        body, entry = self._sealer.seal(index, view)
        write_all(self._fd, body, self.size)
        self._note_frame(self._sealer.entry(index, entry), len(view))

    def _note_frame(self, entry: bytes, length: int) -> None:
        """Note a frame that lies in the file."""
        self._table += entry
        self._frames += 1
        self.size += length
        if self.size - self._begun >= WRITE_BACK_BYTES:
            begin_write_back(self._fd, self._begun, self.size)
            self._begun = self.size
        if self.size - self._synced >= SYNC_EVERY_BYTES:
            os.fdatasync(self._fd)
            self._synced = self.size

    def copy(self, reader: Reader) -> None:
        """Add the body of another blob; whole frames at a frame's place go inside the kernel."""
        with self._lock:
            self._require_open()
            alike = reader.is_sealed == (self._sealer is not None)
            whole = reader.size // FRAME_BYTES if alike and not self._rest else 0
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
        check = reader.check(index) ^ mask_of(self._ref, self._frames)
        raw = check.to_bytes(4)
        if self._sealer is not None:
            raw = self._sealer.entry(self._frames, reader.entry(index).moved(check))
        self._note_frame(raw, FRAME_BYTES)
        return True

    def finish(self) -> int:
        """Write what is left, the table and the footer, and sync the file; return the size."""
        with self._lock:
            self._require_open()
            if self._rest:
                self._put_frame(self._rest)
            magic = _PLAIN if self._sealer is None else _SEALED
            end = _footer(magic, self._ref, self.size)
            if self._sealer is not None:
                end = self._sealer.block(end) + end
            write_all(self._fd, memoryview(self._table + end), self.size)
            self.file_bytes = self.size + len(self._table) + len(end)
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
                # Whoever gave the name may have given it up already.
                self.path.unlink(missing_ok=True)


def _room_of_thread() -> bytearray:
    """Return where this thread reads frames to, with room for a tag behind the longest.

    One for all readers stays near the processor, which a megabyte for each would not.
    """
    try:
        return _rooms.room
    except AttributeError:
        _rooms.room = bytearray(FRAME_BYTES + TAG_BYTES)
        return _rooms.room


class Reader:
    """Reads the frames of one blob; none leaves that is not what was written.

    Args:
        root: Where the blobs lie.
        ref: The name of the blob.
        keys: What opens it; None, or the data keys where the file is locked: only its checks are
            looked at, and no frame can be had.

    Raises:
        Corrupt: It is missing, or damaged.
    """

    def __init__(self, root: Path, ref: BlobRef, keys: Opens | None) -> None:
        self.path = path_of(root, ref)
        self._ref = ref
        self._opener: FileOpener | None = None
        self.is_locked = False
        """It was sealed with a key that its reader brings."""
        try:
            self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Corrupt(f"the blob {ref.incarnation}-{ref.number} is missing") from None
        try:
            self._shape = self._checked_shape(keys)
        except BaseException:
            os.close(self.fd)
            raise
        self.size = self._shape.size
        # Closing waits for a frame that is being read ahead.
        self._lock = threading.Lock()

    @property
    def is_sealed(self) -> bool:
        """Return whether the file is encrypted."""
        return self._shape.magic == _SEALED

    def series(self, begin: int, end: int | None) -> list[tuple[int, bytes]]:
        """Return data key ids and salts of whatever opens a range of the file; none: it is plain.

        Frames that were copied from other blobs keep the series that sealed them.
        """
        if self._opener is None:
            return []
        first = begin // FRAME_BYTES
        count = max(frames_of(self.size if end is None else min(end, self.size)) - first, 0)
        length = self._shape.entry_bytes
        raw = os.pread(self.fd, length * count, self.size + length * first)
        found = sealing.series_in(raw, len(raw) // length)
        return sorted(found | {self._opener.series})

    def _checked_shape(self, keys: Opens | None) -> Shape:
        """Return the shape of the file, if its end belongs to this name and this file."""
        shape = find_shape(self.fd)
        if shape is None:
            raise self._damage("has not the end that was written")
        block_bytes = _BLOCK_BYTES[shape.magic]
        end = os.pread(self.fd, block_bytes + FOOTER_BYTES, shape.block_begin)
        block, footer = end[:block_bytes], end[block_bytes:]
        if footer != _footer(shape.magic, self._ref, shape.size):
            raise self._damage("has not the end that was written")
        self.is_locked = bool(block) and sealing.is_locked(block)
        if isinstance(keys, Lock) and not self.is_locked:
            raise self._damage("was written without a key of its own")
        if block and keys is not None and not (self.is_locked and isinstance(keys, DataKeys)):
            try:
                self._opener = FileOpener(keys, self._ref, block, footer)
            except Corrupt as error:
                raise self._damage(f"has not the end that was written: {error}") from error
        return shape

    def _damage(self, what: str) -> Corrupt:
        """Return what is wrong with the file."""
        return Corrupt(f"{self.path} {what}")

    def _raw_entry(self, index: int) -> bytes:
        """Return the bytes of the entry of a frame."""
        length = self._shape.entry_bytes
        return os.pread(self.fd, length, self.size + length * index)

    def check(self, index: int) -> int:
        """Return the CRC-32C that the bytes of a frame had when they were written."""
        return sealing.check_in(self._raw_entry(index)) ^ mask_of(self._ref, index)

    def entry(self, index: int) -> Entry:
        """Return the entry of a frame of an encrypted file."""
        assert self._opener is not None, "only an encrypted file has such entries"
        return self._opener.entry(index, self._raw_entry(index))

    def key_ids(self) -> set[int | None]:
        """Return the data keys that opening the file takes; None among them if it lies open.

        Raises:
            Corrupt: An entry is not what was written.
        """
        if self._opener is None:
            return {None}
        entries = {self.entry(index).key_id for index in range(frames_of(self.size))}
        return {self._opener.key_id, *entries}

    def named_keys(self) -> set[int]:
        """Return the data keys that an encrypted file names, without opening anything."""
        if not self.is_sealed or self.is_locked:
            return set()
        block = os.pread(self.fd, 4, self._shape.block_begin)
        entries = [self._raw_entry(index) for index in range(frames_of(self.size))]
        return {int.from_bytes(block), *(sealing.key_in(raw) for raw in entries)}

    def frame(self, index: int) -> bytes:
        """Return a frame.

        Raises:
            Corrupt: It is not what was written.
            KeyRefused: It is encrypted, and there is no key.
        """
        with self._lock:
            if not self.is_sealed:
                return self._plain_frame(index)
            body, _ = self._room(index)
            if read_into(self.fd, body, index * FRAME_BYTES) != len(body):
                raise self._damage("ends inside its body")
            return self._opened(index, self._raw_entry(index), len(body))

    def frame_at_hand(self, index: int) -> bytes | None:
        """Return a frame if the kernel has its bytes in memory, or None: ``frame`` may wait.

        Raises:
            Corrupt: It is not what was written.
            KeyRefused: It is encrypted, and there is no key.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            body, entry = self._room(index)
            at = self.size + len(entry) * index
            if not (
                read_at_hand(self.fd, body, index * FRAME_BYTES)
                and read_at_hand(self.fd, memoryview(entry), at)
            ):
                return None
            if self.is_sealed:
                return self._opened(index, bytes(entry), len(body))
            return self._checked(index, bytes(body), sealing.check_in(bytes(entry)))
        finally:
            self._lock.release()

    def _room(self, index: int) -> tuple[memoryview, bytearray]:
        """Return where the body of a frame is read to in this thread, and its entry."""
        length = min(FRAME_BYTES, self.size - index * FRAME_BYTES)
        return memoryview(_room_of_thread())[:length], bytearray(self._shape.entry_bytes)

    def _opened(self, index: int, entry: bytes, length: int) -> bytes:
        """Return what the sealed frame was whose bytes this thread has read."""
        if self._opener is None:
            raise KeyRefused(f"{self.path} is encrypted, and there is no key")
        try:
            room = memoryview(_room_of_thread())[: length + TAG_BYTES]
            return self._opener.frame(self._opener.entry(index, entry), room)
        except Corrupt as error:
            raise self._frame_damage(index) from error

    def _plain_frame(self, index: int) -> bytes:
        """Return the bytes of a frame as they lie in the file, if they pass their check."""
        offset = index * FRAME_BYTES
        length = min(FRAME_BYTES, self.size - offset)
        data = read_all(self.fd, length, offset)
        if len(data) != length:
            raise self._frame_damage(index)
        return self._checked(index, data, sealing.check_in(self._raw_entry(index)))

    def _checked(self, index: int, data: bytes, check: int) -> bytes:
        """Return the bytes of a frame, if they have the check of its entry."""
        if crc32c(data) != check ^ mask_of(self._ref, index):
            raise self._frame_damage(index)
        return data

    def _frame_damage(self, index: int) -> Corrupt:
        """Return that a frame is damaged."""
        return self._damage(f"is not what was written: frame {index} of the body is damaged")

    def verify(self, first: int = 0, frames: int | None = None) -> int:
        """Read frames and return the size of the blob.

        Args:
            first: The first of them.
            frames: How many; None: all to the end.

        Raises:
            Corrupt: One of them is not what was written.
        """
        end = frames_of(self.size)
        if frames is not None:
            end = min(end, first + frames)
        for index in range(first, end):
            if self.is_sealed and self._opener is None:
                with self._lock:
                    self._plain_frame(index)
            else:
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


def is_beside(path: Path) -> bool:
    """Return whether a file is one that was to take the place of a blob's."""
    return path.name.endswith(_SUFFIX + BESIDE)


def is_no_space(error: OSError) -> bool:
    """Return whether a write failed for want of room."""
    return error.errno in NO_SPACE
