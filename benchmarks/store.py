"""Transactions a second of the embedded engine, plain and encrypted, side by side.

``python benchmarks/store.py [--seconds 3] [--only plain|encrypted]``; with both it writes
``docs/measured/store.json``.

A transaction is what a signed PutItem with an index and an outbox entry does in the store: two gets
and four puts of 100 bytes over a preloaded store; concurrent callers each wait for their answer, so
every transaction counted is on disk. CPU is of the store process, its log thread included, and of
its checkpointer. Absolute figures drift between machines by a factor of two; read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import record
import uvloop

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import PLAIN, Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Body, Domain, Transaction

DOMAIN = Domain("account", "region")


class Measured(NamedTuple):
    """What callers saw and what it cost."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the store process, for each call."""
    checkpointer_us: float
    late_ms_max: float
    """The longest turn of the loop beyond a millisecond."""

    def line(self) -> str:
        """Return it as a line of the table."""
        return (
            f"{self.per_s:>9,.0f}/s  p50 {self.p50_ms:>6.2f}  p99 {self.p99_ms:>7.2f} ms"
            f"  CPU {self.cpu_us:>5.1f} + {self.checkpointer_us:>4.1f} us"
            f"  loop late max {self.late_ms_max:>5.1f} ms"
        )


KEYS = 1 << 17
VALUE = b"v" * 100
ENCRYPTIONS = {
    "plain": PLAIN,
    "encrypted": Encryption(Secret("file", bytes(range(32))), Ids().random_bytes),
}
TICK = os.sysconf("SC_CLK_TCK")


def key_of(number: int) -> bytes:
    """Return one of the keys, spread over the key space."""
    return DOMAIN.prefix + b"%040d" % (number * 2_654_435_761 % (1 << 40))


KEY = [key_of(number) for number in range(KEYS)]


def read_modify_write(numbers: random.Random) -> Body[None]:
    """Return a transaction of two gets and four puts."""
    one, two, three, four = (KEY[numbers.randrange(KEYS)] for _ in range(4))

    async def body(tr: Transaction) -> None:
        await tr.get(one)
        await tr.get(two)
        tr.put(one, VALUE)
        tr.put(two, VALUE)
        tr.put(three, VALUE)
        tr.put(four, VALUE)

    return body


def get(numbers: random.Random) -> Body[bytes | None]:
    """Return a reading of one key."""
    key = KEY[numbers.randrange(KEYS)]

    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(key)

    return body


def list_rows(numbers: random.Random) -> Body[int]:
    """Return a reading of a hundred rows in order."""
    begin = KEY[numbers.randrange(KEYS)]

    async def body(tr: Transaction) -> int:
        return len(await tr.range(begin, DOMAIN.prefix + b"\xff", limit=100))

    return body


def child_cpu(engine: EmbeddedEngine) -> float:
    """Return the CPU seconds of the checkpointer so far."""
    pid = engine._core.turnover.checkpointer_pid  # noqa: SLF001 (no one else asks)
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def load(engine: EmbeddedEngine) -> None:
    """Write every key once."""
    store = engine.store_of(DOMAIN)
    for begin in range(0, KEYS, 1_000):

        async def body(tr: Transaction, begin: int = begin) -> None:
            for key in KEY[begin : begin + 1_000]:
                tr.put(key, VALUE)

        await store.transact(body)


async def measure(
    engine: EmbeddedEngine,
    callers: int,
    seconds: float,
    call: Callable[[random.Random], Awaitable[object]],
) -> Measured:
    """Return what so many callers side by side see."""
    took: list[float] = []
    lates: list[float] = []
    stop = time.perf_counter() + seconds

    async def caller(seed: int) -> None:
        numbers = random.Random(seed)
        while (began := time.perf_counter()) < stop:
            await call(numbers)
            took.append(time.perf_counter() - began)

    async def ticker() -> None:
        while (began := time.perf_counter()) < stop:
            await asyncio.sleep(0.001)
            lates.append(time.perf_counter() - began - 0.001)

    began, cpu, child = time.perf_counter(), time.process_time(), child_cpu(engine)
    async with asyncio.TaskGroup() as group:
        group.create_task(ticker())
        for seed in range(callers):
            group.create_task(caller(seed))
    passed, cpu = time.perf_counter() - began, time.process_time() - cpu
    child = child_cpu(engine) - child
    cuts = statistics.quantiles(took, n=100)
    return Measured(
        per_s=len(took) / passed,
        p50_ms=cuts[49] * 1e3,
        p99_ms=cuts[98] * 1e3,
        cpu_us=cpu / len(took) * 1e6,
        checkpointer_us=child / len(took) * 1e6,
        late_ms_max=max(lates) * 1e3,
    )


async def run(folder: Path, seconds: float, encryption: Encryption) -> dict[str, Measured]:
    """Print the table and return it, by what was done."""
    found: dict[str, Measured] = {}
    engine = await EmbeddedEngine.open(folder, clock=SystemClock(), encryption=encryption)
    store = engine.store_of(DOMAIN)
    await load(engine)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for callers in (1, 16, 64, 256):
            found[f"2 gets + 4 puts, {callers} writers"] = await measure(
                engine, callers, seconds, lambda n: store.transact(read_modify_write(n))
            )
        found["1 get"] = await measure(engine, 1, seconds, lambda n: store.read(get(n)))
        found["range of 100"] = await measure(
            engine, 1, seconds, lambda n: store.read(list_rows(n))
        )
    finally:
        await engine.close()
    for what, each in found.items():
        print(f"{what:<30}{each.line()}")
    return found


def figures_of(found: dict[str, dict[str, Measured]]) -> dict[str, float]:
    """Return figures by name: of both, and what encryption leaves of the plain one's speed."""
    figures: dict[str, float] = {}
    for name, measured in found.items():
        for what, each in measured.items():
            figures[f"{name}: {what}, per s"] = round(each.per_s)
            figures[f"{name}: {what}, p99 ms"] = round(each.p99_ms, 2)
    for what, each in found["plain"].items():
        ratio = found["encrypted"][what].per_s / each.per_s
        figures[f"encrypted / plain: {what}"] = round(ratio, 2)
    return figures


def main() -> None:
    """Read the arguments, run, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, help="on which disk; default: beside this file")
    parser.add_argument("--only", choices=ENCRYPTIONS, help="one of the two")
    given = parser.parse_args()
    found: dict[str, dict[str, Measured]] = {}
    for name, encryption in ENCRYPTIONS.items():
        if given.only in (None, name):
            print(name)
            folder = tempfile.mkdtemp(prefix="bench-store-", dir=given.folder or Path.cwd())
            try:
                found[name] = uvloop.run(run(Path(folder) / "store", given.seconds, encryption))
            finally:
                shutil.rmtree(folder)
    if found.keys() == ENCRYPTIONS.keys():
        command = "python benchmarks/store.py"
        print(record.write("store", command, figures_of(found), failures=[], promises={}))


if __name__ == "__main__":
    main()
