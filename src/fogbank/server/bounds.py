"""What the settings say to listeners and dispatchers; memory is split among those that listen."""

from __future__ import annotations

from fogbank.gateway.settings import GatewaySettings, ListenerSettings
from fogbank.server.config import Config


def listener_settings(config: Config) -> ListenerSettings:
    """Return what the settings say to a listener."""
    limits = config.limits
    whole = ListenerSettings().whole_bodies_bytes_max // _listening(config)
    return ListenerSettings(
        connections_max=limits.connections_max,
        requests_max=limits.requests_max,
        connections_per_address_max=limits.connections_per_address_max,
        requests_per_address_max=limits.requests_per_address_max,
        streams_max=limits.streams_max,
        body_rate_bytes_min=limits.body_rate_bytes_min,
        body_rate_grace_ms=limits.body_rate_grace_ms,
        whole_bodies_bytes_max=whole,
        head_timeout_ms=limits.head_timeout_ms,
        body_timeout_ms=limits.body_timeout_ms,
        idle_timeout_ms=limits.idle_timeout_ms,
    )


def gateway_settings(config: Config) -> GatewaySettings:
    """Return what the settings say to a dispatcher."""
    whole = GatewaySettings().whole_bodies_bytes_max // _listening(config)
    return GatewaySettings(
        public_hosts=config.public_hosts,
        public_url=config.public_url,
        region=config.region,
        whole_bodies_bytes_max=whole,
    )


def _listening(config: Config) -> int:
    """Return how many processes listen."""
    return config.processes.fronts or config.processes.stores
