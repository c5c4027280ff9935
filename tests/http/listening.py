"""A listener on a real socket, and a client that says exactly what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from cryptography.hazmat.primitives import serialization

from fogbank.base.clock import SystemClock
from fogbank.base.errors import ServiceError
from fogbank.gateway.guests import Busy
from fogbank.gateway.intake import busy_plainly
from fogbank.gateway.listener import Listener
from fogbank.gateway.settings import ListenerSettings
from fogbank.gateway.tls import server_context
from fogbank.server import authority, datadir
from fogbank.testing.clock import VirtualClock
from fogbank.wire.http import HttpReply, HttpRequest

SMALL = ListenerSettings(sweep_ms=1_000)
PACED = SMALL._replace(body_rate_bytes_min=100, body_rate_grace_ms=10_000)
"""Bodies have to come, and replies to go, at some pace."""
WAIT_S = 10
"""No test waits this long unless it fails."""


class Tls(NamedTuple):
    """Both ends' contexts."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def make_tls(folder: Path, *names: str) -> Tls:
    """Return the contexts of an authority in a folder and of a client that trusts it."""
    pair = authority.ensure(folder, ("127.0.0.1", *names), SystemClock().now_ms())
    pem = pair.certificate.public_bytes(serialization.Encoding.PEM).decode()
    client = ssl.create_default_context(cafile=os.fspath(datadir.authority_file(folder)))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return Tls(server_context(pem, pair.key_pem().decode()), client)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *lines: str, body: bytes = b"") -> None:
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        first, *rest = raw.decode().split("\r\n")[:-2]
        pairs = (line.split(": ", 1) for line in rest)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def answer(self, method: str = "GET") -> Answer:
        status, headers = await self.head()
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, await self._chunks())
        length = int(headers["content-length"])
        body = await asyncio.wait_for(self.reader.readexactly(length), WAIT_S)
        return Answer(status, headers, body)

    async def _chunks(self) -> bytes:
        out = b""
        while size := int(await self.reader.readline(), 16):
            out += await self.reader.readexactly(size)
            assert await self.reader.readline() == b"\r\n"
        assert await self.reader.readline() == b"\r\n"
        return out

    async def ended(self) -> bytes:
        """Return what still comes until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), WAIT_S)
        except ConnectionResetError:
            return b""


class House(NamedTuple):
    listener: Listener
    clock: VirtualClock
    port: int
    stack: contextlib.AsyncExitStack
    trust: ssl.SSLContext | None = None
    """How to connect over TLS."""

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        self.stack.callback(writer.close)
        return Client(reader, writer)

    async def after(self, milliseconds: int) -> None:
        """Move time, sweep by sweep."""
        until = self.clock.now_ms() + milliseconds
        while self.clock.now_ms() < until:
            await asyncio.sleep(0)
            self.clock.advance_to(until)
            await asyncio.sleep(0)
        listener = self.listener
        # It tells the time while there is somebody to be late.
        await until_true(
            lambda: listener.now_ms >= until - 1_000 or not listener._occupied.is_set()
        )


async def until_true(condition: Callable[[], object]) -> None:
    """Let input and output happen until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (many kinds of condition)
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def listening(
    handler: Callable[[HttpRequest], Awaitable[HttpReply]],
    settings: ListenerSettings = SMALL,
    tls: Tls | None = None,
    busy: Busy = busy_plainly,
) -> AsyncIterator[House]:
    sock = socket.create_server(("127.0.0.1", 0))
    clock = VirtualClock()
    listener = Listener(handler, settings, clock, busy)
    if tls is not None:
        listener.tls = tls.server
    serving = asyncio.create_task(listener.serve([sock]))
    await asyncio.sleep(0)
    async with contextlib.AsyncExitStack() as stack:
        port = sock.getsockname()[1]
        yield House(listener, clock, port, stack, tls.client if tls is not None else None)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        assert listener.in_flight == 0
        assert listener.whole_bytes == 0
        assert listener.connections == 0


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work, 30))


async def echo(request: HttpRequest) -> HttpReply:
    """Answer what came, as text."""
    body = request.body
    if request.stream is not None:
        pieces = []
        while piece := await request.stream.read(64 << 10):
            pieces.append(piece)
        body = b"".join(pieces)
    text = f"{request.method} {request.path} {request.query} ".encode() + body
    return HttpReply(200, [("Content-Type", "text/plain")], text)


async def echo_or_code(request: HttpRequest) -> HttpReply:
    """Answer what came, or the code of the error that kept it from coming."""
    try:
        return await echo(request)
    except ServiceError as error:
        return HttpReply(400, [], error.code.encode())


async def endless(request: HttpRequest) -> HttpReply:
    """Answer with bytes that never end."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    return HttpReply(200, [], pieces())


class Waiting:
    """A handler that answers every request when it is let, and none before."""

    def __init__(self, body: bytes = b"") -> None:
        self._gate = asyncio.Event()
        self._body = body

    async def __call__(self, request: HttpRequest) -> HttpReply:
        await self._gate.wait()
        return HttpReply(200, [], self._body)

    def let(self) -> None:
        """Answer what waits, and what is to come."""
        self._gate.set()
