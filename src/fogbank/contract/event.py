"""Facts, the outbox they leave through, and the receivers they reach.

A fact is appended to the outbox in the transaction that made it true, one entry per subscription:
subscribers are resolved in that same transaction. The bus (``platform/bus``) delivers each entry
by running the receiver of its target *inside one transaction of the target's domain* that also
removes the entry: a crash between commit and delivery repeats the attempt, and the entry is
enqueued exactly once. What the receiver enqueues is executed at least once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, NamedTuple, Protocol

import msgspec

from fogbank.contract.quota import Quotas
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.metering.metrics import Metrics
from fogbank.platform.store.engine import Domain, Transaction


class Outbox(Protocol):
    """Where facts leave a service."""

    async def put(self, tr: Transaction, delivery: Delivery) -> None:
        """Append one delivery to the outbox inside the transaction.

        Raises:
            Throttled: Too many of the account wait for their targets already.
        """
        ...


class Arrival(NamedTuple):
    """What a receiver is handed besides the delivery: drawn before its transaction, which may rerun."""

    now_ms: int
    id: str
    """A fresh UUID."""
    quotas: Quotas
    """The limits in force."""


class Refusal(Exception):
    """A receiver cannot take the delivery, now or ever: it goes to the dead letters, logged."""


Receive = Callable[[Transaction, Delivery, Arrival], Awaitable[None]]


class Receiver(NamedTuple):
    """How a service takes deliveries for its resources.

    ``accepts`` says whether a target ARN is the service's; ``domain`` gives the domain of the
    target; ``receive`` runs inside the delivering transaction, checks that the source may reach
    the target (its resource policy, as stored) and enqueues the work. Where it has no room now it
    raises ``Throttled``: the entry waits in the outbox, however long. ``received`` notes that it has
    taken a delivery for a target, once that is durable.
    """

    accepts: Callable[[str], bool]
    domain: Callable[[str], Domain]
    receive: Receive
    received: Callable[[Metrics, str], None] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the facts that a service declares in ``events.py`` and names in its manifest.

    An event is what strangers read, and it may wait in the outbox across an upgrade: what is told
    under a name stays as it is, byte for byte, and a change takes another version. The golden files
    in ``tests/golden/events`` hold them to it.
    """

    NAME: ClassVar[str]
    """``<service>.<noun>/<version>``; the version is AWS's where AWS has one."""

    def payload(self) -> bytes:
        """Return the event as its receivers see it."""
        raise NotImplementedError
