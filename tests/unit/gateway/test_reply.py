"""Heads of replies: the same bytes whether a codec wrote their lines or they are written here."""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.gateway.reply import Exchange, fields_of, head_of
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpReply

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
LINES = "content-type: application/json\r\nx-a: b: c\r\n"
HEADERS = [("content-type", "application/json"), ("x-a", "b: c")]


def exchange(method: str = "GET", minor: int = 1, *, keep_alive: bool = True) -> Exchange:
    return Exchange(method, minor, DATE, keep_alive=keep_alive)


@pytest.mark.parametrize("status", [200, 204, 304, 404, 599])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("minor", "keep_alive"), [(1, True), (1, False), (0, True)])
def test_headers_that_came_as_lines_are_written_as_any_others(
    status: int, method: str, minor: int, keep_alive: bool
) -> None:
    asked = exchange(method, minor, keep_alive=keep_alive)
    lines = HttpReply(status, None, b"hello", None, LINES)
    assert head_of(lines, asked) == head_of(HttpReply(status, HEADERS, b"hello"), asked)
    assert fields_of(lines, method, DATE) == fields_of(
        HttpReply(status, HEADERS, b"hello"), method, DATE
    )


def test_the_headers_of_a_head_stand_in_their_order_with_the_length_behind_them() -> None:
    assert head_of(HttpReply(200, None, b"hello", None, LINES), exchange()) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-a: b: c\r\n"
        b"Content-Length: 5\r\nDate: %s\r\n\r\n" % DATE.encode()
    )


def test_headers_that_came_as_lines_can_be_added_to() -> None:
    reply = HttpReply(200, None, b"", None, LINES)
    reply.headers.append(("x-more", "1"))
    assert reply.headers == [*HEADERS, ("x-more", "1")]
    assert b"\r\nx-more: 1\r\n" in head_of(reply, exchange())


def test_a_reply_of_json_says_its_type_its_request_and_its_check() -> None:
    reply = codec_of("dynamodb").encode("GetItem", {}, "the-request")
    assert reply.headers == [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amzn-RequestId", "the-request"),
        ("x-amz-crc32", "2745614147"),
    ]


@pytest.mark.parametrize("length", [None, 5])
@pytest.mark.parametrize("header", [("a", "1\r\nb: 2"), ("a\r\nb", "1"), ("a", "1\n"), ("a", "\r")])
def test_a_header_with_a_line_break_is_written_by_nobody(
    header: tuple[str, str], length: int | None
) -> None:
    async def body() -> Any:
        yield b"hello"

    with pytest.raises(ValueError, match="line break"):
        head_of(HttpReply(200, [header], body(), length), exchange())
