"""Transactions a second of the embedded engine, plain and encrypted, side by side.

``python benchmarks/store.py [--seconds 3] [--only plain|encrypted]``

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

import uvloop

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keys import PLAIN, Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.crypto.keyring import Secret
from fogbank.platform.store.engine import Body, Domain, Transaction

DOMAIN = Domain("account", "region")
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
) -> str:
    """Return one line of the table."""
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
    return (
        f"{len(took) / passed:>9,.0f}/s  p50 {cuts[49] * 1e3:>6.2f}  p99 {cuts[98] * 1e3:>7.2f} ms"
        f"  CPU {cpu / len(took) * 1e6:>5.1f} + {child / len(took) * 1e6:>4.1f} us"
        f"  loop late max {max(lates) * 1e3:>5.1f} ms"
    )


async def run(folder: Path, seconds: float, encryption: Encryption) -> None:
    """Print the table."""
    engine = await EmbeddedEngine.open(folder, clock=SystemClock(), encryption=encryption)
    store = engine.store_of(DOMAIN)
    await load(engine)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for callers in (1, 16, 64, 256):
            line = await measure(
                engine, callers, seconds, lambda n: store.transact(read_modify_write(n))
            )
            print(f"2 gets + 4 puts, {callers:>3} writers  {line}")
        line = await measure(engine, 1, seconds, lambda n: store.read(get(n)))
        print(f"1 get,             1 reader   {line}")
        line = await measure(engine, 1, seconds, lambda n: store.read(list_rows(n)))
        print(f"range of 100,      1 reader   {line}")
    finally:
        await engine.close()


def main() -> None:
    """Read the arguments, run, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, help="on which disk; default: beside this file")
    parser.add_argument("--only", choices=ENCRYPTIONS, help="one of the two")
    given = parser.parse_args()
    for name, encryption in ENCRYPTIONS.items():
        if given.only in (None, name):
            print(name)
            folder = tempfile.mkdtemp(prefix="bench-store-", dir=given.folder or Path.cwd())
            try:
                uvloop.run(run(Path(folder) / "store", given.seconds, encryption))
            finally:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
