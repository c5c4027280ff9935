"""What HTTP/2 clients may not do: floods, malformed streams, late bodies, and windows never opened."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from tests.http.h2client import ORDINARY, H2Client
from tests.http.listening import (
    PACED,
    SMALL,
    Waiting,
    echo,
    echo_or_code,
    endless,
    listening,
    run,
    until_true,
)

from fogbank.gateway.head import HeadLimits
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


def test_a_slow_reader_holds_back_its_own_stream_only() -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    async def slow(request: HttpRequest) -> HttpReply:
        if request.path == "/fast":
            return await echo(request)
        await gate.wait()
        assert request.stream is not None
        total = 0
        while piece := await request.stream.read(10_000):
            total += len(piece)
            seen.append(request.stream.size)  # pyright: ignore[reportAttributeAccessIssue]
        return HttpReply(200, [], str(total).encode())

    async def work() -> None:
        async with listening(slow) as house:
            client = await H2Client.connect(house)
            number = client.send("PUT", "/slow", end=False)
            sent, size = 0, 3 << 20
            await client.until(lambda: client.h2.remote_settings.initial_window_size > 65_535)

            def fill() -> None:
                nonlocal sent
                while sent < size and (
                    room := min(client.h2.local_flow_control_window(number), 16_384, size - sent)
                ):
                    client.h2.send_data(number, b"x" * room, end_stream=sent + room == size)
                    sent += room
                client.flush()

            fill()
            assert sent == SMALL.stream_buffer_bytes_max
            fast = await client.reply(client.send("PUT", "/fast", body=b"y" * 1_000))
            assert fast.body.endswith(b"y" * 1_000)
            gate.set()

            def done() -> bool:
                fill()
                return client.replies[number].ended

            await client.until(done)
            assert client.replies[number].body == str(size).encode()
            assert max(seen) <= SMALL.stream_buffer_bytes_max

    run(work())


@pytest.mark.parametrize("known", [True, False])
def test_a_reply_waits_for_its_clients_window(known: bool) -> None:
    piece, count, made = b"y" * 65_536, 400, 0

    async def pieces():
        nonlocal made
        for _ in range(count):
            made += 1
            yield piece

    async def big(request: HttpRequest) -> HttpReply:
        if request.path == "/whole":
            return HttpReply(200, [], piece * 10)
        return HttpReply(200, [], pieces(), len(piece) * count if known else None)

    async def work() -> None:
        async with listening(big) as house:
            client = await H2Client.connect(house)
            client.take = False
            number = client.send("GET", "/pieces")
            await client.until(lambda: len(client.replies[number].body) == 65_535)
            assert made <= 2
            assert ("content-length" in client.replies[number].headers) == known
            client.take = True
            client.h2.acknowledge_received_data(65_535, number)
            client.flush()
            reply = await client.reply(number)
            assert reply.body == piece * count
            assert (await client.reply(client.send("GET", "/whole"))).body == piece * 10

    run(work())


def test_a_client_that_opens_no_window_loses_the_stream_and_then_the_connection() -> None:
    async def big(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], b"y" * 1_000_000)

    async def work() -> None:
        settings = SMALL._replace(body_timeout_ms=5_000, idle_timeout_ms=9_000)
        async with listening(big, settings) as house:
            client = await H2Client.connect(house)
            client.take = False
            number = client.send("GET", "/a")
            await client.until(lambda: len(client.replies[number].body) == 65_535)
            await asyncio.sleep(0.01)
            await house.after(8_000)
            reply = await client.reply(number)
            assert reply.reset == ErrorCodes.CANCEL
            await until_true(lambda: house.listener.in_flight == 0)
            await house.after(12_000)
            await client.drained()
            assert client.goaway == ErrorCodes.NO_ERROR

    run(work())


def test_a_client_that_takes_no_bytes_loses_its_connection() -> None:
    async def work() -> None:
        async with listening(endless, SMALL._replace(body_timeout_ms=5_000)) as house:
            values = {SettingCodes.INITIAL_WINDOW_SIZE: (1 << 31) - 1}
            client = await H2Client.connect(house, values=values)
            client.h2.increment_flow_control_window((1 << 31) - 1 - 65_535)
            client.reader._transport.pause_reading()
            client.send("GET", "/")
            await until_true(
                lambda: any(
                    getattr(guest, "_writable", None) for guest in house.listener._connections
                )
            )
            await asyncio.sleep(0.02)
            await house.after(8_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def _flood(client: H2Client, kind: str, at: int) -> None:
    number = 2 * at + 1
    match kind:
        case "rapid reset":
            block = client.h2.encoder.encode(
                [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
            )
            head = HeadersFrame(number, block, flags=["END_HEADERS", "END_STREAM"])
            client.raw(head, RstStreamFrame(number, error_code=8))
        case "pings":
            client.raw(PingFrame(0, b"12345678"))
        case "settings":
            client.raw(SettingsFrame(0, settings={3: 100}))
        case "priorities":
            client.raw(PriorityFrame(number, depends_on=0, stream_weight=1))
        case "empty data":
            client.raw(DataFrame(1, b""))
        case "window updates":
            client.raw(WindowUpdateFrame(0, window_increment=1))
        case "empty continuations":
            client.raw(ContinuationFrame(1, b""))
        case _:
            client.raw(ContinuationFrame(1, b"x" * 8_000))


FLOODS = (
    "rapid reset",
    "pings",
    "settings",
    "priorities",
    "empty data",
    "window updates",
    "empty continuations",
    "long continuations",
)


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_are_told_to_calm_down_and_closed(kind: str) -> None:
    async def slow(request: HttpRequest) -> HttpReply:
        await asyncio.sleep(0)
        return await echo(request)

    async def work() -> None:
        settings = SMALL._replace(control_frames_max=50, control_frames_per_second=1)
        async with listening(slow, settings) as house:
            client = await H2Client.connect(house)
            await client.until(lambda: client.h2.max_outbound_frame_size)
            if kind == "empty data":
                client.send("PUT", "/", end=False)
            elif "continuations" in kind:
                client.raw(HeadersFrame(1, b"", flags=[]))
            for at in range(60):
                if client.writer.is_closing():
                    break
                _flood(client, kind, at)
            await client.until(lambda: client.goaway is not None)
            assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM
            await house.after(7_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_the_allowance_of_a_patient_client_refills_and_replies_earn_window_updates() -> None:
    async def big(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], b"y" * 300_000)

    async def work() -> None:
        settings = SMALL._replace(control_frames_max=10, control_frames_per_second=10)
        async with listening(big, settings) as house:
            client = await H2Client.connect(house)
            for at in range(5):
                for _ in range(6):
                    client.h2.ping(b"12345678")
                client.flush()
                await client.until(lambda at=at: client.pongs == 6 * (at + 1))
                await house.after(1_000)
            reply = await client.reply(client.send("GET", "/"))
            assert len(reply.body) == 300_000

    run(work())


def _with(**changes: str | None) -> list[tuple[str, str]]:
    pairs = [(name, changes.get(name[1:], value)) for name, value in ORDINARY]
    return [(name, value) for name, value in pairs if value is not None]


MALFORMED = {
    "no method": _with(method=None),
    "an unknown method": _with(method="FROB"),
    "CONNECT": _with(method="CONNECT"),
    "no scheme": _with(scheme=None),
    "a foreign scheme": _with(scheme="ftp"),
    "no path": _with(path=None),
    "an empty path": _with(path=""),
    "a path without a slash": _with(path="a"),
    "an absolute path": _with(path="http://b/"),
    "a fragment": _with(path="/a#b"),
    "a space in the path": _with(path="/a b"),
    "a path that is not ASCII": _with(path="/\u00e9"),
    "a line break in the path": _with(path="/a\r\nHost: b"),
    "a star": _with(path="*"),
    "no authority and no host": _with(authority=None),
    "user information": _with(authority="u@a"),
    "another host": [*ORDINARY, ("host", "b")],
    "two hosts": [*ORDINARY, ("host", "a"), ("host", "a")],
    "a pseudo-header twice": [*ORDINARY, (":path", "/b")],
    "an unknown pseudo-header": [(":protocol", "websocket"), *ORDINARY],
    "a pseudo-header after a header": [("x", "y"), *ORDINARY],
    "a status": [(":status", "200"), *ORDINARY],
    "an upper-case name": [*ORDINARY, ("X-Y", "z")],
    "an empty name": [*ORDINARY, ("", "z")],
    "a space in a name": [*ORDINARY, ("x y", "z")],
    "a line break in a value": [*ORDINARY, ("x", "y\r\nz: a")],
    "a NUL": [*ORDINARY, ("x", "\x00")],
    "connection": [*ORDINARY, ("connection", "close")],
    "upgrade": [*ORDINARY, ("upgrade", "h2c")],
    "transfer-encoding": [*ORDINARY, ("transfer-encoding", "chunked")],
    "te": [*ORDINARY, ("te", "gzip")],
    "two signatures": [*ORDINARY, ("authorization", "a"), ("authorization", "b")],
    "a length without a body": [*ORDINARY, ("content-length", "5")],
    "a list of lengths": [*ORDINARY, ("content-length", "0, 0")],
    "too many headers": [*ORDINARY, *((f"x-{at}", "1") for at in range(60))],
    "one header too often": [*ORDINARY, *[("x-one", "1")] * 60],
    "too long a target": _with(path="/" + "a" * 9_000),
    "too large a body": [*ORDINARY, ("content-length", "10000001")],
}


STRICT = SMALL._replace(
    head=HeadLimits(
        target_bytes_max=8_192,
        head_bytes_max=16_384,
        header_count_max=50,
        body_bytes_max=10_000_000,
    )
)


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_is_refused_and_reaches_no_handler(what: str) -> None:
    async def fine(request: HttpRequest) -> HttpReply:
        assert request.path == "/fine", "reached"
        return HttpReply(200, [], b"fine")

    async def work() -> None:
        async with listening(fine, STRICT) as house:
            client = await H2Client.connect(house)
            number = client.fields(MALFORMED[what], end="too large" not in what)
            found = client.replies[number]
            await client.until(
                lambda: found.ended or found.reset is not None or client.goaway is not None
            )
            if client.goaway is None:
                assert found.status in {400, 413, 414, 417, 431}
                reply = await client.reply(client.send("GET", "/fine"))
                assert reply.body == b"fine"
            else:
                assert client.goaway == ErrorCodes.PROTOCOL_ERROR

    run(work())


def test_too_large_a_list_of_headers_is_refused() -> None:
    async def work() -> None:
        async with listening(echo, STRICT) as house:
            client = await H2Client.connect(house)
            # Small on the wire, large when decoded: an index repeated (HPACK's bomb).
            client.fields([*ORDINARY, *[("x-bomb", "y" * 3_000)] * 30])
            await client.until(lambda: client.goaway is not None)
            assert client.goaway == ErrorCodes.ENHANCE_YOUR_CALM

    run(work())


@pytest.mark.parametrize("sent", [b"abc", b"abcdefgh"])
def test_a_body_of_another_length_than_it_says_commits_nothing(sent: bytes) -> None:
    ended: list[bool] = []

    async def read(request: HttpRequest) -> HttpReply:
        reply = await echo(request)
        ended.append(True)
        return reply

    async def work(*more: tuple[str, str]) -> None:
        async with listening(read) as house:
            client = await H2Client.connect(house)
            client.send("PUT", "/", ("content-length", "5"), *more, body=sent)
            await client.until(lambda: client.goaway is not None)
            assert client.goaway == ErrorCodes.PROTOCOL_ERROR
            assert not ended

    run(work())
    run(work(("expect", "100-continue")))


def test_late_bodies_fail_and_late_heads_end_the_connection() -> None:
    async def work() -> None:
        settings = SMALL._replace(
            head_timeout_ms=3_000, body_timeout_ms=5_000, whole_body_timeout_ms=4_000
        )
        async with listening(echo_or_code, settings) as house:
            client = await H2Client.connect(house)
            whole = client.send("PUT", "/", ("content-length", "9"), body=b"abc", end=False)
            stream = client.send("PUT", "/", body=b"abc", end=False)
            silent, halfway = await house.connect(), await H2Client.connect(house)
            silent.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM")
            halfway.raw(HeadersFrame(1, b"", flags=[]))
            await until_true(lambda: house.listener.in_flight == 1)
            await until_true(lambda: house.listener.connections == 3)
            await asyncio.sleep(0.02)
            assert house.listener.whole_bytes == 9
            await house.after(9_000)
            assert b"RequestTimeout" in (await client.reply(whole)).body
            assert (await client.reply(stream)).body == b"RequestTimeout"
            assert house.listener.whole_bytes == 0
            await silent.ended()
            await halfway.drained()
            assert (await client.reply(client.send("GET", "/"))).status == 200

    run(work())


def test_requests_and_gathered_bodies_share_the_bounds_of_the_listener() -> None:
    wait = Waiting()

    async def work() -> None:
        settings = SMALL._replace(requests_max=1, whole_bodies_bytes_max=1_000)
        async with listening(wait, settings) as house:
            client = await H2Client.connect(house)
            one = client.send("GET", "/1")
            await until_true(lambda: house.listener.in_flight == 1)
            two = await client.reply(client.send("GET", "/2"))
            assert (two.status, b"SlowDown" in two.body) == (503, True)
            client.send("PUT", "/", ("content-length", "900"), end=False)
            full = await client.reply(client.send("PUT", "/", ("content-length", "200"), end=False))
            assert full.status == 503
            wait.let()
            assert (await client.reply(one)).status == 200

    run(work())


def test_a_stream_that_drips_its_body_is_broken_off_and_no_other() -> None:
    async def work() -> None:
        async with listening(echo_or_code, PACED) as house:
            client = await H2Client.connect(house)
            drips, pours = client.send("PUT", "/", end=False), client.send("PUT", "/", end=False)
            await until_true(lambda: house.listener.in_flight == 2)
            (connection,) = house.listener._connections
            poured = connection._streams[pours]
            for at in range(1, 15):
                for number, size in ((drips, 10), (pours, 200)):
                    client.h2.send_data(number, b"x" * size)
                client.flush()
                await until_true(lambda c=at: poured.moved == 200 * c)
                await house.after(1_000)
            assert (await client.reply(drips)).body == b"RequestTimeout"
            client.h2.end_stream(pours)
            client.flush()
            assert (await client.reply(pours)).status == 200

    run(work())
