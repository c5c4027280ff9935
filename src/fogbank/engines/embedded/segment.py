"""The format of redo log segments, and how they are read.

A segment is a file of fixed size: one page of header, a table with the CRC-32C of every page as it
was when the segment was made ready, then *groups*. A group is what one sync made durable: a header
(mark, length, check, first version, number of transactions) and a MessagePack list of the writes of
each transaction, by key, None for a removal. Versions are dense, so a group follows its
predecessor exactly if its first version is one above the predecessor's last: that floor rejects the
stale groups of a recycled segment.

A *sealed* group has another mark, and instead of the list the id of a data key, the salt of a
series of ``platform/crypto/keys.py``, and the list encrypted, with the header's numbers as
additional data. Each life of the log has one series; the place of a group is its first version,
which grows within a life. The check covers the encrypted bytes, so that a torn group is told from a
damaged one without a key.

Theory: why the table. A segment is recycled with the old groups still in it, so bytes behind the
last group are neither zeros nor groups. With the checks of the pages as they were, ``check`` knows
every byte of the file, and can tell a torn group (some page of it is still the old one) from a
damaged one (all pages are new, and yet it does not pass). Groups are padded with zeros to the end
of their last page, so that each page behind is an old one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec
from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import fill_zeros, read_all, sync_folder, write_all
from fogbank.platform.crypto.keys import LOG, SALT_BYTES, TAG_BYTES, DataKeys, Series, unsealed

PAGE_BYTES: Final = 4_096
SEGMENT_BYTES: Final = 16 << 20
_PIECE_BYTES: Final = 1 << 20
"""As much of a segment is read at once: what a thread frees stays with its process."""
GROUP_BYTES_MAX: Final = 1 << 20
"""A group holds at most so many bytes of records, or one transaction."""

_MAGIC: Final = b"fogbank log 1\n\0\0"
_HEADER: Final = struct.Struct(">16sQII")  # magic, bytes, check of the table, check of this
_MARK: Final = b"FbGr"
_SEALED_MARK: Final = b"FbGS"
_MARKS: Final = (_MARK, _SEALED_MARK)
_MARK_START: Final = b"FbG"
_GROUP: Final = struct.Struct(">4sIIQI")  # mark, payload length, check, first version, count
_GROUP_TAIL: Final = struct.Struct(">IQI")
_LIST_MARK: Final = 0xDD
_LIST: Final = struct.Struct(">BI")  # a MessagePack list with a 32-bit length
GROUP_HEADER_BYTES: Final = _GROUP.size + _LIST.size
_SEALED: Final = struct.Struct(f">I{SALT_BYTES}s")  # data key, salt
GROUP_SEAL_BYTES: Final = _SEALED.size + TAG_BYTES
"""What sealing adds to a group."""
_ALIGN: Final = 8

Writes = dict[bytes, bytes | None]
_encoder = msgspec.msgpack.Encoder()
encode_writes = _encoder.encode
_decode_payload = msgspec.msgpack.Decoder(list[Writes]).decode

SPARE: Final = "spare.log"
RESERVE: Final = "reserve.log"
"""Lets deletions through when the disk is full."""
_READYING: Final = "readying"


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a numbered segment."""
    return folder / f"{number:012d}.log"


def numbered(folder: Path) -> list[int]:
    """Return the numbers of the segments that hold the log, in order."""
    names = (path.name for path in folder.iterdir())
    return sorted(int(name[:12]) for name in names if name[:12].isdigit() and name[12:] == ".log")


def _table_bytes(size: int) -> int:
    """Return the room of the table, in whole pages."""
    raw = size // PAGE_BYTES * 4
    return -(-raw // PAGE_BYTES) * PAGE_BYTES


def first_offset(size: int) -> int:
    """Return where the first group of a segment of this size begins."""
    return PAGE_BYTES + _table_bytes(size)


def capacity(size: int) -> int:
    """Return how many bytes of groups fit into a segment of this size."""
    return size - first_offset(size)


def group_bytes(payload: int, *, sealed: bool) -> int:
    """Return the room that a group of so many bytes of records takes."""
    seal = GROUP_SEAL_BYTES if sealed else 0
    return -(-(GROUP_HEADER_BYTES + seal + payload) // _ALIGN) * _ALIGN


def pack_group(
    first: int, records: list[bytes], offset: int, series: Series | None = None
) -> bytes:
    """Return the bytes of a group at an offset, with zeros to the end of its last page.

    Args:
        first: The version of its first transaction.
        records: The encoded writes of each transaction.
        offset: Where in the segment it will lie.
        series: What to seal it with; None: it stays plain.
    """
    payload = b"".join((_LIST.pack(_LIST_MARK, len(records)), *records))
    mark, length = _MARK, len(payload)
    if series is not None:
        mark, length = _SEALED_MARK, length + GROUP_SEAL_BYTES
    tail = _GROUP_TAIL.pack(length, first, len(records))
    if series is not None:
        head = _SEALED.pack(series.key_id, series.salt)
        payload = head + series.seal(first, payload, mark + tail)
    check = crc32c(payload, crc32c(tail))
    head = _GROUP.pack(mark, length, check, first, len(records))
    end = offset + len(head) + len(payload)
    return b"".join((head, payload, bytes(-end % PAGE_BYTES)))


class Group(NamedTuple):
    """A group as it was found."""

    offset: int
    end: int
    first: int
    transactions: int
    payload: bytes
    is_sealed: bool

    @property
    def last(self) -> int:
        """Return the version of the last transaction."""
        return self.first + self.transactions - 1

    def raw(self) -> bytes:
        """Return the group as it lay in its segment, up to where the next one may begin."""
        mark = _SEALED_MARK if self.is_sealed else _MARK
        tail = _GROUP_TAIL.pack(len(self.payload), self.first, self.transactions)
        check = crc32c(self.payload, crc32c(tail))
        head = _GROUP.pack(mark, len(self.payload), check, self.first, self.transactions)
        return (head + self.payload).ljust(self.end - self.offset, b"\0")

    def _opened(self, keys: DataKeys) -> bytes:
        """Return the list of writes, encoded."""
        if not self.is_sealed:
            return self.payload
        key_id, salt = cast("tuple[int, bytes]", _SEALED.unpack_from(self.payload))
        about = _SEALED_MARK + _GROUP_TAIL.pack(len(self.payload), self.first, self.transactions)
        cipher = keys.cipher(key_id, LOG, salt)
        return unsealed(cipher, self.first, memoryview(self.payload)[_SEALED.size :], about)

    def writes(self, keys: DataKeys) -> list[Writes]:
        """Return the writes of each transaction.

        Raises:
            Corrupt: They are not what was written.
        """
        try:
            writes = _decode_payload(self._opened(keys))
        except msgspec.DecodeError as error:
            raise Corrupt(f"a group of the log with a valid check is none: {error}") from error
        if len(writes) != self.transactions:
            raise Corrupt("a group of the log does not hold as many transactions as it says")
        return writes


def find_group(data: bytes, offset: int) -> Group | None:
    """Return the group that begins at the offset, or None if none does."""
    if offset + _GROUP.size > len(data):
        return None
    mark, length, check, first, count = cast(
        "tuple[bytes, int, int, int, int]", _GROUP.unpack_from(data, offset)
    )
    begin = offset + _GROUP.size
    if mark not in _MARKS or begin + length > len(data):
        return None
    payload = data[begin : begin + length]
    if crc32c(payload, crc32c(_GROUP_TAIL.pack(length, first, count))) != check:
        return None
    end = begin + length
    return Group(offset, end + -end % _ALIGN, first, count, payload, mark == _SEALED_MARK)


def keys_of_groups(path: Path) -> set[int]:
    """Return the data keys that sealed the groups of a file of groups, going by their heads.

    A file is of the archived log or its spool: groups one behind the other, and nothing else.
    """
    found: set[int] = set()
    at = 0
    with path.open("rb") as file:
        while head := file.read(_GROUP.size + 4):
            mark, length = cast("tuple[bytes, int, int, int, int]", _GROUP.unpack_from(head))[:2]
            if mark not in _MARKS:
                raise Corrupt(f"{path} holds more than groups")
            if mark == _SEALED_MARK:
                found.add(int.from_bytes(head[_GROUP.size :]))
            at += _GROUP.size + length
            at += -at % _ALIGN
            file.seek(at)
    return found


def group_span(data: bytes, offset: int) -> int | None:
    """Return where the group that begins at the offset would end, going by its head alone."""
    if offset + _GROUP.size > len(data):
        return None
    mark, length = cast("tuple[bytes, int, int, int, int]", _GROUP.unpack_from(data, offset))[:2]
    end = offset + _GROUP.size + length
    return end if mark in _MARKS and end <= len(data) else None


class Reading(NamedTuple):
    """The content of a segment: its groups and where they end."""

    groups: list[Group]
    end: int


def read_groups(data: bytes, floor: int) -> Reading:
    """Return the groups of a segment that follow the version ``floor``.

    Args:
        data: The whole file.
        floor: The version before the first group.

    Raises:
        Corrupt: A valid group that follows lies behind one that is not valid.
    """
    offset = first_offset(len(data))
    groups: list[Group] = []
    known = floor
    while (group := find_group(data, offset)) is not None:
        if group.first != known + 1:
            break
        groups.append(group)
        known = group.last
        offset = group.end
    if (lost := _later_group(data, offset, known)) is not None:
        raise Corrupt(
            f"the log is damaged between version {known} and version {lost.first}: "
            f"offset {offset} holds no group, and offset {lost.offset} does"
        )
    return Reading(groups, offset)


def read_log_of(path: Path, floor: int) -> tuple[bytes, Reading]:
    """Return the bytes of a segment and its groups that follow the version ``floor``.

    Raises:
        Corrupt: The segment is damaged; the message names the file and the place.
    """
    data = read_segment(path)
    try:
        return data, read_groups(data, floor)
    except Corrupt as error:
        raise Corrupt(f"{path}: {error}") from error


def _later_group(data: bytes, offset: int, known: int) -> Group | None:
    """Return a valid group behind the offset that is newer than the known version."""
    while (offset := data.find(_MARK_START, offset)) >= 0:
        group = find_group(data, offset)
        if group is not None and group.first > known:
            return group
        offset += 1
    return None


def read_segment(path: Path) -> bytes:
    """Return the bytes of a segment whose header is in order.

    Raises:
        Corrupt: The header or the table is not what was written.
    """
    data = path.read_bytes()
    if len(data) < _HEADER.size:
        raise Corrupt(f"{path} is shorter than its header")
    magic, size, table_check, check = cast("tuple[bytes, int, int, int]", _HEADER.unpack_from(data))
    if crc32c(data[: _HEADER.size - 4]) != check or magic != _MAGIC:
        raise Corrupt(f"the header of {path} is not what was written")
    if size != len(data) or any(data[_HEADER.size : PAGE_BYTES]):
        raise Corrupt(f"{path} has not the size that its header says")
    if crc32c(data[PAGE_BYTES : first_offset(size)]) != table_check:
        raise Corrupt(f"the table of {path} is not what was written")
    return data


def page_checks(fd: int, begin: int, end: int) -> list[int]:
    """Return the CRC-32C of each page of a segment from begin to end, reading a piece at a time."""
    checks: list[int] = []
    for offset in range(begin, end, _PIECE_BYTES):
        size = min(_PIECE_BYTES, end - offset)
        piece = memoryview(read_all(fd, size, offset))
        assert len(piece) == size, "the file has the segment's size"
        checks += [crc32c(piece[at : at + PAGE_BYTES]) for at in range(0, size, PAGE_BYTES)]  # type: ignore[arg-type]
    return checks


def table_of(data: bytes) -> list[int]:
    """Return the checks of the pages as they were when the segment was made ready."""
    count = len(data) // PAGE_BYTES
    return list(struct.unpack_from(f">{count}I", data, PAGE_BYTES))


def make_ready(folder: Path, name: str, size: int, old: Path | None = None) -> None:
    """Make a segment under a name: out of an old one that is no longer needed, or of zeros.

    Raises:
        OSError: There is no space, or worse; nothing remains.
    """
    working = folder / f"{_READYING}-{name}"
    if old is not None:
        old.replace(working)
    fd = os.open(working, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        have = os.fstat(fd).st_size
        if have != size:
            os.ftruncate(fd, 0)
            fill_zeros(fd, 0, size)
        begin = first_offset(size)
        checks = [0] * (begin // PAGE_BYTES) + page_checks(fd, begin, size)
        table = struct.pack(f">{len(checks)}I", *checks).ljust(_table_bytes(size), b"\0")
        head = _HEADER.pack(_MAGIC, size, crc32c(table), 0)[:-4]
        head += crc32c(head).to_bytes(4)
        write_all(fd, head.ljust(PAGE_BYTES, b"\0") + table, 0)
        os.fsync(fd)
        working.replace(folder / name)
        sync_folder(folder)
    except BaseException:
        working.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def lay_groups(path: Path, raw: bytes) -> None:
    """Write groups, as ``Group.raw`` gives them one behind the other, into an empty segment."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        write_all(fd, raw, first_offset(os.fstat(fd).st_size))
        os.fsync(fd)
    finally:
        os.close(fd)


def drop_leftovers(folder: Path) -> None:
    """Remove what a crash left of segments that were being made ready."""
    for path in folder.glob(f"{_READYING}-*"):
        path.unlink()


def is_readying(path: Path) -> bool:
    """Return whether a crash left this file of a segment that was being made ready."""
    return path.name.startswith(_READYING)


def stray_pages(data: bytes, end: int) -> Iterator[int]:
    """Yield the pages behind the last group that are not as they were before: damage or a tear."""
    table = table_of(data)
    for page in range(-(-end // PAGE_BYTES), len(table)):
        if crc32c(data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]) != table[page]:
            yield page


class Behind(NamedTuple):
    """What lies behind the last group of a segment; nothing of note if both are empty."""

    damage: str = ""
    torn: str = ""
    """What may be a group that was written in part, and cannot be told from damage."""


def behind(path: Path, data: bytes, end: int, *, is_last: bool) -> Behind:
    """Return what lies behind the last group of a segment.

    In the last segment a group may have been torn by a crash: it has a head, changed only pages of
    its own, and not all of them. If all of them are new, and yet its check does not pass, it was
    damaged after it was written, or the disk tears inside a page of 4 KiB.
    """
    page_end = -(-end // PAGE_BYTES) * PAGE_BYTES
    stray = list(stray_pages(data, end))
    rest_is_clean = end == page_end or not any(data[end:page_end])
    if (not stray and rest_is_clean) or (is_last and _is_torn(data, end, stray)):
        return Behind()
    if is_last and rest_is_clean and end != page_end:
        # A group that would have begun in the page before may be there but for that page.
        return Behind(torn=f"pages {stray[:10]} of {path}, behind its last group, were changed")
    return Behind(damage=f"{path} is damaged behind offset {end}, pages {stray[:10]}")


def _is_torn(data: bytes, end: int, stray: list[int]) -> bool:
    """Return whether what is behind the last group is one that was written in part."""
    span = group_span(data, end)
    if span is None:
        return False
    pages = range(end // PAGE_BYTES, -(-span // PAGE_BYTES))
    whole = [page for page in pages if page * PAGE_BYTES >= end]
    return set(stray) < set(whole)
