"""The listener on real sockets under HTTP/1.1 and HTTP/2: it answers or closes, holds nothing, goes on."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from h2.config import H2Configuration
from h2.connection import H2Connection
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target
from tests.fuzz.test_framing import HTTP_WORDS, REQUESTS
from tests.http.h2client import ORDINARY
from tests.http.listening import SMALL, House, echo, listening, until_true

from fogbank.base.errors import ServiceError
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = [pytest.mark.slow, pytest.mark.http]

DEADLINE_S = 20
ANSWER_BYTES_MAX = 200_000
"""Heads, refusals and frames of a few requests."""
ANSWER_PER_BYTE = 10
"""A pipelined request is 33 bytes and its answer four times as long."""
KINDS = range(12)
LENGTHS = (0, 1, 4, 5, 8, 9, 16_384, 16_385, 0xFFFFFF)
NUMBERS = (0, 1, 2, 3, 5, 7, 99, 0x7FFFFFFF, 0x80000001)


def conversation(*, bodies: bool, settings: bool) -> bytes:
    """Return what a client of HTTP/2 sends that knows what it does."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    if settings:
        client.update_settings({4: 100_000, 5: 20_000})
        client.increment_flow_control_window(70_000)
        client.ping(b"12345678")
    client.send_headers(1, ORDINARY, end_stream=True)
    if bodies:
        fields = [(":method", "PUT"), *ORDINARY[1:], ("content-length", "10")]
        client.send_headers(3, fields)
        client.send_data(3, b"01234")
        client.send_data(3, b"56789", end_stream=True, pad_length=3)
        client.send_headers(5, [(":method", "PUT"), *ORDINARY[1:]])
        client.send_data(5, b"x" * 1_000)
        client.reset_stream(5)
    return client.data_to_send()


CONVERSATIONS = [
    conversation(bodies=bodies, settings=settings)
    for bodies in (False, True)
    for settings in (False, True)
]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frames_of(data: bytes) -> list[bytes]:
    """Return the frames behind a preface, the last perhaps cut off."""
    found, at = [], len(PREFACE)
    while at + 9 <= len(data):
        end = at + 9 + int.from_bytes(data[at : at + 3], "big")
        found.append(data[at:end])
        at = end
    return found


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, number) + payload


def conversation_changed(draw: random.Random, data: bytes) -> bytes:
    """Change, double, drop and move frames, or parts of their heads and payloads."""
    frames = frames_of(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(frames))
        one = bytearray(frames[at])
        kind = draw.randrange(8)
        if kind == 0:
            one[3] = draw.choice(KINDS)
        elif kind == 1:
            one[4] ^= 1 << draw.randrange(8)
        elif kind == 2:
            struct.pack_into(">I", one, 5, draw.choice(NUMBERS))
        elif kind == 3:
            one[:3] = struct.pack(">I", draw.choice(LENGTHS))[1:]
        elif kind == 4 and len(one) > 9:
            one[draw.randrange(9, len(one))] = draw.choice(
                (0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256))
            )
        elif kind == 5:
            frames.insert(draw.randrange(len(frames) + 1), bytes(one))
        elif kind == 6:
            payload = bytes(draw.randrange(256) for _ in range(draw.choice((0, 4, 5, 6, 8, 30))))
            made = frame(draw.choice(KINDS), draw.randrange(256), draw.choice(NUMBERS), payload)
            frames[at:at] = [made] * draw.choice((1, 1, 3, 1_500))
        elif len(frames) > 1:
            del frames[at]
            continue
        frames[at if kind < 5 else -1] = bytes(one) if kind < 5 else frames[-1]
    return PREFACE + b"".join(frames)


async def answered(request: HttpRequest) -> HttpReply:
    """Answer as a dispatcher does, which lets no error of a client out."""
    try:
        return await echo(request)
    except ServiceError as error:
        return HttpReply(400, [], error.code.encode())


class Served:
    """A listener that stays the same through all cases."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.stack = AsyncExitStack()
        self.broken: list[str] = []
        self.house: House = self.runner.run(
            self.stack.enter_async_context(listening(answered, SMALL))
        )
        self.runner.get_loop().set_exception_handler(self.heard)

    def heard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.broken.append(str(context.get("exception") or context["message"]))

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def check(self, data: bytes) -> bool:
        return self.runner.run(asyncio.wait_for(self.case(data), DEADLINE_S))

    async def case(self, data: bytes) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.house.port)
        answer = b""
        try:
            writer.write(data)
            writer.write_eof()
            while piece := await reader.read(1 << 16):
                answer += piece
        except ConnectionError:
            pass  # closed before all of it was read
        finally:
            writer.close()
        listener = self.house.listener
        await until_true(lambda: listener.connections == 0 and listener.in_flight == 0)
        assert listener.whole_bytes == 0
        assert self.broken == []
        assert len(answer) <= ANSWER_BYTES_MAX + ANSWER_PER_BYTE * len(data)
        return answer.startswith(b"HTTP/1.1 200") or (b"text/plain" in answer) or b"\x88" in answer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def test_strange_bytes_of_http_1_leave_nothing_behind(hunted: Hunted, served: Served) -> None:
    outcome = hunted(Target("listener1", REQUESTS, served.check, HTTP_WORDS, count=100))
    assert outcome.findings == []
    assert outcome.accepted >= len(REQUESTS)


def test_strange_frames_of_http_2_leave_nothing_behind(hunted: Hunted, served: Served) -> None:
    outcome = hunted(
        Target("listener2", CONVERSATIONS, served.check, count=100, mutate=conversation_changed)
    )
    assert outcome.findings == []
    assert outcome.accepted >= len(CONVERSATIONS)
