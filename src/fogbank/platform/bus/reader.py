"""The bus: reads the outbox, delivers each entry, removes it in the same transaction.

Where a subscription asks for order, ``order`` keeps it; ``trace`` remembers each step.

Rule: an entry leaves the outbox only together with its effect. A delivery that fails for the
moment is put aside under the time of its next attempt, so that one slow or broken target never
holds back another; one that can never be taken goes to the dead letters with its reason. What found
no room at its target was no attempt: it waits however long, and ``backlog`` bounds how much does. No
cursor is kept: what has been delivered is gone, so the outbox is always read from its beginning and
no late commit is missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from fogbank.base.errors import Throttled, Weather
from fogbank.platform.bus import backlog, crossing, deadletters, order, trace
from fogbank.platform.bus.deadletters import DeadLetter
from fogbank.platform.bus.entry import Delivery, decode_delivery
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import (
    STAMP_BYTES,
    SYSTEM,
    Body,
    Domain,
    Placement,
    Store,
    Transaction,
)
from fogbank.platform.store.keyspace import (
    OUTBOX,
    OUTBOX_LATER,
    PARTITIONS,
    partition_in,
    partition_of,
    system_prefix,
)
from fogbank.platform.store.records import encode

log = logging.getLogger("fogbank.bus")

BATCH: Final = 64
"""Entries of each partition delivered side by side; their transactions share group commits."""
WAITING_MAX: Final = 100_000
BACKOFF_FIRST_MS: Final = 200
BACKOFF_MS_MAX: Final = 600_000


class Undeliverable(Exception):
    """No target can take a delivery, now or ever."""


Deliver = Callable[[Transaction, Delivery], Awaitable[None]]
Attempt = Callable[[], Deliver]
"""Makes ready one attempt: what is drawn for it (an id, the time) is drawn before its body runs."""
DomainOf = Callable[[str], Domain]


class OutboxWriter:
    """Appends deliveries inside the transaction that made their facts true.

    Args:
        waiting_max: So many of an account may wait in a partition.
    """

    __slots__ = ("_waiting_max",)

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max

    async def put(self, tr: Transaction, delivery: Delivery) -> None:
        """Append one delivery to the partition of the transaction's domain.

        Raises:
            Throttled: Too many of its account wait there already.
        """
        partition = partition_of(tr.domain)
        await backlog.admit(tr, partition, delivery.source_account, self._waiting_max)
        tr.append(system_prefix(OUTBOX, partition), encode(delivery))
        detail = f"by {delivery.source} of {delivery.source_arn}, for {delivery.target}"
        _note(tr, delivery, delivery.created_ms, "accepted", detail)


async def oldest_ms(store: Store) -> int | None:
    """Return when the oldest fact of a store's outbox was told, or None if nothing waits.

    The head of each partition is looked at, and of those that wait for another attempt the next.
    """
    prefixes = [
        system_prefix(subspace, partition)
        for subspace in (OUTBOX, OUTBOX_LATER)
        for partition in range(PARTITIONS)
    ]

    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        heads: list[tuple[bytes, bytes]] = []
        for prefix in prefixes:
            heads += await tr.range(prefix, tuples.after_prefix(prefix), limit=1)
        return heads

    return min([decode_delivery(raw).created_ms for _, raw in await store.read(body)], default=None)


class BusReader:
    """Delivers the outbox of one store.

    Args:
        placement: Where the targets' domains live.
        store: The store whose outbox this reads.
        domain_of: The domain of a target ARN; raises ``Undeliverable`` if no service has it.
        attempt: Makes ready what runs a target's receiver inside a transaction, which may run again
            and raises ``Undeliverable``.
        now_ms: The time, for the dead letters.
        origin: What names this store among those of its cloud, for ever.
    """

    def __init__(
        self,
        placement: Placement,
        store: Store,
        domain_of: DomainOf,
        attempt: Attempt,
        now_ms: Callable[[], int],
        origin: str = "0",
    ) -> None:
        self._placement = placement
        self.store = store
        self._domain_of = domain_of
        self._attempt = attempt
        self._now_ms = now_ms
        self._origin = origin
        self.delivered: Callable[[Delivery], None] = lambda _: None
        """Called once a delivery is with its receiver."""

    async def pending(self) -> list[tuple[bytes, Delivery]]:
        """Return the next entries: new ones of every partition, and those whose time has come."""
        until = tuples.pack(self._now_ms() + 1)

        async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
            rows: list[tuple[bytes, bytes]] = []
            for partition in range(PARTITIONS):
                due = system_prefix(OUTBOX_LATER, partition)
                rows += await tr.range(due, due + until, limit=BATCH)
                prefix = system_prefix(OUTBOX, partition)
                rows += await tr.range(prefix, tuples.after_prefix(prefix), limit=BATCH)
            return rows

        rows = await self.store.read(body)
        return [(key, decode_delivery(value)) for key, value in rows]

    async def next_try_ms(self) -> int | None:
        """Return when the earliest entry that waits may be tried again, or None."""

        async def body(tr: Transaction) -> list[int]:
            found: list[int] = []
            for partition in range(PARTITIONS):
                prefix = system_prefix(OUTBOX_LATER, partition)
                for key, _ in await tr.range(prefix, tuples.after_prefix(prefix), limit=1):
                    (at_ms,) = tuples.unpack(key[len(prefix) : -STAMP_BYTES])
                    assert isinstance(at_ms, int)
                    found.append(at_ms)
            return found

        return min(await self.store.read(body), default=None)

    async def step(self) -> int:
        """Deliver one batch; return how many entries were looked at.

        Entries of one order group are delivered one after another, all others side by side.
        """
        batch = await self.pending()
        lanes: dict[bytes, list[tuple[bytes, Delivery]]] = {}
        for key, delivery in batch:
            lanes.setdefault(order.group_of(delivery) or key, []).append((key, delivery))
        await asyncio.gather(*(self._lane(entries) for entries in lanes.values()))
        return len(batch)

    async def _lane(self, entries: list[tuple[bytes, Delivery]]) -> None:
        """Deliver entries in their order."""
        for key, delivery in sorted(entries, key=lambda entry: entry[0][-STAMP_BYTES:]):
            await self._one(key, delivery)

    async def _one(self, key: bytes, delivery: Delivery) -> None:
        """Deliver one entry and remove it in the same transaction."""
        try:
            domain = self._domain_of(delivery.target)
            store = self._placement.store_of(domain)
            if self._placement.is_ours(domain):
                settled = await store.transact(self._settling(key, delivery, self._attempt()))
            else:
                settled = await self._across(store, key, delivery)
            if settled:
                self.delivered(delivery)
        except Undeliverable as error:
            await self._bury(key, delivery, str(error))
        except Throttled as error:
            await self._wait(key, delivery, error)
        except Weather as error:
            await self._later(key, delivery, error)
        except Exception as error:
            log.exception("delivery to %s failed", delivery.target)
            await self._later(key, delivery, error)

    def _settling(self, key: bytes, delivery: Delivery, deliver: Deliver) -> Body[bool]:
        """Return the body that removes an entry with its effect, unless its order parks it.

        It returns whether it did.
        """
        now_ms = self._now_ms()

        async def body(tr: Transaction) -> bool:
            if await _is_held(tr, key, delivery, now_ms):
                return False
            await deliver(tr, delivery)
            tr.delete(key)
            await backlog.change(tr, partition_in(key), delivery.source_account, -1)
            await order.release(tr, key, delivery, now_ms)
            _note(tr, delivery, now_ms, "delivered", f"to {delivery.target}")
            return True

        return body

    async def _across(self, store: Store, key: bytes, delivery: Delivery) -> bool:
        """Deliver one entry to another store, then remove it here; return whether it was."""
        now_ms = self._now_ms()
        if await self.store.transact(lambda tr: _is_held(tr, key, delivery, now_ms)):
            return False
        token = crossing.token_of(self._origin, key, delivery)
        await crossing.deliver(store, token, delivery, self._attempt())
        settled = await self.store.transact(self._settling(key, delivery, _delivered))
        await crossing.forget(store, token)
        return settled

    async def _later(self, key: bytes, delivery: Delivery, error: Exception) -> None:
        """Let an entry wait aside, longer each time; bury it when its tries or time are used up."""
        attempt, now_ms = delivery.attempt + 1, self._now_ms()
        reason = f"{type(error).__name__}: {error}"
        at_ms = now_ms + backoff_ms_of(attempt)
        if attempt >= delivery.attempts_max:
            await self._bury(key, delivery, f"{reason} (after {attempt} attempts)")
            return
        if at_ms > delivery.created_ms + delivery.age_ms_max:
            await self._bury(key, delivery, f"{reason} (the event is too old for another attempt)")
            return
        waiting = msgspec.structs.replace(delivery, attempt=attempt)
        detail = f"attempt {attempt} to {delivery.target}: {reason}"
        await self._put_aside(key, waiting, at_ms, detail)

    async def _wait(self, key: bytes, delivery: Delivery, error: Throttled) -> None:
        """Let an entry wait aside for room at its target, which neither counts nor ages it."""
        at_ms = self._now_ms() + patience_ms_of(self._now_ms() - delivery.created_ms)
        detail = f"no room at {delivery.target}: {error}"
        await self._put_aside(key, delivery, at_ms, detail)

    async def _put_aside(self, key: bytes, waiting: Delivery, at_ms: int, detail: str) -> None:
        """Move an entry to the time of its next attempt, in one transaction."""
        now_ms = self._now_ms()

        async def body(tr: Transaction) -> None:
            # The store may have refused before it looked whose turn it is.
            if await _is_held(tr, key, waiting, now_ms):
                return
            tr.delete(key)
            tr.put(order.waiting_key(partition_in(key), at_ms, key[-STAMP_BYTES:]), encode(waiting))
            order.hold(tr, key, waiting)
            _note(tr, waiting, now_ms, "waits", detail)

        await self._placement.store_of(SYSTEM).transact(body)

    async def _bury(self, key: bytes, delivery: Delivery, reason: str) -> None:
        """Move an entry to the dead letters, in one transaction."""
        log.warning("delivery to %s is dead: %s", delivery.target, reason)
        now_ms = self._now_ms()
        letter = DeadLetter(delivery, reason, now_ms, partition_in(key))

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is None:
                return
            tr.delete(key)
            await backlog.change(tr, letter.partition, delivery.source_account, -1)
            await deadletters.put(tr, letter)
            await order.release(tr, key, delivery, now_ms)
            _note(tr, delivery, now_ms, "dead", f"for {delivery.target}: {reason}")

        await self._placement.store_of(SYSTEM).transact(body)


async def _is_held(tr: Transaction, key: bytes, delivery: Delivery, now_ms: int) -> bool:
    """Return whether an entry is gone, or waits behind an earlier one and is parked."""
    if await tr.get(key) is None:
        return True
    if not await order.park(tr, key, delivery):
        return False
    _note(tr, delivery, now_ms, "parked", "behind an earlier one of its order")
    return True


async def _delivered(_tr: Transaction, _delivery: Delivery) -> None:
    """Do nothing: the target's store has taken the delivery."""


def backoff_ms_of(attempt: int) -> int:
    """Return how long an entry waits after its n-th failed attempt."""
    return min(BACKOFF_FIRST_MS << min(attempt, 20), BACKOFF_MS_MAX)


def patience_ms_of(age_ms: int) -> int:
    """Return how long an entry waits that found no room: the longer the older it is."""
    return min(max(2 * BACKOFF_FIRST_MS, age_ms // 2), BACKOFF_MS_MAX)


def _note(tr: Transaction, delivery: Delivery, now_ms: int, step: str, detail: str) -> None:
    """Note a step of the event's way, if the source gave the event an id."""
    if delivery.event_id:
        trace.note(tr, delivery.event_id, now_ms, step, detail)
