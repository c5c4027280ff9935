"""The listener over TLS: handshakes are bounded like requests, bytes flow as they do without."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from pathlib import Path

import pytest
from tests.http.listening import (
    SMALL,
    House,
    Tls,
    Waiting,
    echo,
    listening,
    make_tls,
    run,
    until_true,
)

from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


def _is_held_back(house: House) -> bool:
    """Return whether a reply waits for its client."""
    return any(
        getattr(guest, "_writable", None) is not None for guest in house.listener._connections
    )


def test_requests_over_tls_are_kept_alive_pipelined_and_known_to_be_secure(tls: Tls) -> None:
    async def secure(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], f"{request.secure} {request.peer} {request.path}".encode())

    async def work() -> None:
        async with listening(secure, tls=tls) as house:
            client = await house.connect()
            for at in range(20):
                client.send(f"GET /{at} HTTP/1.1", "Host: a")
            for at in range(20):
                assert (await client.answer()).body == f"True 127.0.0.1 /{at}".encode()
            assert house.listener.connections == 1

    run(work())


def test_only_tls_1_2_and_later_with_forward_secrecy_is_spoken(tls: Tls) -> None:
    async def work() -> None:
        async with listening(echo, tls=tls) as house:
            client = await house.connect()
            assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            for version, ciphers in (
                (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
                (ssl.TLSVersion.TLSv1_2, "AES256-GCM-SHA384"),
                (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"),
            ):
                old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    old.minimum_version = version
                    old.maximum_version = version
                old.set_ciphers(ciphers)
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await asyncio.open_connection("127.0.0.1", house.port, ssl=old)
            new = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            new.check_hostname, new.verify_mode = False, ssl.CERT_NONE
            new.maximum_version = ssl.TLSVersion.TLSv1_2
            _, writer = await asyncio.open_connection("127.0.0.1", house.port, ssl=new)
            assert writer.get_extra_info("cipher")[0].startswith("ECDHE-")
            writer.close()

    run(work())


def test_a_large_upload_over_tls_is_streamed_with_bounded_memory(tls: Tls) -> None:
    size, most = 24 << 20, 0

    async def slow(request: HttpRequest) -> HttpReply:
        nonlocal most
        assert request.stream is not None
        total = 0
        while piece := await request.stream.read(100_000):
            total += len(piece)
            await asyncio.sleep(0)
            most = max(most, request.stream.size)  # pyright: ignore[reportAttributeAccessIssue]
        return HttpReply(200, [], str(total).encode())

    async def work() -> None:
        async with listening(slow, tls=tls) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", f"Content-Length: {size}")
            for _ in range(size >> 20):
                client.writer.write(b"x" * (1 << 20))
                await client.writer.drain()
            assert (await client.answer()).body == str(size).encode()
            assert most <= 2 * SMALL.stream_buffer_bytes_max

    run(work())


def test_a_large_download_over_tls_waits_for_its_client(tls: Tls) -> None:
    piece, count, made = b"y" * 65_536, 400, 0

    async def pieces():
        nonlocal made
        for _ in range(count):
            made += 1
            yield piece

    async def big(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], pieces(), len(piece) * count)

    async def work() -> None:
        async with listening(big, tls=tls) as house:
            client = await house.connect()
            client.reader._transport.pause_reading()
            client.send("GET /a HTTP/1.1", "Host: a")
            await until_true(lambda: _is_held_back(house))
            assert made < count // 2
            client.reader._transport.resume_reading()
            assert (await client.answer()).body == piece * count

    run(work())


def test_a_reply_of_many_records_arrives_whole(tls: Tls) -> None:
    body = bytes(range(256)) * 4_000

    async def reply(_: HttpRequest) -> HttpReply:
        return HttpReply(200, [], body)

    async def work() -> None:
        async with listening(reply, tls=tls) as house:
            # uvloop's own client loses the end of what it has not read when the server closes.
            said = await asyncio.to_thread(_ask_blocking, house.port, tls)
            assert said.endswith(b"\r\n\r\n" + body)

    run(work())


def _ask_blocking(port: int, tls: Tls) -> bytes:
    raw = socket.create_connection(("127.0.0.1", port))
    with tls.client.wrap_socket(raw, server_hostname="127.0.0.1") as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        said = b""
        while piece := client.recv(65_536):
            said += piece
        return said


def test_plain_http_on_a_tls_port_is_told_so_and_other_bytes_are_cut_off(tls: Tls) -> None:
    async def work() -> None:
        async with listening(echo, tls=tls) as house:
            plain = await house._replace(trust=None).connect()
            plain.send("GET / HTTP/1.1", "Host: a")
            answer = await plain.answer()
            assert (answer.status, answer.body) == (400, b"This port speaks HTTPS.\n")
            assert await plain.ended() == b""
            for garbage in (b"\x00\x01", b"\x16\x03\x01\x00\x05hello", b"\x16" * 300_000):
                odd = await house._replace(trust=None).connect()
                odd.writer.write(garbage)
                assert len(await odd.ended()) < 100  # at most an alert
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_tls_on_a_plain_port_is_refused_at_once(tls: Tls) -> None:
    async def work() -> None:
        async with listening(echo) as house:
            with pytest.raises(ssl.SSLError):
                await house._replace(trust=tls.client).connect()
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_a_handshake_that_does_not_come_is_timed_out_and_counts_against_the_cap(tls: Tls) -> None:
    async def work() -> None:
        settings = SMALL._replace(head_timeout_ms=3_000, connections_max=2)
        async with listening(echo, settings, tls) as house:
            silent = await house._replace(trust=None).connect()
            halfway = await house._replace(trust=None).connect()
            halfway.writer.write(b"\x16\x03\x01\x01\x00")
            await until_true(lambda: house.listener.connections == 2)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await house.connect()
            await house.after(5_000)
            assert await silent.ended() == b""
            assert await halfway.ended() == b""
            client = await house.connect()
            client.send("GET / HTTP/1.1", "Host: a")
            assert (await client.answer()).status == 200

    run(work())


def test_new_connections_get_the_new_certificate_and_old_ones_go_on(
    tls: Tls, tmp_path: Path
) -> None:
    async def work() -> None:
        other = make_tls(tmp_path, "other")
        async with listening(echo, tls=tls) as house:
            old = await house.connect()
            house.listener.tls = other.server
            new = await house._replace(trust=other.client).connect()
            with pytest.raises(ssl.SSLCertVerificationError):
                await house.connect()
            for client in (old, new):
                client.send("GET / HTTP/1.1", "Host: a")
                assert (await client.answer()).status == 200

    run(work())


def test_drain_over_tls_finishes_what_runs_and_ends_handshakes(tls: Tls) -> None:
    wait = Waiting(b"done")

    async def work() -> None:
        async with listening(wait, tls=tls) as house:
            idle, busy = await house.connect(), await house.connect()
            raw = await house._replace(trust=None).connect()
            busy.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: house.listener.in_flight == 1)
            await until_true(lambda: house.listener.connections == 3)
            draining = asyncio.create_task(house.listener.drain(10))
            assert await idle.ended() == b""
            assert await raw.ended() == b""
            wait.let()
            assert (await busy.answer()).body == b"done"
            await draining

    run(work())


def test_a_client_that_takes_no_reply_over_tls_loses_its_connection(tls: Tls) -> None:
    async def pieces():
        while True:
            yield b"x" * 65_536

    async def endless(request: HttpRequest) -> HttpReply:
        return HttpReply(200, [], pieces())

    async def work() -> None:
        async with listening(endless, SMALL._replace(body_timeout_ms=5_000), tls) as house:
            client = await house.connect()
            client.reader._transport.pause_reading()
            client.send("GET / HTTP/1.1", "Host: a")
            await until_true(lambda: _is_held_back(house))
            await asyncio.sleep(0.02)
            await house.after(8_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())


def test_the_body_of_a_refused_upload_over_tls_does_not_lose_the_reply(tls: Tls) -> None:
    async def early(_: HttpRequest) -> HttpReply:
        return HttpReply(403, [], b"no")

    async def work() -> None:
        async with listening(early, SMALL._replace(discard_bytes_max=1 << 20), tls) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", f"Content-Length: {1 << 30}")
            client.writer.write(b"x" * 500_000)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (403, "close")
            client.writer.write(b"x" * 4_000_000)
            await until_true(lambda: house.listener.connections == 0)

    run(work())
