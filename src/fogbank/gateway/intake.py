"""Where a connection's incoming bytes go: heads, whole bodies, streams, pipelined bytes.

Rule: everything a client can make grow has a bound (``ListenerSettings``): the head, the body
that is read whole, what a stream buffers, what is pipelined behind a running request.

Theory: a state machine over *where incoming bytes go* (``Mode``). Pipelined requests stay bytes
until their turn, which keeps replies in order for nothing and bounds the work a client can queue.
"""

from __future__ import annotations

import asyncio
import enum
from typing import Final, cast

from fogbank.base.errors import ServiceError
from fogbank.gateway.framing import (
    ChunkedFraming,
    EntityTooLarge,
    LengthFraming,
    SocketBody,
)
from fogbank.gateway.guests import Busy, House
from fogbank.gateway.head import HEAD_END, Head, Refused, read_head
from fogbank.gateway.landing import Landing
from fogbank.gateway.reply import CONTINUE, Exchange, head_of, refusal_reply
from fogbank.wire.errors import IncompleteBody
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpReply, HttpRequest

TIMEOUT_MESSAGE: Final = (
    "Your socket connection to the server was not read from or written to within the timeout "
    "period. Idle connections will be closed."
)
_STATUS_TOO_LARGE: Final = 413
_TLS_HANDSHAKE: Final = b"\x16"


def slow_down(reply: HttpReply | None = None) -> Refused:
    """Return the refusal of what there is no room for; as S3 says it where nothing is known."""
    return Refused(503, "SlowDown", "Please reduce your request rate.", reply)


def busy_plainly(_request: HttpRequest) -> HttpReply:
    """Return the reply to a request there is no room for, whoever's it is."""
    return refusal_reply(slow_down())


def no_room(head: Head, busy: Busy) -> Refused:
    """Return the refusal of a request of which the head has come."""
    return slow_down(busy(HttpRequest(head.method, head.path, head.query, head.headers)))


class Mode(enum.Enum):
    """Where incoming bytes go, and so what the client may be late with."""

    IDLE = enum.auto()
    """Nothing has come since the last reply."""
    HEAD = enum.auto()
    """A head is incomplete."""
    WHOLE = enum.auto()
    """A body that is read whole is incomplete."""
    STREAM = enum.auto()
    """A request runs; its body is incomplete."""
    BUSY = enum.auto()
    """A request runs; what comes is the next one's."""
    DISCARD = enum.auto()
    """The reply has left; the rest of the body is thrown away."""
    LINGER = enum.auto()
    """The last reply has left; what comes is thrown away until the client closes."""
    MOVED = enum.auto()
    """The connection has another protocol now."""


# An enumeration's member is dear to look up, and these are looked up for every request.
_IDLE, _HEAD, _WHOLE, _STREAM = Mode.IDLE, Mode.HEAD, Mode.WHOLE, Mode.STREAM
_BUSY, _DISCARD, _LINGER = Mode.BUSY, Mode.DISCARD, Mode.LINGER


class Intake:
    """The incoming half of one connection."""

    __slots__ = (
        "_body",
        "_buffer",
        "_continue_due",
        "_discard_left",
        "_head",
        "_house",
        "_minor",
        "_next",
        "_peer",
        "_pending",
        "_reading",
        "_reserved",
        "_secure",
        "_tls",
        "_transport",
        "_untaken",
        "close_after",
        "fresh",
        "mode",
        "sandbox",
        "since_ms",
        "turned_away",
    )

    def __init__(self, house: House, sandbox: str = "") -> None:
        self._house = house
        self._transport = cast("asyncio.Transport", None)
        self._next: asyncio.Future[HttpRequest | None] | None = None
        self._pending: HttpRequest | None = None
        self._buffer: bytes = b""
        self._head: Head | None = None
        self._body: SocketBody | None = None
        self._minor = 1
        self._untaken = False
        """Whether a request has come that the task half has not taken up."""
        self._reserved = 0
        self._discard_left = 0
        self._continue_due = False
        self._reading = True
        self._secure = False
        self._tls = ""
        self._peer = ""
        self.sandbox = sandbox
        self.mode = _IDLE
        self.since_ms = house.now_ms
        """When the mode began, or the client last did what it waits for."""
        self.close_after = False
        self.fresh = True
        """Whether no request has come yet."""
        self.turned_away = False
        """Whether it is read only to be refused in the protocol that it speaks."""

    def data_received(self, data: bytes) -> None:
        """Send incoming bytes where the mode says."""
        self._house.bytes_in += len(data)
        mode = self.mode
        if mode is _IDLE or mode is _HEAD or mode is _WHOLE:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()
        elif mode is _STREAM or mode is _DISCARD:
            self._feed_body(data)
        elif mode is _LINGER:
            self._discard(len(data))
        else:
            self._buffer = self._buffer + data if self._buffer else data
            if len(self._buffer) > self._house.settings.pipelined_bytes_max:
                self._pause()

    def body_wanted(self) -> None:
        """Send 100 Continue if the client waits for it; read the socket again."""
        self.since_ms = self._house.now_ms
        if self._continue_due:
            self._continue_due = False
            self._transport.write(CONTINUE)
        self._resume()

    def body_full(self) -> None:
        """Stop reading the socket until the reader has caught up."""
        self._pause()

    def body_came(self, size: int) -> None:
        """Note that bytes of the body came past us."""
        self._house.bytes_in += size
        self._continue_due = False
        self.since_ms = self._house.now_ms

    def _feed_body(self, data: bytes) -> None:
        body = self._body
        assert body is not None
        self._continue_due = False
        try:
            rest = body.feed(data)
        except Refused as refused:
            large = refused.status == _STATUS_TOO_LARGE
            self._break_off((EntityTooLarge if large else IncompleteBody)(refused.message))
            return
        if self.mode is _DISCARD:
            self._discard(body.drop())
        else:
            self.since_ms = self._house.now_ms
        self.body_ends(rest)

    def body_ends(self, rest: bytes) -> None:
        """Go on to what comes next, if the body is complete."""
        if self._body is not None and self._body.framing.done:
            self._buffer = rest
            if self.mode is _STREAM:
                self.mode = _BUSY
                self._resume()
            elif self.mode is _DISCARD:
                self._ready()

    def _break_off(self, error: ServiceError) -> None:
        """Let the reader of the body fail; its reply is the connection's last."""
        assert self._body is not None
        self.close_after = True
        self.mode = _BUSY
        self._pause()
        self._body.fail(error)

    def _discard(self, size: int) -> None:
        self._discard_left -= size
        if self._discard_left < 0:
            self._transport.abort()

    # Heads and whole bodies.

    def _throw_away(self, body: SocketBody) -> None:
        self.mode = _DISCARD
        self.since_ms = self._house.now_ms
        self._discard_left = self._house.settings.discard_bytes_max
        self._discard(body.drop())
        self._resume()

    def _advance(self) -> None:
        """Turn buffered bytes into the next request, if they suffice."""
        try:
            request = self._find_request()
        except Refused as refused:
            self._refuse(refused)
            return
        if request is not None:
            self._deliver(request)

    def _find_request(self) -> HttpRequest | None:
        """Return the next request if it has come; the time of a head counts from its first byte."""
        settings = self._house.settings
        head = self._head
        if head is None:
            if self.mode is _IDLE:
                begun = _begun(self._buffer)
                if begun is None:
                    return None
                self._buffer = begun
                self.mode = _HEAD
                self.since_ms = self._house.now_ms
            buffer = self._buffer
            end = buffer.find(HEAD_END)
            if end < 0 or end > settings.head.head_bytes_max:
                _check_open_head(buffer, settings.head.head_bytes_max)
                return None
            head = read_head(buffer[: end + 4], settings.head)
            self._buffer = buffer[end + 4 :] if len(buffer) > end + 4 else b""
            if self.turned_away:
                raise no_room(head, self._house.busy)
            if head.chunked or head.expects_continue or head.length > BODY_WHOLE_BYTES_MAX:
                return self._open_stream(head)
            if not head.length:
                return self._request(head, b"")
            self._reserve(head)
        if len(self._buffer) < head.length:
            return None
        body, self._buffer = self._buffer[: head.length], self._buffer[head.length :]
        self._head = None
        return self._request(head, body)

    def _reserve(self, head: Head) -> None:
        """Count a body that is read whole against the memory all of them may take."""
        house = self._house
        if house.whole_bytes + head.length > house.settings.whole_bodies_bytes_max:
            raise no_room(head, house.busy)
        self._head = head
        self._reserved = head.length
        house.whole_bytes += head.length
        self.mode = _WHOLE
        self.since_ms = house.now_ms

    def _release(self) -> None:
        self._house.whole_bytes -= self._reserved
        self._reserved = 0

    def _open_stream(self, head: Head) -> HttpRequest:
        settings = self._house.settings
        length = None if head.chunked else head.length
        framing = (
            ChunkedFraming(settings.head.body_bytes_max)
            if length is None
            else LengthFraming(length)
        )
        body = self._body = SocketBody(self, framing, length, settings.stream_buffer_bytes_max)
        if length is not None and not self._secure:
            body.landing = Landing(self._transport, self)
        self._continue_due = head.expects_continue
        request = self._request(head, b"")
        request.stream = self._body
        self.mode = _STREAM
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._feed_body(data)
        return request

    def _request(self, head: Head, body: bytes) -> HttpRequest:
        self.mode = _BUSY
        self.fresh = False
        self._minor = head.minor
        self.close_after = not head.keep_alive
        return HttpRequest(
            head.method,
            head.path,
            head.query,
            head.headers,
            body,
            peer=self._peer,
            secure=self._secure,
            tls=self._tls,
            sandbox=self.sandbox,
        )

    def _deliver(self, request: HttpRequest | None) -> None:
        """Hand the next request, or None for the end, to the task half; count what it has yet to take."""
        if request is not None:
            self._untaken = True
            self._house.untaken += 1
        waiter, self._next = self._next, None
        if waiter is None:
            self._pending = request
        elif not waiter.done():
            waiter.set_result(request)

    def _ready(self) -> None:
        """Take up the next request, from what is pipelined or from the socket."""
        self._body = None
        self.mode = _IDLE
        self.since_ms = self._house.now_ms
        if not self._reading:
            self._resume()
        if self._buffer:
            self._advance()
        elif self._house.draining:
            self._transport.close()

    def _linger(self) -> None:
        """Close so that the reply is not lost.

        Closing a socket with unread bytes resets it, and a reset overtakes the reply; so where
        more may come, end our half first and read for a while (RFC 9112, 9.6).
        """
        body, transport = self._body, self._transport
        if transport.is_closing():
            return
        nothing_left = (body is None or body.framing.done) and self._head is None
        self.mode = _LINGER
        self.since_ms = self._house.now_ms
        if nothing_left and not self._buffer:
            transport.close()
            return
        self._discard_left = self._house.settings.discard_bytes_max
        self._buffer = b""
        if body is not None:
            body.drop()
        if transport.can_write_eof():
            transport.write_eof()
        self._resume()

    def _refuse(self, refused: Refused) -> None:
        """Answer what is no request, and close."""
        self._write_refusal(refused)
        self._buffer = self._buffer or b"\0"  # Something unread may lie in the socket.
        self._linger()

    def _write_refusal(self, refused: Refused) -> None:
        self._house.unread(self._peer, refused)
        reply = refusal_reply(refused)
        exchange = Exchange("GET", 1, self._house.date, keep_alive=False)
        assert isinstance(reply.body, bytes)
        self._transport.write(head_of(reply, exchange) + reply.body)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()


def _begun(buffer: bytes) -> bytes | None:
    """Return a head without the empty line before it; None if perhaps half of that line has come."""
    if buffer[:1] != b"\r":
        return buffer
    # RFC 9112, 2.2: an empty line before the request line is ignored, once.
    return None if buffer == b"\r" else buffer.removeprefix(b"\r\n")


def _check_open_head(buffer: bytes, bytes_max: int) -> None:
    """Refuse a head that is too long, or that is no HTTP at its first line."""
    if len(buffer) > bytes_max:
        raise Refused(431, "RequestHeaderSectionTooLarge", "The head is too large.")
    if buffer[:1] == _TLS_HANDSHAKE:
        raise Refused(400, "BadRequest", "This port speaks HTTP without TLS.")
    if b"\n\n" in buffer or b"\n\r\n" in buffer.replace(b"\r\n", b""):
        raise Refused(400, "BadRequest", "Lines end in carriage return and line feed.")
