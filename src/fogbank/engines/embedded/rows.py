"""The settled rows: an LMDB file, and the one function that writes it.

``apply_writes`` serves checkpoints, recovery and the last checkpoint of a clean stop. It writes in
chunks, each a synced LMDB transaction; the last one stores up to which version and segment the log
is applied. A crash between chunks is invisible (the log or an overlay still shadows the rows) and
the function can be run again.

Theory: every row is sealed, which finds what was changed, and counted into one of 4,096 digests by
the hash of its key, which finds what is missing. A digest is the sum, modulo 2**64, of
2**32 + check over its rows; it is kept in the same transaction as the rows. *Page sums* are a file
with the CRC-32C of every page of the data file, for the bytes that no row owns (free pages, unused
room). They are removed before the first write and made again after the last, so a file of sums
that is there is true.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, cast

import lmdb
from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import NO_SPACE, replace_file, sync_folder
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.segment import Writes
from fogbank.platform.store.seal import check_of

MAP_BYTES: Final = 1 << 40
CHUNK_KEYS: Final = 2_000
BUCKETS: Final = 4_096
SUMS: Final = "pages.sums"
DATA: Final = "data.mdb"
LOCK: Final = "lock.mdb"

_NO_ROOM: Final = ("MDB_SHORT_WRITE", *(os.strerror(number) for number in NO_SPACE))
_OWN: Final = b"\0"
"""Rows of the engine itself begin so; no service's key does."""
STATE_KEY: Final = b"\0state"
DIGEST_KEY: Final = b"\0digest"
_STATE: Final = struct.Struct(">QQB")
_DIGEST: Final = struct.Struct(f">{BUCKETS}Q")
_ROW: Final = 1 << 32
_MASK: Final = (1 << 64) - 1
_SUMS_HEAD: Final = struct.Struct(">16sQI")  # magic, bytes, check of the sums
_SUMS_MAGIC: Final = b"fogbank sums 1\n\0"
_SUMS_PAGE: Final = 4_096
_READ_BYTES: Final = 4 << 20

Environment = lmdb.Environment
Reader: TypeAlias = "lmdb.Transaction[bytes]"


class State(NamedTuple):
    """How far the log is applied."""

    version: int = 0
    """The last transaction whose writes are in the rows."""
    segment: int = 1
    """The oldest segment that may hold newer ones."""
    closed: bool = True
    """The store was stopped in order: there is nothing newer."""


def open_rows(folder: Path, *, readonly: bool = False, lock: bool = True) -> Environment:
    """Open the rows, which must not be open in this process.

    Raises:
        Corrupt: This is no LMDB file.
    """
    try:
        return lmdb.open(
            str(folder),
            map_size=MAP_BYTES,
            readahead=False,
            lib_version=1,
            mode=0o700,
            create=False,
            readonly=readonly,
            lock=lock,
        )
    except lmdb.Error as error:
        if no_room(error):
            raise
        raise Corrupt(f"{folder} cannot be opened: {error}") from error


def make_rows(folder: Path) -> None:
    """Make the file of the rows, empty and durable: LMDB itself does not sync its first pages."""
    with open_rows(folder) as env:
        env.sync(True)  # noqa: FBT003 (the library's signature)
    sync_folder(folder)
    sync_folder(folder.parent)  # what says that there are rows comes later, and lies beside them


def no_room(error: lmdb.Error) -> bool:
    """Return whether the error says that the disk is full."""
    if isinstance(error, lmdb.DiskError | lmdb.MapFullError):
        return True
    # The bindings have no class for these: a full disk may take a part of a write first.
    return any(words in str(error) for words in _NO_ROOM)


def read_state(txn: Reader, seals: RowSeals) -> State:
    """Return how far the log is applied; the state of a new store if nothing ever was."""
    return state_of(txn.get, seals)


def state_of(get: Callable[[bytes], bytes | None], seals: RowSeals) -> State:
    """Return how far the log is applied, from what ``get`` has of the engine's own rows."""
    raw = get(STATE_KEY)
    if raw is None:
        return State()
    body = seals.opener(get)(STATE_KEY, raw)
    version, segment, closed = cast("tuple[int, int, int]", _STATE.unpack(body))
    return State(version, segment, bool(closed))


def read_digests(txn: Reader, seals: RowSeals) -> list[int]:
    """Return the digests as they are stored."""
    raw = txn.get(DIGEST_KEY)
    if raw is None:
        return [0] * BUCKETS
    return list(_DIGEST.unpack(seals.opener(txn.get)(DIGEST_KEY, raw)))


def add_to_digests(digests: list[int], key: bytes, raw: bytes, sign: int = 1) -> None:
    """Count a row into its digest, or with sign -1 out of it."""
    bucket = crc32c(key) & BUCKETS - 1
    digests[bucket] = digests[bucket] + sign * (_ROW + check_of(raw)) & _MASK


def is_own(key: bytes) -> bool:
    """Return whether the row belongs to the engine itself."""
    return key.startswith(_OWN)


def apply_writes(
    env: Environment,
    seals: RowSeals,
    writes: Writes,
    state: State,
    chunk_keys: int = CHUNK_KEYS,
) -> None:
    """Write rows and, with the last of them, the state that they reach."""
    keys = sorted(writes)
    assert not keys or not is_own(keys[0]), "the engine's own rows are not written by bodies"
    for begin in range(0, len(keys) or 1, chunk_keys):
        chunk = keys[begin : begin + chunk_keys]
        with env.begin(write=True) as txn:
            seal = seals.begin(txn)
            _apply_chunk(txn, seals, seal, {key: writes[key] for key in chunk})
            if begin + chunk_keys >= len(keys):
                raw = _STATE.pack(state.version, state.segment, state.closed)
                txn.put(STATE_KEY, seal(STATE_KEY, raw))


def _apply_chunk(
    txn: lmdb.Transaction[bytes],
    seals: RowSeals,
    seal: Callable[[bytes, bytes], bytes],
    writes: Writes,
) -> None:
    """Write some rows, given in order of key, and count them into the digests."""
    digests = read_digests(txn, seals)
    cursor = txn.cursor()
    before = dict(cast("Iterable[tuple[bytes, bytes]]", cursor.getmulti(list(writes))))
    rows: list[tuple[bytes, bytes]] = []
    for key, value in writes.items():
        if (old := before.get(key)) is not None:
            add_to_digests(digests, key, old, -1)
        if value is not None:
            raw = seal(key, value)
            rows.append((key, raw))
            add_to_digests(digests, key, raw)
        elif old is not None:
            txn.delete(key)
    consumed, _added = cursor.putmulti(rows)
    assert consumed == len(rows), "LMDB took every row"
    put_digests(txn, digests, seal)


def put_digests(
    txn: lmdb.Transaction[bytes], digests: list[int], seal: Callable[[bytes, bytes], bytes]
) -> None:
    """Store the digests."""
    txn.put(DIGEST_KEY, seal(DIGEST_KEY, _DIGEST.pack(*digests)))


def walk_rows(txn: Reader) -> Iterator[tuple[bytes, bytes]]:
    """Yield the stored rows in order, the engine's own included."""
    with txn.cursor() as cursor:
        yield from cursor.iternext(keys=True, values=True)


def walk_from(txn: Reader, begin: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the stored rows from a key on in order, the engine's own included."""
    with txn.cursor() as cursor:
        if cursor.set_range(begin):
            yield from cursor.iternext(keys=True, values=True)


def _sums_of(path: Path) -> bytes:
    """Return the checks of the pages of a file."""
    out = bytearray()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_READ_BYTES):
            for at in range(0, len(block), _SUMS_PAGE):
                out += crc32c(block[at : at + _SUMS_PAGE]).to_bytes(4)
    return bytes(out)


def drop_sums(folder: Path) -> None:
    """Remove the page sums durably; before every first write."""
    path = folder / SUMS
    if path.exists():
        path.unlink()
        sync_folder(folder)


def write_sums(folder: Path, bytes_max: int) -> None:
    """Make the page sums again, if the data file is not larger than ``bytes_max``.

    Without space there are none: they only help ``check``.
    """
    data = folder / DATA
    size = data.stat().st_size
    if size > bytes_max:
        return
    sums = _sums_of(data)
    head = _SUMS_HEAD.pack(_SUMS_MAGIC, size, crc32c(sums))
    try:
        replace_file(folder / SUMS, head + crc32c(head).to_bytes(4) + sums)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise


def sums_damage(folder: Path, bytes_max: int | None = None) -> list[str]:
    """Return what is wrong with the pages of the data file, as far as page sums say.

    With ``bytes_max`` a larger file is not read.
    """
    path = folder / SUMS
    if not path.exists():
        return []
    if bytes_max is not None and (folder / DATA).stat().st_size > bytes_max:
        return []
    raw = path.read_bytes()
    head, sums = raw[: _SUMS_HEAD.size], raw[_SUMS_HEAD.size + 4 :]
    check = int.from_bytes(raw[_SUMS_HEAD.size : _SUMS_HEAD.size + 4])
    if len(head) != _SUMS_HEAD.size or crc32c(head) != check:
        return [f"{path} is not what was written"]
    _magic, size, sums_check = cast("tuple[bytes, int, int]", _SUMS_HEAD.unpack(head))
    if crc32c(sums) != sums_check:
        return [f"{path} is not what was written"]
    now = _sums_of(folder / DATA)
    damage = [
        f"page {at // 4} of {folder / DATA} is not what was written"
        for at in range(0, min(len(now), len(sums)), 4)
        if now[at : at + 4] != sums[at : at + 4]
    ]
    if (have := (folder / DATA).stat().st_size) != size:
        damage.append(f"{folder / DATA} has {have} bytes and not {size}")
    return damage
