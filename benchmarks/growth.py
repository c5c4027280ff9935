"""What becomes dearer as state grows: a server with little beside one with much, in one run.

``make bench-growth`` holds ten thousand items and objects against 200,000 and 20,000, in minutes;
``ARGS="--whole"`` against ten million items and a million objects, ``ARGS="--bucket"`` against a
million objects only, ``ARGS="--table"`` against ten million items only. Both servers run side by side and are asked in turn. Measured are the rate at
which they take what they hold, latency and processor time of reading, writing and listing (plain,
of a folder, and folders by their delimiter), starts, bytes on disk for an item and an object, write
amplification (bytes that go to the disk for a byte of the user's), what checkpointing costs a write,
and the start after a crash with a full log.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import record
from awscrt.checksums import crc32c
from generator import Request
from load import (
    Figures,
    ask,
    cpu_seconds,
    create_table,
    load,
    memory_mb,
    quantile,
    settled_cpu_seconds,
    signed_json,
    unwind_on_sigterm,
)
from metrics import (
    LOGGED,
    SEGMENT_BYTES,
    SETTINGS,
    device_bytes,
    disk_bytes,
    scraped,
    settling,
    total,
)
from verdict import not_kept, verdicts
from workloads import BUCKET, SIZES, content, s3

from fogbank.testing.server import Server

SMALL = 10_000
LARGE = (200_000, 20_000)
WHOLE = (10_000_000, 1_000_000)
BUCKETFUL = (10_000, 1_000_000)
TABLEFUL = (10_000_000, 10_000)
TABLE = "grown"
IN_A_BATCH = 25
BATCHES = 1_000
"""Requests that are signed at once: a signature is good for minutes."""
LOADERS = 8
CLIENTS = 16
WRITERS = 64
ASKED = 512
OBJECT_BYTES = SIZES["1k"]
LISTED = 1_000
"""Keys in a page, and in a folder."""
FOLDERS = 10
"""As many as the small bucket has."""
FULL = 0.9
STUCK = "the log does not fill"
BURST_S = 0.2
FILL_S_MAX = 600.0
CHECKPOINTS = 4
PROMISES = {
    "start_s_large": "<= 1",
    "start_s_small": "<= 1",
    **{f"{each}_cpu_ratio": "<= 1.15" for each in ("list", "list_folder", "list_folders")},
}
SIZES_OF = {"whole": WHOLE, "bucket": BUCKETFUL, "table": TABLEFUL}
"""By option."""
TABLE_PROMISES = {f"{each}_cpu_ratio": "<= 1.15" for each in ("get_item", "put_item")}
"""What is promised besides, where a table is measured alone."""
Figured = dict[str, float]


class Held(NamedTuple):
    """A server and how much it holds."""

    name: str
    server: Server
    items: int
    objects: int


def item(number: int) -> dict[str, dict[str, str]]:
    """Return an item of about a hundred bytes."""
    return {"k": {"S": f"key-{number}"}, "v": {"S": "x" * 80}, "n": {"N": str(number)}}


def item_bytes(number: int) -> int:
    """Return the bytes of an item as a user counts them: names and values."""
    return sum(len(name) + len(next(iter(value.values()))) for name, value in item(number).items())


def batches(server: Server, count: int) -> Iterator[list[Request]]:
    """Yield signed requests that together write every item once."""
    for begin in range(0, count, BATCHES * IN_A_BATCH):
        requests = []
        for first in range(begin, min(begin + BATCHES * IN_A_BATCH, count), IN_A_BATCH):
            puts = [
                {"PutRequest": {"Item": item(n)}}
                for n in range(first, min(first + IN_A_BATCH, count))
            ]
            body = json.dumps({"RequestItems": {TABLE: puts}}).encode()
            data = signed_json(server, "BatchWriteItem", body)
            requests.append(Request(data, holds=b'"UnprocessedItems":{}'))
        yield requests


def key(number: int) -> str:
    """Return the key of an object, of which each folder has a thousand; they sort by number."""
    return f"{number // LISTED:06d}/{number % LISTED:03d}"


def uploads(server: Server, count: int) -> Iterator[list[Request]]:
    """Yield signed requests that together write every object once."""
    body = content("1k")
    for begin in range(0, count, BATCHES):
        numbers = range(begin, min(begin + BATCHES, count))
        yield [s3(server, "PUT", f"/{BUCKET}/{key(number)}", body) for number in numbers]


def filled(held: Held, begun: int) -> Figured:
    """Write everything; return how fast, what each takes on disk, and bytes written for a byte.

    Args:
        held: Its server runs, with an empty table and bucket.
        begun: What its files took before.
    """
    figures: Figured = {}
    for kind, count, requests, size in (
        ("item", held.items, batches, statistics.mean(map(item_bytes, range(0, held.items, 97)))),
        ("object", held.objects, uploads, OBJECT_BYTES + 8),
    ):
        before, device = written(held), device_bytes(held.server.data_dir)
        cpu, seconds = cpu_seconds(held.server), 0.0
        for some in requests(held.server, count):
            seconds += ask(held.server, some, connections=LOADERS, seconds=None).seconds
        cpu = settled_cpu_seconds(held.server) - cpu
        figures[f"{kind}s_loaded_per_second_{held.name}"] = count / seconds
        figures[f"{kind}_loaded_cpu_us_{held.name}"] = cpu / count * 1e6
        figures |= amplified(f"{kind}s_{held.name}", held, before, device, count * size)
        # What is in the log only is settled by a start.
        held.server.stop()
        held.server.start()
        taken = disk_bytes(held.server.data_dir)
        figures[f"bytes_on_disk_for_an_{kind}_{held.name}"] = (taken - begun) / count
        figures[f"bytes_of_an_{kind}"] = size
        begun = taken
    return figures


def written(held: Held) -> float:
    """Return the bytes that a server wrote into its log and then into its rows, so far."""
    return total(scraped(held.server), LOGGED) + settling(held.server)[1]


def amplified(
    name: str, held: Held, before: float, device: int | None, user_bytes: float
) -> Figured:
    """Return the bytes that were written for a byte of the user's.

    Args:
        name: What the figures are of.
        held: The server.
        before: What it had written.
        device: What everything had written to its disk; None: that is not known.
        user_bytes: What the user wrote since.
    """
    now = device_bytes(held.server.data_dir)
    figures = {f"write_amplification_{name}": (written(held) - before) / user_bytes}
    if now is not None and device is not None:
        figures[f"device_amplification_{name}"] = (now - device) / user_bytes
    return figures


def questions(held: Held, numbers: random.Random) -> dict[str, list[Request]]:
    """Return what a server is asked: everywhere in what it holds."""

    def of_items(
        operation: str, build: Callable[[int], dict[str, Any]], **more: Any
    ) -> list[Request]:
        found = []
        for _ in range(ASKED):
            body = {"TableName": TABLE, **build(numbers.randrange(held.items))}
            found.append(
                Request(signed_json(held.server, operation, json.dumps(body).encode()), **more)
            )
        return found

    def of_objects(method: str, body: bytes = b"") -> list[Request]:
        paths = [f"/{BUCKET}/{key(numbers.randrange(held.objects))}" for _ in range(ASKED)]
        return [s3(held.server, method, path, body) for path in paths]

    def of_lists(query: str, last: int, holds: bytes) -> list[Request]:
        """List from anywhere up to a last number."""
        found = []
        for _ in range(CLIENTS):
            begin = key(numbers.randrange(max(1, last)))
            path = f"/{BUCKET}?list-type=2&" + query.format(
                key=begin.replace("/", "%2F"), folder=begin.partition("/")[0]
            )
            found.append(s3(held.server, "GET", path)._replace(holds=holds))
        return found

    full = f"max-keys={LISTED}"
    whole = b"<KeyCount>%d</KeyCount>" % LISTED
    return {
        "get_item": of_items(
            "GetItem", lambda n: {"Key": {"k": {"S": f"key-{n}"}}}, holds=b'"Item"'
        ),
        "put_item": of_items("PutItem", lambda n: {"Item": item(n)}),
        "get_object": [
            each._replace(length=OBJECT_BYTES, crc=crc32c(content("1k")))
            for each in of_objects("GET")
        ],
        "put_object": of_objects("PUT", content("1k")),
        "list": of_lists(full + "&start-after={key}", held.objects - LISTED, whole),
        "list_folder": of_lists(full + "&prefix={folder}%2F", held.objects, whole),
        "list_folders": of_lists(
            f"delimiter=%2F&max-keys={FOLDERS}&start-after={{folder}}",
            held.objects - FOLDERS * LISTED,
            b"<KeyCount>%d</KeyCount>" % FOLDERS,
        ),
    }


def compared(everyone: list[Held], rounds: int, seconds: float) -> Figured:
    """Return latency and cost of each operation of both servers, and of the large to the small."""
    found: dict[tuple[str, str], list[Figures]] = {}
    for number in range(rounds):
        asked = {held.name: questions(held, random.Random(number)) for held in everyone}
        for operation in asked[everyone[0].name]:
            for held in everyone if number % 2 else everyone[::-1]:
                taken = load(
                    held.server, asked[held.name][operation], connections=CLIENTS, seconds=seconds
                )
                found.setdefault((operation, held.name), []).append(taken)
    figures: Figured = {}
    for (operation, name), taken in found.items():
        figures[f"{operation}_ms_p50_{name}"] = statistics.median(each.p50_ms for each in taken)
        figures[f"{operation}_ms_p99_{name}"] = statistics.median(each.p99_ms for each in taken)
        figures[f"{operation}_cpu_us_{name}"] = statistics.median(each.cpu_us for each in taken)
        if name == "large":
            pairs = list(zip(taken, found[operation, "small"], strict=True))
            figures[f"{operation}_ms_p50_ratio"] = statistics.median(
                large.p50_ms / small.p50_ms for large, small in pairs
            )
            figures[f"{operation}_cpu_ratio"] = statistics.median(
                large.cpu_us / small.cpu_us for large, small in pairs
            )
    return figures


def checkpointed(held: Held) -> Figured:
    """Write until the log was settled some times; return what that costs a write."""
    requests = questions(held, random.Random(held.name))["put_item"]
    begun = total(scraped(held.server), LOGGED)
    cpu, wrote = settling(held.server)
    times: list[float] = []
    deadline = time.monotonic() + FILL_S_MAX
    while total(scraped(held.server), LOGGED) < begun + CHECKPOINTS * SEGMENT_BYTES:
        if time.monotonic() > deadline:
            raise TimeoutError(STUCK)
        times += ask(held.server, requests, connections=WRITERS, seconds=4 * BURST_S).times
    settled_cpu_seconds(held.server)
    cpu_after, wrote_after = settling(held.server)
    logged = total(scraped(held.server), LOGGED) - begun
    return {
        f"checkpoint_cpu_us_a_put_{held.name}": (cpu_after - cpu) / len(times) * 1e6,
        f"checkpoint_bytes_a_put_{held.name}": (wrote_after - wrote) / len(times),
        f"log_bytes_a_put_{held.name}": logged / len(times),
        f"put_ms_p99_through_checkpoints_{held.name}": quantile(times, 0.99) * 1e3,
    }


def replayed(held: Held) -> Figured:
    """Kill everything with a full log; return how long the next start takes."""
    requests = questions(held, random.Random(held.name))["put_item"]
    deadline = time.monotonic() + FILL_S_MAX
    while (fill := total(scraped(held.server), "fogbank_store_log_fill_ratio")) < FULL:
        if time.monotonic() > deadline:
            raise TimeoutError(STUCK)
        ask(held.server, requests, connections=WRITERS, seconds=BURST_S)
    held.server.kill()
    return {
        f"start_s_after_crash_{held.name}": started(held.server),
        f"log_fill_at_the_crash_{held.name}": fill,
    }


def started(server: Server) -> float:
    """Return how long a start takes."""
    began = time.perf_counter()
    server.start()
    return time.perf_counter() - began


def restarted(held: Held, times: int) -> Figured:
    """Return how long a start takes after an end in order."""
    took = []
    for _ in range(times):
        held.server.stop()
        took.append(started(held.server))
    return {f"start_s_{held.name}": statistics.median(took)}


def measured(given: argparse.Namespace, folder: Path) -> Figured:
    """Measure everything."""
    figures: Figured = {"items_large": given.items, "objects_large": given.objects}
    figures |= {"items_small": given.small, "objects_small": given.small}
    with ExitStack() as stack:
        everyone = []
        sizes = {"small": (given.small, given.small), "large": (given.items, given.objects)}
        for name, (items, objects) in sizes.items():
            (folder / name).mkdir()
            server = Server(folder / name / "data", settings=SETTINGS)
            held = Held(name, stack.enter_context(server), items, objects)
            create_table(server, TABLE)
            server.client("s3").create_bucket(Bucket=BUCKET)
            server.stop()
            server.start()
            figures |= filled(held, disk_bytes(server.data_dir))
            print(f"{name}: {items} items, {objects} objects", flush=True)
            everyone.append(held)
        figures |= compared(everyone, given.rounds, given.seconds)
        for held in everyone:
            figures[f"memory_mb_{held.name}"] = memory_mb(held.server)
            figures |= checkpointed(held) | restarted(held, given.rounds) | replayed(held)
    return figures


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--whole", action="store_true", help="ten million items, a million objects")
    parser.add_argument("--bucket", action="store_true", help="a million objects")
    parser.add_argument("--table", action="store_true", help="ten million items")
    parser.add_argument("--items", type=int)
    parser.add_argument("--objects", type=int)
    parser.add_argument("--small", type=int, default=SMALL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each operation in a round")
    given = parser.parse_args()
    items, objects = next((size for name, size in SIZES_OF.items() if vars(given)[name]), LARGE)
    given.written = given.items is None and given.objects is None
    given.items, given.objects = given.items or items, given.objects or objects
    return given


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    given = options()
    with tempfile.TemporaryDirectory(prefix="bench-growth-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        figures = {name: float(f"{v:.4g}") for name, v in measured(given, Path(folder)).items()}
    promises = PROMISES | (TABLE_PROMISES if given.table else {})
    judged = verdicts(figures, promises)
    print("\n".join(each.text() for each in judged))
    missed = not_kept(judged, promises)
    if given.written:
        option = next((each for each in SIZES_OF if vars(given)[each]), "")
        command = "make bench-growth" + (f" ARGS=--{option}" if option else "")
        name = "growth" + {"bucket": "_of_a_bucket", "table": "_of_a_table"}.get(option, "")
        path = record.write(name, command, figures, failures=missed, promises=promises)
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
