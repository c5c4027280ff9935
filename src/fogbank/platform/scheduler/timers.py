"""Durable timers: set inside a transaction, run in the transaction that removes them.

A timer lies in the system subspace of its domain's partition at (due time, kind, domain, key), so
one reader per partition sees the next one first. The scheduler (``driver.py``) sleeps until then.
"""

from __future__ import annotations

from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.platform.store.keyspace import PARTITIONS, TIMERS, partition_of, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode


class Timer(Record, frozen=True, array_like=True, tag="platform.timer/1"):
    """A wake-up of one kind for one key of one domain."""

    kind: str
    domain: tuple[str, ...]
    key: bytes
    """What the kind understands; with domain and kind it names the timer."""
    due_ms: int
    payload: bytes = b""


def timer_key(timer: Timer) -> bytes:
    """Return the key at which a timer lies."""
    domain = Domain(*timer.domain)
    return system_prefix(TIMERS, partition_of(domain)) + tuples.pack(
        timer.due_ms, timer.kind, domain.prefix, timer.key
    )


_decode = RecordDecoder(Timer).decode


def decode_timer(raw: bytes) -> Timer:
    """Return the timer whose stored bytes these are."""
    return _decode(raw)


async def earliest_ms(store: Store) -> int | None:
    """Return when the first timer of a store is due, or None if there is none."""

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        heads: list[tuple[bytes, bytes]] = []
        for partition in range(PARTITIONS):
            prefix = system_prefix(TIMERS, partition)
            heads += await tr.range(prefix, tuples.after_prefix(prefix), limit=1)
        return heads

    return min([decode_timer(raw).due_ms for _, raw in await store.read(body)], default=None)


class Timers:
    """Sets and clears timers; composes inside any transaction."""

    __slots__ = ()

    def put(self, tr: Transaction, timer: Timer) -> None:
        """Set a timer; the same due time, kind, domain and key replaces it."""
        assert Domain(*timer.domain) == tr.domain, "a timer belongs to the transaction's domain"
        tr.put(timer_key(timer), encode(timer))

    def delete(self, tr: Transaction, timer: Timer) -> None:
        """Clear a timer that has not run."""
        tr.delete(timer_key(timer))
