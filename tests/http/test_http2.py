"""HTTP/2 on real sockets: the same requests, many at once, each within bounds."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
)
from tests.http.h2client import ORDINARY, H2Client
from tests.http.listening import SMALL, Waiting, echo, listening, make_tls, run, until_true

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
            await until_true(lambda: house.listener.streams == 0)  # a turn behind their handlers
            assert house.listener.in_flight == 0
            assert (await client.reply(client.send("GET", "/ok"))).body == b"ok"

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
    wait = Waiting(b"late")

    async def work() -> None:
        async with listening(wait) as house:
            client = await H2Client.connect(house)
            client.send("GET", "/")
            await until_true(lambda: house.listener.in_flight == 1)
            client.raw(GoAwayFrame(0))
            await client.writer.drain()
            await asyncio.sleep(0.01)
            wait.let()
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


def test_the_listener_counts_who_speaks_what_and_the_streams_that_were_reset(
    tmp_path: Path,
) -> None:
    wait = Waiting(b"ok")

    async def work() -> None:
        limits = SMALL._replace(streams_max=2)
        async with listening(wait, limits, make_tls(tmp_path)) as house:
            listener = house.listener
            await house.connect()
            client = await H2Client.connect(house)
            numbers = [client.send("GET", "/wait") for _ in range(2)]
            await until_true(lambda: listener.streams == 2)
            assert listener.spoken() == {"http/1.1": 1, "h2": 1}
            refused = await client.reply(client.send("GET", "/wait"))
            assert refused.reset == ErrorCodes.REFUSED_STREAM
            assert (listener.resets_by_clients, listener.resets_by_us) == (0, 1)
            client.h2.reset_stream(numbers[0])
            client.flush()
            await until_true(lambda: listener.streams == 1)
            assert (listener.resets_by_clients, listener.resets_by_us) == (1, 1)
            wait.let()
            assert (await client.reply(numbers[1])).body == b"ok"
            assert listener.streams == 0

    run(work())


def test_a_connection_that_shakes_hands_is_counted_as_one_that_does(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(echo, SMALL, make_tls(tmp_path)) as house:
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            await until_true(lambda: house.listener.connections == 1)
            assert house.listener.spoken() == {"tls": 1}
            writer.close()

    run(work())
