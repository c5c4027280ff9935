"""The listener of the Runtime and Extensions APIs against a hostile sandbox: what it keeps is bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines.sandbox.test_environment import spec_of

from fogbank.base.ids import Ids
from fogbank.engines.sandbox import runtime_api
from fogbank.engines.sandbox.extensions_api import ExtensionsApi
from fogbank.engines.sandbox.runtime_api import RuntimeApi
from fogbank.platform.runtime.dialogue import Dialogue, Event
from fogbank.platform.runtime.extensions import Extensions

_TURNS = 50


def served(attack: Callable[[RuntimeApi, tuple[str, int]], Awaitable[None]]) -> None:
    """Serve an API while it is attacked."""

    async def live() -> None:
        ids = Ids.seeded(1)
        extensions = ExtensionsApi(spec_of(Path("/")), ids.uuid)
        extensions.extensions = Extensions(ids.uuid, extensions.deliver, lambda _, __: None)
        api = RuntimeApi(Dialogue(), extensions, lambda: None)
        listener = socket.create_server(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(api.serve(listener))
            await asyncio.sleep(0)
            await attack(api, listener.getsockname())
            serving.cancel()

    asyncio.run(live())


async def push(sock: socket.socket, data: bytes, most: int) -> int:
    """Send data again and again until nobody takes any more; return how many bytes went."""
    sock.settimeout(0)
    sent = refused = 0
    while refused < _TURNS and sent < most:
        try:
            sent += sock.send(data)
            refused = 0
        except BlockingIOError:
            refused += 1
        except ConnectionError:
            return sent
        await asyncio.sleep(0)
    return sent


async def reply(address: tuple[str, int], request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    try:
        return await reader.read(1 << 16)
    finally:
        writer.transport.abort()


def post(path: str, body: bytes, headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_who_asks_and_never_reads_is_read_no_further() -> None:
    async def attack(api: RuntimeApi, address: tuple[str, int]) -> None:
        with socket.create_connection(address) as sock:
            flood = b"GET /2018-06-01/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
            assert await push(sock, flood, 64 << 20) < 32 << 20
            [connection] = api.connections
            transport: Any = connection._transport  # type: ignore[attr-defined]
            assert transport.get_write_buffer_size() < 8 << 20

    served(attack)


def test_bodies_on_many_connections_together_are_bounded() -> None:
    async def attack(api: RuntimeApi, address: tuple[str, int]) -> None:
        socks = [socket.create_connection(address) for _ in range(10)]
        size = 5 << 20
        head = (
            b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        )
        for sock in socks:
            sock.send(head % (size + 1))
            await push(sock, b"x" * (64 << 10), size)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        held = sum(len(each.body) for each in api.connections)
        assert held <= runtime_api.HELD_BYTES_MAX
        assert len(api.connections) < len(socks)
        for sock in socks:
            sock.close()

    served(attack)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (post("/2020-01-01/extension/register", b"{}"), b"403"),
        (post("/2020-01-01/extension/register", b"[1]", "Lambda-Extension-Name: a\r\n"), b"403"),
        (
            post(
                "/2020-01-01/extension/register",
                b'{"events": [1]}',
                "Lambda-Extension-Name: a\r\n",
            ),
            b"403",
        ),
        (
            post("/2020-01-01/extension/register", b"x" * 70_000, "Lambda-Extension-Name: a\r\n"),
            b"403",
        ),
        (
            post(
                "/2020-01-01/extension/register", b"{}", f"Lambda-Extension-Name: {'a' * 129}\r\n"
            ),
            b"403",
        ),
        (b"PUT /2022-07-01/telemetry HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"403"),
        (b"GET /2020-01-01/extension/event/next HTTP/1.1\r\n\r\n", b"403"),
        (b"GET /2020-01-01/extension/%2e%2e HTTP/1.1\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (2 << 20), b""),
        (b"\x00\xff nonsense\r\n\r\n", b""),
    ],
)
def test_nonsense_is_refused_or_hung_up_on(request_: bytes, answer: bytes) -> None:
    async def attack(api: RuntimeApi, address: tuple[str, int]) -> None:
        try:
            got = await reply(address, request_)
        except ConnectionError:
            got = b""
        assert got[9:12] == answer
        assert not api.extensions.extensions.any

    served(attack)


def test_responses_of_other_invocations_are_refused() -> None:
    async def attack(api: RuntimeApi, address: tuple[str, int]) -> None:
        dialogue = api.dialogue
        assert dialogue is not None
        turn = dialogue.begin(Event("mine", b"{}", 0, {}))
        event = await reply(address, b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        assert b"Lambda-Runtime-Aws-Request-Id: mine" in event
        for forged in ("other", "", "mine/..", "MINE", "a" * 100_000):
            path = f"/2018-06-01/runtime/invocation/{forged}/response"
            assert (await reply(address, post(path, b"1")))[9:12] in {b"400", b"404"}
        assert not turn.answer.done()
        await reply(address, post("/2018-06-01/runtime/invocation/mine/response", b"2"))
        assert turn.answer.result().payload == b"2"

    served(attack)
