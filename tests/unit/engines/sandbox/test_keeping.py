"""What a keeper says is forged: nonsense ends the sandbox, and what it hands out is looked at."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines.sandbox.test_environment import spec_of

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import courier
from fogbank.engines.sandbox.birth import Birth
from fogbank.engines.sandbox.courier import Courier
from fogbank.engines.sandbox.keeping import Ended, Hooks, Keeping
from fogbank.platform.runtime.telemetry import Destination

HTTP = Destination(8080, "/x")


class World:
    """The front's half of a sandbox with a keeper that is forged."""

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self.lost: list[tuple[str, str]] = []
        self.nonsense = 0
        hooks = Hooks(self.ended.append, lambda *lost: self.lost.append(lost), self._on_nonsense)
        self.birth = Birth(lambda raw, fds: None)
        self.keeping = Keeping(
            spec_of(Path("/")), lambda _, __: None, self.birth, hooks, SystemClock(), Ids.seeded(1)
        )

    def _on_nonsense(self) -> None:
        self.nonsense += 1

    def say(self, packet: bytes, fds: list[int] | None = None) -> None:
        self.keeping.heard(packet, fds or [])


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "packet",
    [
        b"{",
        b"{}",
        b'{"launched": 3}',
        b'{"failed": ["one"]}',
        b'{"exited": ["", "x"]}',
        b'{"exited": ["", 256]}',
        b'{"exited": ["", -65]}',
        b'{"exited": [[]]}',
        b'{"dialled": {}, "why": ""}',
        b'{"dialled": 1}',
        b'{"a": ' + b"[" * 8000,
    ],
)
def test_nonsense_ends_the_sandbox_and_keeps_no_descriptor(packet: bytes) -> None:
    async def live() -> None:
        world = World()
        world.keeping.active = True
        before = open_files()
        world.say(packet, [os.open("/dev/null", os.O_RDONLY)])
        assert world.nonsense == 1
        assert (world.ended, world.lost) == ([], [])
        assert open_files() == before

    asyncio.run(live())


def test_a_keeper_that_nobody_asked_for_is_nonsense() -> None:
    async def live() -> None:
        world = World()
        world.say(b'{"exited": ["", 0]}')
        assert world.nonsense == 1
        assert not world.ended

    asyncio.run(live())


def test_names_that_a_keeper_makes_up_are_few_and_end_the_start() -> None:
    async def live() -> None:
        world = World()
        world.keeping.active = True
        world.say(json.dumps({"launched": [str(n) for n in range(1_000)]}).encode())
        assert len(world.keeping.extensions.reports()) <= 16
        assert world.lost == [("Extension.LaunchError", "ErrTooManyExtensions")]
        world.say(b'{"exited": ["nobody", 0]}')
        world.say(b'{"exited": ["", -9]}')
        assert world.ended == [Ended("signalled", 9)]

    asyncio.run(live())


def delivered(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None,
    destination: Destination = HTTP,
    fds: Callable[[], list[int]] | None = None,
) -> Any:
    """Send a batch to a server, or to what a keeper hands out; return the error, or None."""

    async def live() -> Any:
        loop = asyncio.get_running_loop()
        answers: list[Any] = []
        ours, theirs = socket.socketpair(socket.AF_UNIX) if serve is None else tcp_pair()
        made = Courier(
            lambda number, _: answers.append(
                loop.call_soon(reply, number, [ours.detach()] if fds is None else fds())
            )
        )

        def reply(number: int, handed: list[int]) -> None:
            for fd in made.dialled(number, handed, ""):
                os.close(fd)

        serving = None
        if serve is not None:
            reader, writer = await asyncio.open_connection(sock=theirs)
            serving = asyncio.ensure_future(serve(reader, writer))
        try:
            await made.send(destination, [b'{"a":1}', b'{"b":2}'])
        except OSError as error:
            return error
        finally:
            made.close()
            ours.close()
            if serving is not None:
                serving.cancel()
                writer.transport.abort()
            else:
                theirs.close()
            await asyncio.sleep(0)
        return None

    return asyncio.run(live())


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]


def test_a_batch_is_an_array_over_http_and_lines_over_tcp() -> None:
    read: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.append(await reader.readuntil(b"\r\n\r\n"))
        read.append(await reader.readexactly(17))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    assert delivered(answer) is None
    assert read[0].startswith(b"POST /x HTTP/1.1\r\nHost: sandbox.localdomain:8080\r\n")
    assert json.loads(read[1]) == [{"a": 1}, {"b": 2}]

    async def lines(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        read.append(await reader.readline())

    assert delivered(lines, Destination(7)) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", "it answered 500"),
        (b"HTTP/1.1 2000 No\r\n\r\n", "it answered 2000"),
        (b"nonsense\r\n", "it answered nothing"),
        (b"x" * 100_000, "no answer of HTTP"),
        (None, ""),
    ],
)
def test_a_listener_that_answers_nonsense_or_nothing_is_given_up(
    said: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "SECONDS_MAX", 0.05 if said is None else 60.0)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if said is not None:
            writer.write(said)
        await asyncio.Event().wait()

    error = delivered(answer)
    assert isinstance(error, TimeoutError if said is None else ConnectionAbortedError)
    assert words in str(error)


def test_only_a_connection_is_taken_for_one() -> None:
    before = open_files()
    error = delivered(None)
    assert isinstance(error, ConnectionRefusedError), "a socket of another family"
    error = delivered(None, fds=list)
    assert isinstance(error, ConnectionRefusedError), "none at all"
    assert open_files() == before
