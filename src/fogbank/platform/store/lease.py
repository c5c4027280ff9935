"""Leases: which process owns what, decided by the store and checked where it matters.

A lease has a holder, an end and an *epoch* that grows with every change of holder. Whoever writes
as the owner calls ``guard`` in the writing transaction: it reads the lease's record there, so the
write commits only while the epoch stands. The end matters only to those who want the lease: a
holder whose time has run out and whom nobody replaced still passes its guard, and that is safe.

Rule: time is the store's and never the caller's. A store's clock that jumps costs liveness (a lease
ends early or late) and never ownership, which the epoch alone decides.

Theory: Gray and Cheriton, "Leases" (SOSP 1989); the epoch is Chubby's sequencer (OSDI 2006).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fogbank.base.errors import Fenced
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Store, Transaction
from fogbank.platform.store.keyspace import LEASES, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode

TTL_MS_MAX: Final = 3_600_000
_NAME_CHARACTERS_MAX: Final = 512
_PARTITION: Final = 0
"""Leases are few and read by name: one partition holds them all."""


class LeaseRecord(Record, frozen=True, array_like=True, tag="platform.lease/1"):
    """Who holds a lease; without a holder it was given back, and keeps its epoch."""

    holder: str
    epoch: int
    ends_ms: int


decode_lease: Final = RecordDecoder(LeaseRecord).decode


def lease_key(name: str) -> bytes:
    """Return the key of a lease's record."""
    assert 0 < len(name) <= _NAME_CHARACTERS_MAX
    return system_prefix(LEASES, _PARTITION) + tuples.pack(name)


async def _find(tr: Transaction, name: str) -> LeaseRecord | None:
    """Return the record of a lease, or None if nobody ever held it."""
    raw = await tr.get(lease_key(name))
    return None if raw is None else decode_lease(raw)


class Lease(NamedTuple):
    """A lease as its holder got it; valid until somebody else gets it."""

    name: str
    holder: str
    epoch: int

    async def guard(self, tr: Transaction) -> None:
        """Let this transaction commit only while the lease is still this one.

        Raises:
            Fenced: It was given back, or has passed to another holder.
        """
        await self._require(tr)

    async def _require(self, tr: Transaction) -> LeaseRecord:
        """Return the record of the lease while it is this one."""
        record = await _find(tr, self.name)
        if record is None or (record.holder, record.epoch) != (self.holder, self.epoch):
            now = "nobody" if record is None or not record.holder else record.holder
            raise Fenced(
                f"{self.holder} held the lease {self.name} in epoch {self.epoch}: {now} has it"
            )
        return record

    async def renew(self, store: Store, ttl_ms: int) -> None:
        """Let the lease end ``ttl_ms`` from now.

        Raises:
            Fenced: It was given back, or has passed to another holder.
        """
        assert 0 < ttl_ms <= TTL_MS_MAX

        async def body(tr: Transaction) -> None:
            record = await self._require(tr)
            ends_ms = await tr.now_ms() + ttl_ms
            _put(tr, self.name, LeaseRecord(record.holder, record.epoch, ends_ms))

        await store.transact(body)

    async def release(self, store: Store) -> None:
        """Give the lease back, if it is still this one; whoever wants it gets it at once."""

        async def body(tr: Transaction) -> None:
            record = await _find(tr, self.name)
            if record is not None and (record.holder, record.epoch) == (self.holder, self.epoch):
                _put(tr, self.name, LeaseRecord("", record.epoch, 0))

        await store.transact(body)


def _put(tr: Transaction, name: str, record: LeaseRecord) -> None:
    """Write the record of a lease."""
    tr.put(lease_key(name), encode(record))


async def acquire(store: Store, name: str, holder: str, ttl_ms: int) -> Lease | None:
    """Get a lease that nobody holds, or whose time has run out; return None while one does.

    Args:
        store: The store whose writes the lease guards.
        name: What is owned.
        holder: Who asks; unique to one run of one process. A holder that asks again gets a new
            epoch, and what it did under the old one is refused from then on.
        ttl_ms: How long the lease lasts unless it is renewed.
    """
    assert holder, "a lease has a holder"
    assert 0 < ttl_ms <= TTL_MS_MAX

    async def body(tr: Transaction) -> Lease | None:
        record = await _find(tr, name)
        now_ms = await tr.now_ms()
        if record is not None and record.holder not in {"", holder} and record.ends_ms > now_ms:
            return None
        epoch = 1 if record is None else record.epoch + 1
        _put(tr, name, LeaseRecord(holder, epoch, now_ms + ttl_ms))
        return Lease(name, holder, epoch)

    return await store.transact(body)
