from __future__ import annotations

import asyncio
import itertools
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fogbank.base.errors import AccessDenied, Unavailable
from fogbank.server import control
from fogbank.server.control import (
    Control,
    ControlError,
    ControlServer,
    NoArguments,
    NotRunning,
    Send,
    ask,
    listening,
)
from fogbank.testing.clock import VirtualClock


class Echo(msgspec.Struct, forbid_unknown_fields=True):
    words: list[str]


async def echo(asked: Echo, send: Send) -> Mapping[str, Any]:
    for word in asked.words:
        await send({"word": word})
    return {"count": len(asked.words)}


async def refuse(asked: Echo, send: Send) -> Mapping[str, Any]:
    match asked.words[0]:
        case "control":
            raise ControlError("Refused", "by hand")
        case "service":
            raise AccessDenied("as a client would hear")
        case "weather":
            raise Unavailable("no quorum")
        case _:
            raise ZeroDivisionError("a secret of ours")


CONTROLS = [Control("echo", Echo, echo), Control("refuse", Echo, refuse)]


class Served:
    """A data directory whose control socket is served."""

    def __init__(self, data_dir: Path, controls: list[Control], **options: Any) -> None:
        self.data_dir = data_dir
        self.clock = VirtualClock()
        self._controls = controls
        self._options = options

    def run(self, script: Callable[[Served], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(self._run(script), 20))

    async def _run(self, script: Callable[[Served], Awaitable[None]]) -> None:
        with listening(self.data_dir) as listener:
            server = ControlServer(self._controls, self.clock, **self._options)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(server.serve(listener))
                await script(self)
                task.cancel()

    async def ask(self, name: str, **arguments: Any) -> tuple[list[Any], dict[str, Any]]:
        rows: list[Any] = []
        result = await asyncio.to_thread(ask, self.data_dir, name, arguments, rows.append)
        return rows, result

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.data_dir / control.SOCKET))


async def turns(until: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; the test's own time-out ends it otherwise."""
    for _ in itertools.count():
        if until():
            return
        await asyncio.sleep(0)


async def flood(writer: asyncio.StreamWriter) -> None:
    for _ in itertools.count():
        writer.write(b"x" * control.LINE_BYTES_MAX)
        await writer.drain()


def test_rows_and_a_result_answer_a_request(tmp_path: Path) -> None:
    async def script(served: Served) -> None:
        rows, result = await served.ask("echo", words=["a", "é\n"])
        assert rows == [{"word": "a"}, {"word": "é\n"}]
        assert result == {"count": 2}

    Served(tmp_path, CONTROLS).run(script)


@pytest.mark.parametrize(
    ("name", "arguments", "code", "message"),
    [
        ("nothing", {}, "UnknownRequest", "there is no request nothing"),
        ("echo", {"words": 1}, "BadRequest", "words"),
        ("echo", {"words": [], "more": 1}, "BadRequest", "more"),
        ("refuse", {"words": ["control"]}, "Refused", "by hand"),
        ("refuse", {"words": ["service"]}, "AccessDenied", "as a client would hear"),
        ("refuse", {"words": ["weather"]}, "Unavailable", "no quorum"),
    ],
)
def test_a_refusal_has_a_code_and_a_reason(
    tmp_path: Path, name: str, arguments: dict[str, Any], code: str, message: str
) -> None:
    async def script(served: Served) -> None:
        with pytest.raises(ControlError, match=message) as refusal:
            await served.ask(name, **arguments)
        assert refusal.value.code == code

    Served(tmp_path, CONTROLS).run(script)


def test_a_bug_is_logged_and_told_to_nobody_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(served: Served) -> None:
        with pytest.raises(ControlError) as refusal:
            await served.ask("refuse", words=["bug"])
        assert refusal.value.code == "InternalFailure"
        assert "secret" not in refusal.value.message
        assert "ZeroDivisionError" in caplog.text
        assert (await served.ask("echo", words=[]))[1] == {"count": 0}

    Served(tmp_path, CONTROLS).run(script)


def test_only_the_processes_user_and_root_may_ask(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(served: Served) -> None:
        assert stat.S_IMODE((tmp_path / control.SOCKET).stat().st_mode) == 0o600
        with pytest.raises(ControlError, match="closed the connection"):
            await served.ask("echo", words=["a"])
        assert f"of user {os.getuid()} on the control socket" in caplog.text

    Served(tmp_path, CONTROLS, allowed=frozenset((os.getuid() + 1,))).run(script)


def test_where_no_server_listens_nobody_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        ask(tmp_path / "none", "echo")
    with pytest.raises(NotRunning):
        ask(tmp_path, "echo")
    # What a server leaves that was killed.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / control.SOCKET))
    with pytest.raises(NotRunning):
        ask(tmp_path, "echo")

    async def script(served: Served) -> None:
        assert (await served.ask("echo", words=[]))[1] == {"count": 0}

    Served(tmp_path, CONTROLS).run(script)
    assert not (tmp_path / control.SOCKET).exists()


def test_a_data_directory_may_have_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)

    async def script(served: Served) -> None:
        assert (await served.ask("echo", words=["a"]))[1] == {"count": 1}

    Served(deep, CONTROLS).run(script)


def test_a_client_that_goes_away_cancels_its_request(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(asked: NoArguments, send: Send) -> Mapping[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    async def script(served: Served) -> None:
        _, writer = await served.connected()
        writer.write(b'{"request":"wait"}\n')
        await begun.wait()
        assert not ended.is_set()
        writer.close()
        await ended.wait()

    Served(tmp_path, [Control("wait", NoArguments, wait)]).run(script)


def test_who_says_nothing_or_too_much_is_cut_off(tmp_path: Path) -> None:
    async def script(served: Served) -> None:
        reader, writer = await served.connected()
        await turns(lambda: served.clock.next_ms() is not None)
        served.clock.advance_to(served.clock.now_ms() + control.REQUEST_TIMEOUT_MS)
        assert await reader.read() == b""
        writer.close()
        reader, writer = await served.connected()
        with pytest.raises(ConnectionError):
            await flood(writer)
        writer.close()

    Served(tmp_path, CONTROLS).run(script)


def test_no_more_requests_are_in_work_than_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONNECTIONS_MAX", 2)
    running: list[int] = []
    go = asyncio.Event()

    async def wait(asked: NoArguments, send: Send) -> Mapping[str, Any]:
        running.append(1)
        await go.wait()
        return {}

    async def script(served: Served) -> None:
        three = [asyncio.ensure_future(served.ask("wait")) for _ in range(3)]
        await turns(lambda: len(running) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(running) == 2
        go.set()
        await asyncio.gather(*three)
        assert len(running) == 3

    Served(tmp_path, [Control("wait", NoArguments, wait)]).run(script)
