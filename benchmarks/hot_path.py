"""What each feature costs on the hot path: signed GetItem and PutItem with it and without it.

Every variant is a server of its own; all run at once and are loaded in turn, round after round, so
that a change of the machine's pace falls on all of them. A figure is the least processor time that
a request took of all processes of its server in any round: what else runs on the machine can only
add. Ratios are to the first variant, the defaults.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h2.config
import h2.connection
import h2.events
import record
from load import cpu_seconds, create_table, signed_json, unwind_on_sigterm

from fogbank.testing.server import Server

ROUNDS = 6
SECONDS = 2.0
CONNECTIONS = 64
ITEMS = 1_000
READ_BYTES = 1 << 16


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


class Variant(NamedTuple):
    """A server with other settings, or a client that speaks otherwise."""

    name: str
    settings: str = ""
    exchange: Exchange = http_1


async def http_2(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes], until: float
) -> list[float]:
    """Send requests one after another, each a stream of one connection of HTTP/2."""
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
    )
    connection.initiate_connection()
    times: list[float] = []
    while time.perf_counter() < until:
        fields, body = _fields_of(requests[len(times) % len(requests)])
        begin = time.perf_counter()
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, fields)
        connection.send_data(stream, body, end_stream=True)
        ended = False
        while not ended:
            writer.write(connection.data_to_send())
            for event in connection.receive_data(await reader.read(READ_BYTES)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
                    if status != "200":
                        raise RuntimeError(status)
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                ended = ended or isinstance(event, h2.events.StreamEnded)
        times.append(time.perf_counter() - begin)
    return times


def _fields_of(request: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return a request of HTTP/1.1 as the fields and the body of one of HTTP/2."""
    head, body = request.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    named = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
    authority = dict(named)["host"]
    fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", authority)]
    return [*fields, *((name, value) for name, value in named if name != "host")], body


VARIANTS = (
    Variant("defaults"),
    Variant("audit_writes", '[audit]\ndata_events = "writes"\n'),
    Variant("audit_none", '[audit]\ndata_events = "none"\n'),
    Variant("plain_disk", "[encryption]\nenabled = false\n"),
    Variant("tls", "[tls]\nenabled = true\n"),
    Variant("http_2", "", http_2),
)


class Loaded(NamedTuple):
    """A variant's server, and what it is asked."""

    variant: Variant
    server: Server
    requests: dict[str, list[bytes]]
    tls: ssl.SSLContext | None

    def cost_us(self, operation: str) -> float:
        """Return the processor time of the server for a request, over one round."""
        before = cpu_seconds(self.server)
        times = asyncio.run(
            run(
                self.server.port,
                self.requests[operation],
                CONNECTIONS,
                SECONDS,
                exchange=self.variant.exchange,
                tls=self.tls,
            )
        )
        return (cpu_seconds(self.server) - before) / len(times) * 1e6


def prepared(variant: Variant, server: Server) -> Loaded:
    """Make a table on a server that runs, and sign what it will be asked."""
    create_table(server, "bench")

    def request(operation: str, body: dict[str, Any]) -> bytes:
        return signed_json(server, operation, json.dumps({"TableName": "bench", **body}).encode())

    keys = [{"k": {"S": f"key-{number}"}} for number in range(ITEMS)]
    authority = server.environment().get("AWS_CA_BUNDLE")
    return Loaded(
        variant,
        server,
        {
            "put_item": [request("PutItem", {"Item": {**k, "v": {"S": "x" * 80}}}) for k in keys],
            "get_item": [request("GetItem", {"Key": k}) for k in keys],
        },
        ssl.create_default_context(cafile=authority) if authority else None,
    )


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    costs: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        loaded: list[Loaded] = []
        for variant in VARIANTS:
            place = Path(folder) / variant.name
            place.mkdir()
            server = Server(place / "data", settings=variant.settings)
            loaded.append(prepared(variant, stack.enter_context(server)))
        for number in range(ROUNDS + 1):
            for operation in ("put_item", "get_item"):
                for each in loaded if number % 2 else loaded[::-1]:
                    cost = each.cost_us(operation)
                    if number:  # the first round warms up
                        costs.setdefault((operation, each.variant.name), []).append(cost)
    figures: dict[str, float] = {}
    print(f"{'operation':<12}{'variant':<14}{'us':>8}{'ratio':>8}")
    for (operation, name), rounds in sorted(costs.items()):
        ratio = min(rounds) / min(costs[operation, VARIANTS[0].name])
        figures[f"{operation}_{name}_cpu_us"] = round(min(rounds), 1)
        figures[f"{operation}_{name}_ratio"] = round(ratio, 2)
        print(f"{operation:<12}{name:<14}{min(rounds):>8.1f}{ratio:>8.2f}")
    path = record.write(
        "hot_path", "python benchmarks/hot_path.py", figures, failures=[], promises={}
    )
    print(f"written to {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
