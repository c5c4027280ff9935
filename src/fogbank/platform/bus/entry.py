"""One delivery: a fact for one subscription, as it lies in the outbox."""

from __future__ import annotations

from fogbank.platform.store.records import Record


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
