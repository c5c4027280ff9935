"""HTTP/2 on real sockets: the same requests, many at once, each within bounds."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from tests.http.h2client import H2Client
from tests.http.listening import SMALL, echo, listening, make_tls, run, until_true

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import HeadLimits
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


async def describe(request: HttpRequest) -> HttpReply:
    """Answer everything that a handler sees."""
    body = request.body
    while request.stream is not None and (piece := await request.stream.read(1 << 16)):
        body += piece
    lines = [
        f"{request.method} {request.path} {request.query} {request.secure} {request.peer}",
        *(f"{name}: {value}" for name, value in sorted(request.headers.items())),
    ]
    return HttpReply(200, [("X-Seen", "1")], "\n".join(lines).encode() + b"\n" + body)


def test_a_request_is_the_same_value_as_over_http_1_1() -> None:
    async def work() -> None:
        async with listening(describe) as house:
            for body in (b"", b"small", b"x" * 50_000):
                old = await house.connect()
                old.send(
                    "PUT /a%20b?c=d HTTP/1.1",
                    "Host: a",
                    "X-Twice: 1",
                    "X-Twice: 2",
                    f"Content-Length: {len(body)}",
                    body=body,
                )
                new = await H2Client.connect(house)
                number = new.send(
                    "PUT",
                    "/a%20b?c=d",
                    ("x-twice", "1"),
                    ("x-twice", "2"),
                    ("content-length", str(len(body))),
                    body=body,
                )
                one, two = await old.answer(), await new.reply(number)
                assert one.body == two.body
                assert one.headers == two.headers
                assert one.status == two.status

    run(work())


def test_over_tls_the_handshake_agrees_on_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(describe, tls=make_tls(tmp_path)) as house:
            client = await H2Client.connect(house)
            reply = await client.reply(client.send("GET", "/a"))
            assert reply.body.startswith(b"GET /a  True 127.0.0.1\n")
            # Without the agreement the preface is no request.
            assert house.trust is not None
            house.trust.set_alpn_protocols(["http/1.1"])
            plain = await house.connect()
            plain.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert (await plain.answer()).status in {400, 505}

    run(work())


def test_the_preface_is_taken_in_pieces_and_only_at_the_beginning() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
                client.writer.write(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.reader.readexactly(9))[3] == 4  # SETTINGS
            late = await house.connect()
            late.send("GET / HTTP/1.1", "Host: a")
            assert (await late.answer()).status == 200
            late.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert (await late.answer()).status in {400, 505}
            ill = await house.connect()
            ill.writer.write(b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"HTTP/1.1" not in await ill.ended()

    run(work())


def test_requests_run_side_by_side_and_answer_out_of_order() -> None:
    gates = {f"/{at}": asyncio.Event() for at in range(100)}

    async def wait(request: HttpRequest) -> HttpReply:
        await gates[request.path].wait()
        return HttpReply(200, [], request.path.encode())

    async def work() -> None:
        async with listening(wait) as house:
            client = await H2Client.connect(house)
            numbers = [client.send("GET", f"/{at}") for at in range(100)]
            await until_true(lambda: house.listener.in_flight == 100)
            for at in reversed(range(100)):
                gates[f"/{at}"].set()
                assert (await client.reply(numbers[at])).body == f"/{at}".encode()

    run(work())


def test_head_and_bodiless_replies_end_with_their_head() -> None:
    async def answer(request: HttpRequest) -> HttpReply:
        if request.path == "/modelled":
            return HttpReply(200, [("Content-Length", "12345")])
        return HttpReply(int(request.path[1:]), [("X-Big", "Y")], b"hello")

    async def work() -> None:
        async with listening(answer) as house:
            client = await H2Client.connect(house)
            head = await client.reply(client.send("HEAD", "/200"))
            assert (head.body, head.headers["content-length"]) == (b"", "5")
            assert head.headers["x-big"] == "Y"
            modelled = await client.reply(client.send("HEAD", "/modelled"))
            assert modelled.headers["content-length"] == "12345"
            for status in (204, 304):
                reply = await client.reply(client.send("GET", f"/{status}"))
                assert (reply.status, reply.body) == (status, b"")
                assert "content-length" not in reply.headers

    run(work())


def test_continue_is_sent_when_the_handler_reads_and_not_before() -> None:
    async def some(request: HttpRequest) -> HttpReply:
        return HttpReply(403, [], b"no") if request.path == "/no" else await echo(request)

    async def work() -> None:
        async with listening(some) as house:
            client = await H2Client.connect(house)
            expect = (("content-length", "5"), ("expect", "100-continue"))
            number = client.send("PUT", "/a", *expect, end=False)
            await client.until(lambda: client.replies[number].interim)
            client.h2.send_data(number, b"hello", end_stream=True)
            client.flush()
            reply = await client.reply(number)
            assert (reply.interim, reply.body) == ([100], b"PUT /a  hello")
            number = client.send("PUT", "/no", *expect, end=False)
            reply = await client.reply(number)
            assert (reply.status, reply.interim) == (403, [])
            await client.until(lambda: reply.reset is not None)
            assert reply.reset == ErrorCodes.NO_ERROR
            assert (await client.reply(client.send("GET", "/b"))).status == 200

    run(work())


def test_trailers_end_a_body() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await H2Client.connect(house)
            number = client.send("PUT", "/a", body=b"abc", end=False)
            client.h2.send_headers(number, [("x-trailer", "1")], end_stream=True)
            client.flush()
            assert (await client.reply(number)).body == b"PUT /a  abc"

    run(work())


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
    async def endless(request: HttpRequest) -> HttpReply:
        async def pieces():
            while True:
                yield b"x" * 65_536

        return HttpReply(200, [], pieces())

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


def test_a_reset_cancels_the_handler_and_frees_nothing_early() -> None:
    events: list[str] = []
    gate = asyncio.Event()

    async def stubborn(request: HttpRequest) -> HttpReply:
        if request.path == "/ok":
            return HttpReply(200, [], b"ok")
        events.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("cancelled")
            await gate.wait()  # what it holds takes a while to give back
            raise
        raise AssertionError("unreachable")

    async def work() -> None:
        async with listening(stubborn, SMALL._replace(streams_max=3)) as house:
            client = await H2Client.connect(house)
            numbers = [client.send("GET", "/wait") for _ in range(3)]
            await until_true(lambda: len(events) == 3)
            for number in numbers:
                client.h2.reset_stream(number)
            client.flush()
            await until_true(lambda: events.count("cancelled") == 3)
            reply = await client.reply(client.send("GET", "/ok"))
            assert reply.reset == ErrorCodes.REFUSED_STREAM
            gate.set()
            await until_true(lambda: house.listener.in_flight == 0)
            assert (await client.reply(client.send("GET", "/ok"))).body == b"ok"

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


ORDINARY = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]


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
    "another expectation": [*ORDINARY, ("expect", "tea")],
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
    async def catch(request: HttpRequest) -> HttpReply:
        try:
            return await echo(request)
        except ServiceError as error:
            return HttpReply(400, [], error.code.encode())

    async def work() -> None:
        settings = SMALL._replace(
            head_timeout_ms=3_000, body_timeout_ms=5_000, whole_body_timeout_ms=4_000
        )
        async with listening(catch, settings) as house:
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
    gate = asyncio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return HttpReply(200, [], b"")

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
            gate.set()
            assert (await client.reply(one)).status == 200

    run(work())


def test_drain_says_goaway_finishes_what_runs_and_refuses_what_is_new() -> None:
    gate = asyncio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return await echo(request)

    async def work() -> None:
        async with listening(wait) as house:
            idle, busy = await H2Client.connect(house), await H2Client.connect(house)
            upload = busy.send("PUT", "/up", body=b"half", end=False)
            await until_true(lambda: house.listener.in_flight == 1)
            await until_true(lambda: house.listener.connections == 2)
            await asyncio.sleep(0.01)
            draining = asyncio.create_task(house.listener.drain(10))
            await idle.drained()
            assert idle.goaway == ErrorCodes.NO_ERROR
            late = HeadersFrame(
                upload + 2, busy.h2.encoder.encode(ORDINARY), flags=["END_HEADERS", "END_STREAM"]
            )
            busy.raw(late, DataFrame(upload, b" and half", flags=["END_STREAM"]))
            gate.set()
            seen = b"".join([piece async for piece in _pieces(busy)])
            assert b"PUT /up  half and half" in seen
            assert RstStreamFrame(upload + 2, error_code=7).serialize() in seen
            assert GoAwayFrame(0, upload).serialize() in seen
            await draining

    run(work())


async def _pieces(client: H2Client):
    while piece := await asyncio.wait_for(client.reader.read(1 << 16), 10):
        yield piece


def test_a_client_that_says_goaway_still_gets_its_replies() -> None:
    gate = asyncio.Event()

    async def wait(request: HttpRequest) -> HttpReply:
        await gate.wait()
        return HttpReply(200, [], b"late")

    async def work() -> None:
        async with listening(wait) as house:
            client = await H2Client.connect(house)
            client.send("GET", "/")
            await until_true(lambda: house.listener.in_flight == 1)
            client.raw(GoAwayFrame(0))
            await client.writer.drain()
            await asyncio.sleep(0.01)
            gate.set()
            seen = b"".join([piece async for piece in _pieces(client)])
            assert seen.endswith(DataFrame(1, b"late", flags=["END_STREAM"]).serialize())

    run(work())


def test_a_lost_connection_cancels_everything() -> None:
    events: list[str] = []

    async def wait(request: HttpRequest) -> HttpReply:
        try:
            await asyncio.Event().wait()
        finally:
            events.append("ended")
        raise AssertionError("unreachable")

    async def work() -> None:
        async with listening(wait) as house:
            client = await H2Client.connect(house)
            for _ in range(5):
                client.send("GET", "/")
            client.send("PUT", "/", ("content-length", "9"), end=False)
            await until_true(lambda: house.listener.in_flight == 5)
            client.writer.close()
            await until_true(lambda: len(events) == 5)

    run(work())


@pytest.mark.parametrize("length", [2, 4])
def test_a_reply_of_another_length_than_it_says_is_reset(length: int) -> None:
    async def lie(request: HttpRequest) -> HttpReply:
        async def pieces():
            yield b"abc"

        return HttpReply(200, [], pieces(), length)

    async def work() -> None:
        async with listening(lie) as house:
            client = await H2Client.connect(house)
            reply = await client.reply(client.send("GET", "/"))
            assert reply.reset == ErrorCodes.INTERNAL_ERROR

    run(work())


def test_a_header_with_a_line_break_never_leaves() -> None:
    async def split(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [("X", "a\r\nSet-Cookie: b")], b"")

    async def work() -> None:
        async with listening(split) as house:
            client = await H2Client.connect(house)
            reply = await client.reply(client.send("GET", "/"))
            assert (reply.reset, reply.headers) == (ErrorCodes.INTERNAL_ERROR, {})

    run(work())


def test_cookies_in_pieces_are_one() -> None:
    async def work() -> None:
        async with listening(describe) as house:
            client = await H2Client.connect(house)
            reply = await client.reply(
                client.send("GET", "/", *(("cookie", f"{at}={at}") for at in range(3)))
            )
            assert b"cookie: 0=0; 1=1; 2=2\n" in reply.body

    run(work())


def test_chunks_of_any_size_make_the_same_requests() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            for size in (1, 7, 100):
                client = await H2Client.connect(house)
                held: list[bytes] = []
                client.writer.write = held.append  # pyright: ignore[reportAttributeAccessIssue]
                numbers = [client.send("PUT", f"/{at}", body=b"x" * at * 50) for at in range(5)]
                del client.writer.write
                data = b"".join(held)
                for at in itertools.count(0, size):
                    if at >= len(data):
                        break
                    client.writer.write(data[at : at + size])
                    await client.writer.drain()
                for at, number in enumerate(numbers):
                    reply = await client.reply(number)
                    assert reply.body == f"PUT /{at}  ".encode() + b"x" * at * 50

    run(work())


def test_a_stream_that_drips_its_body_is_broken_off_and_no_other() -> None:
    async def catch(request: HttpRequest) -> HttpReply:
        try:
            return await echo(request)
        except ServiceError as error:
            return HttpReply(400, [], error.code.encode())

    async def work() -> None:
        settings = SMALL._replace(body_rate_bytes_min=100, body_rate_grace_ms=10_000)
        async with listening(catch, settings) as house:
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
