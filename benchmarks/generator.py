"""A load generator that costs little: one thread, epoll, prepared requests, every answer checked.

It shares the machine's cores with what it loads, so what it costs is part of every figure. A request
is bytes, made and signed beforehand; on each connection one follows the answer to the last. An
answer of another status, length or content than was expected is an error, never a figure.
"""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from awscrt.checksums import crc32c

RECEIVE_BYTES = 1 << 18
HEAD_BYTES_MAX = 1 << 16
STALL_S = 60.0
EXCERPT_BYTES = 300
UNTIL_CLOSED = -1
CHUNKED = -2


class BadAnswer(Exception):
    """An answer is not what was expected; the message holds its status and beginning."""


class Request(NamedTuple):
    """What is sent, and what its answer must be."""

    data: bytes
    """Its head, and its body unless that is apart."""
    status: bytes = b"200"
    holds: bytes = b""
    """What the body holds; of short bodies."""
    length: int | None = None
    """How long the body is; None: that does not matter."""
    crc: int | None = None
    """The body's CRC-32C; None: it is not read."""
    head_only: bool = False
    """Whether the answer has no body, whatever length it names."""
    body: bytes = b""
    """A large body, that many requests may share."""


class Tally(NamedTuple):
    """What a load came to."""

    times: list[float]
    """Seconds that each request took."""
    seconds: float
    """From the first request to the last answer."""
    generator_cpu_seconds: float


class _Body:
    """The body of one answer, as far as it came."""

    __slots__ = ("crc", "framing", "held", "keeps", "left", "length")

    def __init__(self, framing: int, *, keeps: bool) -> None:
        self.framing = framing
        """Its length, or ``UNTIL_CLOSED``, or ``CHUNKED``."""
        self.left = max(framing, 0)
        self.keeps = keeps or framing == CHUNKED
        self.held = bytearray()
        self.crc = 0
        self.length = 0

    def take(self, piece: bytes | memoryview) -> None:
        """Add a piece."""
        self.length += len(piece)
        self.left -= len(piece)
        self.crc = crc32c(piece, self.crc)
        if self.keeps:
            self.held += piece

    @property
    def whole(self) -> bool:
        """Whether nothing more can come."""
        if self.framing == CHUNKED:
            return self._unchunked()
        return self.framing != UNTIL_CLOSED and self.left <= 0

    def _unchunked(self) -> bool:
        """Return whether all chunks came; then they are joined."""
        if not self.held.endswith(b"\r\n\r\n"):
            return False
        joined, at = bytearray(), 0
        while True:
            end = self.held.find(b"\r\n", at)
            if end < 0:
                return False
            size = int(self.held[at:end].split(b";")[0], 16)
            if not size:
                break
            joined += self.held[end + 2 : end + 2 + size]
            at = end + 2 + size + 2
        self.held, self.length = joined, len(joined)
        self.crc = crc32c(joined, 0)
        return True


class _Connection:
    """One connection, and the requests that it repeats."""

    def __init__(self, address: tuple[str, int], requests: Sequence[Request]) -> None:
        self._address = address
        self._requests = requests
        self._number = 0
        self._head = b""
        self._body: _Body | None = None
        self._closes = False
        self._began = 0.0
        self._unsent: list[memoryview] = []
        self.times: list[float] = []
        self.socket = self._connected()

    def _connected(self) -> socket.socket:
        """Return a new connection."""
        found = socket.create_connection(self._address, timeout=STALL_S)
        found.setblocking(False)  # noqa: FBT003 (its only form)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    @property
    def request(self) -> Request:
        """Return the one that is asked now."""
        return self._requests[self._number % len(self._requests)]

    @property
    def through(self) -> bool:
        """Whether every request was answered once."""
        return self._number >= len(self._requests)

    def ask(self) -> bool:
        """Begin the next request; return whether some of it is still to be sent."""
        self._head, self._body = b"", None
        self._began = time.perf_counter()
        request = self.request
        self._unsent = [memoryview(each) for each in (request.data, request.body) if each]
        return self.send()

    def send(self) -> bool:
        """Send what the socket takes; return whether more is to be sent."""
        with suppress(BlockingIOError):
            while self._unsent:
                sent = self.socket.sendmsg(self._unsent)
                while self._unsent and sent >= len(self._unsent[0]):
                    sent -= len(self._unsent.pop(0))
                if sent:
                    self._unsent[0] = self._unsent[0][sent:]
        return bool(self._unsent)

    def receive(self, buffer: bytearray, view: memoryview) -> bool:
        """Take what came; return whether the answer is whole."""
        try:
            count = self.socket.recv_into(buffer)
        except BlockingIOError:
            return False
        if not count:
            return self._closed()
        if self._body is None:
            return self._begin(bytes(view[:count]))
        self._body.take(view[:count])
        return self._body.whole and self._judge()

    def _begin(self, piece: bytes) -> bool:
        """Take a piece of the head."""
        data = self._head = self._head + piece if self._head else piece
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > HEAD_BYTES_MAX:
                raise BadAnswer("a head without end")
            return False
        head = data[:end].lower()
        if data[9:10] == b"1":  # 100 Continue and its kind come before the answer
            self._head = b""
            rest = data[end + 4 :]
            return self._begin(rest) if rest else False
        self._closes = b"\r\nconnection: close" in head or data.startswith(b"HTTP/1.0")
        self._head = data[:end]
        self._body = _Body(self._framing(head), keeps=bool(self.request.holds) or self._failed())
        self._body.take(data[end + 4 :])
        return self._body.whole and self._judge()

    def _failed(self) -> bool:
        """Return whether the status is another than was expected."""
        return self._head[9:12] != self.request.status

    def _framing(self, head: bytes) -> int:
        """Return how the end of a body is known."""
        if self.request.head_only or self._head[9:12] in {b"204", b"304"}:
            return 0
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            return int(rest.split(b"\r\n", 1)[0])
        if b"\r\ntransfer-encoding: chunked" in head:
            return CHUNKED
        self._closes = True
        return UNTIL_CLOSED

    def _closed(self) -> bool:
        """Take the end of the connection."""
        if self._body is not None and self._body.framing == UNTIL_CLOSED:
            return self._judge()
        raise BadAnswer("the connection was closed within an answer")

    def _judge(self) -> bool:
        """Hold a whole answer against what was expected."""
        body, request = self._body, self.request
        assert body is not None
        self.times.append(time.perf_counter() - self._began)
        if (
            self._failed()
            or request.holds not in body.held
            or request.length not in {None, body.length}
            or request.crc not in {None, body.crc}
        ):
            first = self._head.split(b"\r\n", 1)[0].decode(errors="replace")
            excerpt = bytes(body.held[:EXCERPT_BYTES]).decode(errors="replace")
            raise BadAnswer(f"{first}; {body.length} bytes of body; {excerpt}".strip())
        self._number += 1
        return True

    def renew(self) -> bool:
        """Connect anew where the server closes after an answer; return whether it was so."""
        if not self._closes:
            return False
        self.socket.close()
        self.socket = self._connected()
        self._closes = False
        return True


class _Load:
    """All connections of one load."""

    def __init__(
        self, address: tuple[str, int], requests: Sequence[Request], connections: int
    ) -> None:
        self._poll = select.epoll()
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._live: dict[int, _Connection] = {}
        self.all: list[_Connection] = []
        for number in range(connections):
            self.all.append(_Connection(address, requests[number::connections] or requests))

    def run(self, seconds: float | None) -> float:
        """Repeat the requests, or ask each once; return the seconds until the last answer."""
        began = time.perf_counter()
        until = math.inf if seconds is None else began + seconds
        for connection in self.all:
            self._add(connection)
        while self._live:
            events = self._poll.poll(STALL_S)
            for descriptor, event in events:
                self._step(self._live[descriptor], event, until)
            if not events:
                self._find_stalled()
        return time.perf_counter() - began

    def _add(self, connection: _Connection) -> None:
        """Ask the first request of a connection."""
        descriptor = connection.socket.fileno()
        self._live[descriptor] = connection
        more = connection.ask()
        self._poll.register(descriptor, select.EPOLLIN | (select.EPOLLOUT if more else 0))

    def _step(self, connection: _Connection, event: int, until: float) -> None:
        """Do what a socket is ready for."""
        descriptor = connection.socket.fileno()
        if event & select.EPOLLOUT and not connection.send():
            self._poll.modify(descriptor, select.EPOLLIN)
        if not event & ~select.EPOLLOUT:
            return
        if not connection.receive(self._buffer, self._view):
            return
        if time.perf_counter() >= until or (until == math.inf and connection.through):
            del self._live[descriptor]
            self._poll.unregister(descriptor)
        elif connection.renew():
            # The closed socket left the poll by itself, and the new one may have its number.
            self._live.pop(descriptor)
            self._add(connection)
        elif connection.ask():
            self._poll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _find_stalled(self) -> None:
        """Fail, for nothing moved for a long time."""
        raise BadAnswer(f"{len(self._live)} connections had no answer within {STALL_S:.0f} s")

    def close(self) -> None:
        """Close every socket."""
        for connection in self.all:
            connection.socket.close()
        self._poll.close()


def generate(
    port: int,
    requests: Sequence[Request],
    *,
    connections: int,
    seconds: float | None,
    host: str = "127.0.0.1",
) -> Tally:
    """Load a server with prepared requests, each connection with its share of them in turn.

    Args:
        port: The server's.
        requests: They are repeated until the time is up; what runs then is finished and counted.
        connections: How many at once.
        seconds: How long requests are begun; None: until each was asked once.
        host: The server's.

    Raises:
        BadAnswer: One was another than expected, or none came.
    """
    load = _Load((host, port), requests, connections)
    cpu = time.process_time()
    try:
        took = load.run(seconds)
    finally:
        load.close()
    times = [each for connection in load.all for each in connection.times]
    return Tally(times, took, time.process_time() - cpu)
