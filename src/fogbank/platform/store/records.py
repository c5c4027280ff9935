"""Typed, versioned, migrating values at ordered keys.

A record is a msgspec struct whose tag is ``<service>.<noun>/<version>``; its bytes name that tag,
so a value says what it is. A new version is a new class with ``PREVIOUS`` naming the old one and a
``migrate`` from it; decoding walks the chain. Golden bytes of every version stay in
``tests/golden/records``. The idea is Garage's ``util/migrate.rs``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.keyspace import SERVICES
from fogbank.platform.store.tuples import Element


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A durable value. Fields are only added at the end, with a default, within a version."""

    PREVIOUS: ClassVar[type[Record] | None] = None

    @classmethod
    def migrate(cls, old: Any) -> Self:
        """Return this version of a record of the previous version."""
        raise NotImplementedError(f"{cls.__name__} has no previous version to migrate from")


R = TypeVar("R", bound=Record)

_encoder = msgspec.msgpack.Encoder()


def encode(record: Record) -> bytes:
    """Return the bytes of a record."""
    return _encoder.encode(record)


class RecordDecoder(Generic[R]):
    """Decodes a record type and every version before it."""

    __slots__ = ("_decode", "_previous", "_record")

    def __init__(self, record: type[R]) -> None:
        self._record = record
        self._decode = msgspec.msgpack.Decoder(record).decode
        self._previous: RecordDecoder[Any] | None = (
            None if record.PREVIOUS is None else RecordDecoder(record.PREVIOUS)
        )

    def decode(self, raw: bytes) -> R:
        """Return the record in its newest version.

        Raises:
            Corrupt: The bytes are no version of this record.
        """
        try:
            return self._decode(raw)
        except msgspec.DecodeError as error:
            if self._previous is None:
                raise Corrupt(f"not a {self._record.__name__}: {error}") from error
        return self._record.migrate(self._previous.decode(raw))


class Table(Generic[R]):
    """Records of one type under one prefix of a domain, at keys that are tuples.

    Functions take the transaction first and compose. ``number`` is the table's byte within its
    service and is never reused. Where most requests read the same few records (a table, a bucket),
    ``remembered`` says of how many the decoded value and the key are kept: by their bytes and their
    parts, which say all there is to know, so that nothing remembered can be stale.
    """

    __slots__ = ("_pack", "decode", "record", "subspace")

    def __init__(self, service: str, number: int, record: type[R], *, remembered: int = 0) -> None:
        self.subspace = bytes((SERVICES[service], number))
        self.record = record
        decode: Callable[[bytes], R] = RecordDecoder(record).decode
        pack: Callable[..., bytes] = tuples.pack
        self.decode: Callable[[bytes], R] = lru_cache(remembered)(decode) if remembered else decode
        """From the stored bytes of a record to it; see ``RecordDecoder.decode``."""
        self._pack = lru_cache(remembered, typed=True)(pack) if remembered else pack

    def prefix(self, domain: Domain, *parts: Element) -> bytes:
        """Return the prefix of all keys that begin with these parts."""
        return domain.prefix + self.subspace + tuples.pack(*parts)

    key = prefix

    async def find(self, tr: Transaction, *parts: Element) -> R | None:
        """Return the record at the key, or None."""
        raw = await tr.get(tr.domain.prefix + self.subspace + self._pack(*parts))
        return None if raw is None else self.decode(raw)

    def put(self, tr: Transaction, record: R, *parts: Element) -> None:
        """Write the record at the key."""
        assert type(record) is self.record
        tr.put(tr.domain.prefix + self.subspace + tuples.pack(*parts), _encoder.encode(record))

    def delete(self, tr: Transaction, *parts: Element) -> None:
        """Remove the record at the key, if there is one."""
        tr.delete(tr.domain.prefix + self.subspace + tuples.pack(*parts))

    async def list(
        self,
        tr: Transaction,
        *parts: Element,
        limit: int,
        after: tuple[Element, ...] | None = None,
        reverse: bool = False,
    ) -> list[tuple[tuple[Element, ...], R]]:
        """Return up to ``limit`` (rest of the key, record) pairs under the parts, in order.

        ``after`` is a rest of a key: the answer starts behind it (before it, in reverse).
        """
        base = self.prefix(tr.domain, *parts)
        begin, end = base, tuples.after_prefix(base)
        if after is not None:
            edge = base + tuples.pack(*after)
            begin, end = (begin, edge) if reverse else (tuples.after_prefix(edge), end)
        rows = await tr.range(begin, end, limit=limit, reverse=reverse)
        skip = len(base)
        return [(tuples.unpack(key[skip:]), self.decode(value)) for key, value in rows]
