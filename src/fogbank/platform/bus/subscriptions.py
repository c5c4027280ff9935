"""Subscriptions: who is told of what, resolved in the transaction that makes a fact true.

A *topic* is whatever a service calls one (an event bus, a notification topic, a stream); its
subscriptions lie in the topic's own domain, so that a fact and its deliveries commit together and
a subscription made or removed is in force for exactly the facts behind it.

Source: DESIGN section 6.2; Amazon EventBridge User Guide, "Event bus targets", "Retrying event
delivery" and "Dead-letter queues".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from fogbank.base.errors import TransactionTooLarge
from fogbank.platform.bus.entry import AGE_MS_MAX, ATTEMPTS_MAX, Delivery
from fogbank.platform.bus.patterns import Pattern
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import Record, Table

SUBSCRIPTIONS_MAX: Final = 2_000
"""Subscriptions of one topic that a fact is compared with, inside its transaction."""
_PATTERNS_KEPT: Final = 4_096


class Subscription(Record, frozen=True, array_like=True, tag="platform.subscription/1"):
    """One target of a topic."""

    id: str
    target: str
    """The ARN of what the deliveries are for."""
    pattern: bytes = b""
    """Which events are wanted (``patterns``); empty: all."""
    attempts_max: int = ATTEMPTS_MAX
    age_ms_max: int = AGE_MS_MAX
    dead_letter: str = ""
    """The ARN of what takes deliveries that the target never takes."""
    ordered: bool = False
    """Whether deliveries of one order key arrive in the order of their facts."""


SUBSCRIPTIONS: Final = Table("platform", 0x02, Subscription)


class Fact(NamedTuple):
    """Something that became true, as its subscribers will hear of it."""

    event: Mapping[str, Any]
    """What patterns are compared with."""
    payload: bytes
    source: str
    """The service principal that tells it."""
    source_arn: str
    source_account: str
    created_ms: int
    event_id: str
    order_key: str = ""


class Outbox(Protocol):
    """Where deliveries leave a transaction."""

    async def put(self, tr: Transaction, delivery: Delivery) -> None:
        """Append one delivery."""
        ...


@lru_cache(_PATTERNS_KEPT)
def compiled(source: bytes) -> Pattern:
    """Return a compiled pattern; it depends on nothing but its text."""
    return Pattern(source)


def put(tr: Transaction, topic: str, subscription: Subscription) -> None:
    """Add or replace a subscription of a topic of the transaction's domain.

    Raises:
        InvalidPattern: Its pattern is none.
    """
    if subscription.pattern:
        compiled(subscription.pattern)
    SUBSCRIPTIONS.put(tr, subscription, topic, subscription.id)


def remove(tr: Transaction, topic: str, subscription_id: str) -> None:
    """Remove a subscription; what it was told before is still delivered."""
    SUBSCRIPTIONS.delete(tr, topic, subscription_id)


async def list_subscriptions(
    tr: Transaction, topic: str, *, limit: int, after: str | None = None
) -> list[Subscription]:
    """Return up to ``limit`` subscriptions of a topic in order of their ids."""
    behind = None if after is None else (after,)
    rows = await SUBSCRIPTIONS.list(tr, topic, limit=limit, after=behind)
    return [subscription for _, subscription in rows]


async def publish(tr: Transaction, outbox: Outbox, topic: str, fact: Fact) -> int:
    """Tell every subscription of a topic that wants a fact; return how many do.

    Raises:
        TransactionTooLarge: The topic has more than ``SUBSCRIPTIONS_MAX`` subscriptions.
        Throttled: Too many deliveries wait already.
    """
    found = await list_subscriptions(tr, topic, limit=SUBSCRIPTIONS_MAX + 1)
    if len(found) > SUBSCRIPTIONS_MAX:
        raise TransactionTooLarge(f"{topic} has more than {SUBSCRIPTIONS_MAX} subscriptions")
    told = 0
    for each in found:
        if each.pattern and not compiled(each.pattern).matches(fact.event):
            continue
        await outbox.put(tr, delivery_of(each, fact))
        told += 1
    return told


def delivery_of(subscription: Subscription, fact: Fact) -> Delivery:
    """Return the delivery of a fact to one subscription."""
    return Delivery(
        target=subscription.target,
        payload=fact.payload,
        source=fact.source,
        source_arn=fact.source_arn,
        source_account=fact.source_account,
        created_ms=fact.created_ms,
        event_id=fact.event_id,
        subscription=subscription.id,
        attempts_max=subscription.attempts_max,
        age_ms_max=subscription.age_ms_max,
        dead_letter=subscription.dead_letter,
        order_key=fact.order_key if subscription.ordered else "",
    )
