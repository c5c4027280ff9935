"""Requests and replies as values: what the listener parses into and writes out of.

A small body is whole in ``body``; a large or chunked one is a ``stream`` that is read with
back-pressure down to the socket. A reply's body is bytes or an asynchronous iterator of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

BODY_WHOLE_BYTES_MAX = 256 << 10
"""Bodies of a known length up to this are read whole before the request is dispatched."""


class BodyStream(Protocol):
    """The bytes of a request's body as they arrive."""

    @property
    def length(self) -> int | None:
        """Return the number of bytes the client promised, or None when chunked."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            ServiceError: The client broke off, was too slow, or a checksum or signature of the
                body does not hold.
        """
        ...


class HttpRequest(msgspec.Struct, eq=False):
    """One HTTP request as it came in."""

    method: str
    path: str
    """The path as sent, still percent-encoded."""
    query: str
    """The query string as sent, without the question mark."""
    headers: dict[str, str]
    """Names in lower case; repeated headers joined by commas."""
    body: bytes = b""
    stream: BodyStream | None = None
    peer: str = ""
    """The address of the client."""
    secure: bool = False
    """Whether it came over TLS."""
    sandbox: str = ""
    """The ARN of the function whose sandbox sent it, from its own listener; or empty."""
    tls: str = ""
    """The version of TLS that it came over, such as ``1.3``; empty: of none."""
    taken: int = 0
    """Bytes of room that its body holds since it was read whole from a stream."""
    in_cohort: bool = False
    """Whether it gives way between its stages, to others that came with it."""


class HttpReply:
    """One HTTP reply to send."""

    __slots__ = ("_headers", "body", "length", "lines", "status")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]] | None,
        body: bytes | AsyncIterator[bytes] = b"",
        length: int | None = None,
        lines: str = "",
    ) -> None:
        self.status = status
        self._headers = headers
        self.body = body
        self.length = len(body) if isinstance(body, bytes) else length
        """Bytes of the body; None means unknown, and the reply is chunked."""
        self.lines = lines
        """The headers as they are written, each with its line break, where that is known already:
        who gives them vouches that no value has another. Empty: ``headers`` has them."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return the headers, to read and to change; nothing but they counts from then on."""
        if self._headers is None:
            lines, self.lines = self.lines.split("\r\n"), ""
            self._headers = [_field_of(line) for line in lines[:-1]]
        return self._headers


def _field_of(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value
