"""What extensions are told of their environment: subscriptions, buffers, batches (Telemetry API, Logs API).

Rule: every buffer has a bound; who reads too slowly loses what does not fit, and is told how much, and
holds nobody up. How a batch reaches its destination inside the sandbox is the engine's. Theory: events
of the start come before anybody can subscribe, so they are kept until the start is over.

Source: Lambda Developer Guide, "Accessing real-time telemetry data for extensions using the Telemetry
API", "Lambda Telemetry API reference", "Using the Lambda Logs API"; behind them AWS's runtime interface
emulator (``telemetry/relay.go``, ``subscriber.go``, ``subscription_api.go``, ``batch.go``).
"""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from fogbank.platform.runtime.dialogue import RefusedError

TELEMETRY: Final = "Telemetry"
LOGS: Final = "Logs"
PLATFORM: Final = "platform"
FUNCTION: Final = "function"
EXTENSION: Final = "extension"
LINE_BYTES_MAX: Final = 256 << 10
"""A longer line comes in pieces, as it does in the log."""
EARLY_BYTES_MAX: Final = 1 << 20
"""Of events kept for those who subscribe later in the start."""
FLUSH_SECONDS_MAX: Final = 0.3
_OPEN: Final = {
    TELEMETRY: ("2025-01-29", "2022-12-13", "2022-07-01"),
    LOGS: ("2021-03-18", "2020-08-15"),
}
"""The versions of the schema, by API."""
_TYPES: Final = (PLATFORM, FUNCTION, EXTENSION)
_LOGS_KINDS: Final = frozenset(
    (
        *("start", "end", "report", "extension", "runtimeDone", "logsDropped", "fault"),
        "logsSubscription",
    )
)
"""Platform events of the Logs API; ``end`` is its own."""
_BOUNDS: Final = {
    "maxItems": range(1_000, 10_001),
    "maxBytes": range(262_144, 1_048_577),
    "timeoutMs": range(25, 30_001),
}
_DEFAULTS: Final = {
    TELEMETRY: {"maxItems": 1_000, "maxBytes": 262_144, "timeoutMs": 1_000},
    LOGS: {"maxItems": 10_000, "maxBytes": 262_144, "timeoutMs": 1_000},
}
"""AWS: both references; they differ."""
_HOSTS: Final = frozenset(("sandbox", "sandbox.localdomain"))
_PORTS: Final = range(1, 65_536)
_LOSS: Final = b'"platform.logsDropped"'
_SLOW: Final = "Some logs were dropped because the downstream consumer is slower than the logs"


class Destination(NamedTuple):
    """Where batches go, inside the sandbox."""

    port: int
    path: str = ""
    """Of an HTTP request; empty: TCP, one event a line."""
    method: str = "POST"


class Subscription(NamedTuple):
    """What an extension has subscribed to."""

    api: str
    types: tuple[str, ...]
    destination: Destination
    items_max: int
    bytes_max: int
    timeout_ms: int


Send = Callable[[Destination, list[bytes]], Awaitable[None]]
"""Brings a batch of events to a destination; raises ``OSError`` where that cannot be."""


def subscription_of(api: str, body: bytes) -> Subscription:
    """Return what a request subscribes to.

    Raises:
        RefusedError: It says something else than AWS's schema; all faults are named.
    """
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _invalid(["body is no JSON object"])
    fields = cast("dict[str, Any]", told)
    faults: list[str] = []
    if fields.get("schemaVersion") not in _OPEN[api]:
        faults.append(f"schemaVersion should be one of {', '.join(_OPEN[api])}")
    types: Any = fields.get("types")
    if not isinstance(types, list) or not types:
        faults.append("types should not be empty")
        types = []
    elif any(kind not in _TYPES for kind in cast("list[Any]", types)):
        faults.append(f"types should be of {', '.join(_TYPES)}")
    buffering = {**_DEFAULTS[api], **_buffering(fields.get("buffering") or {}, faults)}
    destination = _destination(fields.get("destination"), faults)
    if faults:
        raise _invalid(faults)
    names = tuple(dict.fromkeys(cast("list[str]", types)))
    return Subscription(api, names, destination, *buffering.values())


def _buffering(told: Any, faults: list[str]) -> dict[str, int]:
    if not isinstance(told, dict):
        faults.append("buffering should be an object")
        return {}
    found: dict[str, int] = {}
    for name, bounds in _BOUNDS.items():
        value: Any = cast("dict[str, Any]", told).get(name)
        if value is None:
            continue
        if type(value) is not int or value not in bounds:
            faults.append(f"{name} should be between {bounds.start} and {bounds.stop - 1}")
        else:
            found[name] = value
    return found


def _destination(told: Any, faults: list[str]) -> Destination:
    fields = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    protocol = fields.get("protocol")
    nowhere = Destination(0)
    if protocol == "TCP":
        port: Any = fields.get("port")
        if type(port) is not int or port not in _PORTS:
            faults.append("port is not provided")
            return nowhere
        return Destination(port)
    if protocol != "HTTP":
        faults.append("destination.protocol should be HTTP or TCP")
        return nowhere
    method: Any = fields.get("method", "POST")
    if method not in {"POST", "PUT"}:
        faults.append("destination.method should be POST or PUT")
    try:
        url = urllib.parse.urlsplit(str(fields.get("URI", "")))
        port = url.port
    except ValueError:
        faults.append("URI is invalid")
        return nowhere
    if url.scheme != "http" or url.hostname not in _HOSTS:
        faults.append("URI host should be sandbox.localdomain")
    if not port:
        faults.append("URI port is not provided")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if not (path.isascii() and path.isprintable() and " " not in path):
        faults.append("URI is invalid")
    return Destination(port or 0, path, str(method))


def _invalid(faults: Iterable[str]) -> RefusedError:
    return RefusedError(400, "ValidationError", "; ".join(faults))


class Subscriber:
    """One subscription: what waits for its next batch."""

    def __init__(self, subscription: Subscription, send: Send, dropped: Dropped) -> None:
        """Take what is subscribed to, the way there, and who is told of what was lost."""
        self.subscription = subscription
        self._send = send
        self._dropped = dropped
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lost_records = self._lost_bytes = 0
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, event: bytes) -> None:
        """Add an event; one that does not fit beside two whole batches is lost."""
        asked = self.subscription
        full = len(self._waiting) >= 2 * asked.items_max
        if full or self._bytes + len(event) > 2 * asked.bytes_max:
            self._lost_records += 1
            self._lost_bytes += len(event)
            return
        self._waiting.append(event)
        self._bytes += len(event)
        self._idle.clear()
        if len(self._waiting) >= asked.items_max or self._bytes >= asked.bytes_max:
            self._due.set()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(asked.timeout_ms / 1000, self._due.set)

    async def run(self, awake: asyncio.Event) -> None:
        """Send batches when they are due and the sandbox runs, until cancelled."""
        try:
            while True:
                await self._due.wait()
                await awake.wait()
                await self._send_batch()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _send_batch(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[bytes] = []
        size = 0
        asked = self.subscription
        while self._waiting and len(batch) < asked.items_max:
            if batch and size + len(self._waiting[0]) > asked.bytes_max:
                break
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._bytes -= size
        reason = _SLOW
        news = any(_LOSS not in event for event in batch)
        if batch:
            try:
                await self._send(asked.destination, batch)
            except OSError as error:
                self._lost_records += len(batch)
                self._lost_bytes += size
                reason = f"could not send events: {error}"
        if self._lost_records and news:  # else one loss would be the next one's reason for ever
            lost = (self._lost_bytes, self._lost_records)
            self._lost_records = self._lost_bytes = 0
            self._dropped(*lost, reason)
        if self._waiting:
            self._due.set()  # what came meanwhile does not wait again
        else:
            self._idle.set()

    async def flush(self) -> None:
        """Send what waits; returns when it was sent, or was lost."""
        self._due.set()
        await self._idle.wait()


Dropped = Callable[[int, int, str], None]
"""Told how many bytes and records were lost, and why."""


class Relay:
    """All subscriptions of one environment, and the events on their way to them.

    Args:
        moment: Returns the time of an event, as its text.
        send: The way to destinations.
        json_lines: Whether a line of the function that is a JSON object is given as that.
    """

    def __init__(self, moment: Callable[[], str], send: Send, *, json_lines: bool = False) -> None:
        self._moment = moment
        self._send = send
        self._json_lines = json_lines
        self._subscribers: dict[str, Subscriber] = {}
        self._open = True
        self._early: list[tuple[str, str, bytes]] = []
        self._early_bytes = 0
        self._partial: dict[str, bytes] = {FUNCTION: b"", EXTENSION: b""}

    def subscribe(self, name: str, subscription: Subscription) -> Subscriber | None:
        """Subscribe an extension; return what is to be run, or None where it had done so.

        Raises:
            RefusedError: The start is over, or it has subscribed with the other API.
        """
        api = subscription.api
        if not self._open:
            words = f"{api} API subscription is closed already"
            raise RefusedError(403, f"{api}.SubscriptionClosed", words)
        known = self._subscribers.get(name)
        if known is not None and known.subscription.api != api:
            words = f"{name} has subscribed with the {known.subscription.api} API"
            raise RefusedError(403, f"{api}.AlreadySubscribed", words)
        if known is not None:
            return None  # AWS: "Logs API subscription is idempotent."
        made = Subscriber(subscription, self._send, self._tell_dropped)
        self._subscribers[name] = made
        for category, kind, event in self._early:
            _offer(made, category, kind, event)
        told = {"name": name, "state": "Subscribed", "types": list(subscription.types)}
        self.platform("telemetrySubscription" if api == TELEMETRY else "logsSubscription", told)
        return made

    def close(self) -> None:
        """Let nobody subscribe any more: the start is over."""
        self._open = False
        self._early.clear()

    def platform(self, kind: str, record: Mapping[str, Any], moment: str = "") -> None:
        """Tell an event of the platform."""
        event = {"time": moment or self._moment(), "type": f"platform.{kind}", "record": record}
        self._tell(PLATFORM, kind, _packed(event))
        if kind == "report":
            ended = {"requestId": record["requestId"]}
            event = {"time": event["time"], "type": "platform.end", "record": ended}
            self._tell(PLATFORM, "end", _packed(event))

    def printed(self, category: str, piece: bytes) -> None:
        """Tell what the function, or an extension, has printed: line by line."""
        if not (self._open or self._subscribers):
            return
        *lines, rest = (self._partial[category] + piece).split(b"\n")
        if len(rest) >= LINE_BYTES_MAX:
            lines.append(rest)
            rest = b""
        self._partial[category] = rest
        for line in lines:
            record: Any = line.decode(errors="replace")
            if self._json_lines and category == FUNCTION and line.startswith(b"{"):
                record = _object_of(line) or record
            event = {"time": self._moment(), "type": category, "record": record}
            self._tell(category, "", _packed(event))

    def _tell(self, category: str, kind: str, event: bytes) -> None:
        for subscriber in self._subscribers.values():
            _offer(subscriber, category, kind, event)
        if self._open and self._early_bytes + len(event) <= EARLY_BYTES_MAX:
            self._early.append((category, kind, event))
            self._early_bytes += len(event)

    def _tell_dropped(self, count: int, records: int, reason: str) -> None:
        told = {"droppedBytes": count, "droppedRecords": records, "reason": reason}
        self.platform("logsDropped", told)

    async def flush(self) -> None:
        """Have what waits sent before the extensions leave, as far as that is quick."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS_MAX):
                for subscriber in self._subscribers.values():
                    await subscriber.flush()
        except TimeoutError:
            return


def _offer(subscriber: Subscriber, category: str, kind: str, event: bytes) -> None:
    """Give a subscriber an event, if it is one that its API has and it asked for."""
    asked = subscriber.subscription
    if category not in asked.types:
        return
    has = kind in _LOGS_KINDS if asked.api == LOGS else kind != "end"
    if category != PLATFORM or has:
        subscriber.take(event)


def _packed(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _object_of(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line, or None if it is none."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
