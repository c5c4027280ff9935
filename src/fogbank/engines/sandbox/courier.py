"""Brings batches of telemetry to extensions: HTTP and TCP on a sandbox's own loopback.

Rule: the keeper inside connects, with the rights of the sandbox, and hands the connection out; so a
destination is never anything that the sandbox could not reach itself. What comes back is untrusted: its
descriptor must be a stream socket, its answer is bounded in bytes and in time.

Source: Lambda Developer Guide, "Lambda Telemetry API reference"; a batch is a JSON array, or a line for
each event over TCP.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

from fogbank.platform.runtime.telemetry import Destination

SECONDS_MAX = 2.0
"""For a connection, and for a batch on it."""
DIALS_MAX = 32
_HEAD_BYTES_MAX = 16 << 10
_HOST = "sandbox.localdomain"
_FIELDS = 3
_OK = range(200, 300)


class Courier:
    """The way to the destinations of one sandbox."""

    def __init__(self, dial: Callable[[int, int], None]) -> None:
        """Take what asks the keeper for a connection: with a number, to a port."""
        self._dial = dial
        self._dialling: dict[int, asyncio.Future[socket.socket]] = {}
        self._last = 0
        self._lines: dict[int, asyncio.StreamWriter] = {}
        """Connections over TCP, which stay, by port."""

    def dialled(self, number: int, fds: Sequence[int], why: str) -> list[int]:
        """Take a connection, or why there is none; return the descriptors that are not needed."""
        waiting = self._dialling.pop(number, None)
        if waiting is None or waiting.done():
            return list(fds)
        if len(fds) != 1:
            waiting.set_exception(ConnectionRefusedError(why[:200] or "no connection"))
            return list(fds)
        sock = socket.socket(fileno=fds[0])
        sock.settimeout(0)
        if sock.family != socket.AF_INET or sock.type != socket.SOCK_STREAM:
            waiting.set_exception(ConnectionRefusedError("no connection"))
            sock.close()
        else:
            waiting.set_result(sock)
        return []

    async def send(self, destination: Destination, batch: list[bytes]) -> None:
        """Bring a batch to a destination.

        Raises:
            OSError: It is not there, does not read, or refuses.
        """
        async with asyncio.timeout(SECONDS_MAX):  # TimeoutError is an OSError
            if destination.path:
                await self._post(destination, batch)
            else:
                await self._write_lines(destination.port, batch)

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to whoever listens inside.

        Raises:
            OSError: Nobody does.
        """
        if len(self._dialling) >= DIALS_MAX:
            raise ConnectionRefusedError("too many connections")
        self._last += 1
        waiting: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        number = self._last
        self._dialling[number] = waiting
        try:
            self._dial(number, port)
            sock = await waiting
        finally:
            self._dialling.pop(number, None)
        return await asyncio.open_connection(sock=sock, limit=_HEAD_BYTES_MAX)

    async def _post(self, destination: Destination, batch: list[bytes]) -> None:
        body = b"[" + b",".join(batch) + b"]"
        head = (
            f"{destination.method} {destination.path} HTTP/1.1\r\n"
            f"Host: {_HOST}:{destination.port}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        reader, writer = await self.connect(destination.port)
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            words = (await reader.readline()).split(None, _FIELDS - 1)
        except ValueError as error:  # a line without an end
            raise ConnectionAbortedError("no answer of HTTP") from error
        finally:
            writer.transport.abort()
        status = words[1].decode("latin-1") if len(words) > 1 else ""
        if not (status.isdecimal() and len(status) == _FIELDS and int(status) in _OK):
            raise ConnectionAbortedError(f"it answered {status or 'nothing'}")

    async def _write_lines(self, port: int, batch: list[bytes]) -> None:
        writer = self._lines.pop(port, None)
        if writer is None or writer.transport.is_closing():
            _, writer = await self.connect(port)
        try:
            writer.write(b"".join(event + b"\n" for event in batch))
            await writer.drain()
        except BaseException:
            writer.transport.abort()
            raise
        self._lines[port] = writer

    def close(self) -> None:
        """Hang up."""
        for writer in self._lines.values():
            writer.transport.abort()
        self._lines.clear()
        for waiting in self._dialling.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the sandbox is gone"))
                waiting.exception()  # whoever waits may have left
