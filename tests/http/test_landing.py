"""Bodies that are gathered into frames come from the socket into them, over the whole listener."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable

import pytest
from tests.http.listening import SMALL, Client, House, listening, make_tls, run, until_true

from fogbank.base.errors import ServiceError
from fogbank.gateway.body import HashedBody
from fogbank.gateway.landing import Landing
from fogbank.platform.blobs.frames import frames_of
from fogbank.platform.blobs.port import FRAME_BYTES
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http

BODY = random.Random(7).randbytes(2 * FRAME_BYTES + 5)
HEAD = 64 << 10
"""No more of a body than this comes with its head."""


async def hashed(request: HttpRequest) -> HttpReply:
    """Answer the SHA-256 of a body's frames, or the code of the error that kept them from coming."""
    if request.stream is None:
        return HttpReply(200, [], request.path.encode())
    digest = hashlib.sha256()
    try:
        async for frame in frames_of(request.stream):
            digest.update(frame)
    except ServiceError as error:
        return HttpReply(400, [], error.code.encode())
    return HttpReply(200, [], digest.hexdigest().encode())


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many bytes landed, each time some did."""
    sizes: list[int] = []
    note = Landing.buffer_updated

    def noted(landing: Landing, nbytes: int) -> None:
        sizes.append(nbytes)
        note(landing, nbytes)

    monkeypatch.setattr(Landing, "buffer_updated", noted)
    return sizes


def put(client: Client, body: bytes = b"", *more: str, length: int = len(BODY)) -> None:
    client.send("PUT / HTTP/1.1", "Host: a", f"Content-Length: {length}", *more, body=body)


async def sent_slowly(client: Client, house: House, body: bytes) -> None:
    """Send a body once its reader waits for it, so that all of it can land."""

    def lands() -> bool:
        bodies = [guest._body for guest in house.listener._connections]
        return any(body is not None and body.landing.stood_for for body in bodies)

    await until_true(lands)
    client.writer.write(body)


def test_a_body_lands_in_its_frames_and_what_is_behind_it_is_the_next_request(
    landed: list[int],
) -> None:
    async def work() -> None:
        async with listening(hashed) as house:
            client = await house.connect()
            for _ in range(2):
                put(client)
                await sent_slowly(client, house, BODY + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await client.answer()).body == hashlib.sha256(BODY).hexdigest().encode()
                assert (await client.answer()).body == b"/next"
            assert sum(landed) > 2 * (len(BODY) - HEAD)

    run(work())


def test_what_comes_with_the_head_is_the_beginning_of_the_first_frame() -> None:
    async def work() -> None:
        async with listening(hashed) as house:
            client = await house.connect()
            put(client, BODY[:100])
            await sent_slowly(client, house, BODY[100:])
            assert (await client.answer()).body == hashlib.sha256(BODY).hexdigest().encode()

    run(work())


def test_a_client_that_waits_to_continue_is_told_to_when_its_body_may_land() -> None:
    async def work() -> None:
        async with listening(hashed) as house:
            client = await house.connect()
            put(client, b"", "Expect: 100-continue")
            assert await client.head() == (100, {})
            client.writer.write(BODY)
            assert (await client.answer()).body == hashlib.sha256(BODY).hexdigest().encode()

    run(work())


@pytest.mark.parametrize("framing", ["tls", "chunked"])
def test_what_does_not_come_as_it_is_does_not_land(
    landed: list[int], framing: str, tmp_path: object
) -> None:
    async def work() -> None:
        tls = make_tls(tmp_path) if framing == "tls" else None  # type: ignore[arg-type]
        async with listening(hashed, tls=tls) as house:
            client = await house.connect()
            if tls is None:
                chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
                client.send("PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=chunks)
            else:
                put(client, BODY)
            assert (await client.answer()).body == hashlib.sha256(BODY).hexdigest().encode()
            assert not landed

    run(work())


@pytest.mark.parametrize("ends", ["stops", "breaks off"])
def test_a_body_that_does_not_come_whole_fails_its_reader(ends: str) -> None:
    codes: list[str] = []

    async def noted(request: HttpRequest) -> HttpReply:
        reply = await hashed(request)
        codes.append(bytes(reply.body).decode())
        return reply

    async def work() -> None:
        async with listening(noted, SMALL._replace(body_timeout_ms=5_000)) as house:
            client = await house.connect()
            put(client)
            await sent_slowly(client, house, BODY[:1_000])
            (connection,) = house.listener._connections
            await until_true(lambda: connection._body.total == 1_000)
            if ends == "stops":
                await house.after(8_000)
                answer = await client.answer()
                assert (answer.body, answer.headers["connection"]) == (b"RequestTimeout", "close")
            else:
                client.writer.transport.abort()
                await until_true(lambda: not house.listener.connections)
                assert codes in ([], ["IncompleteBody"])  # its task may have been cancelled first

    run(work())


def test_who_does_not_want_the_next_frame_leaves_the_socket_alone() -> None:
    went_on = asyncio.Event()

    async def one(request: HttpRequest) -> HttpReply:
        frames = frames_of(request.stream)
        await anext(frames)
        await went_on.wait()
        size = FRAME_BYTES + sum([len(frame) async for frame in frames])
        return HttpReply(200, [], b"%d" % size)

    async def work() -> None:
        async with listening(one) as house:
            client = await house.connect()
            put(client, length=40 * FRAME_BYTES)
            await sent_slowly(client, house, bytes(40 * FRAME_BYTES))
            (connection,) = house.listener._connections
            await until_true(lambda: connection._body.total >= FRAME_BYTES)
            came = -1
            while came != connection._body.total:
                came = connection._body.total
                for _ in range(20):
                    await asyncio.sleep(0)
            assert came == FRAME_BYTES
            went_on.set()
            assert (await client.answer()).body == b"%d" % (40 * FRAME_BYTES)

    run(work())


def _signed(digest: str) -> Callable[[HttpRequest], Awaitable[HttpReply]]:
    async def handler(request: HttpRequest) -> HttpReply:
        assert request.stream is not None
        request.stream = HashedBody(request.stream, digest)
        return await hashed(request)

    return handler


@pytest.mark.parametrize("size", [len(BODY), 2 * FRAME_BYTES])
def test_a_signed_body_is_hashed_where_it_landed_and_refused_at_its_end(size: int) -> None:
    body = BODY[:size]
    right = hashlib.sha256(body).hexdigest()
    wrong = hashlib.sha256(body + b"!").hexdigest()

    async def asked(digest: str) -> bytes:
        async with listening(_signed(digest)) as house:
            client = await house.connect()
            put(client, body, length=size)
            return (await client.answer()).body

    async def work() -> None:
        assert await asked(right) == right.encode()
        assert await asked(wrong) == b"XAmzContentSHA256Mismatch"

    run(work())
