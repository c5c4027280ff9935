"""A store that passes everything on."""

from __future__ import annotations

import asyncio

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.store.engine import SYSTEM, SYSTEM_PREFIX, Transaction
from fogbank.platform.store.passing import PassingStore

QUEUE = SYSTEM_PREFIX + b"q"
BOX = SYSTEM_PREFIX + b"b"


def test_everything_that_a_store_is_asked_is_asked_of_the_other() -> None:
    async def run() -> None:
        store = MemoryEngine().store_of(SYSTEM)
        passing = PassingStore(store)
        assert passing.limits is store.limits
        watched = passing.watch(BOX)

        async def write(tr: Transaction) -> str:
            tr.put(QUEUE + b"1", b"x")
            tr.append(BOX, b"told")
            return "written"

        assert await passing.transact(write) == "written"
        await anext(watched)
        assert await passing.read(lambda tr: tr.get(QUEUE + b"1")) == b"x"
        told = await passing.tail(BOX, None, 5)
        assert [value for _, value in told] == [b"told"]
        moved = await passing.claim(QUEUE, QUEUE + b"2", 5, lambda _, value: (QUEUE + b"7", value))
        assert moved == [(QUEUE + b"7", b"x")]
        assert await store.read(lambda tr: tr.get(QUEUE + b"7")) == b"x"

    asyncio.run(run())
