"""The listener on real sockets: bounds, lateness, back-pressure and ends."""

from __future__ import annotations

import asyncio

import pytest
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

from fogbank.base.errors import ServiceError
from fogbank.gateway.guests import origin_of
from fogbank.gateway.settings import ListenerSettings
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


def test_what_is_pipelined_behind_a_running_request_is_bounded() -> None:
    async def work() -> None:
        gate = asyncio.Event()

        async def slow(request: HttpRequest) -> HttpReply:
            await gate.wait()
            return await echo(request)

        settings = SMALL._replace(pipelined_bytes_max=1_000)
        async with listening(slow, settings) as house:
            client = await house.connect()
            count = 40_000
            client.send("GET / HTTP/1.1", "Host: a")
            for _ in range(count):
                client.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            (connection,) = house.listener._connections
            await until_true(lambda: not connection._reading)
            assert len(connection._buffer) < 600_000
            gate.set()
            for _ in range(count + 1):
                assert (await client.answer()).status == 200

    run(work())


def test_a_large_upload_is_streamed_with_bounded_memory() -> None:
    size = 24 << 20
    most = 0

    async def work() -> None:
        nonlocal most

        async def slow(request: HttpRequest) -> HttpReply:
            nonlocal most
            assert request.stream is not None
            assert request.stream.length == size
            total = 0
            while piece := await request.stream.read(100_000):
                assert len(piece) <= 100_000
                total += len(piece)
                await asyncio.sleep(0)
                (connection,) = house.listener._connections
                most = max(most, connection._body.size + len(connection._buffer))
            return HttpReply(200, [], str(total).encode())

        async with listening(slow) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", f"Content-Length: {size}")
            piece = b"x" * (1 << 20)
            for _ in range(size >> 20):
                client.writer.write(piece)
                await client.writer.drain()
            assert (await client.answer()).body == str(size).encode()
            assert most <= 2 * SMALL.stream_buffer_bytes_max
            client.send("GET /b HTTP/1.1", "Host: a", "Content-Length: 0")
            await until_true(lambda: house.listener.in_flight == 0)

    run(work())


@pytest.mark.parametrize("known", [True, False])
def test_a_large_download_waits_for_its_client(known: bool) -> None:
    piece, count = b"y" * 65_536, 400
    made = 0

    async def pieces():
        nonlocal made
        for _ in range(count):
            made += 1
            yield piece

    async def big(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], pieces(), len(piece) * count if known else None)

    async def work() -> None:
        async with listening(big) as house:
            client = await house.connect()
            client.send("GET /a HTTP/1.1", "Host: a")
            (connection,) = await _connections(house)
            await until_true(lambda: connection._writable is not None)
            assert made < count // 2
            answer = await client.answer()
            assert answer.body == piece * count
            assert made == count

    run(work())


async def _connections(house):
    await until_true(lambda: house.listener._connections)
    return list(house.listener._connections)


def test_a_client_that_breaks_off_cancels_its_handler() -> None:
    events: list[str] = []

    async def wait(request: HttpRequest) -> HttpReply:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        raise AssertionError("unreachable")

    async def work() -> None:
        async with listening(wait) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: events)
            client.writer.close()
            await until_true(lambda: events == ["begun", "cancelled"])
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_a_client_that_breaks_off_in_a_body_cancels_the_reader() -> None:
    events: list[str] = []

    async def read(request: HttpRequest) -> HttpReply:
        assert request.stream is not None
        try:
            while await request.stream.read(1_000):
                events.append("read")
        except (asyncio.CancelledError, ServiceError) as error:
            events.append(type(error).__name__)
            raise
        raise AssertionError("the end was reached")

    async def work() -> None:
        async with listening(read) as house:
            client = await house.connect()
            client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000", body=b"abc")
            await until_true(lambda: events)
            client.writer.close()
            await until_true(lambda: len(events) == 2)
            assert events[1] in {"CancelledError", "IncompleteBody"}

    run(work())


def test_late_clients_lose_their_connection() -> None:
    async def work() -> None:
        settings = SMALL._replace(
            idle_timeout_ms=5_000, head_timeout_ms=3_000, whole_body_timeout_ms=4_000
        )
        async with listening(echo, settings) as house:
            idle, head, body = [await house.connect() for _ in range(3)]
            head.writer.write(b"GET / HTTP/1.1\r\nHost: a")
            body.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 10", body=b"abc")
            await until_true(lambda: house.listener.connections == 3)
            await until_true(lambda: house.listener.whole_bytes == 10)
            await asyncio.sleep(0.01)
            await house.after(7_000)
            assert (await body.answer()).status == 400
            assert (await head.answer()).status == 408
            assert await idle.ended() == b""
            assert await body.ended() == b""
            await house.after(7_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_a_client_that_stops_in_a_stream_fails_its_reader_with_request_timeout() -> None:
    async def work() -> None:
        async with listening(echo_or_code, SMALL._replace(body_timeout_ms=5_000)) as house:
            client = await house.connect()
            client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000", body=b"abc")
            await until_true(lambda: house.listener.in_flight == 1)
            await asyncio.sleep(0.01)
            await house.after(8_000)
            answer = await client.answer()
            assert (answer.status, answer.body) == (400, b"RequestTimeout")
            assert answer.headers["connection"] == "close"

    run(work())


def test_a_client_that_takes_no_reply_loses_its_connection() -> None:
    async def work() -> None:
        async with listening(endless, SMALL._replace(body_timeout_ms=5_000)) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            (connection,) = await _connections(house)
            await until_true(lambda: connection._writable is not None)
            client.reader._transport.pause_reading()
            await asyncio.sleep(0.02)
            await house.after(8_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_a_client_that_drips_its_body_is_broken_off_though_it_never_pauses_long() -> None:
    async def work() -> None:
        async with listening(echo_or_code, PACED) as house:
            drips, pours = await house.connect(), await house.connect()
            for client in (drips, pours):
                client.send("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000")
            await until_true(lambda: house.listener.in_flight == 2)
            bodies = [guest._body for guest in house.listener._connections]
            for at in range(1, 15):
                drips.writer.write(b"x" * 10)
                pours.writer.write(b"x" * 200)
                # Once broken off, the first is read no more.
                count = 210 * at if at < 11 else 0
                await until_true(lambda c=count: sum(body.total for body in bodies) >= c)
                await house.after(1_000)
            answer = await drips.answer()
            assert (answer.status, answer.body) == (400, b"RequestTimeout")
            assert house.listener.in_flight == 1

    run(work())


def test_a_slow_client_that_keeps_pace_gets_its_reply_and_one_that_sips_does_not() -> None:
    async def work() -> None:
        settings = PACED._replace(body_timeout_ms=5_000)
        async with listening(endless, settings) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            (connection,) = await _connections(house)
            await until_true(lambda: connection._writable is not None)
            client.reader._transport.pause_reading()
            unsent = 300_000
            connection._transport = _Unsent(connection._transport, lambda: unsent)
            for _ in range(20):  # 200 bytes a second for four times the limit of a pause
                unsent -= 200
                await house.after(1_000)
            assert house.listener.connections == 1
            for _ in range(15):  # 10 bytes a second
                unsent -= 10
                await house.after(1_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


class _Unsent:
    """A transport whose client takes exactly what the test says."""

    def __init__(self, transport, unsent) -> None:
        self._transport, self._unsent = transport, unsent

    def get_write_buffer_size(self) -> int:
        return self._unsent()

    def __getattr__(self, name: str):
        return getattr(self._transport, name)


@pytest.mark.parametrize("last", [True, False])
def test_a_client_that_leaves_its_last_reply_unread_loses_its_connection(last: bool) -> None:
    async def some(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], b"x" * 8_000_000)

    async def work() -> None:
        # The reply is written whole and fits the buffer: nothing waits for the client but its end.
        settings = SMALL._replace(write_buffer_bytes_max=16 << 20, body_timeout_ms=5_000)
        async with listening(some, settings) as house:
            client = await house.connect()
            client.reader._transport.pause_reading()
            client.send("GET / HTTP/1.1", "Host: a", *(["Connection: close"] if last else []))
            (connection,) = await _connections(house)
            await until_true(lambda: connection._transport.get_write_buffer_size())
            await until_true(lambda: house.listener.in_flight == 0)
            await house.after(8_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_one_address_takes_no_more_than_its_share() -> None:
    wait = Waiting()

    async def work() -> None:
        settings = SMALL._replace(connections_per_address_max=2, requests_per_address_max=1)
        async with listening(wait, settings) as house:
            one, two = await house.connect(), await house.connect()
            await until_true(lambda: house.listener.connections == 2)
            third = await house.connect()
            third.send("GET / HTTP/1.1", "Host: a")
            assert (await third.answer()).status == 503
            one.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            two.send("GET / HTTP/1.1", "Host: a")
            assert (await two.answer()).status == 503
            wait.let()
            assert (await one.answer()).status == 200
            assert await two.ended() == b""
            one.writer.close()
            await until_true(lambda: not house.listener._shares)

    run(work())


@pytest.mark.parametrize(
    ("address", "sandbox", "origin"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("2001:db8:1:2::7", "", "20010db800010002"),
        ("2001:db8:1:2:ffff::1", "", "20010db800010002"),
        ("fe80::1%eth0", "", "fe80000000000000"),
        ("127.0.0.1", "arn:f", "arn:f"),
    ],
)
def test_an_origin_is_a_host_a_network_or_a_sandbox(address, sandbox, origin) -> None:
    assert origin_of(address, sandbox) == origin


def test_connections_beyond_the_cap_are_told_to_slow_down() -> None:
    async def work() -> None:
        async with listening(echo, SMALL._replace(connections_max=2)) as house:
            kept = [await house.connect() for _ in range(2)]
            await until_true(lambda: house.listener.connections == 2)
            third = await house.connect()
            third.send("GET / HTTP/1.1", "Host: a")
            answer = await third.answer()
            assert answer.status == 503
            assert b"SlowDown" in answer.body
            assert await third.ended() == b""
            kept[0].send("GET / HTTP/1.1", "Host: a")
            assert (await kept[0].answer()).status == 200

    run(work())


def test_requests_beyond_the_cap_are_told_to_slow_down() -> None:
    wait = Waiting()

    async def work() -> None:
        async with listening(wait, SMALL._replace(requests_max=1)) as house:
            one, two = await house.connect(), await house.connect()
            one.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            two.send("GET / HTTP/1.1", "Host: a")
            assert (await two.answer()).status == 503
            wait.let()
            assert (await one.answer()).status == 200

    run(work())


def test_bodies_that_are_read_whole_share_a_bound() -> None:
    async def work() -> None:
        async with listening(echo, SMALL._replace(whole_bodies_bytes_max=1_000)) as house:
            one, two = await house.connect(), await house.connect()
            one.send("PUT /a HTTP/1.1", "Host: a", "Content-Length: 900", body=b"x")
            await until_true(lambda: house.listener.whole_bytes == 900)
            two.send("PUT /b HTTP/1.1", "Host: a", "Content-Length: 200", body=b"x" * 200)
            assert (await two.answer()).status == 503
            one.writer.write(b"x" * 899)
            assert (await one.answer()).status == 200
            assert house.listener.whole_bytes == 0

    run(work())


def test_a_body_that_nobody_reads_is_discarded_and_the_connection_kept() -> None:
    async def early(_: HttpRequest) -> HttpReply:
        return HttpReply(403, [], b"no")

    async def work() -> None:
        async with listening(early) as house:
            client = await house.connect()
            for _ in range(3):
                client.send("PUT /a HTTP/1.1", "Host: a", "Content-Length: 1000000")
                client.writer.write(b"x" * 1_000_000)
                assert (await client.answer()).status == 403
            client.send("PUT /a HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
            client.writer.write(b"5\r\nhello\r\n0\r\n\r\n")
            assert (await client.answer()).status == 403
            client.send("GET /a HTTP/1.1", "Host: a")
            assert (await client.answer()).status == 403

    run(work())


def test_a_reply_before_the_end_of_a_huge_body_arrives_and_ends_the_connection() -> None:
    async def early(_: HttpRequest) -> HttpReply:
        return HttpReply(403, [], b"no")

    async def work() -> None:
        async with listening(early, SMALL._replace(discard_bytes_max=1 << 20)) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", f"Content-Length: {1 << 30}")
            client.writer.write(b"x" * 500_000)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
            client.writer.write(b"x" * 4_000_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_drain_finishes_what_runs_and_closes_what_is_idle() -> None:
    wait = Waiting(b"done")

    async def work() -> None:
        async with listening(wait) as house:
            idle, busy = await house.connect(), await house.connect()
            busy.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            await until_true(lambda: house.listener.connections == 2)
            draining = asyncio.create_task(house.listener.drain(10))
            assert await idle.ended() == b""
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await house.connect()
            assert not draining.done()
            wait.let()
            answer = await busy.answer()
            assert (answer.body, answer.headers["connection"]) == (b"done", "close")
            await draining

    run(work())


def test_drain_cuts_off_what_takes_too_long() -> None:
    async def forever(request: HttpRequest) -> HttpReply:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def work() -> None:
        async with listening(forever) as house:
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            draining = asyncio.create_task(house.listener.drain(10))
            await house.after(11_000)
            await draining
            assert await client.ended() == b""

    run(work())


def test_the_defaults_are_sane() -> None:
    settings = ListenerSettings()
    assert settings.head.body_bytes_max > 5 << 30
    assert (
        settings.whole_bodies_bytes_max
        + settings.requests_max
        * (2 * settings.stream_buffer_bytes_max + settings.write_buffer_bytes_max)
        <= 5 << 28
    )
