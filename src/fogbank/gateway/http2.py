"""HTTP/2: many requests on one connection, each a task, all within the connection's bounds.

Rule: a request is the same value as over HTTP/1.1, and so are its bounds. Streams in work are
counted until their handler has ended, also those that the client reset (CVE-2023-44487): resetting
frees nothing early. What floods is closed with ENHANCE_YOUR_CALM.

Theory: ``h2`` keeps the state of RFC 9113 and does no I/O; ``frames`` counts before it parses;
back-pressure is the protocol's windows towards the client's bodies, and the client's windows and
the socket's buffer towards our replies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from h2 import events
from h2.connection import ConnectionState
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from fogbank.gateway.frames import Flood
from fogbank.gateway.framing import RequestTimeout
from fogbank.gateway.guests import (
    HTTP_2,
    Roll,
    Share,
    address_of,
    origin_of,
    tls_of,
)
from fogbank.gateway.head import Head, Refused, head_of_fields
from fogbank.gateway.http2_replies import Http2Replies
from fogbank.gateway.intake import TIMEOUT_MESSAGE, no_room
from fogbank.gateway.reply import Truncated
from fogbank.gateway.streams import Stream
from fogbank.wire.errors import IncompleteBody
from fogbank.wire.http import BODY_WHOLE_BYTES_MAX, HttpRequest

_log = logging.getLogger(__name__)


class Http2Connection(Http2Replies, asyncio.Protocol):
    """The protocol of a transport on which HTTP/2 is spoken."""

    spoken = HTTP_2

    def __init__(self, roll: Roll, sandbox: str = "") -> None:
        super().__init__(roll)
        self._sandbox = sandbox
        self._share = Share("")
        self._secure = False
        self._tls = ""
        self._going = False
        self._last_number = 0
        self._dispatch: Mapping[type[events.Event], Callable[[Any], None]] = {
            events.RequestReceived: self._request_received,
            events.DataReceived: self._data_received,
            events.StreamEnded: self._stream_ended,
            events.StreamReset: self._stream_reset,
            events.WindowUpdated: self._window_updated,
            events.RemoteSettingsChanged: self._windows_changed,
            events.ConnectionTerminated: self._client_goes,
        }

    # The protocol of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our settings, or turn it away when there are too many."""
        settings = self._roll.settings
        self._transport = cast("asyncio.Transport", transport)
        self._peer = address_of(transport)
        self._secure = transport.get_extra_info("sslcontext") is not None
        self._tls = tls_of(transport)
        self._transport.set_write_buffer_limits(high=settings.write_buffer_bytes_max)
        share = self._roll.joined(self, origin_of(self._peer, self._sandbox))
        if share is None:
            self._transport.abort()
            return
        self._share = share
        self._greet()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Count frames, parse them, and act on what they say."""
        if self._discard_left >= 0:
            self._discard_left -= len(data)
            if self._discard_left < 0:
                self._transport.abort()
            return
        try:
            self._meter.take(data)
            for event in self._h2.receive_data(data):
                act = self._dispatch.get(type(event))
                if act is not None:
                    act(event)
        except Flood as flood:
            _log.warning("connection of %s: %s", self._peer, flood)
            self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._end()
        except ProtocolError as error:
            # ``h2`` has written the frame that says why.
            _log.info("connection of %s: %s", self._peer, error)
            self._end()
        else:
            self._flush()

    def eof_received(self) -> bool:
        """Close: a client that stops sending has broken off."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client."""
        del exc
        self._cancel_all()
        self.resume_writing()
        self._roll.left(self)

    # What frames say.

    def _request_received(self, event: events.RequestReceived) -> None:
        number = event.stream_id
        if self._going and number > self._last_number:
            self._refuse_stream(number)
            return
        if len(self._streams) >= self._roll.settings.streams_max:
            self._meter.charge()
            self._refuse_stream(number)
            return
        fields = cast("list[tuple[bytes, bytes]]", event.headers)
        ended = event.stream_ended is not None
        try:
            self._open(number, head_of_fields(fields, self._roll.settings.head), ended=ended)
        except Refused as refused:
            self._refuse(number, refused, ended=ended, bare=(b":method", b"HEAD") in fields)

    def _refuse_stream(self, number: int) -> None:
        """Take up no request; it may come again (RFC 9113, section 8.7)."""
        self._roll.resets_by_us += 1
        self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)

    def _open(self, number: int, head: Head, *, ended: bool) -> None:
        """Take up a request; it runs at once unless its body is gathered first."""
        stream = Stream(self, number, head, self._roll.now_ms)
        if ended and head.length:
            raise Refused(400, "BadRequest", "The body is not as long as it was said to be.")
        whole = stream.length is not None and head.length <= BODY_WHOLE_BYTES_MAX
        if ended:
            stream.ended, stream.continue_due = True, False
        elif whole and not head.expects_continue:
            self._reserve(stream)
            self._streams[number] = stream
            return
        self._streams[number] = stream
        self._run(stream, b"")

    def _reserve(self, stream: Stream) -> None:
        """Count a body that is gathered against the memory all of them may take."""
        roll, size = self._roll, stream.head.length
        if roll.whole_bytes + size > roll.settings.whole_bodies_bytes_max:
            raise no_room(stream.head, roll.busy)
        roll.whole_bytes += size
        stream.reserved = size

    def _run(self, stream: Stream, body: bytes) -> None:
        head = stream.head
        stream.request = HttpRequest(
            head.method,
            head.path,
            head.query,
            head.headers,
            body,
            None if stream.ended else stream,
            peer=self._peer,
            secure=self._secure,
            tls=self._tls,
            sandbox=self._sandbox,
        )
        stream.task = self._roll.start(self._serve(stream, stream.request))
        # Not in the task: one that is cancelled before it began runs nothing.
        stream.task.add_done_callback(lambda _: self._forget(stream))

    def _data_received(self, event: events.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        size = event.flow_controlled_length or 0
        data = event.data or b""
        if stream is None:
            self._acknowledge(event.stream_id, size)  # of a request that was refused
            return
        stream.since_ms = self._roll.now_ms if stream.request is not None else stream.since_ms
        stream.continue_due = False
        if data:
            stream.add(data)
        # The padding is nobody's; a body that is gathered has its room already.
        kept = 0 if stream.reserved else len(data)
        self._acknowledge(event.stream_id, size - kept)

    def _stream_ended(self, event: events.StreamEnded) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.ended:
            return
        stream.end()
        if stream.request is None:
            self._run(stream, stream.gathered())

    def _stream_reset(self, event: events.StreamReset) -> None:
        self._roll.resets_by_clients += 1
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self._break(stream)

    def _break(self, stream: Stream) -> None:
        """Cancel what runs for a stream that is no more; it is forgotten when that has ended."""
        stream.fail(IncompleteBody("The client broke off."))
        if stream.task is not None:
            stream.task.cancel()
        else:
            self._forget(stream)

    def _client_goes(self, event: events.ConnectionTerminated) -> None:
        """Let what runs finish: a client that goes opens nothing more, and wants its replies."""
        self._going = True
        self._last_number = self._h2.highest_inbound_stream_id
        if event.error_code == ErrorCodes.NO_ERROR:
            # ``h2`` lets nothing be sent after this frame; RFC 9113, 6.8 does.
            self._h2.state_machine.state = ConnectionState.SERVER_OPEN
        else:
            self._cancel_all()
        self._close_if_empty()

    # Replies.

    async def _serve(self, stream: Stream, request: HttpRequest) -> None:
        roll, share = self._roll, self._share
        roll.in_flight += 1
        share.requests += 1
        try:
            if (
                roll.in_flight > roll.settings.requests_max
                or share.requests > roll.settings.requests_per_address_max
            ):
                reply = roll.busy(request)
            else:
                reply = await roll.handler(request)
            await self._send_reply(stream, reply, request)
        except (Truncated, ProtocolError) as error:
            _log.warning("connection of %s: %s", self._peer, error)
            self._reset(stream, ErrorCodes.INTERNAL_ERROR)
        except Exception:  # noqa: BLE001 (next sentence)
            # One client's trouble may not end the task group that serves all of them.
            _log.exception("connection of %s broke", self._peer)
            self._reset(stream, ErrorCodes.INTERNAL_ERROR)
        finally:
            roll.in_flight -= 1
            share.requests -= 1

    # Ends.

    def _forget(self, stream: Stream) -> None:
        if self._streams.pop(stream.number, None) is None:
            return
        if stream.reserved:
            self._roll.whole_bytes -= stream.reserved
        else:
            self._acknowledge(stream.number, stream.drop())
        self._since_ms = self._roll.now_ms
        self._close_if_empty()

    def _cancel_all(self) -> None:
        for stream in list(self._streams.values()):
            self._break(stream)

    def _end(self) -> None:
        """Close so that the last frame is not lost: see ``Intake._linger``."""
        self._flush()
        self._discard_left = self._roll.settings.discard_bytes_max
        self._since_ms = self._roll.now_ms
        self._cancel_all()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _close_if_empty(self) -> None:
        if self._going and not self._streams and not self._transport.is_closing():
            self._flush()
            self._transport.close()

    def retire(self) -> None:
        """Tell the client to open nothing more (RFC 9113, 6.8); close when the last reply is out."""
        if self._discard_left >= 0:
            return
        if not self._going:
            self._going = True
            self._last_number = self._h2.highest_inbound_stream_id
            # ``h2`` would let nothing be sent after it.
            self._flush()
            self._transport.write(GoAwayFrame(0, self._last_number).serialize())
        self._close_if_empty()

    def abort(self) -> None:
        """End the connection now; what runs for it is cancelled."""
        self._transport.abort()

    def sweep(self, now_ms: int) -> None:
        """End what is late."""
        settings = self._roll.settings
        self._meter.refill(now_ms)
        late_ms = now_ms - self._since_ms
        unsent = self._transport.get_write_buffer_size()
        if self._discard_left >= 0:
            if late_ms > settings.linger_timeout_ms:
                self._transport.abort()
        elif self._writable is not None or (unsent and not self._streams):
            if self._lags(self._pace, self._since_ms, -unsent, now_ms):
                self._transport.abort()
        elif self._meter.preface_left or self._meter.block_open:
            if late_ms > settings.head_timeout_ms:
                self._transport.abort()
        elif self._streams:
            for stream in list(self._streams.values()):
                self._sweep_stream(stream, now_ms)
        elif late_ms > settings.idle_timeout_ms:
            self.retire()

    def _sweep_stream(self, stream: Stream, now_ms: int) -> None:
        settings, late_ms = self._roll.settings, now_ms - stream.since_ms
        if stream.request is None:
            if late_ms > settings.whole_body_timeout_ms:
                self._refuse(
                    stream.number, Refused(400, "RequestTimeout", TIMEOUT_MESSAGE), ended=False
                )
                self._flush()
                self._forget(stream)
        elif not stream.waiting and stream.window is None:
            stream.pace.rest()
        elif self._lags(stream.pace, stream.since_ms, stream.moved, now_ms):
            if stream.waiting:
                stream.fail(RequestTimeout(TIMEOUT_MESSAGE))
            else:
                self._reset(stream, ErrorCodes.CANCEL)
                self._break(stream)
