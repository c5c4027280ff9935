"""The wiring: engines behind ports, services behind the gateway, jobs behind the driver.

One ``App`` is one store process's cloud, with or without sockets: the server gives it an embedded
engine and a listener, ``fogbank.testing`` a memory engine and botocore's hook.
"""

from __future__ import annotations

from collections.abc import Sequence

from fogbank.base.clock import Clock
from fogbank.base.ids import Ids
from fogbank.contract.call import Facilities
from fogbank.contract.event import Arrival, Receiver, Refusal
from fogbank.contract.job import Job
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.gateway.audit import Audit
from fogbank.gateway.dispatch import Dispatcher
from fogbank.gateway.settings import GatewaySettings
from fogbank.platform.blobs.port import Blobs
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import BusReader, OutboxWriter, Undeliverable
from fogbank.platform.identity.identity import Identity
from fogbank.platform.metering.trail import Trail
from fogbank.platform.runtime.functions import Functions
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.store.engine import Domain, Placement, Transaction
from fogbank.server.audits import trail_settings, trimming
from fogbank.server.config import Config
from fogbank.server.driver import Driver
from fogbank.server.jobs import PLATFORM_JOBS, scrubbing


class Parts:
    """What is plugged into a cloud: the engines and the sources of time and entropy."""

    __slots__ = ("blobs", "clock", "functions", "ids", "placement")

    def __init__(
        self,
        *,
        placement: Placement,
        blobs: Blobs,
        functions: Functions,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self.placement = placement
        self.blobs = blobs
        self.functions = functions
        self.clock = clock
        self.ids = ids


class Deliveries:
    """Finds the receiver of a target among the services and runs it."""

    def __init__(self, receivers: Sequence[Receiver], arrival: Arrival) -> None:
        self._receivers = receivers
        self._arrival = arrival

    def _receiver_of(self, target: str) -> Receiver:
        """Return who takes deliveries for a target ARN."""
        for receiver in self._receivers:
            if receiver.accepts(target):
                return receiver
        raise Undeliverable(f"no service takes deliveries for {target}")

    def domain_of(self, target: str) -> Domain:
        """Return the domain of a target."""
        return self._receiver_of(target).domain(target)

    async def deliver(self, tr: Transaction, delivery: Delivery) -> None:
        """Run the receiver inside the transaction that removes the entry."""
        try:
            await self._receiver_of(delivery.target).receive(tr, delivery, self._arrival)
        except Refusal as refusal:
            raise Undeliverable(str(refusal)) from refusal


class App:
    """A cloud, ready to handle requests and to run its background work."""

    def __init__(self, config: Config, parts: Parts, services: Sequence[Service]) -> None:
        self.config = config
        self.parts = parts
        self.services = services
        self.identity = Identity(parts.placement, parts.clock, parts.ids)
        self.facilities = Facilities(
            placement=parts.placement,
            blobs=parts.blobs,
            clock=parts.clock,
            ids=parts.ids,
            identity=self.identity,
            quotas=Quotas(config.quotas),
            outbox=OutboxWriter(),
            timers=Timers(),
            functions=parts.functions,
        )
        gateway = GatewaySettings(
            public_hosts=config.public_hosts, public_url=config.public_url, region=config.region
        )
        self.trail = Trail(parts.placement, parts.clock, trail_settings(config))
        audit = Audit(self.trail, parts.clock, config.audit.data_events)
        self.dispatcher = Dispatcher(services, self.facilities, gateway, audit)
        self.facilities.calls = self.dispatcher
        deliveries = Deliveries(
            [receiver for service in services for receiver in service.receivers],
            Arrival(parts.clock, parts.ids),
        )
        self.bus = [
            BusReader(
                parts.placement,
                store,
                deliveries.domain_of,
                deliveries.deliver,
                parts.clock.now_ms,
            )
            for store in parts.placement.system_stores()
        ]
        jobs: list[Job] = [*PLATFORM_JOBS, trimming(self.trail.settings)]
        jobs += scrubbing(config.scrub, parts.placement, parts.blobs, parts.clock)
        jobs += [job for service in services for job in service.jobs]
        self.driver = Driver(self.facilities, jobs, self.bus, holder=parts.ids.base32(16))
