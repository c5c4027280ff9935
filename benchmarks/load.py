"""Load and its cost: raw signed HTTP from one process, processor time of every server process."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from generator import Request, Tally, generate

from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import sign

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
QUIET_S = 0.1
SETTLE_S_MAX = 3.0
JSON = "application/x-amz-json-1.0"


def unwind_on_sigterm() -> None:
    """Have SIGTERM end this process as an interrupt does, so that what it started is ended too."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)


class Target(Protocol):
    """What is loaded: our server (``fogbank.testing.server.Server``) or a peer (``peers.Peer``)."""

    endpoint: str
    port: int

    def environment(self) -> Mapping[str, str]:
        """Return its keys and region under the names that SDKs read."""
        ...

    def processes(self) -> Mapping[int, str]:
        """Return all its processes; none where it runs elsewhere."""
        ...

    def client(self, service: str) -> Any:
        """Return a boto3 client without retries."""
        ...


def cpu_seconds(target: Target) -> float:
    """Return the processor time that all processes of a server have used."""
    total = 0.0
    for pid in target.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15]) * TICK_S
    return total


def memory_mb(target: Target) -> float:
    """Return the memory of all processes of a server, what they share counted once (PSS)."""
    return sum(pss_kb(pid) for pid in target.processes()) / 1024


def pss_kb(pid: int) -> int:
    """Return the memory of a process, of what it shares its part; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def signed(
    target: Target, service: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> bytes:
    """Return the bytes of one signed request, ready for a socket."""
    return signed_head(target, service, method, path, headers, body) + body


def signed_head(
    target: Target, service: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> bytes:
    """Return the head of one signed request, for a body that is sent by itself."""
    said = target.environment()
    bare, _, query = path.partition("?")
    fields = {"host": target.endpoint.split("//")[1], **headers}
    request = HttpRequest(method, bare, query, fields, body)
    # Ours takes a tenth of the time that botocore's takes, of which a million requests have minutes.
    sign(
        request,
        access_key_id=said["AWS_ACCESS_KEY_ID"],
        secret=said["AWS_SECRET_ACCESS_KEY"],
        region=said["AWS_REGION"],
        service=service,
        timestamp=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        payload_hash=headers.get("x-amz-content-sha256"),
    )
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def signed_json(target: Target, operation: str, body: bytes) -> bytes:
    """Return a signed request to DynamoDB."""
    headers = {"content-type": JSON, "x-amz-target": f"DynamoDB_20120810.{operation}"}
    return signed(target, "dynamodb", "POST", "/", headers, body)


def create_table(target: Target, name: str, key: str = "k", sort: str = "") -> None:
    """Make a table of text keys that is paid by request, and wait until it is active."""
    dynamodb = target.client("dynamodb")
    keys = [(key, "HASH"), *([(sort, "RANGE")] if sort else [])]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in keys],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


class Figures(NamedTuple):
    """What a load cost."""

    requests: int
    seconds: float
    cpu_seconds: float
    """Of all processes of the server; 0 where it runs elsewhere."""
    p50_ms: float
    p99_ms: float
    generator_cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Return requests per second."""
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Return requests per second of server processor time."""
        return self.requests / self.cpu_seconds

    @property
    def cpu_us(self) -> float:
        """Return microseconds of server processor time for a request."""
        return self.cpu_seconds / self.requests * 1e6


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def ask(
    target: Target, requests: Sequence[Request], *, connections: int, seconds: float | None
) -> Tally:
    """Cycle through prepared requests; None: ask each once; 0: one on each connection.

    Raises:
        BadAnswer: One was answered otherwise than expected.
    """
    host = urlsplit(target.endpoint).hostname or ""
    return generate(target.port, requests, connections=connections, seconds=seconds, host=host)


def settled_cpu_seconds(target: Target) -> float:
    """Return the processor time of a server once it has done what it put off.

    Who loads others in turn must wait for that: it would be counted to nobody, and slow the next.
    """
    used = cpu_seconds(target)
    until = time.perf_counter() + SETTLE_S_MAX
    while time.perf_counter() < until:
        time.sleep(QUIET_S)
        now = cpu_seconds(target)
        if now - used <= TICK_S:
            return now
        used = now
    return used


def load(
    target: Target, requests: Sequence[Request | bytes], *, connections: int, seconds: float
) -> Figures:
    """Cycle through prepared requests and return what they cost, with what the server put off.

    Raises:
        BadAnswer: One was answered otherwise than expected.
    """
    wanted = [each if isinstance(each, Request) else Request(each) for each in requests]
    before = cpu_seconds(target)
    tally = ask(target, wanted, connections=connections, seconds=seconds)
    return Figures(
        len(tally.times),
        tally.seconds,
        settled_cpu_seconds(target) - before,
        statistics.median(tally.times) * 1e3,
        quantile(tally.times, 0.99) * 1e3,
        tally.generator_cpu_seconds,
    )


def timed(count: int, work: Any) -> list[float]:
    """Return how long each of some calls took, in milliseconds."""
    times = []
    for number in range(count):
        begin = time.perf_counter()
        work(number)
        times.append((time.perf_counter() - begin) * 1e3)
    return times
