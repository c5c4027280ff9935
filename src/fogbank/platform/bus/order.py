"""Order where it was asked for: one entry of a group at a time, the others parked behind it.

Deliveries of one subscription with one order key are a *group*. While an entry of a group waits for
another attempt it holds the group's gate; later entries that come to be delivered are parked in
their order. When the entry has been delivered, or has died, the first parked one takes the gate and
is due at once. Nothing here waits in memory, so a crash changes nothing.

Theory: entries of one group come from one source, so their stamps order them, and the outbox is
read in the order of stamps; the gate is set and read in the transactions that move the entries.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from fogbank.platform.bus.entry import Delivery, decode_delivery
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import STAMP_BYTES, Transaction
from fogbank.platform.store.keyspace import DELIVERY_STATE, OUTBOX_LATER, system_prefix
from fogbank.platform.store.records import encode

_GATE: Final = 0
_PARKED: Final = 1
_GROUP_BYTES: Final = 16


def group_of(delivery: Delivery) -> bytes:
    """Return the name of a delivery's group; empty if no order was asked for."""
    if not delivery.order_key:
        return b""
    parts = (delivery.source_arn, delivery.subscription, delivery.target, delivery.order_key)
    raw = b"".join(len(part).to_bytes(4) + part.encode() for part in parts)
    return blake2b(raw, digest_size=_GROUP_BYTES).digest()


def waiting_key(at_ms: int, stamp: bytes) -> bytes:
    """Return the key at which an entry waits for its next attempt.

    It ends in the stamp of its fact, so no two entries wait at one key.
    """
    return system_prefix(OUTBOX_LATER, 0) + tuples.pack(at_ms) + stamp


def _gate(group: bytes) -> bytes:
    return system_prefix(DELIVERY_STATE, 0) + tuples.pack(group, _GATE)


def _parked(group: bytes) -> bytes:
    return system_prefix(DELIVERY_STATE, 0) + tuples.pack(group, _PARKED)


async def park(tr: Transaction, key: bytes, delivery: Delivery) -> bool:
    """Park an entry behind the one that holds its group's gate; return whether one does."""
    group, stamp = group_of(delivery), key[-STAMP_BYTES:]
    if not group:
        return False
    holder = await tr.get(_gate(group))
    if holder is None or holder == stamp:
        return False
    tr.delete(key)
    tr.put(_parked(group) + stamp, encode(delivery))
    return True


def hold(tr: Transaction, key: bytes, delivery: Delivery) -> None:
    """Let an entry that waits for another attempt, and was not parked, hold its group's gate."""
    group = group_of(delivery)
    if group:
        tr.put(_gate(group), key[-STAMP_BYTES:])


async def release(tr: Transaction, key: bytes, delivery: Delivery, now_ms: int) -> None:
    """Give the gate of an entry that is done to the first that is parked, which is due now."""
    group, stamp = group_of(delivery), key[-STAMP_BYTES:]
    if not group or await tr.get(_gate(group)) != stamp:
        return
    parked = _parked(group)
    rows = await tr.range(parked, tuples.after_prefix(parked), limit=1)
    if not rows:
        tr.delete(_gate(group))
        return
    ((first, raw),) = rows
    decode_delivery(raw)  # a damaged entry must not take the gate
    tr.delete(first)
    tr.put(_gate(group), first[-STAMP_BYTES:])
    tr.put(waiting_key(now_ms, first[-STAMP_BYTES:]), raw)
