"""The dump of a cut's rows, and how a store is made of it.

The file: a magic line, then each stored row as lengths, key and sealed value in order of key, the
engine's own rows included, then an end mark with their number. Values lie in it as they lie in the
store, so an encrypted store's dump is encrypted, and neither dump nor restore needs a key.

Theory: rows and not a copy of the LMDB file, because rows have one form: the same content has the
same hash, whatever pages it lies in, and it can be compared after the restore.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.rows import is_own

MAGIC: Final = b"fogbank rows 1\n"
_ROW: Final = struct.Struct(">HI")
_END: Final = 0xFFFF
"""No key is that long: here the file ends, and the other number counts the rows."""
_LOAD_ROWS: Final = 2_000
_BUFFER_BYTES: Final = 1 << 20


class Dumped(NamedTuple):
    """What a dump holds."""

    rows: int
    content: str
    """SHA-256 over the rows that are not the engine's own."""


class _Content:
    """The hash over rows as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()

    def add(self, key: bytes, raw: bytes) -> None:
        """Count a row in."""
        self.rows += 1
        if not is_own(key):
            self._digest.update(_ROW.pack(len(key), len(raw)) + key + raw)

    def dumped(self) -> Dumped:
        """Return what passed."""
        return Dumped(self.rows, self._digest.hexdigest())


def content_of(found: Iterable[tuple[bytes, bytes]]) -> Dumped:
    """Return number and hash of stored rows in order."""
    content = _Content()
    for key, raw in found:
        content.add(key, raw)
    return content.dumped()


class DumpWriter:
    """Writes a dump into a new file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=_BUFFER_BYTES)
        self._file.write(MAGIC)
        self._content = _Content()

    def add(self, key: bytes, raw: bytes) -> None:
        """Write a row; they come in order."""
        self._file.write(_ROW.pack(len(key), len(raw)) + key + raw)
        self._content.add(key, raw)

    def finish(self) -> Dumped:
        """Write the end and make the file durable; return what it holds."""
        dumped = self._content.dumped()
        self._file.write(_ROW.pack(_END, dumped.rows))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return dumped


def read_dump(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows of a dump.

    Raises:
        Corrupt: The file is not what was written.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Corrupt(f"{path} is no dump of rows")
        count = 0
        while True:
            key_bytes, size = _lengths(path, file)
            if key_bytes == _END:
                break
            body = file.read(key_bytes + size)
            if len(body) != key_bytes + size:
                raise Corrupt(f"{path} ends inside a row")
            count += 1
            yield body[:key_bytes], body[key_bytes:]
        if size != count or file.read(1):
            raise Corrupt(f"{path} does not hold as many rows as it says")


def _lengths(path: Path, file: IO[bytes]) -> tuple[int, int]:
    """Read the lengths of the next row."""
    head = file.read(_ROW.size)
    if len(head) != _ROW.size:
        raise Corrupt(f"{path} ends without its end mark")
    return cast("tuple[int, int]", _ROW.unpack(head))


def load_rows(folder: Path, found: Iterable[tuple[bytes, bytes]]) -> Dumped:
    """Make a store's rows of those of a dump and read them back; return what they are now."""
    env = rows.open_rows(folder)
    source = iter(found)
    with env:
        while chunk := list(islice(source, _LOAD_ROWS)):
            with env.begin(write=True) as txn:
                consumed, _added = txn.cursor().putmulti(chunk, append=True)
                if consumed != len(chunk):
                    raise Corrupt("a dump holds a row twice")
        with env.begin() as txn:
            return content_of(rows.walk_rows(txn))
