"""The listener on real sockets: framing, order, keep-alive."""

from __future__ import annotations

import asyncio
import os
import socket
from email.utils import formatdate

import pytest
from tests.http.listening import echo, listening, run, until_true

from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


def test_a_connection_is_kept_and_replies_come_in_order() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            for at in range(3):
                client.send(f"GET /{at}?q={at} HTTP/1.1", "Host: a")
                answer = await client.answer()
                assert answer.status == 200
                assert answer.body == f"GET /{at} q={at} ".encode()
                assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
                assert "connection" not in answer.headers
            client.send("GET / HTTP/1.1", "Host: a", "Connection: close")
            assert (await client.answer()).headers["connection"] == "close"
            assert await client.ended() == b""

    run(work())


def test_pipelined_requests_are_answered_in_order_with_their_bodies() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            for at in range(50):
                body = b"x" * at
                client.send(f"POST /{at} HTTP/1.1", "Host: a", f"Content-Length: {at}", body=body)
            for at in range(50):
                assert (await client.answer()).body == f"POST /{at}  ".encode() + b"x" * at

    run(work())


def test_a_head_that_comes_byte_by_byte_is_read() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            raw = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            for at in range(len(raw)):
                client.writer.write(raw[at : at + 1])
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.answer()).body == b"PUT /a  abc"

    run(work())


def test_continue_is_sent_when_the_handler_reads_and_not_before() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue")
            assert await client.head() == (100, {})
            client.writer.write(b"hello")
            assert (await client.answer()).body == b"PUT /a  hello"
            client.send("GET /b HTTP/1.1", "Host: a")
            assert (await client.answer()).body == b"GET /b  "

    run(work())


def test_a_refused_expectation_gets_no_continue_and_ends_the_connection() -> None:
    async def refuse(_: HttpRequest) -> HttpReply:
        return HttpReply(403, [], b"no")

    async def work() -> None:
        async with listening(refuse) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue")
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
            assert await client.ended() == b""

    run(work())


def test_an_expectation_that_nobody_knows_is_not_met() -> None:
    """RFC 9110, section 10.1.1: a server may refuse it, and need not."""

    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 200")
            client.writer.write(b"hello")
            assert (await client.answer()).body == b"PUT /a  hello"

    run(work())


def test_a_client_that_does_not_wait_for_continue_gets_none() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            client.send(
                "PUT /a HTTP/1.1",
                "Host: a",
                "Content-Length: 5",
                "Expect: 100-continue",
                body=b"hello",
            )
            assert (await client.answer()).body == b"PUT /a  hello"

    run(work())


def test_chunked_bodies_are_decoded_and_the_next_request_found() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            body = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
            for size in (1, 3, 1_000):
                client.send("PUT /a HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
                for at in range(0, len(body), size):
                    client.writer.write(body[at : at + size])
                    await client.writer.drain()
                client.send("GET /b HTTP/1.1", "Host: a")
                assert (await client.answer()).body == b"PUT /a  hello world"
                assert (await client.answer()).body == b"GET /b  "

    run(work())


def test_a_reply_shorter_or_longer_than_it_says_breaks_the_connection() -> None:
    async def work(length: int) -> None:
        async def pieces():
            yield b"abc"

        async def lie(request: HttpRequest) -> HttpReply:
            return HttpReply(200, [], pieces(), length)

        async with listening(lie) as house:
            client = await house.connect()
            client.send("GET /a HTTP/1.1", "Host: a")
            assert len((await client.ended()).partition(b"\r\n\r\n")[2]) < length or length < 3

    run(work(4))
    run(work(2))


def test_head_answers_the_length_and_no_body() -> None:
    async def reply(request: HttpRequest) -> HttpReply:
        if request.path == "/modelled":
            return HttpReply(200, [("Content-Length", "12345")])
        return HttpReply(200, [], b"hello")

    async def work() -> None:
        async with listening(reply) as house:
            client = await house.connect()
            client.send("HEAD /a HTTP/1.1", "Host: a")
            assert (await client.answer("HEAD")).headers["content-length"] == "5"
            client.send("HEAD /modelled HTTP/1.1", "Host: a")
            assert (await client.answer("HEAD")).headers["content-length"] == "12345"
            client.send("GET /modelled HTTP/1.1", "Host: a")
            assert (await client.answer()).headers["content-length"] == "0"

    run(work())


def test_replies_without_a_body_have_no_length() -> None:
    async def reply(request: HttpRequest) -> HttpReply:
        return HttpReply(int(request.path[1:]), [], b"")

    async def work() -> None:
        async with listening(reply) as house:
            client = await house.connect()
            for status in (204, 304):
                client.send(f"GET /{status} HTTP/1.1", "Host: a")
                answer = await client.answer()
                assert answer.status == status
                assert "content-length" not in answer.headers
                assert "transfer-encoding" not in answer.headers

    run(work())


def test_an_offer_to_upgrade_is_ignored() -> None:
    async def work() -> None:
        async with listening(echo) as house:
            client = await house.connect()
            for at in range(2):
                client.send(
                    f"POST /{at} HTTP/1.1",
                    "Host: a",
                    "Connection: Upgrade, HTTP2-Settings",
                    "Upgrade: h2c",
                    "HTTP2-Settings: AAMAAABkAAQ",
                    "Content-Length: 2",
                    body=b"ab",
                )
                assert (await client.answer()).body == f"POST /{at}  ab".encode()

    run(work())


def test_an_absolute_target_names_the_host() -> None:
    async def host(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], f"{request.headers['host']} {request.path}".encode())

    async def work() -> None:
        async with listening(host) as house:
            client = await house.connect()
            client.send("GET http://b.example/c?d HTTP/1.1", "Host: a")
            assert (await client.answer()).body == b"b.example /c"
            client.send("GET http://b.example HTTP/1.1", "Host: a")
            assert (await client.answer()).body == b"b.example /"

    run(work())


def test_http_1_0_closes_unless_it_asks_to_be_kept() -> None:
    async def pieces():
        yield b"abc"
        yield b"def"

    async def reply(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], pieces()) if request.path == "/s" else await echo(request)

    async def work() -> None:
        async with listening(reply) as house:
            client = await house.connect()
            client.send("GET /a HTTP/1.0", "Connection: keep-alive")
            assert (await client.answer()).headers["connection"] == "keep-alive"
            client.send("GET /s HTTP/1.0", "Connection: keep-alive")
            status, headers = await client.head()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.ended() == b"abcdef"

    run(work())


def test_a_sandbox_socket_marks_its_requests_and_closes_with_its_sandbox(tmp_path) -> None:
    async def who(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], request.sandbox.encode())

    async def work() -> None:
        async with listening(who) as house:
            path = os.fspath(tmp_path / "s")
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(path)
            sock.listen()
            adopted = asyncio.ensure_future(house.listener.adopt(sock.detach(), "arn:f"))
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"arn:f")).endswith(b"arn:f")
            adopted.cancel()
            with pytest.raises(asyncio.CancelledError):
                await adopted
            writer.close()
            with pytest.raises(OSError):  # noqa: PT011 (any way in which a socket ends)
                await asyncio.open_unix_connection(path)
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            assert (await client.answer()).body == b""

    run(work())


def test_a_header_with_a_line_break_never_leaves() -> None:
    async def split(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [("X", "a\r\nSet-Cookie: b")], b"")

    async def work() -> None:
        async with listening(split) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            assert await client.ended() == b""

    run(work())


def test_a_listener_without_clients_sleeps_and_tells_the_time_to_the_next() -> None:
    firsts: list[str] = []

    async def work() -> None:
        async with listening(echo) as house:
            listener, clock = house.listener, house.clock
            listener.on_first = lambda: firsts.append(listener.date)
            for _ in range(2):
                assert clock.next_ms() is None
                clock.advance_to(clock.now_ms() + 3_600_000)
                client = await house.connect()
                client.send("GET / HTTP/1.1", "Host: a")
                date = (await client.answer()).headers["date"]
                assert date == formatdate(clock.now_ms() // 1_000, usegmt=True)
                # It is no late client: its time began when it came.
                clock.advance_to(clock.now_ms() + 1_000)
                await until_true(lambda: listener.now_ms == clock.now_ms())
                client.send("GET / HTTP/1.1", "Host: a")
                assert (await client.answer()).status == 200
                assert firsts.pop() == date
                client.writer.close()
                await until_true(lambda: not listener.connections)
                clock.advance_to(clock.now_ms() + 1_000)
                await until_true(lambda: not listener._occupied.is_set())
            assert not firsts

    run(work())
