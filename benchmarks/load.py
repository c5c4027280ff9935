"""Load and its cost: raw signed HTTP from one process, processor time of every server process."""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fogbank.testing.server import Server

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(server: Server) -> float:
    """Return the processor time that all processes of a server have used."""
    total = 0.0
    for pid in server.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15]) * TICK_S
    return total


def signed(
    server: Server, service: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> bytes:
    """Return the bytes of one signed request, ready for a socket."""
    said = server.environment()
    request = AWSRequest(method, f"{server.endpoint}{path}", headers=headers, data=body)
    keys = Credentials(said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, service, said["AWS_REGION"]).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", f"host: {server.endpoint.split('//')[1]}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Figures(NamedTuple):
    """What a load cost."""

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_cpu_second(self) -> float:
        """Return requests per second of server processor time."""
        return self.requests / self.cpu_seconds


class Exchange(Protocol):
    """Sends requests on a connection, one after another, until a time."""

    async def __call__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        requests: list[bytes],
        until: float,
    ) -> list[float]:
        """Return how long each request took."""
        ...


async def http_1(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes], until: float
) -> list[float]:
    """Send requests as they are, in HTTP/1.1."""
    times: list[float] = []
    while time.perf_counter() < until:
        begin = time.perf_counter()
        writer.write(requests[len(times) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        lower = head.lower()
        length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length) if length else b""
        if status != b"200":
            raise RuntimeError(f"{status!r} {body[:300]!r}")
        times.append(time.perf_counter() - begin)
    return times


async def run(
    port: int,
    requests: list[bytes],
    connections: int,
    seconds: float,
    *,
    exchange: Exchange = http_1,
    tls: ssl.SSLContext | None = None,
) -> list[float]:
    """Load a server over several connections; return the time of every request."""
    until = time.perf_counter() + seconds

    async def connection(number: int) -> list[float]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
        )
        times = await exchange(reader, writer, requests[number::connections] or requests, until)
        writer.close()
        await writer.wait_closed()
        return times

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(connection(number)) for number in range(connections)]
    return [each for task in tasks for each in task.result()]


def load(server: Server, requests: list[bytes], *, connections: int, seconds: float) -> Figures:
    """Cycle through prepared requests and return what they cost."""
    before = cpu_seconds(server)
    began = time.perf_counter()
    times = asyncio.run(run(server.port, requests, connections, seconds))
    took = time.perf_counter() - began
    cost = cpu_seconds(server) - before
    ordered = sorted(times)
    p99 = ordered[int(len(ordered) * 0.99)] if ordered else 0.0
    return Figures(len(times), took, cost, statistics.median(times) * 1e3, p99 * 1e3)


def timed(count: int, work: Any) -> list[float]:
    """Return how long each of some calls took, in milliseconds."""
    times = []
    for number in range(count):
        begin = time.perf_counter()
        work(number)
        times.append((time.perf_counter() - begin) * 1e3)
    return times
