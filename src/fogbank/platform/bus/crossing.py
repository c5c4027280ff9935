"""Deliveries whose target lives in another store: enqueued there once, whatever dies in between.

Rule: one transaction cannot remove an entry here and enqueue it there. So the receiving transaction
carries a token made of who sends (the store, and the stamp of the entry, which no other entry of
that store ever has) and for whom; then the entry is removed; then the token is forgotten. A crash
after the first step delivers again, and the token answers that it was done. A crash after the second
leaves a token row, which the sweep removes when its window is over.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final

from fogbank.base.errors import Weather
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import STAMP_BYTES, Store, Token, Transaction
from fogbank.platform.store.tokens import WINDOW_MS_MAX

_log: Final = logging.getLogger("fogbank.bus")


def token_of(origin: str, key: bytes, delivery: Delivery) -> Token:
    """Return the token of an entry: its key ends in its stamp, also when it was put aside."""
    return Token(
        account=delivery.source_account,
        service="platform",
        operation="Deliver",
        token=f"{origin}:{key[-STAMP_BYTES:].hex()}",
        digest=blake2b(delivery.target.encode(), digest_size=16).digest(),
        window_ms=WINDOW_MS_MAX,
    )


async def deliver(
    store: Store,
    token: Token,
    delivery: Delivery,
    receive: Callable[[Transaction, Delivery], Awaitable[None]],
) -> None:
    """Run the target's receiver in its own store, unless it has run for this entry."""

    async def body(tr: Transaction) -> None:
        await receive(tr, delivery)

    await store.transact(body, token=token)


async def forget(store: Store, token: Token) -> None:
    """Remove the token of an entry that is gone; what cannot be removed now ends with its window."""
    try:
        await store.transact(lambda tr: tokens.forget(tr, token))
    except Weather as error:
        _log.info("the token of a delivery stays for now: %s", error)
