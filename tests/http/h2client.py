"""A client of HTTP/2 that does exactly what it is told to, on the state machine of ``h2``."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import Frame
from tests.http.listening import WAIT_S, House

ORDINARY = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
"""The fields of an ordinary request."""


class Reply:
    def __init__(self) -> None:
        self.status = 0
        self.interim: list[int] = []
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.ended = False
        self.reset: int | None = None


class H2Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.replies: defaultdict[int, Reply] = defaultdict(Reply)
        self.goaway: int | None = None
        self.last_number: int | None = None
        self.pongs = 0
        self.closed = False
        self.take = True
        """Whether the window is opened again for what has come."""

    @classmethod
    async def connect(cls, house: House, **settings: Any) -> H2Client:
        if house.trust is not None:
            house.trust.set_alpn_protocols(["h2"])
        client = cls(*await asyncio.open_connection("127.0.0.1", house.port, ssl=house.trust))
        house.stack.callback(client.writer.close)
        client.h2.initiate_connection()
        if settings:
            client.h2.update_settings(settings.pop("values"))
        client.flush()
        return client

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def raw(self, *frames: Frame) -> None:
        """Send frames that the state machine knows nothing of."""
        self.writer.write(b"".join(frame.serialize() for frame in frames))

    def send(
        self,
        method: str,
        path: str,
        *more: tuple[str, str],
        body: bytes | None = None,
        end: bool = True,
    ) -> int:
        """Open a stream; the body must fit the windows."""
        number = self.h2.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", path),
            *more,
        ]
        self.fields(fields, end=body is None and end)
        if body is not None:
            for at in range(0, len(body) or 1, 16_384):
                piece = body[at : at + 16_384]
                last = at + 16_384 >= len(body)
                self.h2.send_data(number, piece, end_stream=end and last)
        self.flush()
        return number

    def fields(self, fields: list[tuple[str, str]], *, end: bool = True) -> int:
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields, end_stream=end)
        self.replies[number] = Reply()
        self.flush()
        return number

    async def until(self, condition: Any) -> None:
        """Read and answer frames until something holds."""
        while not condition():
            data = await asyncio.wait_for(self.reader.read(1 << 16), WAIT_S)
            if not data:
                self.closed = True
                assert condition(), "the server closed"
                return
            for event in self.h2.receive_data(data):
                self.act(event)
            self.flush()

    async def reply(self, number: int) -> Reply:
        found = self.replies[number]
        await self.until(lambda: found.ended or found.reset is not None)
        return found

    async def drained(self) -> None:
        """Read until the server closes."""
        try:
            await self.until(lambda: self.closed)
        except ConnectionError:
            self.closed = True

    def act(self, event: events.Event) -> None:
        match event:
            case events.ResponseReceived():
                found = self.replies[event.stream_id]
                pairs = dict(event.headers)
                found.status = int(pairs.pop(":status"))
                found.headers = pairs
            case events.InformationalResponseReceived():
                interim = int(dict(event.headers)[":status"])
                self.replies[event.stream_id].interim.append(interim)
            case events.DataReceived():
                self.replies[event.stream_id].body += event.data
                if self.take:
                    size = event.flow_controlled_length
                    self.h2.acknowledge_received_data(size, event.stream_id)
            case events.StreamEnded():
                self.replies[event.stream_id].ended = True
            case events.StreamReset():
                self.replies[event.stream_id].reset = int(event.error_code)
            case events.ConnectionTerminated():
                self.goaway, self.last_number = int(event.error_code), event.last_stream_id
            case events.PingAckReceived():
                self.pongs += 1
            case _:
                pass
