"""The wiring: engines behind ports, services behind the gateway, jobs behind the driver.

One ``App`` is one store process's cloud, with or without sockets: the server gives it an embedded
engine and a listener, ``fogbank.testing`` a memory engine and botocore's hook.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.base.ids import Ids
from fogbank.contract.call import Facilities
from fogbank.contract.event import Arrival, Receiver, Refusal
from fogbank.contract.job import Job
from fogbank.contract.option import Options
from fogbank.contract.quota import Quotas
from fogbank.contract.service import Service
from fogbank.gateway.audit import Audit
from fogbank.gateway.credentials import ProofOwner
from fogbank.gateway.dispatch import Dispatcher
from fogbank.gateway.forward import EpochOf, OwnerOf
from fogbank.platform.blobs.port import BlobLender
from fogbank.platform.blobs.sweep import SettlingBlobs
from fogbank.platform.bus.entry import Delivery
from fogbank.platform.bus.reader import BusReader, Deliver, OutboxWriter, Undeliverable
from fogbank.platform.identity.cache import Epochs
from fogbank.platform.identity.identity import Identity
from fogbank.platform.link.port import Answer, Asked, Handlers, Peer
from fogbank.platform.metering import points
from fogbank.platform.metering.trail import Trail
from fogbank.platform.runtime.folders import Folders
from fogbank.platform.runtime.functions import Functions
from fogbank.platform.scheduler.timers import Timers
from fogbank.platform.sql import Sql
from fogbank.platform.store.engine import Domain, Placement, Store, Transaction
from fogbank.server.audits import trail_settings, trimming
from fogbank.server.bounds import gateway_settings
from fogbank.server.config import Config
from fogbank.server.driver import Driver
from fogbank.server.hints import POLL_MS
from fogbank.server.jobs import PLATFORM_JOBS, scrubbing, sweeping, sweeping_metrics

log = logging.getLogger("fogbank")

FLUSH: Final = "audit.flush"
"""() -> nothing, once what waits for the audit trail, and of metrics, is written"""


class Parts:
    """What is plugged into a cloud: the engines and the sources of time and entropy."""

    __slots__ = (
        "blobs",
        "clock",
        "functions",
        "hints_trusted_ms",
        "ids",
        "jobs",
        "placement",
        "sql",
    )

    def __init__(  # noqa: PLR0913 (the composition root names each once)
        self,
        *,
        placement: Placement,
        blobs: SettlingBlobs,
        functions: Functions,
        clock: Clock,
        ids: Ids,
        jobs: Sequence[Job] = (),
        sql: Sql | None = None,
        hints_trusted_ms: int = POLL_MS,
    ) -> None:
        self.placement = placement
        self.jobs = jobs
        """Background work that the engines bring."""
        self.blobs = blobs
        self.functions = functions
        self.clock = clock
        self.ids = ids
        self.sql = sql
        self.hints_trusted_ms = hints_trusted_ms
        """How long background work trusts that the store lost none of its hints."""


class Neighbours(NamedTuple):
    """What one store process shares with others; nothing, where it is alone."""

    epochs: Epochs | None = None
    owner_of: OwnerOf | None = None
    """The process that owns a domain, or None if this one does."""
    origin: str = "0"
    """What names this process's store among them, for ever."""
    stores: Sequence[Store] = ()
    """The system subspaces of the others' stores, for operators' questions."""
    peers: Sequence[Peer] = ()
    """The others."""


class Deliveries:
    """Finds the receiver of a target among the services and runs it."""

    def __init__(
        self, receivers: Sequence[Receiver], clock: Clock, ids: Ids, facilities: Facilities
    ) -> None:
        self._receivers = receivers
        self._clock = clock
        self._ids = ids
        self._quotas = facilities.quotas
        self._metrics = facilities.metrics

    def _receiver_of(self, target: str) -> Receiver:
        """Return who takes deliveries for a target ARN."""
        for receiver in self._receivers:
            if receiver.accepts(target):
                return receiver
        raise Undeliverable(f"no service takes deliveries for {target}")

    def domain_of(self, target: str) -> Domain:
        """Return the domain of a target."""
        return self._receiver_of(target).domain(target)

    def delivered(self, delivery: Delivery) -> None:
        """Note that a receiver has taken a delivery."""
        received = self._receiver_of(delivery.target).received
        if received is not None:
            received(self._metrics, delivery.target)

    def attempt(self) -> Deliver:
        """Return what runs a receiver inside the transaction that removes the entry."""
        arrival = Arrival(self._clock.now_ms(), self._ids.uuid(), self._quotas)

        async def deliver(tr: Transaction, delivery: Delivery) -> None:
            try:
                await self._receiver_of(delivery.target).receive(tr, delivery, arrival)
            except Refusal as refusal:
                raise Undeliverable(str(refusal)) from refusal

        return deliver


def _options_of(config: Config) -> Options:
    """Return what services are told that a setting has chosen."""
    return Options(
        {
            "s3.defaults_before_2023": config.s3.defaults_before_2023,
            "dynamodb.enforce_throughput": config.dynamodb.enforce_throughput,
            "dynamodb.sql": config.dynamodb.sql,
            "lambda.trace_without_xray": config.functions.trace_without_xray,
            "lambda.urls_before_october_2025": config.functions.urls_before_october_2025,
        }
    )


def _jobs_of(config: Config, parts: Parts, services: Sequence[Service], trail: Trail) -> list[Job]:
    """Return the background work of a process: the platform's, the engines' and the services'."""
    return [
        *PLATFORM_JOBS,
        *parts.jobs,
        trimming(trail.settings),
        *scrubbing(config.scrub, parts.placement, parts.blobs, parts.clock),
        sweeping(config.sweep, parts.placement, parts.blobs),
        sweeping_metrics(parts.placement),
        *[job for service in services for job in service.jobs],
    ]


class App:
    """A cloud, ready to handle requests and to run its background work."""

    def __init__(
        self,
        config: Config,
        parts: Parts,
        services: Sequence[Service],
        neighbours: Neighbours | None = None,
    ) -> None:
        self.config = config
        self.parts = parts
        self.services = services
        neighbours = neighbours or Neighbours()
        self.identity = Identity(parts.placement, parts.clock, parts.ids, neighbours.epochs)
        self.facilities = Facilities(
            placement=parts.placement,
            blobs=parts.blobs,
            clock=parts.clock,
            ids=parts.ids,
            identity=self.identity,
            quotas=Quotas(config.quotas),
            outbox=OutboxWriter(config.events.deliveries_max),
            timers=Timers(),
            functions=parts.functions,
            options=_options_of(config),
            sql=parts.sql,
            folders=Folders(config.functions.hot_reload),
            news=[each.news for each in services if each.news is not None],
        )
        self.trail = Trail(parts.placement, parts.clock, trail_settings(config))
        audit = Audit(self.trail, parts.clock, config.audit.data_events)
        self.dispatcher = Dispatcher(
            services, self.facilities, gateway_settings(config), audit, owner_of=neighbours.owner_of
        )
        self.facilities.calls = self.dispatcher
        deliveries = Deliveries(
            [receiver for service in services for receiver in service.receivers],
            parts.clock,
            parts.ids,
            self.facilities,
        )
        self.bus = [
            BusReader(
                parts.placement,
                store,
                deliveries.domain_of,
                deliveries.attempt,
                parts.clock.now_ms,
                neighbours.origin,
            )
            for store in parts.placement.system_stores()
        ]
        for reader in self.bus:
            reader.delivered = deliveries.delivered
        self._peers = neighbours.peers
        self.trail_stores: Sequence[Store] = (
            *parts.placement.system_stores(),
            *neighbours.stores,
        )
        """Where the audit trail lies: in the store of whoever performed a call."""
        jobs = _jobs_of(config, parts, services, self.trail)
        self.driver = Driver(
            self.facilities,
            jobs,
            self.bus,
            holder=parts.ids.base32(16),
            trusted_ms=parts.hints_trusted_ms,
        )

    def handlers(self, epoch_of: EpochOf, lender: BlobLender | None = None) -> Handlers:
        """Return what other processes of the cloud can ask of this one's services.

        Args:
            epoch_of: The current epoch of an account.
            lender: Lets them write our blobs.
        """
        arrivals = self.dispatcher.arrivals(epoch_of, lender).handlers()
        return {**arrivals, **ProofOwner(self.identity).handlers(), FLUSH: self._flush}

    async def _flush(self, _asked: Asked) -> Answer:
        """Write what waits to be written."""
        await self.flush()
        return Answer(None)

    async def flush(self) -> None:
        """Write the entries of the audit trail that wait here, and what was noted of metrics."""
        self.dispatcher.refusals.tell()
        await self.trail.flush()
        try:
            await points.write(self.parts.placement, self.facilities.metrics)
        except Weather as error:
            log.warning("metrics wait for the store: %s", error)
            self.facilities.metrics.begun()  # else they would until something else is noted

    async def flush_all(self) -> None:
        """Write what waits for the audit trail and of metrics, in all stores."""
        await self.flush()
        for peer in self._peers:
            await peer.call(FLUSH, None)
