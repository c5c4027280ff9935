"""What a process says of its sockets and requests, and who asks all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fogbank.base.errors import Unavailable
from fogbank.gateway.forward import Notes
from fogbank.platform.link.port import Answer, Asked, ByteSource, RemoteBugError
from fogbank.platform.metering.exposition import gauge, packed, text_of
from fogbank.platform.metering.meters import RequestMeter
from fogbank.platform.runtime.standing import Standing, StandingAll
from fogbank.server import observer as observing
from fogbank.server.figures import EdgeFigures, FrontReporter, Report, handlers_of
from fogbank.server.kernel import ProcessFigures
from fogbank.server.observer import Observer
from fogbank.testing.clock import VirtualClock
from fogbank.wire.http import HttpRequest


def edge(**changed: Any) -> EdgeFigures:
    """Return the figures of a process with these numbers."""
    numbers = {"in_flight": 4, "bytes_in": 5, "bytes_out": 6, "streams": 7, "connections": 3}
    unread = Counter({"BadRequest": 13, "RequestTimeout": 14})
    resets = {"resets_by_clients": 8, "resets_by_us": 9, "unread_by_code": unread}
    spoken = Counter({"h2": 2, "tls": 1})
    listener: Any = SimpleNamespace(spoken=lambda: spoken, **{**numbers, **resets, **changed})
    meter = RequestMeter()
    meter.ended("s3", "GetObject", "", 100)
    meter.ended("s3", "GetObject", "NoSuchKey", 100)
    meter.ended("s3", "", "SignatureDoesNotMatch", 100)
    dispatcher: Any = SimpleNamespace(
        meter=meter,
        throttle=SimpleNamespace(throttled=10),
        not_built=Counter({"fogbank has not built s3:SelectObjectContent": 11}),
        refusals=SimpleNamespace(grouped=12),
    )
    return EdgeFigures(dispatcher, listener, VirtualClock())


def test_sockets_and_requests_are_told_by_protocol_outcome_and_whoever_broke_off() -> None:
    lines = text_of(edge().families()).splitlines()
    for line in (
        'fogbank_connections{protocol="http/1.1"} 0',
        'fogbank_connections{protocol="h2"} 2',
        'fogbank_connections{protocol="tls"} 1',
        "fogbank_requests_in_flight 4",
        "fogbank_received_bytes_total 5",
        "fogbank_sent_bytes_total 6",
        "fogbank_http2_streams 7",
        'fogbank_http2_resets_total{by="client"} 8',
        'fogbank_http2_resets_total{by="server"} 9',
        'fogbank_unread_requests_total{code="BadRequest"} 13',
        'fogbank_unread_requests_total{code="RequestTimeout"} 14',
        "fogbank_throttled_total 10",
        "fogbank_not_built_total 11",
        "fogbank_audit_grouped_total 12",
        'fogbank_requests_total{service="s3",operation="GetObject",code="NoSuchKey"} 1',
        'fogbank_requests_total{service="s3",operation="unknown",code="SignatureDoesNotMatch"} 1',
        'fogbank_request_duration_seconds_count{service="s3",operation="GetObject"} 2',
    ):
        assert line in lines, line


class Gone:
    """A process that cannot be reached."""

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        raise Unavailable(f"{method} {value} {stream}")


def test_a_front_that_lost_records_is_degraded() -> None:
    notes = Notes(Gone())
    reporter = FrontReporter("front 0", edge(), notes, lambda: 0)
    assert asyncio.run(reporter.report()).degraded == []

    async def lose() -> Report:
        notes(("an entry",))  # type: ignore[arg-type]
        await notes.flush()
        return await reporter.report()

    assert asyncio.run(lose()).degraded == ["1 audit records were lost"]


# Whoever asks all of them.


ENVIRONMENT = Standing(
    *("1" * 12, "us-east-1", "f", "1", "python3.11", "busy"),
    1,
    128,
    2,
    3,
    4,
    0,
    5,
    provisioned=True,
)


class Told:
    """A process that says one thing; ``state`` with backlogs makes it a store process."""

    def __init__(self, name: str, degraded: list[str], state: dict[str, Any]) -> None:
        self._report = Report(
            name,
            packed([gauge("fogbank_x", "X.", 1)]),
            {"connections": 1, "requests_in_flight": 2, "uptime_s": 3, **state},
            [ProcessFigures(name, 1, 2, 3)],
            degraded,
        )

    async def report(self) -> Report:
        return self._report

    async def environments(self) -> StandingAll:
        return StandingAll([ENVIRONMENT], 2)

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        assert stream is None
        return await handlers_of(self)[method](Asked(value))


class Broken(Gone):
    """A process that meets a bug."""

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        raise RemoteBugError(f"{method} {value} {stream}")


class Stuck(Gone):
    """A process that never answers."""

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        await asyncio.get_running_loop().create_future()
        raise AssertionError(f"{method} {value} {stream}")


def stored(name: str, *degraded: str) -> Told:
    backlogs = {"environments": 5, "backlogs": {"outbox": 6}}
    return Told(name, list(degraded), backlogs)


def look(observer: Observer) -> tuple[dict[str, Any], list[str]]:
    """Return what ``fogbank status`` hears, and the lines of ``/metrics``."""
    status, _ = observer.controls()

    async def both() -> tuple[Any, Any]:
        said = await status.run(msgspec.convert({}, status.arguments), None)  # type: ignore[arg-type]
        return said, await observer.answer(HttpRequest("GET", "/metrics", "", {}, b""))

    said, reply = asyncio.run(both())
    return dict(said), reply.body.decode().splitlines()


def test_every_process_is_told_of_and_sums_are_over_all_of_them() -> None:
    others = {"store 1": stored("store 1", "it is full"), "front 0": Told("front 0", [], {})}
    own = stored("store 0")
    said, lines = look(Observer(own, others, "http://here", VirtualClock()))
    assert [each["name"] for each in said["stores"]] == ["store 0", "store 1"]
    assert [each["name"] for each in said["fronts"]] == ["front 0"]
    assert (said["connections"], said["requests_in_flight"], said["environments"]) == (3, 6, 10)
    assert said["backlogs"] == {"outbox": 12}
    assert said["degraded"] == ["store 1: it is full"]
    for name in ("store 0", "store 1", "front 0"):
        assert f'fogbank_x{{process="{name}"}} 1' in lines
        assert f'fogbank_process_up{{process="{name}"}} 1' in lines


def test_who_cannot_be_reached_breaks_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "ANSWER_S_MAX", 0.01)
    others = {"store 1": Gone(), "front 0": Broken(), "front 1": Stuck()}
    said, lines = look(Observer(stored("store 0"), others, "http://here", VirtualClock()))
    assert said["silent"] == list(others)
    assert said["degraded"] == [f"{name} does not answer" for name in others]
    assert [each["name"] for each in said["stores"]] == ["store 0"]
    for name in others:
        assert f'fogbank_process_up{{process="{name}"}} 0' in lines


def test_environments_of_every_process_are_told_of() -> None:
    others = {"store 1": stored("store 1"), "store 2": Gone()}
    _, control = Observer(stored("store 0"), others, "http://here", VirtualClock()).controls()
    rows: list[Any] = []

    async def send(row: Any) -> None:
        rows.append(row)

    said = asyncio.run(control.run(msgspec.convert({}, control.arguments), send))  # type: ignore[arg-type]
    assert (control.name, said) == (
        "lambda.environments",
        {"environments": 4, "silent": ["store 2"]},
    )
    assert rows == [msgspec.to_builtins(ENVIRONMENT)] * 2


def test_one_process_alone_is_not_named_in_what_is_degraded() -> None:
    said, _ = look(Observer(stored("store", "it is full"), {}, "http://here", VirtualClock()))
    assert said["degraded"] == ["it is full"]
