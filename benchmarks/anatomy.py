"""What each microsecond of a request is spent on: GetItem, PutItem, S3's small requests and a listing.

The whole is the processor time of a request in this process, without sockets (``inprocess``). The
parts are taken by *seams*: the few functions at which a request passes from one room to the next
are replaced by ones that read the thread's processor clock on the way in and out. What a seam costs
follows from how much longer a round with seams takes than one without, and is taken off; so what
lies in no seam (the loop, the task of the connection, the frames between the rooms), which is
``rest``, and all other parts add up to the whole.

System calls are measured by themselves, on loopback sockets, with the bytes of the same request.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import statistics
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import record
from inprocess import TABLE, InProcess, run, settle_garbage
from load import signed_json

from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.store import EmbeddedStore
from fogbank.gateway import connection, dispatch
from fogbank.gateway.audit import Audit, Recording
from fogbank.gateway.authenticate import Authenticator
from fogbank.gateway.authorize import Authorization
from fogbank.gateway.dispatch import Dispatcher
from fogbank.gateway.intake import Intake
from fogbank.gateway.perform import Performer
from fogbank.gateway.resolve import Resolver
from fogbank.wire.compile import ServiceCodec

ROUNDS = 7
REQUESTS = 512
KEYS = 256
ITEM_BYTES = 80
OBJECT_BYTES = 1 << 10
LISTED = 1_000
LISTINGS = 4
EMPTY_SEAMS = 20_000
SYSTEM_CALLS = 1_000
REST = "rest"


class Seam(NamedTuple):
    """A function at which a request passes into a part."""

    part: str
    owner: Any
    name: str


SEAMS = (
    Seam("parse", Intake, "data_received"),
    Seam("resolve", dispatch, "_claim_of"),
    Seam("resolve", Resolver, "begin"),
    Seam("resolve", Resolver, "route"),
    Seam("verify", Authenticator, "authenticate"),
    Seam("decode", ServiceCodec, "decode"),
    Seam("perform", Performer, "_run"),
    Seam("authorize", Authorization, "require"),
    Seam("store", EmbeddedStore, "read"),
    Seam("store", EmbeddedStore, "transact"),
    Seam("commit", Core, "commit"),
    Seam("commit", Core, "_flush"),
    Seam("commit", Core, "_group_ended"),
    Seam("encode", ServiceCodec, "encode"),
    Seam("account", Audit, "asked"),
    Seam("account", Audit, "noted"),
    Seam("account", Recording, "ended"),
    Seam("account", Recording, "entry"),
    Seam("account", Dispatcher, "_note"),
    Seam("write", connection, "write_reply"),
)
"""In the order of a request; of a seam within another, the inner one counts."""
MEANING = {
    "parse": "bytes to a checked head and a whole body",
    "resolve": "what the signature claims; service, region, operation",
    "verify": "SigV4: the canonical request, two hashes, the HMAC, the age",
    "decode": "the body by the model: types and constraints",
    "perform": "the call that the operation is given, and the operation: names, keys, items",
    "authorize": "every access against the caller's and the resource's policies",
    "store": "the transaction: reads through the layers, decoded records",
    "commit": "the record, its group, and whoever waits for it",
    "log": "the thread of the log: sealing and writing groups",
    "encode": "the answer by the model",
    "account": "audit trail and metrics",
    "write": "the head of the answer, and handing it to the transport",
    REST: "the loop, the connection's task, the frames between the rooms",
}


class Watch:
    """Adds up the time that is spent in each part."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.inner: Counter[str] = Counter()
        """How many seams were passed within a part."""
        self.passed: Counter[str] = Counter()
        self._stack = [REST]
        self._since = time.thread_time_ns()

    def turn(self) -> None:
        """Give the time since the last turn to the part that it was spent in."""
        now = time.thread_time_ns()
        self.spent[self._stack[-1]] += now - self._since
        self._since = now

    def enter(self, part: str) -> None:
        """Note that a request passes into a part."""
        self.turn()
        self.inner[self._stack[-1]] += 1
        self.passed[part] += 1
        self._stack.append(part)

    def leave(self) -> None:
        """Note that it comes out again."""
        self.turn()
        self._stack.pop()

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with a seam."""

        def plain(*arguments: Any, **named: Any) -> Any:
            self.enter(part)
            try:
                answer = function(*arguments, **named)
            finally:
                self.leave()
            return (
                self._stepped(part, answer) if isinstance(answer, types.CoroutineType) else answer
            )

        return plain

    @types.coroutine
    def _stepped(self, part: str, work: Any) -> Generator[Any, Any, Any]:
        """Run a coroutine; while it waits, its time is nobody's."""
        sent: Any = None
        step = work.send
        while True:
            self.enter(part)
            try:
                waits_for = step(sent)
            except StopIteration as stop:
                return stop.value
            finally:
                self.leave()
            try:
                sent, step = (yield waits_for), work.send
            except BaseException as error:  # noqa: BLE001 (it is the coroutine's)
                sent, step = error, work.throw


@contextmanager
def seams(watch: Watch) -> Generator[None]:
    """Put all seams in place for a while."""
    patches = [
        mock.patch.object(
            each.owner, each.name, watch.around(each.part, getattr(each.owner, each.name))
        )
        for each in SEAMS
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


def seam_shares() -> tuple[float, float]:
    """Return which share of a seam's cost falls on its own part, and on the one it lies in."""
    watch = Watch()
    empty = watch.around("inner", lambda: None)
    began = time.thread_time_ns()
    for _ in range(EMPTY_SEAMS):
        empty()
    own = watch.spent["inner"] / (time.thread_time_ns() - began)
    return own, 1 - own


async def whole_us(cloud: InProcess, requests: list[bytes], *, heads_only: bool) -> float:
    """Return the processor time of a request, without seams."""
    return min([await cloud.ask(requests, heads_only=heads_only) for _ in range(ROUNDS)])


async def parts_us(
    cloud: InProcess, requests: list[bytes], whole: float, *, heads_only: bool
) -> dict[str, float]:
    """Return what each part of a request takes, of a whole: the least of all rounds."""
    clock = time.pthread_getcpuclockid(cloud.log_thread)
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        watch, log_ns = Watch(), time.clock_gettime_ns(clock)
        with seams(watch):
            await cloud.ask(requests, heads_only=heads_only)
        watch.turn()
        rounds.append({**watch.spent, "log": time.clock_gettime_ns(clock) - log_ns})
    least = {part: min(each.get(part, 0.0) for each in rounds) for part in MEANING}
    passed = sum(watch.passed.values())
    seam_ns = max(sum(least.values()) - whole * len(requests) * 1e3, 0.0) / passed
    own, outer = seam_shares()
    for part in least:
        least[part] -= seam_ns * (own * watch.passed[part] + outer * watch.inner[part])
    return {part: max(ns, 0.0) / len(requests) / 1e3 for part, ns in least.items()}


def requests_of(cloud: InProcess) -> dict[str, list[bytes]]:
    """Return the signed requests of each kind."""
    content = b"x" * OBJECT_BYTES
    empty, full = (hashlib.sha256(each).hexdigest() for each in (b"", content))

    def item(operation: str, body: dict[str, Any]) -> bytes:
        return signed_json(cloud, operation, json.dumps({"TableName": TABLE, **body}).encode())

    def s3(method: str, number: int) -> bytes:
        is_put = method == "PUT"
        headers = {"x-amz-content-sha256": full if is_put else empty}
        return cloud.s3(method, f"/bench/1k/{number}", headers, content if is_put else b"")

    keys = [{"k": {"S": f"key-{number}"}} for number in range(KEYS)]
    value = {"v": {"S": "x" * ITEM_BYTES}, "n": {"N": "7"}}
    each = {
        "put_item": [item("PutItem", {"Item": {**key, **value}}) for key in keys],
        "get_item": [item("GetItem", {"Key": key}) for key in keys],
        **{
            f"s3_{verb.lower()}": [s3(verb, n) for n in range(KEYS)]
            for verb in ("PUT", "GET", "HEAD")
        },
    }
    kinds = {kind: (some * (REQUESTS // KEYS + 1))[:REQUESTS] for kind, some in each.items()}
    page = cloud.s3(
        "GET", f"/listing?list-type=2&max-keys={LISTED}", {"x-amz-content-sha256": empty}
    )
    return {**kinds, "s3_list": [page] * LISTINGS}


def system_call_us(request: bytes, answer_bytes: int) -> dict[str, float]:
    """Return what sending an answer and receiving a request cost on a loopback socket."""
    answer, spent = bytes(answer_bytes), Counter[str]()
    with socket.create_server(("127.0.0.1", 0)) as door:
        client = socket.create_connection(door.getsockname())
        server, _ = door.accept()
        with client, server:
            for _ in range(SYSTEM_CALLS):
                client.sendall(request)
                began = time.thread_time_ns()
                server.recv(1 << 16)
                received = time.thread_time_ns()
                server.send(answer)
                spent["send"] += time.thread_time_ns() - received
                spent["receive"] += received - began
                client.recv(1 << 16)
    return {name: ns / SYSTEM_CALLS / 1e3 for name, ns in spent.items()}


async def measure(cloud: InProcess) -> dict[str, dict[str, float]]:
    """Return, for each kind of request, the whole and the parts."""
    await cloud.create_table()
    hashed = {"x-amz-content-sha256": hashlib.sha256().hexdigest()}
    await cloud.ask([cloud.s3("PUT", f"/{bucket}", hashed) for bucket in ("bench", "listing")])
    await cloud.ask([cloud.s3("PUT", f"/listing/{n:04}", hashed) for n in range(LISTED)])
    kinds = requests_of(cloud)
    for kind, some in kinds.items():
        await cloud.ask(some, heads_only=kind == "s3_head")
    settle_garbage()
    found: dict[str, dict[str, float]] = {}
    for kind, some in kinds.items():
        heads_only = kind == "s3_head"
        whole = await whole_us(cloud, some, heads_only=heads_only)
        parts = await parts_us(cloud, some, whole, heads_only=heads_only)
        found[kind] = {"whole": whole, **parts}
        calls = [system_call_us(some[0], 400) for _ in range(3)]
        for name in ("receive", "send"):
            found[kind][f"{name}_call"] = statistics.median(each[name] for each in calls)
    return found


def keep_less(found: dict[str, dict[str, float]]) -> None:
    """Take the kinds of request that took less when this source was last measured from there."""
    path = record.MEASURED / "anatomy.json"
    earlier = json.loads(path.read_text()) if path.is_file() else {"source": ""}
    if earlier["source"] != record.source_hash("src/fogbank"):
        return
    for kind, parts in found.items():
        if earlier["figures"][f"{kind}_whole_us"] < parts["whole"]:
            found[kind] = {name: earlier["figures"][f"{kind}_{name}_us"] for name in parts}


def main() -> int:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="write no figures")
    parser.add_argument(
        "--again", action="store_true", help="keep what was measured of this source and is less"
    )
    arguments = parser.parse_args()
    found = run(measure)
    if arguments.again:
        keep_less(found)
    kinds = list(found)
    names = ["whole", *MEANING, "receive_call", "send_call"]
    rows = [[name, *(f"{found[kind][name]:.1f}" for kind in kinds)] for name in names]
    print(f"{'us':<14}" + "".join(f"{kind:>10}" for kind in kinds))
    for name, *cells in rows:
        print(f"{name:<14}" + "".join(f"{cell:>10}" for cell in cells))
    if arguments.dry:
        return 0
    figures = {f"{kind}_{name}_us": round(found[kind][name], 1) for kind in kinds for name in names}
    table = record.Table(
        "Microseconds of processor time of one request, by part",
        ["part", "what it is", *kinds],
        [[name, MEANING.get(name, ""), *cells] for name, *cells in rows],
    )
    path = record.write(
        "anatomy", "make bench-anatomy", figures, failures=[], promises={}, tables=[table]
    )
    print(f"written to {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
