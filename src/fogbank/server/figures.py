"""What operators see of a running store process: ``/metrics`` and ``fogbank status``.

Rule: figures are read when somebody asks, from plain integers that the parts count anyway; what
needs a look into the store looks at a bounded number of rows.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from fogbank import __version__
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings
from fogbank.platform.metering.exposition import CONTENT_TYPE, Family, counter, gauge, text_of
from fogbank.platform.metering.meters import Histogram
from fogbank.platform.runtime.placement import FunctionPlacement
from fogbank.platform.runtime.port import Level
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import SYSTEM_PREFIX, Store, Transaction
from fogbank.platform.store.keyspace import (
    BLOB_DELETIONS,
    DEAD_LETTERS,
    OUTBOX,
    OUTBOX_LATER,
    TIMERS,
    WORK,
)
from fogbank.server.app import App
from fogbank.server.config import MetricsSettings
from fogbank.server.control import Control, NoArguments, Send
from fogbank.wire.http import HttpReply, HttpRequest

BACKLOGS: Final = {
    "outbox": OUTBOX,
    "outbox_later": OUTBOX_LATER,
    "work": WORK,
    "timers": TIMERS,
    "dead_letters": DEAD_LETTERS,
    "blob_deletions": BLOB_DELETIONS,
}
DEPTH_MAX: Final = 10_000
"""Entries of a backlog that are counted; it may be deeper."""
LATENESS_PERIOD_MS: Final = 1_000
METRICS_BOUNDS: Final = ListenerSettings(
    connections_max=16, requests_max=16, whole_bodies_bytes_max=64 << 10
)
SANDBOXD: Final = b"fogbank.engines.sandbox.daemon"
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class ProcessFigures(NamedTuple):
    """What the kernel says of a process."""

    role: str
    pid: int
    memory_bytes: int
    descriptors: int


def figures_of(role: str, pid: int) -> ProcessFigures | None:
    """Return what the kernel says of a process, or None if it is gone; -1 where it does not say."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return None
    try:
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        descriptors = -1  # another user's
    return ProcessFigures(role, pid, resident, descriptors)


def children(pid: int) -> list[int]:
    """Return the children of a process, as far as the kernel tells."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_sandboxd(pid: int) -> bool:
    """Return whether a process is a sandbox daemon."""
    try:
        return SANDBOXD in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def depth_of(store: Store, subspace: int) -> int:
    """Return how many entries a backlog has, up to ``DEPTH_MAX``."""
    prefix = SYSTEM_PREFIX + bytes((subspace,))

    async def body(tr: Transaction) -> int:
        rows = await tr.range(prefix, tuples.after_prefix(prefix), limit=DEPTH_MAX)
        return len(rows)

    return await store.read(body)


class Figures:
    """Gathers the figures of one store process.

    Args:
        app: The cloud.
        engine: Its store.
        functions: Its placement of functions.
        listener: Its sockets.
        endpoint: Where clients reach it.
    """

    def __init__(
        self,
        app: App,
        engine: EmbeddedEngine,
        functions: FunctionPlacement,
        listener: Listener,
        endpoint: str,
    ) -> None:
        self._app = app
        self._engine = engine
        self._listener = listener
        self._endpoint = endpoint
        self._functions = functions
        self._clock = app.parts.clock
        self._began = self._clock.monotonic()
        self.lateness = Histogram()
        """How late the loop was when it should have run."""
        self.metrics_address = ""
        """Where ``/metrics`` is served; '' if it is not."""

    async def watch_loop(self) -> None:
        """Measure how late the loop runs, until cancelled."""
        while True:
            due_ms = self._clock.now_ms() + LATENESS_PERIOD_MS
            await self._clock.sleep_until(due_ms)
            self.lateness.add(max(0, self._clock.now_ms() - due_ms) * 1_000)

    async def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request for ``/metrics``."""
        if request.path != "/metrics" or request.method not in ("GET", "HEAD"):
            return HttpReply(404, [("content-type", "text/plain")], b"only /metrics is here\n")
        text = text_of([*self._families(), await self._backlogs()])
        return HttpReply(200, [("content-type", CONTENT_TYPE)], text.encode())

    async def serve(self, metrics: MetricsSettings) -> None:
        """Serve ``/metrics`` until cancelled, if the settings want it.

        Raises:
            OSError: The address cannot be used.
        """
        if metrics.port < 0:
            return
        family = socket.AF_INET6 if ":" in metrics.host else socket.AF_INET
        sock = socket.create_server((metrics.host, metrics.port), family=family)
        port: int = sock.getsockname()[1]
        host = f"[{metrics.host}]" if family is socket.AF_INET6 else metrics.host
        self.metrics_address = f"http://{host}:{port}/metrics"
        await Listener(self.answer, METRICS_BOUNDS, self._clock).serve([sock])

    async def _depths(self) -> dict[str, int]:
        """Return how many entries each backlog has, over all stores of this process."""
        depths = dict.fromkeys(BACKLOGS, 0)
        for store in self._app.parts.placement.system_stores():
            for name, subspace in BACKLOGS.items():
                depths[name] += await depth_of(store, subspace)
        return depths

    async def _backlogs(self) -> Family:
        depths = await self._depths()
        meaning = f"Entries that wait, counted up to {DEPTH_MAX}."
        samples = [({"backlog": name}, depth) for name, depth in depths.items()]
        return Family("fogbank_backlog_entries", "gauge", meaning, samples)

    def _families(self) -> Iterator[Family]:
        yield gauge("fogbank_uptime_seconds", "Since the store process began.", self._uptime_s())
        yield from self._gateway()
        yield from self._store()
        yield from self._invocations()
        yield from self._processes()
        meaning = "How late the event loop ran what was due."
        yield Family("fogbank_loop_lateness_seconds", "histogram", meaning, [({}, self.lateness)])

    def _uptime_s(self) -> float:
        return round(self._clock.monotonic() - self._began, 3)

    def _gateway(self) -> Iterator[Family]:
        dispatcher, listener = self._app.dispatcher, self._listener
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
        yield gauge("fogbank_connections", "Open connections.", listener.connections)
        yield gauge("fogbank_requests_in_flight", "Requests in work.", listener.in_flight)
        yield counter("fogbank_received_bytes_total", "Bytes from clients.", listener.bytes_in)
        yield counter("fogbank_sent_bytes_total", "Bytes to clients.", listener.bytes_out)
        yield counter(
            "fogbank_throttled_total", "Requests that were told to slow down.",
            dispatcher.throttle.throttled,
        )  # fmt: skip
        yield counter(
            "fogbank_not_built_total", "Requests for what is not built.",
            sum(dispatcher.not_built.values()),
        )  # fmt: skip
        trail = self._app.trail
        yield counter("fogbank_audit_entries_total", "Calls that were recorded.", trail.entries)
        yield counter(
            "fogbank_audit_lost_total", "Records that the store did not take.", trail.lost
        )
        yield gauge("fogbank_audit_waiting", "Records on their way to the store.", trail.waiting)

    def _store(self) -> Iterator[Family]:
        found = self._engine.figures()
        yield gauge("fogbank_store_version", "The newest commit.", found.version)
        yield gauge("fogbank_store_durable_version", "The newest durable commit.", found.durable)
        yield counter("fogbank_store_groups_total", "Groups made durable.", found.groups)
        yield counter("fogbank_store_commits_total", "Commits made durable.", found.commits)
        yield counter("fogbank_store_group_bytes_total", "Bytes of groups.", found.group_bytes)
        meaning = "Writing and syncing a group."
        yield Family("fogbank_store_sync_seconds", "histogram", meaning, [({}, found.syncs)])
        yield gauge("fogbank_store_overlay_rows", "Rows not yet settled.", found.overlay_rows)
        yield gauge("fogbank_store_log_fill_ratio", "Of the active segment.", found.log_fill)
        yield gauge(
            "fogbank_store_checkpoint_seconds", "What a checkpoint is expected to take.",
            found.checkpoint_s,
        )  # fmt: skip
        yield gauge("fogbank_store_segments_sealed", "Segments not yet applied.", found.sealed)
        yield gauge("fogbank_store_file_bytes", "The size of the settled rows.", found.file_bytes)
        yield gauge(
            "fogbank_store_full", "1: there is no space to write to.", float(bool(found.full))
        )

    def _invocations(self) -> Iterator[Family]:
        found = self._functions
        yield gauge("fogbank_function_environments", "Environments that stand.", found.environments)
        yield counter(
            "fogbank_function_cold_starts_total", "Environments that were started.",
            found.cold_starts,
        )  # fmt: skip
        outcomes = sorted(found.outcomes.items())
        yield Family(
            "fogbank_function_invocations_total",
            "counter",
            "Invocations that ended, by outcome.",
            [({"outcome": outcome}, count) for outcome, count in outcomes],
        )

    def _processes(self) -> Iterator[Family]:
        found = self.processes()
        yield Family(
            "fogbank_process_resident_bytes",
            "gauge",
            "Memory of each process.",
            [({"process": each.role}, each.memory_bytes) for each in found],
        )
        yield Family(
            "fogbank_process_descriptors",
            "gauge",
            "Open descriptors of each process.",
            [({"process": each.role}, each.descriptors) for each in found if each.descriptors >= 0],
        )

    def processes(self) -> list[ProcessFigures]:
        """Return what the kernel says of the server's processes."""
        supervisor, store = os.getppid(), os.getpid()
        pids = [("supervisor", supervisor), ("store", store)]
        if checkpointer := self._engine.figures().checkpointer_pid:
            pids.append(("checkpointer", checkpointer))
        pids += [
            ("sandboxd", pid)
            for pid in (*children(store), *children(supervisor))
            if is_sandboxd(pid)
        ]
        found = [figures_of(role, pid) for role, pid in pids]
        return [each for each in found if each is not None]

    def controls(self) -> list[Control]:
        """Return the requests, for the control socket."""
        return [Control("status", NoArguments, self._status)]

    async def _status(self, _: NoArguments, _send: Send) -> Mapping[str, Any]:
        """Return how the server is."""
        store = self._engine.figures()
        depths = await self._depths()
        return {
            "version": __version__,
            "endpoint": self._endpoint,
            "metrics": self.metrics_address,
            "uptime_s": self._uptime_s(),
            "processes": [each._asdict() for each in self.processes()],
            "store": {
                "version": store.version,
                "durable": store.durable,
                "file_bytes": store.file_bytes,
                "overlay_rows": store.overlay_rows,
            },
            "requests_in_flight": self._listener.in_flight,
            "connections": self._listener.connections,
            "environments": self._functions.environments,
            "backlogs": depths,
            "degraded": list(self._degraded(depths)),
        }

    def _degraded(self, depths: Mapping[str, int]) -> Iterator[str]:
        """Yield what is not as it should be, in words."""
        if full := self._engine.figures().full:
            yield f"the store takes nothing: {full}"
        if self._app.trail.is_failing:
            yield f"{self._app.trail.waiting} audit records wait for the store"
        if self._app.trail.lost:
            yield f"{self._app.trail.lost} audit records were lost"
        if depths["dead_letters"]:
            yield f"{depths['dead_letters']} events could not be delivered"
        if self._functions.level is Level.BARE:
            yield "functions are not isolated"
