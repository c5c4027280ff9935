"""One client's connection: requests in, replies out, in order, one at a time.

Rule: a client that breaks off cancels the request that runs for it; a client that is late with
what the connection waits for loses it.

Theory: the incoming half (``intake``) is driven by the transport; this half is one task that takes
one request after the other. One task for all requests of a connection costs less than one each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, cast

from fogbank.gateway.cohorts import COHORT_MIN
from fogbank.gateway.frames import BUSY_GOAWAY, PREFACE
from fogbank.gateway.framing import RequestTimeout, SocketBody
from fogbank.gateway.guests import (
    HELD_BYTES_MIN,
    HTTP_1,
    HTTP_2,
    Roll,
    Share,
    address_of,
    origin_of,
    tls_of,
)
from fogbank.gateway.head import Refused
from fogbank.gateway.intake import TIMEOUT_MESSAGE, Intake, Mode, slow_down
from fogbank.gateway.pace import Pace
from fogbank.gateway.reply import Exchange, Truncated, write_reply
from fogbank.wire.errors import IncompleteBody
from fogbank.wire.http import HttpReply, HttpRequest

_PREFACE_HEAD: Final = 18
"""Bytes of HTTP/2's preface that look like the head of a request."""
_log = logging.getLogger(__name__)


class Connection(Intake, asyncio.Protocol):
    """The protocol of a transport, and the task that runs its requests."""

    __slots__ = ("_held", "_pace", "_roll", "_share", "_task", "_writable")
    spoken = HTTP_1
    streams = 0

    def __init__(self, roll: Roll, sandbox: str = "") -> None:
        super().__init__(roll, sandbox)
        self._roll = roll
        self._share = Share("")
        self._pace = Pace()
        self._task: asyncio.Task[None] | None = None
        self._held = 0
        """Bytes of a long reply that is being written, which count as long as it is."""
        self._writable: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take up the connection, or turn it away when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = address_of(transport)
        self._secure = transport.get_extra_info("sslcontext") is not None
        self._tls = tls_of(transport)
        self._transport.set_write_buffer_limits(high=self._house.settings.write_buffer_bytes_max)
        share = self._roll.joined(self, origin_of(self._peer, self.sandbox))
        if share is not None:
            self._share = share
            self._task = self._roll.start(self.run())
        elif self._roll.refusing(self):
            self.turned_away = True
            self.mode = Mode.HEAD  # it has no longer than that
        else:
            self._write_refusal(slow_down())
            self._transport.close()

    def eof_received(self) -> bool:
        """Close: a client that stops sending has broken off, as most servers read it."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client."""
        del exc
        self.mode = Mode.LINGER
        if self._body is not None:
            self._body.fail(IncompleteBody("The client broke off."))
        self.resume_writing()
        if self._next is not None:
            self._deliver(None)
        elif self._task is not None:
            self._task.cancel()
        self._release()
        self._house.untaken -= self._untaken
        self._untaken = False
        self._roll.left(self)

    def pause_writing(self) -> None:
        """Hold replies back: the client does not take them."""
        self.since_ms = self._house.now_ms
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let replies go on."""
        waiter, self._writable = self._writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _refuse(self, refused: Refused) -> None:
        """Answer what is no request; but let HTTP/2 take over where its preface comes first."""
        begins = (
            self.fresh and not self._secure and self._buffer.startswith(PREFACE[:_PREFACE_HEAD])
        )
        if not begins:
            super()._refuse(refused)
            return
        if self.turned_away:
            self._transport.write(BUSY_GOAWAY)
            self._buffer = b"\0"  # More of the preface may lie in the socket.
            self._linger()
            return
        # RFC 9113, 3.3: prior knowledge; over TLS the protocol is agreed in the handshake.
        self.mode = Mode.MOVED
        buffer, self._buffer = self._buffer, b""
        successor = self._roll.successor(HTTP_2, self.sandbox)
        self._roll.succeeded(self, successor)
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        successor.data_received(buffer)
        self._deliver(None)

    async def run(self) -> None:
        """Serve the connection's requests until it ends."""
        loop = asyncio.get_running_loop()
        handler = self._house.handler
        try:
            while True:
                request, self._pending = self._pending, None
                if request is None:
                    self._next = loop.create_future()
                    request = await self._next
                    if request is None:
                        return
                try:
                    # Every function that waits on this way costs every turn of a request: those
                    # that it is made of wait for nothing.
                    if self._has_room(request):
                        reply = await handler(request)
                    else:
                        reply = self._house.busy(request)
                    exchange, rest = self._begin_reply(request, reply)
                    if rest is not None:
                        await rest
                    if self._writable is not None:
                        await self._writable
                finally:
                    self._leave()
                self._go_on(keep_alive=exchange.keep_alive)
        except Truncated as error:
            _log.warning("connection of %s: %s", self._peer, error)
        except Exception:  # noqa: BLE001 (next sentence)
            # One client's trouble may not end the task group that serves all of them. The
            # dispatcher has caught what operations raise; this is a reply that failed half-way.
            _log.exception("connection of %s broke", self._peer)
        finally:
            if self.mode is not Mode.MOVED:
                self._transport.abort()

    def _has_room(self, request: HttpRequest) -> bool:
        """Count a request in, which ``_leave`` counts out; return whether there is room for it."""
        house, share = self._house, self._share
        house.untaken -= 1
        self._untaken = False
        house.in_flight += 1
        share.requests += 1
        settings = house.settings
        if (
            house.in_flight > settings.requests_max
            or share.requests > settings.requests_per_address_max
        ):
            self.close_after = True
            return False
        request.in_cohort = house.untaken + house.in_flight >= COHORT_MIN
        return True

    def _begin_reply(
        self, request: HttpRequest, reply: HttpReply
    ) -> tuple[Exchange, Coroutine[Any, Any, None] | None]:
        """Write a reply as far as it is at hand; see ``write_reply``."""
        house, body = self._house, self._body
        if type(reply.body) is bytes and len(reply.body) > HELD_BYTES_MIN:
            reply, self._held = house.hold(request, reply)
        keep = not (self.close_after or house.draining) and (body is None or self._keeps(body))
        exchange = Exchange(request.method, self._minor, house.date, keep_alive=keep)
        return exchange, write_reply(self, reply, exchange)

    def _leave(self) -> None:
        """Count a request out."""
        self._house.in_flight -= 1
        self._share.requests -= 1
        if self._held:
            self._house.held_bytes -= self._held
            self._held = 0
        if self._reserved:
            self._house.whole_bytes -= self._reserved
            self._reserved = 0

    def _go_on(self, *, keep_alive: bool) -> None:
        """Go on to the next request, or end the connection."""
        body = self._body
        if not keep_alive:
            self._linger()
        elif body is None or body.framing.done:
            self._ready()
        else:
            self._throw_away(body)

    def _keeps(self, body: SocketBody) -> bool:
        """Return whether what is left of a body is little enough to keep the connection."""
        if body.framing.done:
            return True
        # A client that was not told to continue sends its body or the next request: who knows.
        # A length of None is chunked: the discarding stops at its bound.
        return (
            not self._continue_due and (body.length or 0) <= self._house.settings.discard_bytes_max
        )

    def write(self, data: bytes) -> None:
        """Send, or buffer and send: what ``write_reply`` writes to."""
        self._house.bytes_out += len(data)
        self._transport.write(data)

    async def drain(self) -> None:
        """Return once the client has taken enough."""
        if self._writable is not None:
            await self._writable

    def sweep(self, now_ms: int) -> None:
        """End the connection if its client is late with what the mode waits for."""
        settings = self._house.settings
        unsent = self._transport.get_write_buffer_size()
        if self._writable is not None or (unsent and self.mode in (Mode.IDLE, Mode.LINGER)):
            if self._lags(Mode.BUSY, -unsent, now_ms):
                self._transport.abort()
            return
        body = self._body
        if self.mode is Mode.STREAM and body is not None and body.waiting:
            if self._lags(body, body.total, now_ms):
                self._break_off(RequestTimeout(TIMEOUT_MESSAGE))
            return
        self._pace.rest()
        late_ms = now_ms - self.since_ms
        match self.mode:
            case Mode.IDLE if late_ms > settings.idle_timeout_ms:
                self._transport.close()
            case Mode.HEAD if late_ms > settings.head_timeout_ms:
                self._refuse(Refused(408, "RequestTimeout", TIMEOUT_MESSAGE))
            case Mode.WHOLE if late_ms > settings.whole_body_timeout_ms:
                self._refuse(Refused(400, "RequestTimeout", TIMEOUT_MESSAGE))
            case Mode.DISCARD | Mode.LINGER if late_ms > settings.linger_timeout_ms:
                self._transport.abort()
            case _:
                pass

    def _lags(self, subject: object, moved: int, now_ms: int) -> bool:
        """Return whether the client moves nothing for too long, or too little."""
        settings = self._house.settings
        owed_ms = self._pace.look(subject, moved, now_ms, settings.body_rate_bytes_min)
        return (
            owed_ms > settings.body_rate_grace_ms
            or now_ms - max(self.since_ms, self._pace.moved_ms) > settings.body_timeout_ms
        )

    def retire(self) -> None:
        """End the connection when it has no request in work; else after the one it has."""
        if self.mode in (Mode.IDLE, Mode.HEAD, Mode.WHOLE):
            self._transport.close()
        else:
            self.close_after = True

    def abort(self) -> None:
        """End the connection now; what runs for it is cancelled."""
        self._transport.abort()
