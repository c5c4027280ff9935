"""However the bytes of requests are cut, the same requests come of them, or a refusal."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import Refused
from fogbank.gateway.intake import Intake, Mode, busy_plainly
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire.http import HttpRequest


class Transport:
    """Takes what is written and remembers how it was ended."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


class House:
    def __init__(self) -> None:
        self.settings = ListenerSettings(
            stream_buffer_bytes_max=64, pipelined_bytes_max=128, sweep_ms=1
        )
        self.now_ms = 0
        self.date = "today"
        self.draining = False
        self.whole_bytes = 0
        self.in_flight = 0
        self.untaken = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.busy = busy_plainly
        self.refused: list[str] = []

    def unread(self, peer: str, refused: Refused) -> None:
        del peer
        self.refused.append(refused.code)


class Driven(Intake):
    """An intake whose requests are taken at once."""

    def __init__(self) -> None:
        super().__init__(cast("Any", House()))
        self.transport = Transport()
        self._transport = cast("Any", self.transport)
        self.seen: list[tuple[str, str, bytes]] = []

    async def take(self) -> None:
        """Serve what is there, reading bodies in small pieces."""
        while self._pending is not None:
            request, self._pending = cast("HttpRequest", self._pending), None
            body = request.body
            if request.stream is not None:
                stream = request.stream
                reading = asyncio.ensure_future(_gathered(stream))
                await asyncio.sleep(0)
                while not reading.done() and (yielded := self.cut()):
                    self.data_received(yielded)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                if not reading.done():
                    reading.cancel()
                    return
                body = reading.result()
            self.seen.append((request.method, request.path, body))
            self._release()
            if self.close_after:
                self._linger()
                return
            self._ready()

    def cut(self) -> bytes:
        """Return the next piece of what the client sends."""
        return self.pieces.pop(0) if self.pieces else b""

    async def play(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]
        while (piece := self.cut()) and self.mode is not Mode.LINGER:
            self.data_received(piece)
            await self.take()


async def _gathered(stream: Any) -> bytes:
    out = b""
    try:
        while piece := await stream.read(50):
            out += piece
    except ServiceError:
        return b"?"
    return out


def raw_of(kind: int, at: int, body: bytes) -> bytes:
    if kind == 0:
        return f"GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    if kind == 1:
        head = f"PUT /{at} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
    if kind == 2:
        head = (
            f"PUT /{at} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
            "Expect: 100-continue\r\n\r\n"
        )
        return head.encode() + body
    half = len(body) // 2
    chunks = b"".join(
        b"%X;x=y\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part
    )
    head = f"POST /{at} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunks + b"0\r\nT: 1\r\n\r\n"


requests = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=300)), min_size=1, max_size=6)


def cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(place, len(raw)) for place in cuts})
    return [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]


@given(requests, st.lists(st.integers(0, 2_500), max_size=40))
@settings(max_examples=100, deadline=None)
def test_requests_do_not_depend_on_how_their_bytes_are_cut(
    asked: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    raw = b"".join(raw_of(kind, at, body) for at, (kind, body) in enumerate(asked))
    intake = Driven()
    asyncio.run(intake.play(cut(raw, cuts)))
    methods = ("GET", "PUT", "PUT", "POST")
    assert intake.seen == [
        (methods[kind], f"/{at}", b"" if kind == 0 else body)
        for at, (kind, body) in enumerate(asked)
    ]
    assert intake._house.whole_bytes == 0
    assert intake.transport.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"") == b""


@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2], [1, 2, 3], list(range(1, 30))])
def test_an_empty_line_before_a_request_is_passed_over_however_it_is_cut(cuts: list[int]) -> None:
    raw = raw_of(0, 7, b"")
    intake = Driven()
    asyncio.run(intake.play(cut(b"\r\n" + raw, cuts)))
    assert intake.seen == [("GET", "/7", b"")]


@given(
    requests,
    st.integers(0, 3_000),
    st.sampled_from([b"", b"\n", b"\r", b"\x00", b" ", b":", b"0", b"\r\n\r\n", b"\xff", b";"]),
    st.lists(st.integers(0, 2_500), max_size=5),
)
@pytest.mark.slow
@settings(max_examples=200, deadline=None)
def test_a_damaged_stream_is_read_the_same_however_it_is_cut(
    asked: list[tuple[int, bytes]], at: int, damage: bytes, cuts: list[int]
) -> None:
    raw = b"".join(raw_of(kind, at, body) for at, (kind, body) in enumerate(asked))
    at = min(at, len(raw) - 1)
    raw = raw[:at] + damage + raw[at + 1 :]
    whole, parts = Driven(), Driven()
    asyncio.run(whole.play([raw]))
    asyncio.run(parts.play(cut(raw, cuts)))
    assert parts.seen == whole.seen
    refused = parts.transport.written.count(b" 400 "), whole.transport.written.count(b" 400 ")
    assert refused[0] == refused[1]
