"""Sealing settled rows anew with the newest data key, a page at a time.

Runs in the checkpointer, the one writer of the rows. Each page is one transaction of LMDB: rows that
an older data key sealed, or none, are opened, sealed again and counted into the digests, and the
place of the pass moves with them. So kill -9 loses at most a page, and no row changes its value.

Rule: with the last page the row keys of older data keys go, in the same transaction. A row that is
damaged is left as it lies, and its row key with it: it is counted, and the older key stays needed.

Theory: a pass is of one data key. While it goes on, every other writer seals with that key or a
newer one, and a newer one begins the pass again; so when a pass ends no row needs an older key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import lmdb
import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded import rows
from fogbank.engines.embedded.seal import RowSeals, row_key_at, row_keys
from fogbank.platform.store.seal import row_key_of, seal, unseal

PAGE_ROWS: Final = 500
PAGE_BYTES: Final = 1 << 20
_PLACE_KEY: Final = b"\0reseal"
_FIRST: Final = b"\1"
"""The engine's own rows come before all others."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a pass over the rows is; stored by scheme 0, because it is no secret."""

    key_id: int = 0
    """The data key that the pass seals with."""
    after: bytes = b""
    """The last row that was looked at."""
    is_done: bool = False
    rows: int = 0
    """Rows that were sealed anew."""
    damaged: int = 0


class Page(NamedTuple):
    """What one step did."""

    place: Place
    read_bytes: int


_decode_place: Final = msgspec.msgpack.Decoder(Place).decode


def read_place(get: Callable[[bytes], bytes | None]) -> Place:
    """Return the place of the last pass, from what ``get`` has of the engine's own rows."""
    raw = get(_PLACE_KEY)
    return Place() if raw is None else _decode_place(unseal(_PLACE_KEY, raw))


def reseal_page(
    env: rows.Environment, seals: RowSeals, active: int, page_rows: int = PAGE_ROWS
) -> Page:
    """Seal the next rows of a pass with the active data key.

    Args:
        env: The rows.
        seals: Seals with that key.
        active: Its id.
        page_rows: How many rows are looked at.
    """
    with env.begin(write=True) as txn:
        place = read_place(txn.get)
        if place.key_id != active:
            place = Place(active)
        if place.is_done:
            return Page(place, 0)
        page = _resealed(txn, seals, place, page_rows)
        place = page.place
        if place.is_done:
            sealed, opened = seals.begin(txn), seals.opener(txn.get)
            for key in (rows.STATE_KEY, rows.DIGEST_KEY):
                if (raw := txn.get(key)) is not None:
                    txn.put(key, sealed(key, opened(key, raw)))
            if not place.damaged:
                _drop_row_keys(txn, active)
        raw = seal(_PLACE_KEY, msgspec.msgpack.encode(place))
        txn.put(_PLACE_KEY, raw)
        return page


def _resealed(txn: lmdb.Transaction[bytes], seals: RowSeals, place: Place, page_rows: int) -> Page:
    """Seal a page of rows anew where that is needed."""
    sealed, opened = seals.begin(txn), seals.opener(txn.get)
    newest = {number for number, key_id in row_keys(txn) if key_id == place.key_id}
    digests = rows.read_digests(txn, seals)
    changed: list[tuple[bytes, bytes]] = []
    size = looked = damaged = 0
    after = place.after
    is_done = True
    with txn.cursor() as cursor:
        for key, raw in _behind(cursor, after):
            if looked == page_rows or size >= PAGE_BYTES:
                is_done = False
                break
            after, looked, size = key, looked + 1, size + len(key) + len(raw)
            if row_key_of(raw) in newest:
                continue
            try:
                fresh = sealed(key, opened(key, raw))
            except Corrupt:
                damaged += 1
                continue
            rows.add_to_digests(digests, key, raw, -1)
            rows.add_to_digests(digests, key, fresh)
            changed.append((key, fresh))
        cursor.putmulti(changed)
    rows.put_digests(txn, digests, sealed)
    moved = Place(place.key_id, after, is_done, place.rows + len(changed), place.damaged + damaged)
    return Page(moved, size)


def _behind(cursor: lmdb.Cursor[bytes], after: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the stored rows behind a key."""
    if cursor.set_range(after + b"\0" if after else _FIRST):
        yield from cursor.iternext(keys=True, values=True)


def _drop_row_keys(txn: lmdb.Transaction[bytes], active: int) -> None:
    """Remove the row keys of other data keys: nothing is sealed with them any more."""
    for number, key_id in list(row_keys(txn)):
        if key_id != active:
            txn.delete(row_key_at(number))
