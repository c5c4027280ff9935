"""One look at a whole cloud: ``/metrics`` and ``fogbank status`` of every process.

The first store process asks all others, side by side. One that does not answer in time is named
instead: what hangs must be seen here, and must not hide the rest.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from fogbank import __version__
from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings
from fogbank.platform.link.port import Peer, RemoteBugError
from fogbank.platform.metering.exposition import (
    CONTENT_TYPE,
    Family,
    labelled,
    merged,
    text_of,
    unpacked,
)
from fogbank.platform.runtime.standing import StandingAll
from fogbank.server.config import MetricsSettings
from fogbank.server.control import Control, NoArguments, Send
from fogbank.server.figures import ENVIRONMENTS, REPORT, Report, Reporter
from fogbank.server.kernel import ProcessFigures, figures_of
from fogbank.wire.http import HttpReply, HttpRequest

ANSWER_S_MAX: Final = 2.0
"""How long a process may take to say how it is."""
METRICS_BOUNDS: Final = ListenerSettings(
    connections_max=16, requests_max=16, whole_bodies_bytes_max=64 << 10
)
_SUMS: Final = ("requests_in_flight", "connections", "http2_streams", "environments")
_decode: Final = msgspec.msgpack.Decoder(Report).decode
_decode_standing: Final = msgspec.msgpack.Decoder(StandingAll).decode


class _View(NamedTuple):
    """What one look at all processes saw."""

    reports: list[Report]
    silent: list[str]
    """The processes that did not answer."""


class Observer:
    """Looks at all processes of a cloud.

    Args:
        own: Says how it is.
        others: The other processes, by name.
        endpoint: Where clients reach the cloud.
        clock: The time.
    """

    def __init__(
        self, own: Reporter, others: Mapping[str, Peer], endpoint: str, clock: Clock
    ) -> None:
        self._own = own
        self._others = others
        self._endpoint = endpoint
        self._clock = clock
        self.metrics_address = ""
        """Where ``/metrics`` is served; '' if it is not."""

    async def _look(self) -> _View:
        """Ask every process how it is."""
        names = list(self._others)
        found = await asyncio.gather(*(_asked(self._others[name]) for name in names))
        told = [_decode(each) for each in found if each is not None]
        reports = [await self._own.report(), *told]
        silent = [name for name, each in zip(names, found, strict=True) if each is None]
        return _View(reports, silent)

    def _processes(self, reports: Sequence[Report]) -> list[ProcessFigures]:
        """Return what the kernel says of every process that could be asked about."""
        supervisor = figures_of("supervisor", os.getppid())
        first = [] if supervisor is None else [supervisor]
        return [*first, *chain.from_iterable(each.processes for each in reports)]

    # /metrics

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

    async def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request for ``/metrics``."""
        if request.path != "/metrics" or request.method not in ("GET", "HEAD"):
            return HttpReply(404, [("content-type", "text/plain")], b"only /metrics is here\n")
        text = text_of(merged(self._families(await self._look())))
        return HttpReply(200, [("content-type", CONTENT_TYPE)], text.encode())

    def _families(self, view: _View) -> Iterator[Family]:
        """Yield every figure, labelled with its process."""
        answers = {**{each.name: 1 for each in view.reports}, **dict.fromkeys(view.silent, 0)}
        meaning = "1: the process answers; 0: it does not."
        ups = [({"process": name}, up) for name, up in answers.items()]
        yield Family("fogbank_process_up", "gauge", meaning, ups)
        for report in view.reports:
            yield from labelled(unpacked(report.families), {"process": report.name})
        found = self._processes(view.reports)
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

    # fogbank status

    def controls(self) -> list[Control]:
        """Return the requests, for the control socket."""
        return [
            Control("status", NoArguments, self._status),
            Control("lambda.environments", NoArguments, self._environments),
        ]

    async def _status(self, _: NoArguments, _send: Send) -> Mapping[str, Any]:
        """Return how the server is."""
        view = await self._look()
        own = view.reports[0]
        states: list[dict[str, Any]] = [{"name": each.name, **each.state} for each in view.reports]
        stores = [each for each in states if "backlogs" in each]
        return {
            "version": __version__,
            "endpoint": self._endpoint,
            "metrics": self.metrics_address,
            "uptime_s": own.state["uptime_s"],
            "processes": [msgspec.to_builtins(each) for each in self._processes(view.reports)],
            "silent": view.silent,
            "stores": stores,
            "fronts": [each for each in states if "backlogs" not in each],
            **{name: sum(each.get(name, 0) for each in states) for name in _SUMS},
            "backlogs": _summed(each["backlogs"] for each in stores),
            "degraded": list(_degraded(view)),
        }

    # fogbank top

    async def _environments(self, _: NoArguments, send: Send) -> Mapping[str, Any]:
        """Send each environment of a function, with the process that it belongs to."""
        names = list(self._others)
        asked = (_asked(self._others[name], ENVIRONMENTS) for name in names)
        found = await asyncio.gather(*asked)
        own = await self._own.environments()
        answers = [None if each is None else _decode_standing(each) for each in found]
        silent = [name for name, each in zip(names, answers, strict=True) if each is None]
        count = 0
        for standing in [own, *answers]:
            if standing is not None:
                count += standing.count
                for each in standing.environments:
                    await send(msgspec.to_builtins(each))
        return {"environments": count, "silent": silent}


async def _asked(peer: Peer, what: str = REPORT) -> bytes | None:
    """Return what a process says of itself; None if it says nothing in time."""
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            answer = await peer.call(what, None)
    except (TimeoutError, Weather, RemoteBugError):
        return None
    return answer.value


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return counts of the same names together."""
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _degraded(view: _View) -> Iterator[str]:
    """Yield what is not as it should be; where there are several processes, with whose it is."""
    is_alone = len(view.reports) + len(view.silent) == 1
    for name in view.silent:
        yield f"{name} does not answer"
    for report in view.reports:
        for what in report.degraded:
            yield what if is_alone else f"{report.name}: {what}"
