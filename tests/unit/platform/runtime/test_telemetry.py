"""Subscriptions to telemetry: what may be asked, what is told to whom, and what a slow reader loses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fogbank.platform.runtime import telemetry
from fogbank.platform.runtime.dialogue import RefusedError
from fogbank.platform.runtime.telemetry import (
    LOGS,
    TELEMETRY,
    Destination,
    Relay,
    Subscription,
    subscription_of,
)

ASKED: dict[str, Any] = {
    "schemaVersion": "2022-12-13",
    "types": ["platform", "function"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/a?b"},
}


def body(**changes: Any) -> bytes:
    return json.dumps({**ASKED, **changes}).encode()


def test_a_subscription_has_the_defaults_of_its_api() -> None:
    destination = Destination(8080, "/a?b", "POST")
    types = ("platform", "function")
    expected = Subscription(TELEMETRY, types, destination, 1_000, 262_144, 1_000)
    assert subscription_of(TELEMETRY, body()) == expected
    logs = body(
        schemaVersion="2020-08-15",
        destination={"protocol": "TCP", "port": 7},
        buffering={"timeoutMs": 25},
    )
    expected = Subscription(LOGS, types, Destination(7), 10_000, 262_144, 25)
    assert subscription_of(LOGS, logs) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schemaVersion": "2020-08-15"}, "schemaVersion should be one of"),
        ({"types": []}, "types should not be empty"),
        ({"types": ["traces"]}, "types should be of platform, function, extension"),
        ({"types": [3]}, "types should be of"),
        ({"destination": None}, "destination.protocol should be HTTP or TCP"),
        ({"destination": {"protocol": "TCP", "port": 0}}, "port is not provided"),
        ({"destination": {"protocol": "TCP", "port": True}}, "port is not provided"),
        (
            {"destination": {"protocol": "HTTP", "URI": "http://sandbox"}},
            "URI port is not provided",
        ),
        ({"destination": {"protocol": "HTTP", "URI": "http://10.0.0.1:80"}}, "URI host should be"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:80/\r\nX: y"}}, "URI is"),
        ({"destination": {"protocol": "HTTP", "URI": "http://sandbox:99999"}}, "URI is invalid"),
        ({"buffering": {"maxItems": 1}}, "maxItems should be between 1000 and 10000"),
        ({"buffering": {"timeoutMs": 30_001}}, "timeoutMs should be between 25 and 30000"),
        ({"buffering": []}, ""),
    ],
)
def test_what_the_schema_does_not_know_is_refused_by_name(
    changes: dict[str, Any], words: str
) -> None:
    if not words:
        assert subscription_of(TELEMETRY, body(**changes)).items_max == 1_000
        return
    with pytest.raises(RefusedError, match=words) as caught:
        subscription_of(TELEMETRY, body(**changes))
    assert (caught.value.status, caught.value.kind) == (400, "ValidationError")


def test_all_faults_are_named_together() -> None:
    with pytest.raises(RefusedError) as caught:
        subscription_of(TELEMETRY, body(types=[], destination={"protocol": "HTTP", "URI": ""}))
    assert caught.value.message == (
        "types should not be empty; URI host should be sandbox.localdomain; "
        "URI port is not provided"
    )
    for nonsense in (b"[]", b"{", b"[" * 100_000):
        with pytest.raises(RefusedError, match="no JSON object"):
            subscription_of(TELEMETRY, nonsense)


class World:
    """A relay, and what it sent; a destination that fails or waits where it is told to."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.sent: list[list[Any]] = []
        self.error: OSError | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.awake = asyncio.Event()
        self.awake.set()
        self.relay = Relay(lambda: "now", self._send, json_lines=json_lines)

    async def _send(self, destination: Destination, batch: list[bytes]) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.sent.append([json.loads(event) for event in batch])

    def records(self) -> list[Any]:
        return [(e["type"], e["record"]) for batch in self.sent for e in batch]


SUBSCRIPTION = Subscription(
    TELEMETRY, ("platform", "function"), Destination(1), 1_000, 262_144, 30_000
)


def test_a_late_subscriber_hears_of_the_start_and_only_of_what_it_asked_for() -> None:
    async def live() -> None:
        world = World(json_lines=True)
        relay = world.relay
        relay.platform("initStart", {"phase": "init"}, "then")
        relay.printed("function", b"one\ntw")
        relay.printed("extension", b"not for it\n")
        made = relay.subscribe("a", SUBSCRIPTION)
        assert made is not None
        assert relay.subscribe("a", SUBSCRIPTION) is None, "once"
        with pytest.raises(RefusedError, match="has subscribed with the Telemetry API"):
            relay.subscribe("a", SUBSCRIPTION._replace(api=LOGS))
        relay.close()
        with pytest.raises(RefusedError) as closed:
            relay.subscribe("b", SUBSCRIPTION)
        assert closed.value.kind == "Telemetry.SubscriptionClosed"
        relay.printed("function", b'o\n{"level": "INFO"}\n{broken\n')
        relay.platform("report", {"requestId": "r"})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(world.awake))
            await relay.flush()
            running.cancel()
        subscribed = {"name": "a", "state": "Subscribed", "types": ["platform", "function"]}
        assert world.records() == [
            ("platform.initStart", {"phase": "init"}),
            ("function", "one"),
            ("platform.telemetrySubscription", subscribed),
            ("function", "two"),
            ("function", {"level": "INFO"}),
            ("function", "{broken"),
            ("platform.report", {"requestId": "r"}),
        ]

    asyncio.run(live())


def test_a_reader_that_is_slow_or_gone_loses_and_is_told_what() -> None:
    async def live() -> None:
        world = World()
        made = world.relay.subscribe("a", SUBSCRIPTION)
        assert made is not None
        world.relay.close()
        world.open.clear()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(world.awake))
            line = b"x" * 1000 + b"\n"
            for _ in range(1_000):
                world.relay.printed("function", line)
                await asyncio.sleep(0)
            assert made._bytes <= 2 * SUBSCRIPTION.bytes_max, "what waits is bounded"
            world.open.set()
            await made.flush()
            [(_, told)] = [r for r in world.records() if r[0] == "platform.logsDropped"]
            kept = sum(kind == "function" for kind, _ in world.records())
            assert told["droppedRecords"] == 1_000 - kept > 0
            assert told["droppedBytes"] > 1_000 * told["droppedRecords"]
            world.error = ConnectionRefusedError("nobody")
            world.sent.clear()
            world.relay.printed("function", b"lost\n")
            made._due.set()
            for _ in range(20):
                await asyncio.sleep(0)
            world.error = None
            world.relay.printed("function", b"again\n")
            await made.flush()
            await asyncio.sleep(0)
            await made.flush()
            [again, (kind, told)] = world.records()
            assert again == ("function", "again")
            assert (kind, told["droppedRecords"]) == ("platform.logsDropped", 1), "not told yet"
            running.cancel()

    asyncio.run(live())


def test_nothing_is_sent_into_a_sandbox_that_stands_still() -> None:
    async def live() -> None:
        world = World()
        made = world.relay.subscribe("a", SUBSCRIPTION)
        assert made is not None
        world.awake.clear()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.run(world.awake))
            made._due.set()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not world.sent
            world.awake.set()
            await made.flush()
            assert world.sent
            running.cancel()

    asyncio.run(live())


def test_what_is_kept_for_later_subscribers_and_of_a_long_line_is_bounded() -> None:
    async def live() -> None:
        relay = World().relay
        for _ in range(20):
            relay.printed("function", b"x" * 100_000)
        assert len(relay._partial["function"]) < telemetry.LINE_BYTES_MAX
        assert relay._early_bytes <= telemetry.EARLY_BYTES_MAX

    asyncio.run(live())
