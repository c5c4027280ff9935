"""One delivery: a fact for one subscription, as it lies in the outbox."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.platform.store.records import Record, RecordDecoder

ATTEMPTS_MAX: Final = 185
AGE_MS_MAX: Final = 86_400_000
"""EventBridge User Guide, "Retrying event delivery": 24 hours and up to 185 times."""


class Delivery(Record, frozen=True, array_like=True, tag="platform.delivery/1"):
    """A payload on its way to one target."""

    target: str
    """The ARN of what it is for."""
    payload: bytes
    """The event as the target will see it (JSON)."""
    source: str
    """The service principal that sends it, such as ``s3.amazonaws.com``."""
    source_arn: str
    """The ARN of what it is about: ``aws:SourceArn``."""
    source_account: str
    """The account that owns the source: ``aws:SourceAccount``."""
    created_ms: int
    event_id: str = ""
    attempt: int = 0
    """Deliveries tried and refused before."""
    subscription: str = ""
    """What the source calls the subscription; with target and source it names an order."""
    attempts_max: int = ATTEMPTS_MAX
    age_ms_max: int = AGE_MS_MAX
    """How old the fact may be at an attempt; older ones go to the dead letters."""
    dead_letter: str = ""
    """The ARN of what takes it if the target never does; empty: the operator's dead letters."""
    order_key: str = ""
    """Deliveries of one subscription with the same key arrive in their order; empty: as they can."""
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    """What goes beside the payload, such as why it became a dead letter."""


decode_delivery = RecordDecoder(Delivery).decode
