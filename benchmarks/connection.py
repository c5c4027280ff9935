"""A connection of one request that does what no SDK would."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from awscrt.checksums import crc32c

from fogbank.testing.server import Server


class Answer(NamedTuple):
    """An answer as a client sees it."""

    status: int
    body: bytes
    """Its first bytes."""
    length: int
    crc: int


class Wire:
    """A connection that does what no SDK would: stops in the middle, sends slowly, reads nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, server: Server) -> Wire:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 17))

    async def answer(self, keep: int = 4_096) -> Answer:
        """Read an answer to its end."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if status == 100:  # noqa: PLR2004 (Continue)
            return await self.answer(keep)
        body, length, crc = b"", 0, 0
        async for piece in self._pieces(head):
            body += piece[: max(0, keep - len(body))]
            length, crc = length + len(piece), crc32c(piece, crc)
        return Answer(status, body, length, crc)

    async def _pieces(self, head: bytes) -> Any:
        """Yield the body of an answer."""
        if b"transfer-encoding: chunked" in head:
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
            return
        _, found, rest = head.partition(b"content-length:")
        left = int(rest.split(b"\r\n")[0]) if found else 0
        while left and (piece := await self.reader.read(min(left, 1 << 17))):
            left -= len(piece)
            yield piece

    @property
    def ended(self) -> bool:
        """Whether the server has closed."""
        return self.reader.at_eof() or self.writer.is_closing()

    def close(self) -> None:
        """Break off."""
        self.writer.transport.abort()
