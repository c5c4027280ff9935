"""What holds the loop is counted and told of, with what it worked for; nothing here takes time."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fogbank.contract.call import HttpFacts
from fogbank.gateway.visit import Visit
from fogbank.platform.metering.current import IN_WORK, LAST
from fogbank.platform.metering.exposition import text_of
from fogbank.server.logs import TextLines
from fogbank.server.steps import BUDGET_S, LINE_PERIOD_S, Steps, WatchedLoop

LONG_S = 4 * BUDGET_S


class Watching:
    """A loop whose time passes only where a step says so."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 100.0
        self.steps = Steps(lambda: self.now)
        self.steps.begin()
        self.lines: list[str] = []
        caplog.set_level(logging.WARNING, "fogbank.loop")
        caplog.handler.setFormatter(TextLines())
        self._caplog = caplog

    def work(self, seconds: float = LONG_S) -> None:
        """Hold the loop."""
        self.now += seconds

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run a scene on the loop."""

        async def main() -> None:
            await scene()

        with asyncio.Runner(loop_factory=lambda: WatchedLoop(self.steps)) as runner:
            runner.run(main())

    @property
    def said(self) -> list[str]:
        return [line for line in self._caplog.text.splitlines() if "held the loop" in line]


@pytest.fixture
def watching(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Watching:
    # What other tests called last ended by another clock.
    monkeypatch.setattr(LAST, "call", None)
    return Watching(caplog)


async def turn() -> None:
    await asyncio.sleep(0)


def test_a_step_of_a_task_is_told_by_the_name_of_its_coroutine(watching: Watching) -> None:
    async def scan() -> None:
        await turn()
        watching.work()
        await turn()

    async def scene() -> None:
        await asyncio.get_running_loop().create_task(scan())

    watching.run(scene)
    (line,) = watching.said
    assert "a step held the loop for 20.0 ms, its budget is 5 ms:" in line
    assert line.endswith("scan")
    assert watching.steps.holds.count == 1
    assert "fogbank_loop_holds_seconds_count 1" in text_of(watching.steps.families())


def test_steps_within_their_budget_are_nobodys_business(watching: Watching) -> None:
    async def scene() -> None:
        for _ in range(100):
            watching.work(BUDGET_S * 0.99)
            await turn()

    watching.run(scene)
    assert watching.said == []
    assert watching.steps.holds.count == 0


def test_steps_before_the_process_is_ready_are_not_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watching = Watching(caplog)
    watching.steps = Steps(lambda: watching.now)

    async def scene() -> None:
        watching.work()
        await turn()
        watching.steps.begin()
        await turn()
        watching.work()
        await turn()

    watching.run(scene)
    assert watching.steps.holds.count == 1


async def called_soon(work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(work)
    await turn()


async def called_from_a_thread(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    await asyncio.to_thread(loop.call_soon_threadsafe, work)
    loop.call_soon(done.set_result, None)
    await done


async def called_later(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0, work)
    loop.call_later(0.001, done.set_result, None)
    await done


async def called_at(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_at(loop.time(), work)
    loop.call_later(0.001, done.set_result, None)
    await done


async def called_to_read(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    reading, writing = os.pipe()

    def read() -> None:
        work()
        loop.remove_reader(reading)
        done.set_result(None)

    loop.add_reader(reading, read)
    os.write(writing, b"x")
    await done
    os.close(reading)
    os.close(writing)


async def called_to_write(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ours, theirs = socket.socketpair()

    def write() -> None:
        work()
        loop.remove_writer(ours)
        done.set_result(None)

    with ours, theirs:
        loop.add_writer(ours, write)
        await done


class Taking(asyncio.Protocol):
    """A protocol whose bytes take long."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.told: list[str] = []
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.work()
        self.told.append(data.decode())

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.over.set_result(None)


async def _told(protocol: Taking, theirs: socket.socket) -> None:
    theirs.sendall(b"bytes")
    theirs.close()
    await protocol.over
    assert protocol.told == ["made", "bytes", "eof", "lost"]


async def sent_to_a_connection(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    made = Taking(work)
    _, protocol = await loop.create_unix_connection(lambda: made, sock=ours)
    assert protocol is made
    await _told(made, theirs)


async def sent_to_a_server(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    protocols: list[Taking] = []

    def make() -> Taking:
        protocols.append(Taking(work))
        return protocols[-1]

    server = await loop.create_server(make, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as theirs:
        while not protocols:
            await turn()
        await _told(protocols[0], theirs)
    server.close()
    await server.wait_closed()


async def sent_to_a_unix_server(work: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    protocols: list[Taking] = []

    def make() -> Taking:
        protocols.append(Taking(work))
        return protocols[-1]

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "it")
        server = await loop.create_unix_server(make, path)
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.connect(path)
            while not protocols:
                await turn()
            await _told(protocols[0], theirs)
        server.close()
        await server.wait_closed()


WAYS = [
    called_soon,
    called_from_a_thread,
    called_later,
    called_at,
    called_to_read,
    called_to_write,
    sent_to_a_connection,
    sent_to_a_server,
    sent_to_a_unix_server,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_from_the_loop_into_our_code_is_timed_once(
    way: Callable[..., Awaitable[None]], watching: Watching
) -> None:
    watching.run(lambda: way(watching.work))
    assert watching.steps.holds.count == 1
    names = ("Watching.work", ".read", ".write", "Taking.data_received")
    assert watching.said[0].endswith(names)


def test_a_step_that_fails_is_counted_too(watching: Watching) -> None:
    def fail() -> None:
        watching.work()
        raise ValueError

    async def scene() -> None:
        heard: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
        loop.call_soon(fail)
        await turn()
        assert isinstance(heard[0], ValueError)

    watching.run(scene)
    assert watching.steps.holds.count == 1


def test_lines_come_once_a_minute_and_say_how_many_there_were(watching: Watching) -> None:
    async def scene() -> None:
        for seconds in (LONG_S, LONG_S, 3 * LONG_S, LONG_S):
            watching.work(seconds)
            await turn()
        watching.now += LINE_PERIOD_S
        await turn()
        watching.work()
        await turn()
        await turn()

    watching.run(scene)
    # The minute itself passed in one step.
    first, second = watching.said
    assert "others" not in first
    assert "; 3 others since such a line, the longest 60.0 ms" in second
    assert watching.steps.holds.count == 6


def visit() -> Visit:
    made = Visit("s3", "ListObjectsV2", "us-east-1", "REQUEST7", HttpFacts(in_process=True))
    made.admit("123456789012", 0)
    return made


def test_a_line_names_the_call_that_the_step_worked_for(watching: Watching) -> None:
    async def call() -> None:
        IN_WORK.set(visit())
        await turn()
        watching.work()
        await turn()

    async def scene() -> None:
        await asyncio.get_running_loop().create_task(call())

    watching.run(scene)
    assert "[REQUEST7 123456789012 s3:ListObjectsV2]" in watching.said[0]


@pytest.mark.parametrize("ended_in_it", [True, False])
def test_a_line_names_the_call_that_ended_within_the_step_and_no_earlier_one(
    watching: Watching, ended_in_it: bool
) -> None:
    async def scene() -> None:
        call = visit()
        LAST.call = call
        call.ended = watching.now
        watching.now += BUDGET_S / 2
        await turn()
        watching.work()
        if ended_in_it:
            call.ended = watching.now
        await turn()
        assert IN_WORK.get() is None

    watching.run(scene)
    (line,) = watching.said
    assert ("REQUEST7" in line) is ended_in_it
