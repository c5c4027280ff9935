"""A reply as bytes: its head, its framing, and its body with back-pressure.

Rule: the listener owns the framing. ``content-length``, ``transfer-encoding``, ``connection`` and
``date`` are written here and nowhere else; a header that holds a line break is a bug and raises.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Coroutine
from functools import lru_cache
from typing import Any, Final, Protocol
from xml.sax.saxutils import escape

import msgspec

from fogbank.gateway.head import Refused
from fogbank.wire.http import HttpReply

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
END_CHUNK: Final = b"0\r\n\r\n"
_JOINED_BYTES_MAX: Final = 64 << 10
"""Bodies up to this leave in one write with their head."""
_NAMES_REMEMBERED_MAX: Final = 1_024
"""Names of headers; those of metadata are the clients' own."""
_ENDINGS_REMEMBERED_MAX: Final = 16
"""A second has up to four."""
_BODILESS: Final = frozenset((204, 304))
_OWNED: Final = frozenset(("content-length", "transfer-encoding", "connection", "date"))

_BREAK: Final = re.compile(rb"[\x00\r\n]")

_REASONS: Final = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {reason}\r\n" for status, reason in _REASONS.items()
}
_BODIED_LINES: Final = {
    status: line for status, line in _STATUS_LINES.items() if status not in _BODILESS
}


class Outlet(Protocol):
    """Where a reply's bytes go."""

    def write(self, data: bytes) -> None:
        """Send, or buffer and send."""
        ...

    async def drain(self) -> None:
        """Return once the buffer has room; at once if it has."""
        ...


class Exchange(msgspec.Struct, eq=False):
    """What the framing of one reply depends on."""

    method: str
    minor: int
    date: str
    keep_alive: bool
    """Whether the connection is kept; a reply that cannot be framed sets it to False."""


class Truncated(Exception):
    """A reply's body ended before or after its declared length: the connection must break."""


@lru_cache(maxsize=_NAMES_REMEMBERED_MAX)
def _line_begin(name: str) -> str:
    """Return what a header's line begins with; '' if the header is ours to write."""
    return "" if name.lower() in _OWNED else f"{name}: "


@lru_cache(maxsize=_ENDINGS_REMEMBERED_MAX)
def _ending_of(date: str, minor: int, keep_alive: bool) -> str:  # noqa: FBT001 (a cache's key)
    """Return how a head ends: what becomes of the connection, the date, and the empty line."""
    connection = ""
    if not keep_alive:
        connection = "Connection: close\r\n"
    elif not minor:
        connection = "Connection: keep-alive\r\n"
    return f"{connection}Date: {date}\r\n\r\n"


def head_of(reply: HttpReply, exchange: Exchange) -> bytes:
    """Return the status line and the headers, with the empty line.

    Raises:
        ValueError: A header holds a line break.
    """
    status, length = reply.status, reply.length
    if reply.lines and length is not None and status in _BODIED_LINES:
        ending = _ending_of(exchange.date, exchange.minor, exchange.keep_alive)
        return f"{_BODIED_LINES[status]}{reply.lines}Content-Length: {length}\r\n{ending}".encode()
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    for name, value in reply.headers:
        begin = _line_begin(name)
        if begin:
            lines.append(f"{begin}{value}\r\n")
        elif exchange.method == "HEAD" and name.lower() == "content-length":
            length = int(value)
    if status not in _BODILESS:
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        elif exchange.minor:
            lines.append("Transfer-Encoding: chunked\r\n")
        else:
            exchange.keep_alive = False
    text = "".join(lines)
    if not text.count("\n") == text.count("\r") == len(lines):
        raise ValueError("a header of a reply holds a line break")
    ending = _ending_of(exchange.date, exchange.minor, exchange.keep_alive)
    return f"{text}{ending}".encode()


def fields_of(reply: HttpReply, method: str, date: str) -> list[tuple[bytes, bytes]]:
    """Return the fields of the same head in HTTP/2, where frames end the body.

    Raises:
        ValueError: A header holds a line break or a NUL.
    """
    length = reply.length
    fields = [(b":status", b"%d" % reply.status)]
    for name, value in reply.headers:
        lower = name.lower()
        if lower not in _OWNED:
            fields.append((lower.encode(), value.strip().encode()))
        elif lower == "content-length" and method == "HEAD":
            length = int(value)
    if reply.status not in _BODILESS and length is not None:
        fields.append((b"content-length", b"%d" % length))
    fields.append((b"date", date.encode()))
    if any(_BREAK.search(name) or _BREAK.search(value) for name, value in fields):
        raise ValueError("a header of a reply holds a line break")
    return fields


def has_no_body(reply: HttpReply, method: str) -> bool:
    """Return whether HTTP gives this reply no body, whatever it holds."""
    return method == "HEAD" or reply.status in _BODILESS


def write_reply(
    outlet: Outlet, reply: HttpReply, exchange: Exchange
) -> Coroutine[Any, Any, None] | None:
    """Write a reply as far as it is at hand; return what sends the rest, or None: that was all.

    What is returned raises ``Truncated`` if the body is not as long as it was said to be.
    """
    head, body = head_of(reply, exchange), reply.body
    # As ``has_no_body`` says; a call less for every reply.
    bodiless = exchange.method == "HEAD" or reply.status in _BODILESS
    if not isinstance(body, bytes):
        outlet.write(head)
        if bodiless:
            return close_body(body)
        return _send_stream(outlet, body, reply.length, chunked=bool(exchange.minor))
    if bodiless:
        outlet.write(head)
    elif len(body) <= _JOINED_BYTES_MAX:
        outlet.write(head + body)
    else:
        outlet.write(head)
        outlet.write(body)
    return None


async def _send_stream(
    outlet: Outlet, body: AsyncIterator[bytes], length: int | None, *, chunked: bool
) -> None:
    """Write a body as it is made, waiting whenever the client falls behind."""
    sent = 0
    try:
        async for piece in body:
            if not piece:
                continue
            sent += len(piece)
            if length is not None:
                if sent > length:
                    raise Truncated(f"a reply of {length} bytes has more")
                outlet.write(piece)
            elif chunked:
                outlet.write(b"%x\r\n" % len(piece))
                outlet.write(piece)
                outlet.write(b"\r\n")
            else:
                outlet.write(piece)
            await outlet.drain()
    finally:
        await close_body(body)
    if length is None:
        if chunked:
            outlet.write(END_CHUNK)
    elif sent != length:
        raise Truncated(f"a reply of {length} bytes ended after {sent}")


async def close_body(body: AsyncIterator[bytes]) -> None:
    """Let a generator run its ``finally`` now and not when it is collected."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


def refusal_reply(refused: Refused) -> HttpReply:
    """Return the reply to a request that no service answers."""
    if refused.reply is not None:
        return refused.reply
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>"
    )
    return HttpReply(refused.status, [("Content-Type", "application/xml")], text.encode())
