"""What one process says of its work, to whoever asks for ``/metrics`` and ``fogbank status``.

Rule: figures are read when somebody asks, from plain integers that the parts count anyway.

Every process of a cloud has a ``Reporter``: a front reports what it does with sockets and requests,
a store process its store, jobs and functions besides (``storefigures``). One of them asks all
(``observer``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import msgspec

from fogbank.base.clock import Clock
from fogbank.gateway.dispatch import Dispatcher
from fogbank.gateway.forward import Notes
from fogbank.gateway.guests import HTTP_1, HTTP_2
from fogbank.gateway.listener import Listener
from fogbank.platform.link.port import Answer, Asked, Handlers
from fogbank.platform.metering.exposition import Family, counter, gauge, packed
from fogbank.platform.metering.meters import Histogram
from fogbank.platform.runtime.standing import StandingAll
from fogbank.server.kernel import ProcessFigures, figures_of

REPORT: Final = "figures.report"
"""() -> what a process says of itself: a ``Report``"""
ENVIRONMENTS: Final = "figures.environments"
"""() -> its environments of functions: ``StandingAll``"""


class Report(msgspec.Struct, frozen=True):
    """What one process says of itself."""

    name: str
    """What operators call it: ``store``, ``store 1``, ``front 0``."""
    families: bytes
    """Its figures, packed."""
    state: dict[str, Any]
    """What ``fogbank status`` shows of it."""
    processes: list[ProcessFigures]
    """Itself, and its own children."""
    degraded: list[str]
    """What is not as it should be, in words."""


class Reporter(Protocol):
    """Says how a process is."""

    async def report(self) -> Report:
        """Return what the process says of itself, now."""
        ...

    async def environments(self) -> StandingAll:
        """Return what the process has of environments of functions."""
        ...


class LoopFigures(Protocol):
    """Says how the loop of a process is: its steps, its garbage."""

    def families(self) -> Iterator[Family]:
        """Yield the figures."""
        ...


def handlers_of(reporter: Reporter) -> Handlers:
    """Return what other processes can ask of a reporter."""

    async def report(_: Asked) -> Answer:
        return Answer(msgspec.msgpack.encode(await reporter.report()))

    async def environments(_: Asked) -> Answer:
        return Answer(msgspec.msgpack.encode(await reporter.environments()))

    return {REPORT: report, ENVIRONMENTS: environments}


class EdgeFigures:
    """The figures of sockets, requests and the loop, which every process has.

    Args:
        dispatcher: Answers its requests.
        listener: Its sockets.
        clock: The time.
        loop: What is known of the loop besides.
    """

    def __init__(
        self, dispatcher: Dispatcher, listener: Listener, clock: Clock, *loop: LoopFigures
    ) -> None:
        self._dispatcher = dispatcher
        self._listener = listener
        self._clock = clock
        self._loop = loop
        self._began = clock.monotonic()

    def state(self) -> dict[str, Any]:
        """Return what ``fogbank status`` shows."""
        listener = self._listener
        return {
            "uptime_s": self._uptime_s(),
            "requests_in_flight": listener.in_flight,
            "connections": listener.connections,
            "protocols": dict(listener.spoken()),
            "http2_streams": listener.streams,
        }

    def _uptime_s(self) -> float:
        return round(self._clock.monotonic() - self._began, 3)

    def families(self) -> Iterator[Family]:
        """Yield the figures."""
        yield gauge("fogbank_uptime_seconds", "Since the process began.", self._uptime_s())
        yield from self._requests()
        yield from self._connections()
        for each in self._loop:
            yield from each.families()

    def _requests(self) -> Iterator[Family]:
        dispatcher = self._dispatcher
        ended = [
            ({"service": service, "operation": operation or "unknown", "code": code or "ok"}, found)
            for (service, operation, code), found in dispatcher.meter
        ]
        yield Family(
            "fogbank_requests_total",
            "counter",
            "Requests that ended, by outcome.",
            [(labels, found.count) for labels, found in ended],
        )
        together: dict[tuple[str, str], Histogram] = {}
        for (service, operation, _), found in dispatcher.meter:
            whole = together.setdefault((service, operation or "unknown"), Histogram())
            whole.sum_us += found.sum_us
            whole.buckets = [a + b for a, b in zip(whole.buckets, found.buckets, strict=True)]
        yield Family(
            "fogbank_request_duration_seconds",
            "histogram",
            "From the head of a request to its reply.",
            [
                ({"service": service, "operation": operation}, whole)
                for (service, operation), whole in together.items()
            ],
        )
        yield counter(
            "fogbank_throttled_total", "Requests that were told to slow down.",
            dispatcher.throttle.throttled,
        )  # fmt: skip
        yield counter(
            "fogbank_not_built_total", "Requests for what is not built.",
            sum(dispatcher.not_built.values()),
        )  # fmt: skip

        yield counter(
            "fogbank_audit_grouped_total",
            "Refusals that came too fast for records of their own, and are told of together.",
            dispatcher.refusals.grouped,
        )

    def _connections(self) -> Iterator[Family]:
        listener = self._listener
        spoken = {HTTP_1: 0, HTTP_2: 0, **listener.spoken()}
        yield Family(
            "fogbank_connections",
            "gauge",
            "Open connections, by protocol; tls: the handshake is under way.",
            [({"protocol": protocol}, count) for protocol, count in spoken.items()],
        )
        yield gauge("fogbank_requests_in_flight", "Requests in work.", listener.in_flight)
        yield counter("fogbank_received_bytes_total", "Bytes from clients.", listener.bytes_in)
        yield counter("fogbank_sent_bytes_total", "Bytes to clients.", listener.bytes_out)
        yield Family(
            "fogbank_unread_requests_total",
            "counter",
            "Requests that came to no service (malformed, too long, too slow, no room), by code.",
            [({"code": code}, count) for code, count in sorted(listener.unread_by_code.items())],
        )
        yield gauge("fogbank_http2_streams", "Open streams of HTTP/2.", listener.streams)
        resets = {"client": listener.resets_by_clients, "server": listener.resets_by_us}
        yield Family(
            "fogbank_http2_resets_total",
            "counter",
            "Streams of HTTP/2 that were broken off or refused, by whom.",
            [({"by": who}, count) for who, count in resets.items()],
        )


class FrontReporter:
    """Says how a front is.

    Args:
        name: What operators call it.
        edge: Its sockets and requests.
        notes: Its refusals on their way to the audit trail.
        damaged_reads: How often it met damage instead of a blob's bytes.
    """

    def __init__(
        self, name: str, edge: EdgeFigures, notes: Notes, damaged_reads: Callable[[], int]
    ) -> None:
        self._damaged_reads = damaged_reads
        self._name = name
        self._edge = edge
        self._notes = notes

    async def environments(self) -> StandingAll:
        """Return none: functions run behind a front."""
        return StandingAll([], 0)

    async def report(self) -> Report:
        """Return what the front says of itself, now."""
        itself = figures_of(self._name, os.getpid())
        return Report(
            self._name,
            packed([*self._edge.families(), *self._audit(), damaged(self._damaged_reads())]),
            self._edge.state(),
            [] if itself is None else [itself],
            list(self._degraded()),
        )

    def _audit(self) -> Iterator[Family]:
        yield from lost(self._notes.lost)

    def _degraded(self) -> Iterator[str]:
        if self._notes.lost:
            yield f"{self._notes.lost} audit records were lost"
        if count := self._damaged_reads():
            yield f"{count} reads met damage since the start"


def lost(count: int) -> Iterator[Family]:
    """Yield how many records of the audit trail a process has lost."""
    yield counter("fogbank_audit_lost_total", "Records that the store did not take.", count)


def damaged(count: int) -> Family:
    """Return how many reads of a process met damage."""
    meaning = "Reads that met damage instead of bytes."
    return counter("fogbank_store_damaged_reads_total", meaning, count)


def front_name(number: int) -> str:
    """Return what operators call a front."""
    return f"front {number}"


def of_store(role: str, number: int, stores: int) -> str:
    """Return what operators call a store process or a child of it."""
    return role if stores == 1 else f"{role} {number}"
