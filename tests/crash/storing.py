"""A load on an embedded store, run by ``test_store_kill.py`` to be killed.

Each writer counts: a transaction moves its two counters from n - 1 to n, appends an entry that says
so, and moves an older row. When it is acknowledged, a line ``writer n`` goes to the parent.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Throttled
from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.store.engine import Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
BOX = system_prefix(OUTBOX, 5)
WRITERS = 8
SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)
SETTINGS = Settings(segment_bytes=1 << 18, generation_keys_max=1_500, chunk_keys=100)


def entry(writer: int, count: int) -> bytes:
    return b"%d %d" % (writer, count)


async def write(engine: EmbeddedEngine, writer: int) -> None:
    store = engine.store_of(DOMAIN)
    one, other = P + b"a%d" % writer, P + b"z%d" % writer

    async def body(tr: Transaction) -> int:
        count = int(await tr.get(one) or b"0") + 1
        assert int(await tr.get(other) or b"0") == count - 1
        tr.put(one, b"%d" % count)
        tr.put(other, b"%d" % count)
        tr.delete(P + b"m%d-%d" % (writer, count - 20))
        tr.put(P + b"m%d-%d" % (writer, count), b"%d" % count + b"v" * (count * 37 % 900))
        tr.append(BOX, entry(writer, count))
        return count

    while True:
        try:
            count = await store.transact(body)
        except Throttled:
            continue
        os.write(1, b"%d %d\n" % (writer, count))


async def main(folder: Path) -> None:
    engine = await EmbeddedEngine.open(
        folder, clock=SystemClock(), settings=SETTINGS, encryption=SEALED
    )
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(engine, writer))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
