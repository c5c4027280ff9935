"""Order where it was asked for: one entry of a group at a time, the others parked behind it.

Deliveries of one subscription with one order key are a *group*. While an entry of a group waits for
another attempt it holds the group's gate; later entries that come to be delivered are parked in
their order. When the entry has been delivered, or has died, the first parked one takes the gate and
is due at once. Nothing here waits in memory, so a crash changes nothing.

Theory: entries of one group come from one source, so their stamps order them, and the outbox is
read in the order of stamps; the gate is set and read in the transactions that move the entries. All
of them lie in one partition, that of the source's domain, so each partition needs one reader only.

Before format 3 of the store everything that waits lay in partition 0, whatever its source. What
lies there goes on from there; a later entry of such a group is parked behind it, wherever it is.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from fogbank.platform.bus.entry import Delivery, decode_delivery
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.keyspace import (
    DELIVERY_STATE,
    OUTBOX_LATER,
    partition_in,
    system_prefix,
)
from fogbank.platform.store.records import encode

_GATE: Final = 0
_PARKED: Final = 1
_GROUP_BYTES: Final = 16
_OLD_PARTITION: Final = 0


def group_of(delivery: Delivery) -> bytes:
    """Return the name of a delivery's group; empty if no order was asked for."""
    if not delivery.order_key:
        return b""
    parts = (delivery.source_arn, delivery.subscription, delivery.target, delivery.order_key)
    raw = b"".join(len(part).to_bytes(4) + part.encode() for part in parts)
    return blake2b(raw, digest_size=_GROUP_BYTES).digest()


def waiting_key(partition: int, at_ms: int, stamp: bytes) -> bytes:
    """Return the key at which an entry waits for its next attempt.

    It ends in the stamp of its fact, so no two entries wait at one key.
    """
    return system_prefix(OUTBOX_LATER, partition) + tuples.pack(at_ms) + stamp


def _gate(partition: int, group: bytes) -> bytes:
    return system_prefix(DELIVERY_STATE, partition) + tuples.pack(group, _GATE)


def _parked(partition: int, group: bytes) -> bytes:
    return system_prefix(DELIVERY_STATE, partition) + tuples.pack(group, _PARKED)


async def park(tr: Transaction, key: bytes, delivery: Delivery) -> bool:
    """Park an entry behind the one that holds its group's gate; return whether one does."""
    group, stamp = group_of(delivery), key[-STAMP_BYTES:]
    if not group:
        return False
    for partition in sorted({_OLD_PARTITION, partition_in(key)}):
        holder = await tr.get(_gate(partition, group))
        if holder == stamp:
            return False
        if holder is not None:
            tr.delete(key)
            tr.put(_parked(partition, group) + stamp, encode(delivery))
            return True
    return False


def hold(tr: Transaction, key: bytes, delivery: Delivery) -> None:
    """Let an entry that waits for another attempt, and was not parked, hold its group's gate."""
    group = group_of(delivery)
    if group:
        tr.put(_gate(partition_in(key), group), key[-STAMP_BYTES:])


async def release(tr: Transaction, key: bytes, delivery: Delivery, now_ms: int) -> None:
    """Give the gate of an entry that is done to the first that is parked, which is due now."""
    group, stamp, partition = group_of(delivery), key[-STAMP_BYTES:], partition_in(key)
    if not group or await tr.get(_gate(partition, group)) != stamp:
        return
    parked = _parked(partition, group)
    rows = await tr.range(parked, tuples.after_prefix(parked), limit=1)
    if not rows:
        tr.delete(_gate(partition, group))
        return
    ((first, raw),) = rows
    decode_delivery(raw)  # a damaged entry must not take the gate
    tr.delete(first)
    tr.put(_gate(partition, group), first[-STAMP_BYTES:])
    tr.put(waiting_key(partition, now_ms, first[-STAMP_BYTES:]), raw)
