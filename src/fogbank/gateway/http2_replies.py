"""The outgoing half of an HTTP/2 connection: replies framed as the client has room for them.

Rule: nothing is framed before the client's window and the socket's buffer have room, so that what
waits is a reply that has not been read from its source, and not bytes of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from fogbank.gateway.frames import FrameMeter
from fogbank.gateway.guests import Roll
from fogbank.gateway.head import Refused
from fogbank.gateway.pace import Pace
from fogbank.gateway.reply import Truncated, close_body, fields_of, has_no_body, refusal_reply
from fogbank.gateway.streams import STREAM_SLACK, Stream
from fogbank.wire.http import HttpReply, HttpRequest

_BATCH_BYTES: Final = 64 << 10
"""How much of a reply is framed before it is written and room is awaited."""
_CONTINUE: Final = [(b":status", b"100")]
_INITIAL_WINDOW: Final = 65_535
_CONFIG: Final = H2Configuration(
    client_side=False,
    header_encoding=None,
    # ``head_of_fields`` refuses more, one request at a time; what we send we make ourselves.
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Http2Replies:
    """Sends replies on the streams of one connection."""

    def __init__(self, roll: Roll) -> None:
        settings = roll.settings
        self._roll = roll
        self._peer = ""
        self._transport = cast("asyncio.Transport", None)
        self._h2 = H2Connection(_CONFIG)
        self._meter = FrameMeter(
            settings.control_frames_max,
            settings.control_frames_per_second,
            settings.head.head_bytes_max,
            roll.now_ms,
        )
        self._streams: dict[int, Stream] = {}
        self._writable: asyncio.Future[None] | None = None
        self._since_ms = roll.now_ms
        """When the connection last had a request, or could last be written to."""
        self._pace = Pace()
        self._discard_left = -1
        """Bytes that may still come after the end; negative before it."""

    def _lags(self, pace: Pace, since_ms: int, moved: int, now_ms: int) -> bool:
        """Return whether a client moves nothing for too long, or too little."""
        settings = self._roll.settings
        owed_ms = pace.look(self, moved, now_ms, settings.body_rate_bytes_min)
        return (
            owed_ms > settings.body_rate_grace_ms
            or now_ms - max(since_ms, pace.moved_ms) > settings.body_timeout_ms
        )

    def _greet(self) -> None:
        """Say what this side takes, before anything else (RFC 9113, section 3.4)."""
        settings = self._roll.settings
        window = settings.stream_buffer_bytes_max
        limits = {
            SettingCodes.MAX_CONCURRENT_STREAMS: settings.streams_max,
            SettingCodes.INITIAL_WINDOW_SIZE: window,
            SettingCodes.MAX_HEADER_LIST_SIZE: settings.head.head_bytes_max,
        }
        h2 = self._h2
        h2.local_settings = Settings(client=False, initial_values=limits)
        h2.decoder.max_header_list_size = settings.head.head_bytes_max
        h2.initiate_connection()
        # A client may open more before it has read our settings; those are refused one by one.
        limits[SettingCodes.MAX_CONCURRENT_STREAMS] = settings.streams_max + STREAM_SLACK
        h2.local_settings = Settings(client=False, initial_values=limits)
        more = settings.connection_window_bytes - _INITIAL_WINDOW
        if more > 0:
            h2.increment_flow_control_window(more)

    def pause_writing(self) -> None:
        """Hold replies back: the client does not take them."""
        self._since_ms = self._roll.now_ms
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let replies go on."""
        waiter, self._writable = self._writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def streams(self) -> int:
        """Return how many streams are open."""
        return len(self._streams)

    def _refuse(self, number: int, refused: Refused, *, ended: bool, bare: bool = False) -> None:
        """Answer what is no request; what comes of its body is thrown away."""
        self._roll.unread(self._peer, refused)
        reply = refusal_reply(refused)
        assert isinstance(reply.body, bytes)
        if bare or self._h2.local_flow_control_window(number) < len(reply.body):
            reply = HttpReply(reply.status, reply.headers)
        body, date = reply.body, self._roll.date
        assert isinstance(body, bytes)
        self._h2.send_headers(number, fields_of(reply, "GET", date), end_stream=not body)
        if body:
            self._h2.send_data(number, body, end_stream=True)
        if not ended:
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)

    async def _send_reply(self, stream: Stream, reply: HttpReply, request: HttpRequest) -> None:
        """Write a whole reply, which counts as long as it is held.

        Raises:
            Truncated: The body is not as long as it was said to be.
        """
        reply, held = self._roll.hold(request, reply)
        try:
            await self._write_reply(stream, reply, request.method)
        finally:
            self._roll.held_bytes -= held

    async def _write_reply(self, stream: Stream, reply: HttpReply, method: str) -> None:
        body, number = reply.body, stream.number
        nothing = has_no_body(reply, method) or body == b""
        self._h2.send_headers(number, fields_of(reply, method, self._roll.date), end_stream=nothing)
        if nothing:
            self._flush()
            if not isinstance(body, bytes):
                await close_body(body)
        elif isinstance(body, bytes):
            await self._send(stream, body, last=True)
        else:
            await self._send_pieces(stream, body, reply.length)
        if not stream.ended:
            # RFC 9113, 8.1: a reply that does not need the rest of the request says so.
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
            self._flush()
        await self._room()

    async def _send_pieces(
        self, stream: Stream, body: AsyncIterator[bytes], length: int | None
    ) -> None:
        sent = 0
        try:
            async for piece in body:
                sent += len(piece)
                if length is not None and sent > length:
                    raise Truncated(f"a reply of {length} bytes has more")
                if piece:
                    await self._send(stream, piece, last=False)
        finally:
            await close_body(body)
        if length is not None and sent != length:
            raise Truncated(f"a reply of {length} bytes ended after {sent}")
        self._h2.end_stream(stream.number)
        self._flush()

    async def _send(self, stream: Stream, data: bytes, *, last: bool) -> None:
        """Send bytes as the client's windows and the socket have room."""
        h2, number, view = self._h2, stream.number, memoryview(data)
        at, size, batch = 0, len(data), 0
        while at < size:
            step = min(h2.local_flow_control_window(number), h2.max_outbound_frame_size, size - at)
            if step <= 0:
                self._flush()
                stream.since_ms = self._roll.now_ms
                stream.window = asyncio.get_running_loop().create_future()
                await stream.window
                continue
            end = at + step
            h2.send_data(number, view[at:end], end_stream=last and end == size)
            at = end
            stream.moved += step
            batch += step
            self._meter.sent(step)
            if batch >= _BATCH_BYTES:
                batch = 0
                self._flush()
                await self._room()
        self._flush()
        await self._room()

    async def _room(self) -> None:
        """Return once the client has taken enough."""
        while self._writable is not None:
            await asyncio.shield(self._writable)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _reset(self, stream: Stream, code: ErrorCodes) -> None:
        """Tell the client that a stream is no more, if there is still one."""
        if self._discard_left >= 0 or self._transport.is_closing():
            return
        try:
            self._h2.reset_stream(stream.number, code)
        except ProtocolError:
            return  # The client was first.
        self._roll.resets_by_us += 1
        self._flush()

    def _acknowledge(self, number: int, size: int) -> None:
        if size and self._discard_left < 0:
            self._h2.acknowledge_received_data(size, number)

    # Bodies.

    def body_wanted(self, stream: Stream) -> None:
        """Send 100 Continue if the client waits for it."""
        stream.since_ms = self._roll.now_ms
        if stream.continue_due and self._discard_left < 0:
            stream.continue_due = False
            self._h2.send_headers(stream.number, _CONTINUE)
            self._flush()

    def body_taken(self, stream: Stream, size: int) -> None:
        """Let the client send as many more."""
        self._acknowledge(stream.number, size)
        self._flush()

    def _window_updated(self, event: events.WindowUpdated) -> None:
        if event.stream_id:
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                self._reopen(stream)
        else:
            self._windows_changed(event)

    def _windows_changed(self, _event: events.Event) -> None:
        for stream in self._streams.values():
            self._reopen(stream)

    def _reopen(self, stream: Stream) -> None:
        waiter, stream.window = stream.window, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
