"""The spool: groups of the log that are on their way into the archive.

While the folder ``archive`` is there, whoever applies a part of the log to the rows (checkpointer,
recovery, clean stop) first writes that part here, durably, and only then lets its segment be used
again: so no transaction is applied that the archive will not get. ``archiver.py`` carries the
entries away. An entry is two files: the groups as they lay in the log (sealed ones stay sealed),
and a line of JSON that says what they are, written last.

``moments`` notes about once a second which version was durable when; what falls into an entry's
versions goes into its line, so that the log can be read up to a time. Each mark has a check of its
own: one that is not what was written is left out, which makes a restore to a time coarser there and
never wrong, and ``fogbank check`` names the file. The marks are not synced, so that a power cut may
leave zeros behind them.
"""

from __future__ import annotations

import hashlib
import logging
import struct
from pathlib import Path
from typing import Final

import msgspec
from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import replace_file
from fogbank.engines.embedded.migrate import find_identity
from fogbank.engines.embedded.segment import Group
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.crypto.keys import DataKeys

SPOOL: Final = "archive"
GROUPS: Final = ".groups"
ABOUT: Final = ".json"
TIMES: Final = "moments"
OLD_TIMES: Final = "times"
"""The marks of earlier versions, which had no check."""
_MARK: Final = struct.Struct(">QQ")  # version, milliseconds
_CHECKED: Final = struct.Struct(">QQI")  # and the CRC-32C of both
_SECTOR_BYTES: Final = 512
"""What a disk writes as one: where a power cut may have begun to leave zeros."""
FIRST_MARKS: Final = 64
"""So many are looked at for the first that counts."""

Mark = tuple[int, int]
log = logging.getLogger("fogbank.store")


class ArchiveSettings(msgspec.Struct, frozen=True):
    """Where the log is archived, and how."""

    target: Path
    """The folder of a backup set."""
    backlog_bytes_max: int = 1 << 30
    """How much of the log waits for an archive that fails."""
    interval_ms: int = 60_000
    """A part of the log goes into the archive at least so often, if it holds anything."""
    is_joint: bool = False
    """Several stores archive their logs together: who marks their common moments seals them."""


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry holds."""

    incarnation: int
    first: int
    """The version of its first transaction."""
    last: int
    size: int
    sha256: str
    times: list[tuple[int, int]]
    """Versions, and when they were durable."""
    blobs: list[tuple[int, int]]
    """The blobs that came with these transactions."""
    check: int = -1
    """CRC-32C of the line without this; -1: it has none, as lines of earlier versions."""

    @property
    def name(self) -> str:
        """Return the name of its files: they sort as the log went."""
        return f"{self.incarnation:05d}-{self.first:020d}"


_decode_about = msgspec.json.Decoder(About).decode


def encode_about(about: About) -> bytes:
    """Return the line of an entry, with its check."""
    raw = msgspec.json.encode(msgspec.structs.replace(about, check=-1))
    return msgspec.json.encode(msgspec.structs.replace(about, check=crc32c(raw)))


def read_about(path: Path) -> About:
    """Return the line of an entry.

    Raises:
        Corrupt: It is not what was written.
    """
    raw = path.read_bytes()
    try:
        about = _decode_about(raw)
    except msgspec.DecodeError as error:
        raise Corrupt(f"{path} is not what was written: {error}") from error
    known = encode_about(about) if about.check >= 0 else msgspec.json.encode(about)
    if known != raw:
        raise Corrupt(f"{path} is not what was written")
    if about.name + ABOUT != path.name:
        raise Corrupt(f"{path} is not what was written: it is of {about.name}")
    return about


def spool(root: Path, groups: list[Group], keys: DataKeys) -> None:
    """Write groups into the spool, if there is one; harmless to repeat.

    Raises:
        Corrupt: A group is not what was written.
        OSError: There is no space.
    """
    folder = root / SPOOL
    if not groups or not folder.is_dir():
        return
    known = max((about.last for about in entries(folder)), default=0)
    groups = [group for group in groups if group.first > known]
    if not groups:
        return
    identity = find_identity(root)
    assert identity is not None, "only a store is spooled"
    raw = b"".join(group.raw() for group in groups)
    first, last = groups[0].first, groups[-1].last
    about = About(
        incarnation=identity.incarnation,
        first=first,
        last=last,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        times=[mark for mark in read_times(folder) if first <= mark[0] <= last],
        blobs=_blobs_of(groups, keys),
    )
    replace_file(folder / (about.name + GROUPS), raw)
    replace_file(folder / (about.name + ABOUT), encode_about(about))


def _blobs_of(groups: list[Group], keys: DataKeys) -> list[tuple[int, int]]:
    """Return the blobs whose files these transactions say should be there."""
    found = {
        key
        for group in groups
        for writes in group.writes(keys)
        for key, value in writes.items()
        if value is not None and blob_rows.file_key_is(key)
    }
    refs = sorted(blob_rows.ref_of_file_key(key) for key in found)
    return [(ref.incarnation, ref.number) for ref in refs]


def entries(folder: Path) -> list[About]:
    """Return what lies in a spool or an archive, in the order of the log.

    Raises:
        Corrupt: A line is not what was written.
    """
    found: list[About] = []
    for path in sorted(folder.glob(f"*{ABOUT}")):
        try:
            found.append(read_about(path))
        except FileNotFoundError:
            continue  # carried away since
    return found


def read_groups_of(folder: Path, about: About) -> bytes:
    """Return the groups of an entry.

    Raises:
        Corrupt: They are not what was written.
    """
    path = folder / (about.name + GROUPS)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing") from None
    if len(raw) != about.size or hashlib.sha256(raw).hexdigest() != about.sha256:
        raise Corrupt(f"{path} is not what was written")
    return raw


def _packed(mark: Mark) -> bytes:
    """Return the bytes of a mark, with their check."""
    raw = _MARK.pack(*mark)
    return raw + crc32c(raw).to_bytes(4)


def note_time(folder: Path, version: int, now_ms: int) -> None:
    """Note that a version is durable now."""
    with (folder / TIMES).open("ab") as file:
        # A full disk may have left half of a mark, behind which no other would be read.
        file.truncate(file.tell() // _CHECKED.size * _CHECKED.size)
        file.write(_packed((version, now_ms)))


def read_times(folder: Path) -> list[Mark]:
    """Return versions and when they were durable, without the marks that are damaged."""
    return _old_times(folder) + _read_marks(folder)[0]


def times_damage(folder: Path) -> list[str]:
    """Return what is wrong with the marks of a spool."""
    marks, damaged = _read_marks(folder)
    if not damaged:
        return []
    count = f"{damaged} of {damaged + len(marks)} marks"
    return [f"{folder / TIMES} is not what was written: {count} of the times of the log"]


def _read_marks(folder: Path, limit: int = -1) -> tuple[list[Mark], int]:
    """Return the marks that are whole, and how many are damaged; one cut short is none.

    Args:
        folder: The spool.
        limit: How many are looked at; -1: all.
    """
    try:
        with (folder / TIMES).open("rb") as file:
            raw = file.read(-1 if limit < 0 else limit * _CHECKED.size)
    except FileNotFoundError:
        return [], 0
    marks: list[Mark] = []
    damaged = 0
    for at in range(0, len(raw) - _CHECKED.size + 1, _CHECKED.size):
        version, time_ms, _check = _CHECKED.unpack_from(raw, at)
        if _packed((version, time_ms)) == raw[at : at + _CHECKED.size]:
            marks.append((version, time_ms))
        elif _is_unwritten(raw, at):
            break
        else:
            damaged += 1
    return marks, damaged


def _is_unwritten(raw: bytes, at: int) -> bool:
    """Return whether a power cut left the rest of a file unwritten: zeros from a sector on."""
    rest = raw[-(-at // _SECTOR_BYTES) * _SECTOR_BYTES :]
    return bool(rest) and not rest.strip(b"\0")


def _old_times(folder: Path) -> list[Mark]:
    """Return the marks of an earlier version."""
    try:
        raw = (folder / OLD_TIMES).read_bytes()
    except FileNotFoundError:
        return []
    whole = len(raw) - len(raw) % _MARK.size
    return [(version, time_ms) for version, time_ms in _MARK.iter_unpack(raw[:whole])]


def first_time(folder: Path, upto: int) -> int:
    """Return when the first version that waits to be carried away was durable; 0: none waits.

    At most one mark is of a version up to ``upto``, so the first whole two of them are enough.
    """
    marks, _damaged = _read_marks(folder, FIRST_MARKS)
    return next((time_ms for version, time_ms in marks if version > upto), 0)


def forget_times(folder: Path, upto: int) -> None:
    """Forget the marks up to a version, and what is left of damaged ones."""
    for damage in times_damage(folder):
        log.error("%s; a restore to a time is coarser there", damage)
    left = [mark for mark in read_times(folder) if mark[0] > upto]
    replace_file(folder / TIMES, b"".join(map(_packed, left)))
    (folder / OLD_TIMES).unlink(missing_ok=True)
