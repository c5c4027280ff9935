"""What the settings say to listeners and dispatchers; memory is split among those that listen."""

from __future__ import annotations

from typing import Final

import msgspec

from fogbank.gateway.head import HeadLimits
from fogbank.gateway.settings import GatewaySettings, ListenerSettings
from fogbank.server.config import Config, listening_of

PROOF_LIMITS: Final = (
    "failed_proofs_burst",
    "failed_proofs_per_second",
    "address_failed_proofs_burst",
    "address_failed_proofs_per_second",
)
"""Limits of dispatchers, of which each listening process has its share."""
GATEWAY_LIMITS: Final = (*PROOF_LIMITS, "packed_reply_bytes_min", "work_bytes_max")
"""What listeners need not know."""
SHARED: Final = ("whole_bodies_bytes_max", "whole_replies_bytes_max")
"""Memory of the whole server, of which each listening process has its share."""


def listener_settings(config: Config) -> ListenerSettings:
    """Return what the settings say to a listener."""
    limits = msgspec.structs.asdict(config.limits)
    for name in ("drain_ms", *GATEWAY_LIMITS):
        del limits[name]
    for name in SHARED:
        limits[name] //= listening_of(config)
    head = HeadLimits(**{name: limits.pop(name) for name in HeadLimits._fields})
    return ListenerSettings(head=head, **limits)


def gateway_settings(config: Config) -> GatewaySettings:
    """Return what the settings say to a dispatcher."""
    return GatewaySettings(
        public_hosts=config.public_hosts,
        public_url=config.public_url,
        allowed_origins=config.allowed_origins,
        region=config.region,
        packed_reply_bytes_min=config.limits.packed_reply_bytes_min,
        signature_v2=config.s3.signature_v2,
        whole_bodies_bytes_max=config.limits.whole_bodies_bytes_max // listening_of(config),
        work_bytes_max=config.limits.work_bytes_max // listening_of(config),
        listening=listening_of(config),
        **{name: getattr(config.limits, name) for name in PROOF_LIMITS},
    )
