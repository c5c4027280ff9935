"""Capacities that are to be set: a work list, and what becomes of its entries.

An order has the id of the activity that tells of it. One that a policy gives begins its activity when
it is given, in the transaction that notes on the target that it is under way; one that other bounds give
begins it when there is something to set.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.application_autoscaling.schema import OrderRecord, TargetRecord

ORDERS: Final = "application-autoscaling.orders"
"""The work list."""
decode_order: Final = RecordDecoder(OrderRecord).decode


def give(tr: Transaction, order: OrderRecord, order_id: str, now_ms: int) -> None:
    """Add an order inside a transaction of its target's domain."""
    entry = WorkEntry(
        list=ORDERS,
        id=order_id,
        domain=tr.domain.name,
        payload=encode(order),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


def give_bounds(tr: Transaction, target: TargetRecord, order_id: str, now_ms: int) -> None:
    """Order that the capacity of a target be brought within its bounds."""
    give(tr, OrderRecord(target_id=target.id, place=target.place), order_id, now_ms)


def begun(target: TargetRecord, order_id: str) -> TargetRecord:
    """Return a target for which a policy has given an order."""
    return msgspec.structs.replace(target, pending=order_id)


def settled(target: TargetRecord, *, well: bool, retry_ms: int) -> TargetRecord:
    """Return a target whose policy's order is done."""
    failures = 0 if well else target.failures + 1
    return msgspec.structs.replace(
        target, pending="", failures=failures, retry_ms=0 if well else retry_ms
    )
