"""Row keys: which subkey sealed a settled row, and sealing rows by it.

A *row key* is a series of ``platform/crypto/keys.py`` with a number that is kept in a row of the
engine's own: data key id and salt, sealed by scheme 0, because it is no secret and has to be read
before anything can be opened. That row is written in the transaction that writes the first value
sealed with it. Every writer of the rows (recovery, each checkpointer, a clean stop) has a row key
of its own, so a value costs 25 bytes and no nonce is ever in two hands.

Theory: a transaction of LMDB can fail after its pages reached the disk. Then the number may be
given again, to another salt, and what lies on the lost pages belongs to no key that anybody will
look up; the places of a series are never taken back, so nothing is sealed at one of them again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, cast

import lmdb

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.keys import ROWS, SALT_BYTES, Cipher, DataKeys, Series
from fogbank.platform.store.seal import PLACES_MAX, seal, seal_with, unseal

CIPHERS_MAX: Final = 4_096
"""So many row keys are kept derived; each start and each data key brings about two."""
_RENEW_AT: Final = PLACES_MAX - (1 << 20)
"""A row key that has sealed so much is replaced; a transaction seals far less than the rest."""
_ROW_KEY: Final = b"\0key"
_NUMBER: Final = struct.Struct(">I")
_BODY: Final = struct.Struct(f">I{SALT_BYTES}s")  # data key, salt
_NUMBER_MAX: Final = (1 << 32) - 1

Get = Callable[[bytes], bytes | None]


def row_key_at(number: int) -> bytes:
    """Return where the row of a row key lies."""
    return _ROW_KEY + _NUMBER.pack(number)


class RowSeals:
    """Seals values for the rows, and opens them.

    Args:
        keys: The data keys of the store.
    """

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys
        self._ciphers: dict[int, Cipher] = {}
        self._series: Series | None = None
        self._number = 0
        self.damaged_reads = 0
        """How often damage was met instead of a value."""

    def opener(self, get: Get) -> Callable[[bytes, bytes], bytes]:
        """Return what opens values out of the transaction that ``get`` reads."""

        def cipher_of(number: int) -> Cipher:
            return self._ciphers.get(number) or self._found_cipher(number, get)

        def opened(key: bytes, raw: bytes) -> bytes:
            try:
                return unseal(key, raw, cipher_of)
            except Corrupt:
                self.damaged_reads += 1
                raise

        return opened

    def _found_cipher(self, number: int, get: Get) -> Cipher:
        """Return the cipher of a row key, from its row."""
        key = row_key_at(number)
        raw = get(key)
        if raw is None:
            raise Corrupt(f"the row key {number} is missing")
        key_id, salt = cast("tuple[int, bytes]", _BODY.unpack(unseal(key, raw)))
        if len(self._ciphers) >= CIPHERS_MAX:
            self._ciphers.clear()
        cipher = self._ciphers[number] = self._keys.cipher(key_id, ROWS, salt)
        return cipher

    def begin(self, txn: lmdb.Transaction[bytes]) -> Callable[[bytes, bytes], bytes]:
        """Return what seals values for this writing transaction of LMDB, and no other."""
        series = self._series
        if series is None or series.last >= _RENEW_AT or series.key_id != self._keys.active:
            series = self._series = self._keys.series(ROWS)
        if series is None:
            return seal
        body = _BODY.pack(series.key_id, series.salt)
        at = row_key_at(self._number)
        wanted = seal(at, body)
        if txn.get(at) != wanted:
            self._number = _next_number(txn)
            at = row_key_at(self._number)
            txn.put(at, seal(at, body))
            self._ciphers.pop(self._number, None)
        number = self._number
        return lambda key, value: seal_with(series, number, key, value)


def row_keys(txn: lmdb.Transaction[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the number of every row key, and the data key that it belongs to."""
    with txn.cursor() as cursor:
        if not cursor.set_range(_ROW_KEY):
            return
        for key, raw in cursor.iternext(keys=True, values=True):
            if not key.startswith(_ROW_KEY):
                return
            key_id, _salt = cast("tuple[int, bytes]", _BODY.unpack(unseal(key, raw)))
            yield cast("tuple[int]", _NUMBER.unpack(key[len(_ROW_KEY) :]))[0], key_id


def has_row_keys(txn: lmdb.Transaction[bytes]) -> bool:
    """Return whether any value was ever sealed with a data key."""
    with txn.cursor() as cursor:
        return cursor.set_range(_ROW_KEY) and bytes(cursor.key()).startswith(_ROW_KEY)


def _next_number(txn: lmdb.Transaction[bytes]) -> int:
    """Return a number above those of all row keys."""
    with txn.cursor() as cursor:
        above = cursor.set_range(_ROW_KEY + _NUMBER.pack(_NUMBER_MAX))
        there = cursor.prev() if above else cursor.last()
        last = bytes(cursor.key()) if there else b""
    if not last.startswith(_ROW_KEY) or len(last) != len(_ROW_KEY) + _NUMBER.size:
        return 1
    return cast("tuple[int]", _NUMBER.unpack(last[len(_ROW_KEY) :]))[0] + 1
