"""Consumers: who reads a log of another domain, piece by piece, for as long as it is registered.

Theory: a consumer is a row of the store of its domain; its cursor is that domain's own and moves in
the domain's transactions, so that what was consumed and what came of it are one commit, or, where
the effect lies elsewhere, the effect comes first and may come again. The row says only that someone
is to read: it is written and removed in the transactions that decide it. The driver holds one task
for each row (``server/consuming``), so that waiting for more to read costs no commit.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.keyspace import CONSUMERS, PARTITIONS, partition_of, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode

PAGE: Final = 500


class Consumer(Record, frozen=True, array_like=True, tag="platform.consumer/1"):
    """One registered reader."""

    kind: str
    id: str
    domain: tuple[str, ...]
    payload: bytes


_decode = RecordDecoder(Consumer).decode


def _key(tr: Transaction, kind: str, consumer_id: str) -> bytes:
    prefix = system_prefix(CONSUMERS, partition_of(tr.domain))
    return prefix + tuples.pack(kind, consumer_id)


def put(tr: Transaction, consumer: Consumer) -> None:
    """Register a consumer inside a transaction of its domain."""
    assert consumer.domain == tr.domain.name, "a consumer belongs to the transaction's domain"
    tr.put(_key(tr, consumer.kind, consumer.id), encode(consumer))


def remove(tr: Transaction, kind: str, consumer_id: str) -> None:
    """End a consumer inside a transaction of its domain; harmless if there is none."""
    tr.delete(_key(tr, kind, consumer_id))


async def list_all(store: Store, kind: str) -> list[Consumer]:
    """Return the consumers of a kind in a store, read page by page."""
    found: list[Consumer] = []
    for partition in range(PARTITIONS):
        prefix = system_prefix(CONSUMERS, partition) + tuples.pack(kind)
        begin, end = prefix, tuples.after_prefix(prefix)
        while True:
            rows = await _page(store, begin, end)
            found += [_decode(value) for _, value in rows]
            if len(rows) < PAGE:
                break
            begin = rows[-1][0] + b"\0"
    return found


async def _page(store: Store, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
    """Return the next rows of a range."""

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(begin, end, limit=PAGE)

    return await store.read(body)
