"""The spool: groups of the log that are on their way into the archive.

While the folder ``archive`` is there, whoever applies a part of the log to the rows (checkpointer,
recovery, clean stop) first writes that part here, durably, and only then lets its segment be used
again: so no transaction is applied that the archive will not get. ``archiver.py`` carries the
entries away. An entry is two files: the groups as they lay in the log (sealed ones stay sealed),
and a line of JSON that says what they are, written last.

``times`` notes about once a second which version was durable when; what falls into an entry's
versions goes into its line, so that the log can be read up to a time.
"""

from __future__ import annotations

import hashlib
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
TIMES: Final = "times"
_MARK: Final = struct.Struct(">QQ")  # version, milliseconds


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
        times=[mark for mark in read_times(folder / TIMES) if first <= mark[0] <= last],
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


def note_time(path: Path, version: int, now_ms: int) -> None:
    """Note that a version is durable now."""
    with path.open("ab") as file:
        file.write(_MARK.pack(version, now_ms))


def read_times(path: Path) -> list[tuple[int, int]]:
    """Return versions and when they were durable; a mark that was cut short is none."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = len(raw) - len(raw) % _MARK.size
    return [(mark[0], mark[1]) for mark in _MARK.iter_unpack(raw[:whole])]


def first_time(path: Path, upto: int) -> int:
    """Return when the first version that waits to be carried away was durable; 0: none waits.

    At most one mark is of a version up to ``upto``, so two of them are enough.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(2 * _MARK.size)
    except FileNotFoundError:
        return 0
    whole = len(raw) - len(raw) % _MARK.size
    marks = _MARK.iter_unpack(raw[:whole])
    return next((time_ms for version, time_ms in marks if version > upto), 0)


def forget_times(path: Path, upto: int) -> None:
    """Forget the marks up to a version."""
    left = [mark for mark in read_times(path) if mark[0] > upto]
    replace_file(path, b"".join(_MARK.pack(*mark) for mark in left))
