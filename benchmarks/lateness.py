"""How late the store's loop is while all that could hold it happens at once.

``make bench-lateness``: 64 clients read and write items, one uploads 16 MiB again and again, one
scans a table by the megabyte, and what is written makes the log turn over, so that checkpoints run.
Two views of the same seconds: the server's own histogram (``fogbank_loop_lateness_seconds``: how
late its loop ran what was due, measured a hundred times a second), of which only the edges of
buckets are known, so that a share is "at most"; and a prober outside, which asks ``/health`` on a connection of its own and so feels the
loop, the queue before it and the machine's other work alike.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import record
from generator import BadAnswer, Request, Tally, generate
from load import ask, create_table, quantile, signed_json, unwind_on_sigterm
from metrics import CHECKPOINTS, SETTINGS, buckets, quantile_edge, scraped, total
from verdict import not_kept, verdicts
from workloads import BUCKET, KEYS, puts

from fogbank.testing.server import Server

ITEMS = 20_000
IN_A_BATCH = 25
TABLE = "late"
CLIENTS = 64
SHARE = 0.99
END_S = 60.0
READY = "ready"
HOLDS = "fogbank_loop_holds_seconds"
PROBE_PAUSE_S = 0.005
PROMISES = {
    "loop_lateness_ms_p99_at_most": "<= 5",
    "checkpoints": ">= 1",
    "uploads_of_16m": ">= 1",
    "scans": ">= 1",
}


def filled(server: Server) -> None:
    """Make a bucket and a table whose scan is several pages of a megabyte."""
    create_table(server, TABLE)
    server.client("s3").create_bucket(Bucket=BUCKET)
    requests = []
    for first in range(0, ITEMS, IN_A_BATCH):
        items = [{"PutRequest": {"Item": item(n)}} for n in range(first, first + IN_A_BATCH)]
        body = json.dumps({"RequestItems": {TABLE: items}}).encode()
        requests.append(Request(signed_json(server, "BatchWriteItem", body)))
    ask(server, requests, connections=4, seconds=None)


def item(number: int) -> dict[str, dict[str, str]]:
    """Return an item of about four hundred bytes."""
    return {"k": {"S": f"key-{number}"}, "v": {"S": "x" * 384}}


def mixed(server: Server) -> list[Request]:
    """Return the requests of the 64 clients: as many writes as reads."""
    found = []
    for number in range(1_024):
        write = {"TableName": TABLE, "Item": item(number)}
        read = {"TableName": TABLE, "Key": {"k": {"S": f"key-{number}"}}}
        found.append(Request(signed_json(server, "PutItem", json.dumps(write).encode())))
        found.append(Request(signed_json(server, "GetItem", json.dumps(read).encode())))
    return found


def scans(server: Server) -> list[Request]:
    """Return a request for a page of a scan, which is a megabyte."""
    body = json.dumps({"TableName": TABLE}).encode()
    return [Request(signed_json(server, "Scan", body), holds=b'"LastEvaluatedKey"')]


def _generated(pipe: Connection, port: int, requests: list[Request], seconds: float) -> None:
    """Load a server over one connection, in a process of its own; tell how it went."""
    pipe.send(READY)
    try:
        pipe.send(generate(port, requests, connections=1, seconds=seconds))
    except (BadAnswer, OSError) as error:
        pipe.send(str(error))


def _probed(pipe: Connection, port: int, requests: list[Request], seconds: float) -> None:
    """Ask now and then on one connection, in a process of its own; tell how long it took."""
    pipe.send(READY)
    until = time.perf_counter() + seconds
    times: list[float] = []
    try:
        while time.perf_counter() < until:
            times += generate(port, requests, connections=1, seconds=0.0).times
            time.sleep(PROBE_PAUSE_S)
        pipe.send(Tally(times, seconds, 0.0))
    except (BadAnswer, OSError) as error:
        pipe.send(str(error))


@contextmanager
def beside(work: object, *arguments: object) -> Iterator[Connection]:
    """Run a function of this file in a process of its own; give its pipe once it has begun."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=work, args=(theirs, *arguments))  # type: ignore[arg-type]
    process.start()
    theirs.close()
    try:
        if not ours.poll(END_S) or ours.recv() != READY:
            raise BadAnswer("a process beside does not begin")
        yield ours
    finally:
        process.join(END_S)
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def told(pipe: Connection, what: str) -> Tally:
    """Return what a process beside found.

    Raises:
        BadAnswer: It got a wrong answer, or none.
    """
    found = pipe.recv() if pipe.poll(END_S) else "it did not end"
    if not isinstance(found, Tally):
        raise BadAnswer(f"{what}: {found}")
    return found


def measured(server: Server, seconds: float) -> dict[str, float]:
    """Measure for some seconds; what runs beside runs a little longer on both sides."""
    filled(server)
    upload = puts("16m").prepare(server)[: KEYS["16m"] // 8]
    health = [Request(f"GET /health HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n\r\n".encode())]
    longer = seconds + 2.0
    with (
        beside(_generated, server.port, upload, longer) as uploading,
        beside(_generated, server.port, scans(server), longer) as scanning,
        beside(_probed, server.port, health, seconds) as probing,
    ):
        before = scraped(server)
        tally = ask(server, mixed(server), connections=CLIENTS, seconds=seconds)
        after = scraped(server)
        uploaded, scanned = told(uploading, "upload"), told(scanning, "scan")
        probed = told(probing, "prober")
    name = "fogbank_loop_lateness_seconds"
    checkpoints = total(after, f"{CHECKPOINTS}_count") - total(before, f"{CHECKPOINTS}_count")
    took = total(after, f"{CHECKPOINTS}_sum") - total(before, f"{CHECKPOINTS}_sum")
    edge = quantile_edge(buckets(before, name), buckets(after, name), SHARE)
    figures = {
        "checkpoints": checkpoints,
        "checkpoint_ms_mean": took * 1e3 / max(checkpoints, 1),
        "loop_measurements": total(after, f"{name}_count") - total(before, f"{name}_count"),
        "steps_over_5_ms": total(after, f"{HOLDS}_count") - total(before, f"{HOLDS}_count"),
        "uploads_of_16m": len(uploaded.times),
        "scans": len(scanned.times),
        "requests_per_second_64_clients": len(tally.times) / tally.seconds,
        "request_ms_p99_64_clients": quantile(tally.times, SHARE) * 1e3,
        "probe_of_health_ms_p50": quantile(probed.times, 0.5) * 1e3,
        "probe_of_health_ms_p99": quantile(probed.times, SHARE) * 1e3,
    }
    return figures | ({} if edge is None else {"loop_lateness_ms_p99_at_most": edge * 1e3})


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, help="instead of 20, and then nothing is written")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-late-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        with Server(Path(folder) / "data", settings=SETTINGS) as server:
            found = measured(server, given.seconds or 20.0)
    figures = {name: float(f"{value:.4g}") for name, value in found.items()}
    judged = verdicts(figures, PROMISES)
    print("\n".join(each.text() for each in judged))
    missed = not_kept(judged, PROMISES)
    if given.seconds is None:
        path = record.write(
            "lateness", "make bench-lateness", figures, failures=missed, promises=PROMISES
        )
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
