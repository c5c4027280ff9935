"""Memory under load that would fill any machine: what each process holds at most, beside its limit.

Each scenario starts a server of its own, does to it what is too much, and writes the peak of every
kind of process (``watching``), how often the server said that it is full, and whether all that was
acknowledged was done. Limits follow from settings (``docs/operating/memory.md``).

``--short`` shows that everything works, with small sizes and without figures; ``--only NAME`` runs one
scenario and writes it beside those of the same source.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import record
from absurd import absurd
from awscrt.checksums import crc32c
from connection import Answer, Wire
from generator import Request
from load import ask, create_table, signed_head, signed_json, unwind_on_sigterm
from main_job import (
    PHOTO_TABLE,
    connect_photos,
    create_function,
    create_photo_function,
    create_role,
    zipped,
)
from metrics import SETTINGS, scraped, total
from verdict import not_kept, verdicts
from watching import Peaks
from workloads import BUCKET, s3

from fogbank.server.config import Config
from fogbank.testing.server import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "photo"))
from pictures import picture

MIB = 1 << 20
FRONTS = "[processes]\nfronts = 1\n"
QUEUED = "[functions]\nmemory_budget_mb = 512\n"
WAIT_S = 600.0
PAUSE_S = 0.05
SLOW_S = 0.5
PAGE_BYTES_MAX = 4 << 20
"""More than a page of a listing takes."""
OK = 200
FULL = (429, 503)
"""How a server says that it is full, where the protocol has no other way."""


class Sizes(NamedTuple):
    """How much is done."""

    photographs: int = 1_000
    invocations: int = 10_000
    idle: int = 2_000
    slow: int = 500
    slow_s: float = 60.0
    object_bytes: int = 20 << 30
    part_bytes: int = 1 << 30
    keys: int = 1_000_000
    unread: int = 500
    read_bytes: int = 64 << 20
    batches: int = 200


SHORT = Sizes(30, 200, 100, 50, 2.0, 64 << 20, 16 << 20, 3_000, 40, 8 << 20, 20)


class Limits(NamedTuple):
    """What each kind of process may hold of its own, in MiB, as ``docs/operating/memory.md`` says."""

    supervisor: int
    front: int
    store_process: int
    checkpointer: int
    sandbox_daemon: int
    zygote: int
    sandbox: int


BASE_MB = 200
"""A process that serves: its code, the models of the services, caches of bounded size."""
HELPER_MB = 128
"""A process that carries nothing of a client's: supervisor, sandbox daemon, zygote."""
CHECKPOINTER_MB = 256
INTERPRETER_MB = 64
"""What an environment may take beside the memory of its function."""
FUNCTION_MB = 1_024


def limits_of(config: Config) -> Limits:
    """Return the limits that follow from settings."""
    limits = config.limits
    listens = (
        2 * limits.whole_bodies_bytes_max
        + limits.whole_replies_bytes_max
        + limits.work_bytes_max
        + limits.requests_max * (limits.stream_buffer_bytes_max + limits.write_buffer_bytes_max)
    ) // MIB
    return Limits(
        supervisor=HELPER_MB,
        front=BASE_MB + listens,
        store_process=BASE_MB + listens,
        checkpointer=CHECKPOINTER_MB,
        sandbox_daemon=HELPER_MB,
        zygote=HELPER_MB,
        sandbox=FUNCTION_MB + INTERPRETER_MB,
    )


class Run:
    """One scenario on one server."""

    def __init__(self, server: Server, sizes: Sizes) -> None:
        self.server = server
        self.sizes = sizes
        self.watched = Peaks(server)
        self.told: Counter[str] = Counter()
        """How often something happened, by a word for it."""

    def bucket(self) -> None:
        """Make the bucket that the scenarios use."""
        self.server.client("s3").create_bucket(Bucket=BUCKET)

    async def sent(self, data: bytes, *, until_taken: bool = False) -> Answer:
        """Ask on a new connection; again and again while the server is full if ``until_taken``."""
        while True:
            wire = await Wire.to(self.server)
            try:
                wire.writer.write(data)
                answer = await wire.answer()
            except (ConnectionError, asyncio.IncompleteReadError):
                answer = Answer(503, b"closed", 0, 0)
            finally:
                wire.close()
            self.told[str(answer.status)] += 1
            if not (until_taken and is_full(answer)):
                return answer
            await asyncio.sleep(PAUSE_S)


def is_full(answer: Answer) -> bool:
    """Return whether an answer says that there is no room now."""
    return answer.status in FULL or b"Throttl" in answer.body or b"SlowDown" in answer.body


async def together(work: list[Awaitable[Any]]) -> None:
    """Do everything at once."""
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(awaited(each))


async def awaited(work: Awaitable[Any]) -> Any:
    """Await, as a coroutine."""
    return await work


async def until(found: Callable[[], bool]) -> bool:
    """Return whether something comes to be so."""
    deadline = time.monotonic() + WAIT_S
    while not found():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(PAUSE_S * 10)
    return True


# The scenarios: each returns whether all that was acknowledged was done.


async def photographs(run: Run) -> bool:
    """The main job, a thousand times at once."""
    server, count = run.server, run.sizes.photographs
    create_role(server)
    create_photo_function(server)
    connect_photos(server)
    content = picture("large.jpg", "JPEG", (1_600, 1_200)).content
    uploads = [s3(server, "PUT", f"/photos/{number}.jpg", content) for number in range(count)]
    with run.watched:
        await together([run.sent(each.data + each.body, until_taken=True) for each in uploads])
        return await until(lambda: rows(server) >= count) and rows(server) == count


def rows(server: Server) -> int:
    """Return how many photographs have their row."""
    found = (
        server.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=PHOTO_TABLE, Select="COUNT", ConsistentRead=True)
    )
    return sum(page["Count"] for page in found)


async def invocations(run: Run) -> bool:
    """Ten thousand asynchronous invocations, which four environments work off."""
    server, count = run.server, run.sizes.invocations
    create_role(server)
    create_function(
        server, "queued", zipped("def handler(event, context):\n    return 1\n"), MemorySize=128
    )
    path = "/2015-03-31/functions/queued/invocations"
    payload = json.dumps({"filler": "x" * 1_000}).encode()
    data = [
        signed_head(server, "lambda", "POST", path, {"x-amz-invocation-type": "Event"}, payload)
        + payload
        for _ in range(count)
    ]
    requests = [Request(each, status=b"202") for each in data]

    def done() -> float:
        return total(scraped(server), "fogbank_function_invocations_total")

    with run.watched:
        await asyncio.to_thread(ask, server, requests, connections=64, seconds=None)
        run.told["waiting_when_all_were_accepted"] = count - int(done())
        finished = await until(lambda: done() >= count)
        return finished and done() == count


async def idle(run: Run) -> bool:
    """Thousands of connections that say nothing; others are served beside them."""
    run.bucket()
    with run.watched:
        wires = [await Wire.to(run.server) for _ in range(run.sizes.idle)]
        answer = await run.sent(s3(run.server, "PUT", f"/{BUCKET}/beside", b"x").data)
        await asyncio.sleep(1)
        for wire in wires:
            wire.close()
    return answer.status == OK


async def slow(run: Run) -> bool:
    """Hundreds of clients that send a byte now and then, half with bodies that are read whole."""
    server = run.server
    run.bucket()
    body = b"x" * (250 << 10)
    kinds = [
        s3(server, "PUT", f"/{BUCKET}/{size}", body[:size]).data for size in (250 << 10, 20 << 10)
    ]
    streamed = head_of(server, f"/{BUCKET}/streamed", 8 * MIB)

    async def one(number: int) -> None:
        wire = await Wire.to(server)
        data = (kinds[0], kinds[1], streamed + body)[number % 3]
        wire.writer.write(data[:-1_000])
        deadline = time.monotonic() + run.sizes.slow_s
        at = len(data) - 1_000
        while time.monotonic() < deadline and not wire.ended and at < len(data):
            wire.writer.write(data[at : at + 1])
            at += 1
            await asyncio.sleep(SLOW_S)
        wire.close()

    with run.watched:
        work = [one(number) for number in range(run.sizes.slow)]
        served: list[Answer] = []

        async def beside() -> None:
            for number in range(5):
                await asyncio.sleep(run.sizes.slow_s / 8)
                served.append(
                    await run.sent(s3(server, "PUT", f"/{BUCKET}/beside{number}", b"x").data)
                )

        await together([*work, beside()])
    return all(answer.status == OK for answer in served)


def head_of(server: Server, path: str, length: int) -> bytes:
    """Return the signed head of an upload of which the body is not signed."""
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    head = signed_head(server, "s3", "PUT", path, headers, b"")
    return head.replace(b"content-length: 0\r\n", b"content-length: %d\r\n" % length)


def pieces(begin: int, length: int) -> Iterator[bytes]:
    """Yield the bytes of an object, a MiB at a time, each another."""
    filler = bytes(range(256)) * (MIB // 256 - 1)
    for at in range(begin, begin + length, MIB):
        number = b"%016d" % at
        yield (number * 16 + filler)[: min(MIB, begin + length - at)]


async def whole_object(run: Run) -> bool:
    """An object of 20 GiB in parts, from a stream into a stream."""
    server, sizes = run.server, run.sizes
    run.bucket()
    client = server.client("s3")
    with run.watched:
        upload = client.create_multipart_upload(Bucket=BUCKET, Key="whole")["UploadId"]
        parts: list[dict[str, Any]] = []
        crc = 0
        for number, begin in enumerate(range(0, sizes.object_bytes, sizes.part_bytes), 1):
            length = min(sizes.part_bytes, sizes.object_bytes - begin)
            path = f"/{BUCKET}/whole?partNumber={number}&uploadId={upload}"
            wire = await Wire.to(server)
            wire.writer.write(head_of(server, path, length))
            for piece in pieces(begin, length):
                crc = crc32c(piece, crc)
                wire.writer.write(piece)
                await wire.writer.drain()
            answer = await wire.answer()
            wire.close()
            run.told[str(answer.status)] += 1
            parts.append({"PartNumber": number})
        listed = client.get_paginator("list_parts").paginate(
            Bucket=BUCKET, Key="whole", UploadId=upload
        )
        tags = {part["PartNumber"]: part["ETag"] for page in listed for part in page["Parts"]}
        client.complete_multipart_upload(
            Bucket=BUCKET,
            Key="whole",
            UploadId=upload,
            MultipartUpload={
                "Parts": [{**part, "ETag": tags[part["PartNumber"]]} for part in parts]
            },
        )
        wire = await Wire.to(server)
        wire.writer.write(s3(server, "GET", f"/{BUCKET}/whole").data)
        answer = await wire.answer()
        wire.close()
    return (answer.status, answer.length, answer.crc) == (OK, sizes.object_bytes, crc)


async def listing(run: Run) -> bool:
    """A million keys, put and listed from end to end."""
    server, count = run.server, run.sizes.keys
    run.bucket()
    with run.watched:
        for begin in range(0, count, 1_000):
            some = [
                s3(server, "PUT", f"/{BUCKET}/{number:08d}")
                for number in range(begin, min(begin + 1_000, count))
            ]
            await asyncio.to_thread(ask, server, some, connections=64, seconds=None)
        found, token = 0, ""
        while True:
            behind = f"&continuation-token={quote(token, safe='')}" if token else ""
            wire = await Wire.to(server)
            wire.writer.write(s3(server, "GET", f"/{BUCKET}?list-type=2{behind}").data)
            page = await wire.answer(PAGE_BYTES_MAX)
            wire.close()
            found += page.body.count(b"<Key>")
            _, told, rest = page.body.partition(b"<NextContinuationToken>")
            if not told:
                return found == count
            token = rest.partition(b"<")[0].decode()


async def unread(run: Run) -> bool:
    """Clients that ask for much and read nothing of it: objects, and pages of items held whole."""
    server, sizes = run.server, run.sizes
    run.bucket()
    put_large_items(server)
    wire = await Wire.to(server)
    wire.writer.write(head_of(server, f"/{BUCKET}/large", sizes.read_bytes))
    for piece in pieces(0, sizes.read_bytes):
        wire.writer.write(piece)
        await wire.writer.drain()
    assert (await wire.answer()).status == OK
    batch = signed_json(server, "BatchGetItem", large_batch())
    asked = [s3(server, "GET", f"/{BUCKET}/large").data, batch]
    with run.watched:
        wires = [await Wire.to(server) for _ in range(sizes.unread)]
        for number, each in enumerate(wires):
            each.writer.transport.pause_reading()
            each.writer.write(asked[number % 2])
        await asyncio.sleep(10 if sizes.unread > 100 else 2)  # noqa: PLR2004 (of the short run)
        answer = await run.sent(s3(server, "PUT", f"/{BUCKET}/beside", b"x").data)
        for each in wires:
            each.close()
    return answer.status == OK


async def dense_writes(run: Run) -> bool:
    """Bodies of many small values: decoded, each is ten times its bytes."""
    server = run.server
    create_table(server, "dense")
    item = {"L": [{"NULL": True}] * NULLS}
    puts = [{"PutRequest": {"Item": {"k": {"S": str(n)}, "v": item}}} for n in range(DENSE)]
    body = json.dumps({"RequestItems": {"dense": puts}}, separators=(",", ":")).encode()
    data = signed_json(server, "BatchWriteItem", body)
    answers: list[Answer] = []

    async def one() -> None:
        answers.append(await run.sent(data))

    with run.watched:
        await together([one() for _ in range(run.sizes.batches)])
    return all(answer.status == OK or is_full(answer) for answer in answers)


NULLS = 90_000
DENSE = 10
LARGE = 40
LARGE_BYTES = 390_000


def put_large_items(server: Server) -> None:
    """Write items of which one batch is 16 MB."""
    create_table(server, "large")
    client = server.client("dynamodb")
    for number in range(LARGE):
        client.put_item(
            TableName="large", Item={"k": {"S": str(number)}, "v": {"S": "x" * LARGE_BYTES}}
        )


def large_batch() -> bytes:
    """Return a request for all of them."""
    keys = [{"k": {"S": str(number)}} for number in range(LARGE)]
    return json.dumps({"RequestItems": {"large": {"Keys": keys}}}).encode()


async def large_reads(run: Run) -> bool:
    """Hundreds of reads of 16 MB at once, all of them read by their clients."""
    server = run.server
    put_large_items(server)
    data = signed_json(server, "BatchGetItem", large_batch())
    answers: list[Answer] = []

    async def one() -> None:
        answers.append(await run.sent(data))

    with run.watched:
        await together([one() for _ in range(run.sizes.batches)])
    return all(answer.status == OK or is_full(answer) for answer in answers)


async def absurdities(run: Run) -> bool:
    """Counts, lengths, depths and numbers that nobody means."""
    run.bucket()
    create_table(run.server, "rows", "k")
    wrong: list[str] = []
    with run.watched:
        for name, data, wanted in absurd(run.server, BUCKET, "rows"):
            answer = await run.sent(data)
            if answer.status not in wanted:
                wrong.append(f"{name}: {answer.status} {answer.body[:200]!r}")
    print("\n".join(wrong), end="\n" if wrong else "")
    return not wrong


Scenario = Callable[[Run], Awaitable[bool]]
SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "photographs": (photographs, ""),
    "invocations": (invocations, QUEUED),
    "idle": (idle, ""),
    "idle_fronts": (idle, FRONTS),
    "slow": (slow, ""),
    "slow_fronts": (slow, FRONTS),
    "object": (whole_object, ""),
    "object_fronts": (whole_object, FRONTS),
    "listing": (listing, ""),
    "unread": (unread, ""),
    "unread_fronts": (unread, FRONTS),
    "large_reads": (large_reads, ""),
    "dense_writes": (dense_writes, ""),
    "absurd": (absurdities, ""),
}


def figures_of(name: str, run: Run, *, kept: bool) -> dict[str, float]:
    """Return what a scenario showed."""
    found: dict[str, float] = {f"{name}_kept": int(kept)}
    peaks = run.watched
    for kind, own in peaks.own_mb.items():
        word = kind.replace(" ", "_")
        found[f"{name}_{word}_own_mb"] = round(own, 1)
        found[f"{name}_{word}_rss_mb"] = round(peaks.rss_mb[kind], 1)
        found[f"{name}_{word}_count"] = peaks.count[kind]
    found[f"{name}_together_mb"] = round(peaks.together_mb, 1)
    found |= {f"{name}_told_{word}": count for word, count in run.told.items()}
    return found


def promises_of(figures: dict[str, float], limits: Limits) -> dict[str, str]:
    """Return what must hold of each figure: its process's limit, and that nothing was lost."""
    promises: dict[str, str] = {}
    for figure in figures:
        if figure.endswith("_kept"):
            promises[figure] = ">= 1"
        for kind, limit in limits._asdict().items():
            if figure.endswith(f"_{kind}_own_mb"):
                promises[figure] = f"<= {limit}"
    return promises


def measured(name: str, sizes: Sizes) -> dict[str, float]:
    """Run one scenario on a server of its own."""
    scenario, settings = SCENARIOS[name]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Server(Path(folder) / "data", settings=SETTINGS + settings), sizes)
        with run.server:
            kept = asyncio.run(scenario(run))
    return figures_of(name, run, kept=kept)


def before() -> dict[str, float]:
    """Return the figures of other scenarios of the same source."""
    path = record.MEASURED / "bounds.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text())
    same = content["source"] == record.source_hash("src/fogbank")
    return content["figures"] if same else {}


def main() -> int:
    """Run scenarios, print their figures, and write those of whole ones."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="show that it works; write nothing")
    parser.add_argument("--only", choices=SCENARIOS, help="one scenario")
    options = parser.parse_args()
    sizes, limits = SHORT if options.short else Sizes(), limits_of(Config())
    missed: list[str] = []
    for name in [options.only] if options.only else SCENARIOS:
        figures = measured(name, sizes)
        promises = promises_of(figures, limits)
        judged = verdicts(figures, promises)
        print("\n".join(each.text() for each in judged))
        missed += not_kept(judged, promises)
        if not options.short:
            every = before() | figures
            kept = verdicts(every, promises_of(every, limits))
            record.write(
                "bounds",
                "make bench-bounds",
                every,
                failures=not_kept(kept, promises_of(every, limits)),
                promises=promises_of(every, limits),
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
