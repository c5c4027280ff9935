"""The manifest of a backup: what belongs to it, and the hashes that prove it whole.

A backup set is a folder with any number of backups and one pool of blobs that they share:

    SET/blobs/0001/.../001.blob     as in the store; immutable, so one file serves every backup
    SET/cloud.note                  whose backups these are (``cloud.py``)
    SET/log/                        the archived log (``archiver.py``), if it is archived here
    SET/NAME/rows.dump              the rows of the cut (``dump.py``)
    SET/NAME/store/ and data/       small files of the store and of the data directory
    SET/NAME/manifest.jsonl         written last: without it there is no backup

The manifest is lines of JSON: a head, a line with length and SHA-256 for each file, a tail with the
SHA-256 of the content, and the SHA-256 of all lines before. Paths are relative to SET.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import sync_folder
from fogbank.engines.embedded.place import digest_of

MANIFEST: Final = "manifest.jsonl"
ROWS_DUMP: Final = "rows.dump"
BLOBS: Final = "blobs"
ARCHIVED_LOG: Final = "log"
LAYOUT: Final = 1
"""The number of this layout; a restore refuses a larger one."""
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
_STORE: Final = re.compile(r"store-[0-9]+")
"""The sets of several stores (``joint.py``)."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is a backup of."""

    layout: int
    name: str
    made_ms: int
    format: int
    """The format of the data directory."""
    incarnation: int
    version: int
    """The last transaction that is in it."""
    segment: int
    """The first segment of the log that holds newer ones."""


class FileLine(msgspec.Struct, frozen=True):
    """A file of a backup."""

    path: str
    size: int
    sha256: str


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines before add up to."""

    files: int
    rows: int
    content: str
    """SHA-256 over the rows that are not the engine's own (``dump.content_of``)."""


class Seal(msgspec.Struct, frozen=True):
    """The last line."""

    sha256: str
    """Of all lines before this one."""


class Manifest(msgspec.Struct, frozen=True):
    """A manifest that was read, whole."""

    head: Head
    files: dict[str, FileLine]
    tail: Tail


_decode_head = msgspec.json.Decoder(Head).decode
_decode_line = msgspec.json.Decoder(FileLine).decode
_decode_tail = msgspec.json.Decoder(Tail).decode
_decode_seal = msgspec.json.Decoder(Seal).decode


def require_name(name: str) -> str:
    """Return a name of a backup; raise ``ValueError`` if it may be none."""
    if not _NAME.fullmatch(name) or name in {BLOBS, ARCHIVED_LOG} or _STORE.fullmatch(name):
        raise ValueError(f"a backup cannot be named {name!r}")
    return name


class Writing:
    """A manifest that is being written: it appears under its name when it is whole."""

    def __init__(self, folder: Path, head: Head) -> None:
        self._path = folder / MANIFEST
        self._file = self._path.with_name(MANIFEST + ".new").open("wb")
        self._digest = hashlib.sha256()
        self._files = 0
        self._line(head)

    def _line(self, value: msgspec.Struct) -> None:
        """Write a line."""
        raw = msgspec.json.encode(value) + b"\n"
        self._digest.update(raw)
        self._file.write(raw)

    def add(self, path: str, size: int, sha256: str) -> None:
        """Note a file that is durable."""
        self._files += 1
        self._line(FileLine(path, size, sha256))

    def finish(self, rows: int, content: str) -> Tail:
        """Write the tail and put the manifest in its place, durably."""
        tail = Tail(files=self._files, rows=rows, content=content)
        self._line(tail)
        self._line(Seal(self._digest.hexdigest()))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.with_name(MANIFEST + ".new").replace(self._path)
        sync_folder(self._path.parent)
        return tail


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest:
    """Return the manifest of the backup in a folder, in its file of this name.

    Raises:
        Corrupt: There is none, it is not what was written, or it is of a newer layout.
    """
    path = folder / name
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except (FileNotFoundError, NotADirectoryError):
        raise Corrupt(f"{folder} is no backup, or one that was cut short: no {MANIFEST}") from None
    try:
        seal, tail = _decode_seal(lines[-1]), _decode_tail(lines[-2])
        head, files = _decode_head(lines[0]), [_decode_line(line) for line in lines[1:-2]]
    except (msgspec.DecodeError, IndexError) as error:
        raise Corrupt(f"{path} is not what was written: {error}") from error
    if lines[-1] != msgspec.json.encode(seal) + b"\n":
        raise Corrupt(f"{path} is not what was written: its last line")
    if hashlib.sha256(b"".join(lines[:-1])).hexdigest() != seal.sha256:
        raise Corrupt(f"{path} is not what was written: its lines have another SHA-256")
    if head.layout > LAYOUT:
        raise Corrupt(f"{path} is of layout {head.layout}; this program knows {LAYOUT}")
    if len(files) != tail.files:
        raise Corrupt(f"{path} is not what was written: {len(files)} files of {tail.files}")
    return Manifest(head, {line.path: line for line in files}, tail)


def damage_of(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with the files of a backup, by size and SHA-256."""
    for line in manifest.files.values():
        path = root / line.path
        try:
            if path.stat().st_size != line.size:
                yield f"{path} has {path.stat().st_size} bytes and not {line.size}"
            elif digest_of(path) != line.sha256:
                yield f"{path} is not what was written: its SHA-256 is another"
        except FileNotFoundError:
            yield f"{path} is missing"


def backups_in(root: Path) -> list[Manifest]:
    """Return the manifests of a backup set in order of making.

    Raises:
        Corrupt: One of them is not what was written.
    """
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = [read_manifest(folder) for folder in folders if (folder / MANIFEST).exists()]
    return sorted(found, key=lambda each: (each.head.made_ms, each.head.version))
