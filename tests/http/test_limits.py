"""Every bound of the listener is a setting, is honoured, and is told in the client's protocol."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import PingFrame
from tests.http.h2client import H2Client
from tests.http.listening import SMALL, echo, listening, make_tls, run, until_true
from tests.unit.gateway.stub import Gate

from fogbank.gateway.head import HeadLimits
from fogbank.gateway.settings import GatewaySettings, ListenerSettings
from fogbank.server.bounds import GATEWAY_LIMITS, gateway_settings, listener_settings
from fogbank.server.config import Config, ConfigError, LimitSettings, load
from fogbank.wire.http import HttpReply, HttpRequest

TARGET = ("X-Amz-Target: DynamoDB_20120810.ListTables", "Content-Type: application/x-amz-json-1.0")


def limited(**limits: int) -> ListenerSettings:
    """Return the listener's bounds under settings."""
    return listener_settings(Config(limits=LimitSettings(**limits)))


def test_every_bound_is_a_setting_with_the_same_default() -> None:
    names = {*ListenerSettings._fields, *HeadLimits._fields} - {"head"}
    assert names | {"drain_ms", *GATEWAY_LIMITS} == set(LimitSettings.__struct_fields__)
    assert limited() == ListenerSettings()
    told = gateway_settings(Config())
    assert {name: getattr(told, name) for name in GATEWAY_LIMITS} == {
        name: getattr(GatewaySettings(), name) for name in GATEWAY_LIMITS
    }


@pytest.mark.parametrize("name", [*ListenerSettings._fields, *HeadLimits._fields])
def test_every_setting_reaches_the_listener(name: str) -> None:
    if name != "head":
        bounds = limited(**{name: 77_777})
        assert getattr(bounds.head if name in HeadLimits._fields else bounds, name) == 77_777


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("requests_max = 0", "limits.requests_max must be at least 1"),
        ("connection_window_bytes = 1000", "limits.connection_window_bytes must be at least 65535"),
    ],
)
def test_limits_under_which_nothing_is_served_are_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "fogbank.toml").write_text(f"[limits]\n{text}\n")
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path, environment={})


HEADS = {
    "target": (
        {"target_bytes_max": 50},
        ("GET /" + "a" * 60 + " HTTP/1.1", "Host: a"),
        414,
    ),
    "head": ({"head_bytes_max": 200}, ("GET / HTTP/1.1", "Host: a", "A: " + "b" * 300), 431),
    "headers": (
        {"header_count_max": 3},
        ("GET / HTTP/1.1", "Host: a", "B: 1", "C: 1", "D: 1"),
        431,
    ),
    "body": ({"body_bytes_max": 10}, ("PUT / HTTP/1.1", "Host: a", "Content-Length: 11"), 413),
    "whole bodies": (
        {"whole_bodies_bytes_max": 10},
        ("PUT / HTTP/1.1", "Host: a", "Content-Length: 11"),
        503,
    ),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_beyond_its_limit_is_refused_and_one_within_it_is_not(what: str) -> None:
    limits, lines, status = HEADS[what]

    async def work() -> None:
        async with listening(echo, limited(**limits)) as house:
            over, within = await house.connect(), await house.connect()
            over.send(*lines)
            assert (await over.answer()).status == status
            within.send("GET / HTTP/1.1", "Host: a")
            assert (await within.answer()).status == 200
        async with listening(echo, limited()) as house:
            usual = await house.connect()
            usual.send(*lines, body=b"x" * 11 if "body" in what or "bodies" in what else b"")
            assert (await usual.answer()).status == 200

    run(work())


def test_what_is_pipelined_waits_in_the_socket_beyond_its_limit() -> None:
    gate = asyncio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return HttpReply(200, [], b"")

    async def taken(limit: int) -> int:
        gate.clear()
        async with listening(wait, limited(pipelined_bytes_max=limit)) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            line = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            for _ in range(40):
                client.writer.write(line * 1_000)
                await asyncio.sleep(0)
            before = -1
            while before != house.listener.bytes_in:  # until nothing more is read
                before = house.listener.bytes_in
                await asyncio.sleep(0.02)
            gate.set()
            return before

    async def work() -> None:
        assert await taken(1_000) < await taken(1 << 30) // 2

    run(work())


def test_the_windows_of_http_2_are_settings() -> None:
    async def work() -> None:
        bounds = limited(stream_buffer_bytes_max=70_000, connection_window_bytes=90_000)
        async with listening(echo, bounds) as house:
            client = await H2Client.connect(house)
            await client.until(lambda: client.h2.outbound_flow_control_window > 65_535)
            assert client.h2.outbound_flow_control_window == 90_000
            assert client.h2.remote_settings.initial_window_size == 70_000

    run(work())


def test_the_allowance_of_control_frames_is_a_setting() -> None:
    async def work() -> None:
        async with listening(echo, limited(control_frames_max=20)) as house:
            client = await H2Client.connect(house)
            await client.until(lambda: client.h2.max_outbound_frame_size)
            for _ in range(25):
                client.raw(PingFrame(0, b"12345678"))
            await client.until(lambda: client.goaway is not None)
            assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM
            client.writer.close()

    run(work())


# No room: told in the protocol of the client, from the head alone.


def test_beyond_the_cap_of_connections_a_client_is_refused_in_its_protocol() -> None:
    busy = Gate().dispatcher.busy

    async def work() -> None:
        settings = SMALL._replace(connections_max=1, refusals_max=2)
        async with listening(echo, settings, busy=busy) as house:
            kept = await house.connect()
            await until_true(lambda: house.listener.connections == 1)
            json_client, s3_client = await house.connect(), await house.connect()
            await until_true(lambda: len(house.listener._refusing) == 2)
            unread = await house.connect()
            assert b"<Code>SlowDown</Code>" in (await unread.answer()).body
            # Nothing is read of a body, which never comes.
            json_client.send("POST / HTTP/1.1", "Host: a", *TARGET, "Content-Length: 900000")
            told = await json_client.answer()
            assert (told.status, told.headers["connection"]) == (400, "close")
            assert json.loads(told.body)["__type"].endswith("#ThrottlingException")
            s3_client.send("GET /bucket/key HTTP/1.1", "Host: a")
            told = await s3_client.answer()
            assert (told.status, b"<Code>SlowDown</Code>" in told.body) == (503, True)
            kept.send("GET / HTTP/1.1", "Host: a")
            assert (await kept.answer()).status == 200
            for client in (json_client, s3_client):
                client.writer.close()
            await until_true(lambda: not house.listener._refusing)

    run(work())


def test_who_is_to_be_refused_and_says_nothing_is_closed_after_the_time_of_a_head() -> None:
    async def work() -> None:
        settings = SMALL._replace(connections_max=1, head_timeout_ms=2_000)
        async with listening(echo, settings) as house:
            await house.connect()
            await until_true(lambda: house.listener.connections == 1)
            silent = await house.connect()
            await until_true(lambda: house.listener._refusing)
            await house.after(4_000)
            assert b"RequestTimeout" in await silent.ended()
            await house.after(7_000)
            await until_true(lambda: not house.listener._refusing)

    run(work())


def test_beyond_the_cap_a_client_of_http_2_is_told_that_nothing_was_taken_up() -> None:
    async def work() -> None:
        async with listening(echo, SMALL._replace(connections_max=1)) as house:
            await house.connect()
            await until_true(lambda: house.listener.connections == 1)
            client = await H2Client.connect(house)
            await client.until(lambda: client.goaway is not None)
            assert (client.goaway, client.last_number) == (ErrorCodes.ENHANCE_YOUR_CALM, 0)
            client.writer.close()
            await until_true(lambda: not house.listener._refusing)

    run(work())


def test_beyond_the_cap_no_handshake_is_made(tmp_path: Path) -> None:
    async def work() -> None:
        tls = make_tls(tmp_path)
        async with listening(echo, SMALL._replace(connections_max=1), tls) as house:
            await house.connect()
            await until_true(lambda: house.listener.connections == 1)
            with pytest.raises(ConnectionError):
                await house.connect()
            assert not house.listener._refusing

    run(work())


@pytest.mark.parametrize("version", [1, 2])
def test_replies_that_clients_do_not_take_are_held_up_to_their_cap(version: int) -> None:
    busy, size = Gate().dispatcher.busy, 8 << 20

    async def much(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], b"x" * size if request.path == "/" else b"little")

    async def work() -> None:
        settings = SMALL._replace(whole_replies_bytes_max=size + 1_000)
        async with listening(much, settings, busy=busy) as house:
            if version == 1:
                unread: Any = await house.connect()
                unread.send("POST / HTTP/1.1", "Host: a", *TARGET)
            else:
                unread = await H2Client.connect(house)
                unread.send("POST", "/", ("x-amz-target", "DynamoDB_20120810.ListTables"))
                unread.take = False
                await unread.until(lambda: unread.replies[1].status)
            unread.writer.transport.pause_reading()
            await until_true(lambda: house.listener.held_bytes == size)
            refused = await house.connect()
            refused.send("POST / HTTP/1.1", "Host: a", *TARGET)
            told = await refused.answer()
            assert told.status == 400
            assert json.loads(told.body)["__type"].endswith("#ThrottlingException")
            refused.send("POST /little HTTP/1.1", "Host: a", *TARGET)
            assert (await refused.answer()).body == b"little"
            unread.writer.transport.abort()
            await until_true(lambda: house.listener.held_bytes == 0)
            refused.send("POST / HTTP/1.1", "Host: a", *TARGET)
            assert len((await refused.answer()).body) == size
            await until_true(lambda: house.listener.held_bytes == 0)

    run(work())


@pytest.mark.parametrize("version", [1, 2])
def test_beyond_the_cap_of_requests_a_client_is_refused_in_its_protocol(version: int) -> None:
    busy, gate = Gate().dispatcher.busy, asyncio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return HttpReply(200, [], b"")

    async def work() -> None:
        settings = SMALL._replace(requests_max=1, whole_bodies_bytes_max=1_000)
        async with listening(wait, settings, busy=busy) as house:
            one = await house.connect()
            one.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            for length in ("2", "2000"):
                if version == 1:
                    two = await house.connect()
                    body = b"{}" if length == "2" else b""
                    two.send(
                        "POST / HTTP/1.1",
                        "Host: a",
                        *TARGET,
                        f"Content-Length: {length}",
                        body=body,
                    )
                    status, content = (await two.answer())[::2]
                else:
                    client = await H2Client.connect(house)
                    pairs = [tuple(line.lower().split(": ", 1)) for line in TARGET]
                    fields = [(name, value) for name, value in pairs]
                    fields[0] = ("x-amz-target", "DynamoDB_20120810.ListTables")
                    if length == "2":
                        reply = await client.reply(client.send("POST", "/", *fields, body=b"{}"))
                    else:
                        fields.append(("content-length", length))
                        reply = await client.reply(client.send("POST", "/", *fields, end=False))
                    status, content = reply.status, bytes(reply.body)
                assert status == 400
                assert json.loads(content)["__type"].endswith("#ThrottlingException")
            gate.set()
            assert (await one.answer()).status == 200

    run(work())
