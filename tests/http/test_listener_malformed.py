"""The listener on real sockets: what could be read in two ways."""

from __future__ import annotations

import pytest
from tests.http.h2client import H2Client
from tests.http.listening import SMALL, echo, listening, run, until_true

from fogbank.base.errors import ServiceError
from fogbank.gateway.head import HeadLimits
from fogbank.wire.http import HttpReply, HttpRequest

pytestmark = pytest.mark.http


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"-1\r\n",
        b"ffffffffffffffffffff\r\n",
        b"fffffffffffffff\r\n",
        b"5;" + b"x" * 600 + b"\r\nhello\r\n0\r\n\r\n",
        b"0\r\n" + b"X: 1\r\n" * 3_000 + b"\r\n",
        b"\r\n0\r\n\r\n",
    ],
)
def test_malformed_chunking_fails_the_reader_and_ends_the_connection(body: bytes) -> None:
    seen: list[str] = []

    async def catch(request: HttpRequest) -> HttpReply:
        try:
            return await echo(request)
        except ServiceError as error:
            seen.append(error.code)
            return HttpReply(400, [], error.code.encode())

    async def work() -> None:
        async with listening(catch) as house:
            client = await house.connect()
            client.send("PUT /a HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=body)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (400, "close")
            assert await client.ended() == b""
            assert seen in (["IncompleteBody"], ["EntityTooLarge"])

    run(work())


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "a bare line feed before the request": b"\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bare carriage return before the request": b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces before the target": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces behind the target": b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "a bare line feed between headers": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "an empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a blank in the host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "user information in the host": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "chunked and length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
    ),
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "the same length twice": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"
    ),
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
    "an empty length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "a length past all numbers": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"
    ),
    "another coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a coding that is almost chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"
    ),
    "chunked twice": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    ),
    "identity": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/2": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "another preface": b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target that is not ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target without a slash": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a foreign scheme": b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "user information": b"GET http://u@a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown method": b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two signatures": b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    "too long a target": b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\nHost: a\r\n"
    + b"".join(b"X-%d: 1\r\n" % at for at in range(60))
    + b"\r\n",
    "too many headers of one name": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 60 + b"\r\n",
    "too large a head": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    "a head without end": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000,
    "too large a body": b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000001\r\n\r\n",
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
def test_what_could_be_read_in_two_ways_is_refused_and_reaches_no_handler(what: str) -> None:
    async def never(request: HttpRequest) -> HttpReply:
        raise AssertionError("reached")

    async def work() -> None:
        async with listening(never, STRICT) as house:
            client = await house.connect()
            # What follows must not be taken for a request either.
            smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            client.writer.write(MALFORMED[what] + smuggled)
            answer = await client.answer()
            assert answer.status in {400, 413, 414, 417, 431, 501, 505}
            assert answer.headers["connection"] == "close"
            client.writer.close()
            assert b"smuggled" not in await client.ended()

    run(work())


def test_what_cannot_be_read_is_counted_and_logged_with_who_sent_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No audit trail has it: a record of CloudTrail's is of a service and an operation."""
    caplog.set_level("INFO", "fogbank.gateway.listener")

    async def work() -> None:
        async with listening(echo, SMALL) as house:
            for _ in range(2):
                client = await house.connect()
                client.send(body=MALFORMED["no HTTP"])
                await client.answer()
            client = await house.connect()
            client.writer.write(b"GET / HTTP/1.1\r\n")
            await until_true(lambda: house.listener.bytes_in > 2 * len(MALFORMED["no HTTP"]))
            await house.after(SMALL.head_timeout_ms + 2 * SMALL.sweep_ms)
            await client.answer()
            h2 = await H2Client.connect(house)
            number = h2.send("GET", "/" + "a" * SMALL.head.target_bytes_max)
            assert (await h2.reply(number)).status == 414
            assert house.listener.unread_by_code == {
                "BadRequest": 2,
                "RequestTimeout": 1,
                "RequestURITooLong": 1,
            }

    run(work())
    told = [record.getMessage() for record in caplog.records]
    assert len([line for line in told if line.startswith("request of 127.0.0.1 not read: ")]) == 4
