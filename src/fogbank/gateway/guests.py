"""What a listener and its connections tell each other.

Rule: whoever holds a socket is a *guest*: it is counted before it is served, against the bound of
all and the share of its origin, swept once per ``sweep_ms`` and told when the listener drains.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, cast

from fogbank.gateway.head import Refused
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire.http import HttpReply, HttpRequest

HTTP_2: Final = "h2"
"""The name of HTTP/2 over TLS (RFC 9113, section 3.2)."""
HTTP_1: Final = "http/1.1"
HELD_BYTES_MIN: Final = 64 << 10
"""Replies up to this are not counted: a connection may have more than that in its buffer anyway."""
HANDSHAKE: Final = "tls"
"""What a connection speaks until a protocol is agreed."""

Handler = Callable[[HttpRequest], Awaitable[HttpReply]]
Busy = Callable[[HttpRequest], HttpReply]
"""Answers a request there is no room for, of which no more than the head is known."""


class House(Protocol):
    """What a connection shares with the others of its listener."""

    settings: ListenerSettings
    handler: Handler
    busy: Busy
    now_ms: int
    """The time of the last sweep, exact enough for time-outs."""
    date: str
    draining: bool
    whole_bytes: int
    held_bytes: int
    """Bytes of long replies that are held whole until their clients have taken them."""
    in_flight: int
    untaken: int
    """Requests that have come and whose connections' tasks have not taken them up."""
    bytes_in: int
    bytes_out: int

    def hold(self, request: HttpRequest, reply: HttpReply) -> tuple[HttpReply, int]:
        """Count a long reply; return it and how much it counts, or that there is no room for it."""
        ...

    def unread(self, peer: str, refused: Refused) -> None:
        """Count a request that came to no service, and say in the log whose it was."""
        ...


class Share:
    """What one origin (an address, or a sandbox) takes of the listener just now."""

    __slots__ = ("connections", "origin", "requests")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.connections = 0
        self.requests = 0


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return the client's address; empty for a Unix socket."""
    peer = transport.get_extra_info("peername")
    # A Unix socket has a path here, or nothing.
    return str(cast("tuple[str, int]", peer)[0]) if isinstance(peer, tuple) else ""


def tls_of(transport: asyncio.BaseTransport) -> str:
    """Return the version of TLS that a connection has agreed on, such as ``1.3``; '' without."""
    agreed: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    version = None if agreed is None else agreed.version()
    return "" if version is None else version.removeprefix("TLSv")


def origin_of(address: str, sandbox: str) -> str:
    """Return whose share a connection counts against: a sandbox's, a host's, an IPv6 network's.

    One host has a whole /64 to draw addresses from (RFC 4291, section 2.5.4).
    """
    if sandbox or ":" not in address:
        return sandbox or address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return packed[:8].hex()


class Guest(Protocol):
    """A connection as its listener sees it."""

    @property
    def spoken(self) -> str:
        """Return the protocol that is spoken, as TLS names it (RFC 7301)."""
        ...

    @property
    def streams(self) -> int:
        """Return how many streams of HTTP/2 are open."""
        ...

    def sweep(self, now_ms: int) -> None:
        """End the connection if its client is late with what it waits for."""
        ...

    def retire(self) -> None:
        """End the connection when it has no request in work; else after those it has."""
        ...

    def abort(self) -> None:
        """End the connection now; what runs for it is cancelled."""
        ...


class Roll(House, Protocol):
    """The listener as its connections see it."""

    resets_by_clients: int
    resets_by_us: int

    def joined(self, guest: Guest, origin: str) -> Share | None:
        """Take up a connection and return its share; None if there is no room for it."""
        ...

    def refusing(self, guest: Guest) -> bool:
        """Take up a connection to refuse its first request; False if there are too many of them."""
        ...

    def succeeded(self, guest: Guest, successor: Guest) -> None:
        """Put a connection's next protocol in its place."""
        ...

    def left(self, guest: Guest) -> None:
        """Forget a connection."""
        ...

    def successor(self, protocol: str | None, sandbox: str) -> Any:
        """Return who serves a connection on which a protocol was agreed."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of a connection."""
        ...
