"""The platform's own reconcilers do their step, and stop where they must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from fogbank.contract.call import Facilities
from fogbank.contract.job import Progress
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.blobs import rows as blob_rows
from fogbank.platform.store.engine import Domain, Token, Transaction
from fogbank.server.config import SweepSettings
from fogbank.server.driver import Driver
from fogbank.server.jobs import TOKENS_BATCH, delete_blobs, sweep_tokens, sweeping
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")


async def once() -> AsyncIterator[bytes]:
    yield b"body"


async def turns() -> None:
    """Let whoever can go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def facilities_of(engine: MemoryEngine) -> Facilities:
    return cast("Facilities", SimpleNamespace(placement=engine, blobs=engine.blobs))


def test_blobs_are_deleted_when_no_cut_can_need_them() -> None:
    async def run() -> None:
        engine = MemoryEngine()
        facilities: Any = facilities_of(engine)
        store = engine.store_of(DOMAIN)
        ref = await engine.blobs.name()
        await engine.blobs.write(ref, once())

        async def attach(tr: Transaction) -> None:
            blob_rows.attach(tr, ref, 4)

        async def release(tr: Transaction) -> None:
            await blob_rows.release(tr, ref)

        await store.transact(attach)
        cut = await engine.system_stores()[0].checkpoint("backup")
        await store.transact(release)
        assert await delete_blobs.step(facilities) is Progress.IDLE
        assert len(await engine.blobs.list(None, 9)) == 1
        await cut.release()
        assert await delete_blobs.step(facilities) is Progress.IDLE
        assert await engine.blobs.list(None, 9) == []

    asyncio.run(run())


def test_rows_of_tokens_are_swept_in_paced_batches() -> None:
    async def run() -> None:
        clock = VirtualClock()
        engine = MemoryEngine(clock=clock)
        facilities: Any = facilities_of(engine)

        async def nothing(_: Transaction) -> None:
            return None

        for n in range(TOKENS_BATCH + 1):
            token = Token("1" * 12, "dynamodb", "Transact", f"t{n}", b"d", 1_000)
            await engine.store_of(DOMAIN).transact(nothing, token=token)
        assert await sweep_tokens.step(facilities) is Progress.IDLE
        clock.advance_to(clock.now_ms() + 1_000)
        assert await sweep_tokens.step(facilities) is Progress.THROTTLED
        assert await sweep_tokens.step(facilities) is Progress.IDLE
        rows: Any = engine.rows
        assert len(rows) == 0

    asyncio.run(run())


def test_blobs_are_swept_once_a_period_while_the_server_runs() -> None:
    async def run() -> None:
        clock = VirtualClock()
        engine = MemoryEngine(clock=clock)
        facilities: Any = SimpleNamespace(placement=engine, clock=clock)
        job = sweeping(SweepSettings(period_minutes=5), engine, engine.blobs)
        driver = Driver(facilities, [job], [], holder="test")
        begun = clock.now_ms()

        async def left() -> list[int]:
            return [ref.number for ref, _size in await engine.blobs.list(None, 9)]

        async with asyncio.TaskGroup() as group:
            running = group.create_task(driver.run())
            await turns()
            await engine.blobs.write(await engine.blobs.name(), once())
            seen = [await left()]
            for minutes in (5, 9, 10):
                while clock.now_ms() < begun + minutes * 60_000:
                    clock.advance_to(begun + minutes * 60_000)
                    await turns()
                seen.append(await left())
            assert seen == [[1], [1], [1], []]
            running.cancel()

    asyncio.run(run())
