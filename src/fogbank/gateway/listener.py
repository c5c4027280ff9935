"""Sockets and their connections: everything that listens, counts, times out and drains.

Rule: tasks live in the task group of ``serve`` and end with it. Time comes from the clock: one
sweep per ``sweep_ms`` looks at all connections, so that time-outs cost a request nothing and a
test moves them by moving its clock.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any

from fogbank.base.clock import Clock
from fogbank.gateway.connection import Connection
from fogbank.gateway.guests import HELD_BYTES_MIN, HTTP_2, Busy, Guest, Handler, Share
from fogbank.gateway.head import Refused
from fogbank.gateway.http2 import Http2Connection
from fogbank.gateway.intake import busy_plainly
from fogbank.gateway.settings import ListenerSettings
from fogbank.gateway.tls import TlsLayer
from fogbank.wire.http import HttpReply, HttpRequest

_log = logging.getLogger(__name__)


class Listener:
    """Serves HTTP/1.1 and HTTP/2 on the sockets it is given.

    Args:
        handler: Answers one request; it raises nothing but cancellation.
        settings: The bounds.
        clock: The time, for time-outs and the ``Date`` header.
        busy: Answers a request there is no room for; in the words of S3 unless given.
    """

    def __init__(
        self,
        handler: Handler,
        settings: ListenerSettings,
        clock: Clock,
        busy: Busy = busy_plainly,
    ) -> None:
        self.handler = handler
        self.busy = busy
        self.settings = settings
        self.now_ms = 0
        self.date = ""
        self.draining = False
        self.whole_bytes = 0
        """Bytes of all bodies that are read whole just now."""
        self.held_bytes = 0
        """Bytes of long replies that clients have not taken yet."""
        self.bytes_in = 0
        self.bytes_out = 0
        """Bytes of plain HTTP, from and to all clients so far."""
        self.in_flight = 0
        """Requests in work."""
        self.untaken = 0
        """Requests that have come and whose connections' tasks have not taken them up."""
        self.resets_by_clients = 0
        """Streams of HTTP/2 that clients broke off."""
        self.resets_by_us = 0
        """Streams of HTTP/2 that were refused or broken off, but for the ends of whole replies."""
        self.unread_by_code: Counter[str] = Counter()
        """Requests that came to no service, by the code of their refusal: no trail has them."""
        self.on_first: Callable[[], object] = lambda: None
        """Called when somebody comes and nobody was there."""
        self.tls: ssl.SSLContext | None = None
        """With what connections to come are encrypted, inside sandboxes too; None: not at all."""
        self._clock = clock
        self._connections: dict[Guest, Share] = {}
        self._refusing: set[Guest] = set()
        self._shares: dict[str, Share] = {}
        self._servers: set[asyncio.Server] = set()
        # A server that nobody refers to is collected, and its socket with it.
        self._group: asyncio.TaskGroup | None = None
        self._occupied = asyncio.Event()
        self._serving = asyncio.Event()
        self._empty = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tick()

    @property
    def connections(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    def hold(self, request: HttpRequest, reply: HttpReply) -> tuple[HttpReply, int]:
        """Count a long reply; return it and how much it counts, or that there is no room for it."""
        size = len(reply.body) if isinstance(reply.body, bytes) else 0
        if size <= HELD_BYTES_MIN:
            return reply, 0
        if self.held_bytes + size > self.settings.whole_replies_bytes_max:
            return self.busy(request), 0
        self.held_bytes += size
        return reply, size

    def unread(self, peer: str, refused: Refused) -> None:
        """Count a request that came to no service, and say in the log whose it was.

        What cannot be read as a request names no service and no operation, of which CloudTrail's
        records are; so this is all that is kept of it. The codes are our own, a dozen in all.
        """
        self.unread_by_code[refused.code] += 1
        _log.info("request of %s not read: %s: %s", peer or "?", refused.code, refused.message)

    def spoken(self) -> Counter[str]:
        """Return how many connections speak which protocol."""
        return Counter(guest.spoken for guest in self._connections)

    @property
    def streams(self) -> int:
        """Return how many streams of HTTP/2 are open."""
        return sum(guest.streams for guest in self._connections)

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serve the sockets, which are bound, until ``drain`` is through or the task cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for sock in sockets:
                    await self._listen(sock, "")
                sweeper = group.create_task(self._sweep())
                self._serving.set()
                await self._stopped.wait()
                sweeper.cancel()
        finally:
            self.draining = True
            self._close_servers()
            for connection in [*self._connections, *self._refusing]:
                connection.abort()

    async def adopt(self, listening_fd: int, sandbox: str) -> None:
        """Serve a listening socket that was opened inside a sandbox, until cancelled.

        Args:
            listening_fd: A listening socket, TCP or Unix; ours from now on.
            sandbox: The ARN that requests from it carry as ``request.sandbox``.
        """
        sock = socket.socket(fileno=listening_fd)
        server: asyncio.Server | None = None
        try:
            await self._serving.wait()
            server = await self._listen(sock, sandbox)
            await self._stopped.wait()
        finally:
            if server is None:
                sock.close()
            else:
                server.close()
                self._servers.discard(server)

    async def drain(self, timeout_s: float) -> None:
        """Accept nothing more, let running requests finish, then return.

        What still runs after ``timeout_s`` is cut off.
        """
        self.draining = True
        self._close_servers()
        for connection in [*self._connections, *self._refusing]:
            connection.retire()
        if self._group is not None and self._connections:
            self._empty.clear()
            cutter = self._group.create_task(self._cut_off(int(timeout_s * 1000)))
            await self._empty.wait()
            cutter.cancel()
        self._stopped.set()

    async def _cut_off(self, wait_ms: int) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + wait_ms)
        _log.warning(
            "drain: %d connections are cut off after %d ms", len(self._connections), wait_ms
        )
        for connection in list(self._connections):
            connection.abort()

    async def _listen(self, sock: socket.socket, sandbox: str) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)  # noqa: FBT003 (the standard library's signature)

        def protocol() -> Connection | TlsLayer:
            if not self._occupied.is_set():
                self._wake()
            tls = self.tls
            return Connection(self, sandbox) if tls is None else TlsLayer(self, tls, sandbox)

        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(protocol, sock=sock)
        else:
            server = await loop.create_server(protocol, sock=sock, backlog=self.settings.backlog)
        self._servers.add(server)
        return server

    def _close_servers(self) -> None:
        servers, self._servers = self._servers, set()
        for server in servers:
            server.close()

    async def _sweep(self) -> None:
        """Look for late clients while there are any, for ever."""
        while True:
            await self._occupied.wait()
            await self._clock.sleep_until(self.now_ms + self.settings.sweep_ms)
            self._tick()
            for connection in [*self._connections, *self._refusing]:
                connection.sweep(self.now_ms)
            if not (self._connections or self._refusing):
                self._occupied.clear()

    def _wake(self) -> None:
        """Go on telling the time: somebody comes, and nobody was there."""
        self._tick()
        self._occupied.set()
        self.on_first()

    def _tick(self) -> None:
        self.now_ms = self._clock.now_ms()
        self.date = formatdate(self.now_ms // 1000, usegmt=True)

    # What connections tell their listener.

    def joined(self, guest: Guest, origin: str) -> Share | None:
        """Take up a connection and return its share; None if there is no room for it."""
        known = self._connections.get(guest)
        if known is not None:
            return known
        settings = self.settings
        share = self._shares.get(origin) or Share(origin)
        if (
            self._group is None
            or self.draining
            or len(self._connections) >= settings.connections_max
            or share.connections >= settings.connections_per_address_max
        ):
            return None
        share.connections += 1
        self._shares[origin] = share
        self._connections[guest] = share
        return share

    def refusing(self, guest: Guest) -> bool:
        """Take up a connection to refuse its first request; False if there are too many of them."""
        if self.draining or len(self._refusing) >= self.settings.refusals_max:
            return False
        self._refusing.add(guest)
        return True

    def succeeded(self, guest: Guest, successor: Guest) -> None:
        """Put a connection's next protocol in its place."""
        self._connections[successor] = self._connections.pop(guest)

    def left(self, guest: Guest) -> None:
        """Forget a connection."""
        self._refusing.discard(guest)
        share = self._connections.pop(guest, None)
        if share is not None:
            share.connections -= 1
            if not share.connections:
                del self._shares[share.origin]
        if not self._connections:
            self._empty.set()

    def successor(self, protocol: str | None, sandbox: str) -> Connection | Http2Connection:
        """Return who serves a connection on which a protocol was agreed."""
        return (Http2Connection if protocol == HTTP_2 else Connection)(self, sandbox)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task of a connection."""
        assert self._group is not None
        return self._group.create_task(work)
