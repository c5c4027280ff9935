"""The bus: reads the outbox, delivers each entry, removes it in the same transaction.

Rule: an entry leaves the outbox only together with its effect. A delivery that fails for the
moment is put aside under the time of its next attempt, so that one slow or broken target never
holds back another; one that can never be taken goes to the dead letters with its reason. No cursor
is kept: what has been delivered is gone, so the outbox is always read from its beginning and no
late commit is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from fogbank.base.errors import Weather
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, SYSTEM, Domain, Placement, Store, Transaction
from fogbank.platform.store.keyspace import (
    DEAD_LETTERS,
    OUTBOX,
    OUTBOX_LATER,
    PARTITIONS,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import Record, RecordDecoder, encode

log = logging.getLogger("fogbank.bus")

BATCH: Final = 64
"""Entries of each partition delivered side by side; their transactions share group commits."""
ATTEMPTS_MAX: Final = 12
BACKOFF_FIRST_MS: Final = 200
BACKOFF_MS_MAX: Final = 60_000


class DeadLetter(Record, frozen=True, array_like=True, tag="platform.deadletter/1"):
    """A delivery that no target took, and why."""

    delivery: Delivery
    reason: str
    at_ms: int


decode_delivery = RecordDecoder(Delivery).decode
decode_dead_letter = RecordDecoder(DeadLetter).decode


class Undeliverable(Exception):
    """No target can take a delivery, now or ever."""


Deliver = Callable[[Transaction, Delivery], Awaitable[None]]
DomainOf = Callable[[str], Domain]


class OutboxWriter:
    """Appends deliveries inside the transaction that made their facts true."""

    __slots__ = ()

    def put(self, tr: Transaction, delivery: Delivery) -> None:
        """Append one delivery to the partition of the transaction's domain."""
        tr.append(system_prefix(OUTBOX, partition_of(tr.domain)), encode(delivery))


class BusReader:
    """Delivers the outbox of one store.

    Args:
        placement: Where the targets' domains live.
        store: The store whose outbox this reads.
        domain_of: The domain of a target ARN; raises ``Undeliverable`` if no service has it.
        deliver: Runs the target's receiver inside a transaction; raises ``Undeliverable``.
        now_ms: The time, for the dead letters.
    """

    def __init__(
        self,
        placement: Placement,
        store: Store,
        domain_of: DomainOf,
        deliver: Deliver,
        now_ms: Callable[[], int],
    ) -> None:
        self._placement = placement
        self.store = store
        self._domain_of = domain_of
        self._deliver = deliver
        self._now_ms = now_ms

    async def pending(self) -> list[tuple[bytes, Delivery]]:
        """Return the next entries: new ones of every partition, and those whose time has come."""
        due = system_prefix(OUTBOX_LATER, 0)
        due_end = due + tuples.pack(self._now_ms() + 1)

        async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
            rows = await tr.range(due, due_end, limit=BATCH)
            for partition in range(PARTITIONS):
                prefix = system_prefix(OUTBOX, partition)
                rows += await tr.range(prefix, tuples.after_prefix(prefix), limit=BATCH)
            return rows

        rows = await self.store.read(body)
        return [(key, decode_delivery(value)) for key, value in rows]

    async def next_try_ms(self) -> int | None:
        """Return when the earliest entry that waits may be tried again, or None."""
        prefix = system_prefix(OUTBOX_LATER, 0)

        async def body(tr: Transaction) -> int | None:
            rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=1)
            if not rows:
                return None
            (at_ms,) = tuples.unpack(rows[0][0][len(prefix) : -STAMP_BYTES])
            assert isinstance(at_ms, int)
            return at_ms

        return await self.store.read(body)

    async def step(self) -> int:
        """Deliver one batch; return how many entries were looked at."""
        batch = await self.pending()
        await asyncio.gather(*(self._one(key, delivery) for key, delivery in batch))
        return len(batch)

    async def _one(self, key: bytes, delivery: Delivery) -> None:
        """Deliver one entry and remove it in the same transaction."""

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is None:
                return
            await self._deliver(tr, delivery)
            tr.delete(key)

        try:
            store = self._placement.store_of(self._domain_of(delivery.target))
            await store.transact(body)
        except Undeliverable as error:
            await self._bury(key, delivery, str(error))
        except Weather as error:
            await self._later(key, delivery, error)
        except Exception as error:
            log.exception("delivery to %s failed", delivery.target)
            await self._later(key, delivery, error)

    async def _later(self, key: bytes, delivery: Delivery, error: Exception) -> None:
        """Let an entry wait aside, longer each time; bury it after the last attempt."""
        attempt = delivery.attempt + 1
        if attempt >= ATTEMPTS_MAX:
            await self._bury(key, delivery, f"{type(error).__name__}: {error}")
            return
        at_ms = self._now_ms() + min(BACKOFF_FIRST_MS << attempt, BACKOFF_MS_MAX)
        waiting = msgspec.structs.replace(delivery, attempt=attempt)
        # An entry's key ends in the stamp of its fact, so no two entries wait at one key.
        aside = system_prefix(OUTBOX_LATER, 0) + tuples.pack(at_ms) + key[-STAMP_BYTES:]

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is None:
                return
            tr.delete(key)
            tr.put(aside, encode(waiting))

        await self._placement.store_of(SYSTEM).transact(body)

    async def _bury(self, key: bytes, delivery: Delivery, reason: str) -> None:
        """Move an entry to the dead letters, in one transaction."""
        log.warning("delivery to %s is dead: %s", delivery.target, reason)
        letter = DeadLetter(delivery=delivery, reason=reason, at_ms=self._now_ms())

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is None:
                return
            tr.delete(key)
            tr.append(system_prefix(DEAD_LETTERS, 0), encode(letter))

        await self._placement.store_of(SYSTEM).transact(body)
