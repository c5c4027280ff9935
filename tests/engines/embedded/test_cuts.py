"""What a cut costs the embedded engine, and what ends it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.engines.embedded.conftest import SEALED

from fogbank.base.errors import CutRevoked, Throttled, Unavailable
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.cut import CutReader
from fogbank.engines.embedded.rows import read_state
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Transaction

DOMAIN = Domain("account", "region")
P, END = DOMAIN.prefix, DOMAIN.prefix + b"\xff" * 8


def put(number: int, value: bytes) -> Body[None]:
    async def body(tr: Transaction) -> None:
        tr.put(P + b"%05d" % number, value)

    return body


def reader_of(cut: Any) -> CutReader:
    reader = cut.rows()
    assert isinstance(reader, CutReader)
    return reader


@pytest.mark.slow
def test_a_cut_under_which_the_file_grows_too_much_is_revoked_and_its_process_killed(
    open_engine: Any, tmp_path: Path
) -> None:
    async def run() -> None:
        async with open_engine(cut_growth_bytes_max=1 << 18) as engine:
            store = engine.store_of(DOMAIN)
            cut = await store.checkpoint("dear")
            process = reader_of(cut)._process
            assert process is not None
            for n in range(60):
                await store.transact(put(n, bytes(20_000)))
            engine._taker._watch()
            assert store.oldest_cut() is None
            with pytest.raises(CutRevoked, match="the file of the rows grew by"):
                await cut.page(P, END, limit=1)
            assert await asyncio.to_thread(process.wait, 10) < 0
            # Its pages are used again, and a new cut can be taken.
            again = await store.checkpoint("dear")
            assert len(await again.page(P, END, limit=5)) == 5
            await again.release()
            await cut.release()

    asyncio.run(run())
    assert check(tmp_path / "store", SEALED) == []


def test_a_cut_whose_process_died_says_so(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            cut = await engine.store_of(DOMAIN).checkpoint("dead")
            reader_of(cut).kill()
            with pytest.raises(CutRevoked, match="has ended"):
                await cut.page(P, END, limit=1)
            await cut.release()

    asyncio.run(run())


@pytest.mark.slow
def test_a_store_that_closes_takes_its_cuts_with_it(open_engine: Any, tmp_path: Path) -> None:
    async def run() -> Any:
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            await store.transact(put(1, b"v"))
            cut = await store.checkpoint("open")
            process = reader_of(cut)._process
        with pytest.raises(CutRevoked, match="the store is closed"):
            await cut.page(P, END, limit=1)
        with pytest.raises(Unavailable):
            await store.checkpoint("late")
        return process

    assert asyncio.run(run()).returncode is not None
    assert check(tmp_path / "store", SEALED) == []


@pytest.mark.slow
def test_cuts_are_consistent_while_segments_turn_over(open_engine: Any, tmp_path: Path) -> None:
    """A writer moves 1 from one row to another; every cut sees the sum unchanged."""
    stop = asyncio.Event()

    async def move(store: Any, n: int) -> None:
        async def body(tr: Transaction) -> None:
            for key, delta in ((P + b"a%d" % n, -1), (P + b"z%d" % n, 1)):
                raw = (await tr.get(key) or b"0 ").split(b" ")[0]
                tr.put(key, b"%d " % (int(raw) + delta) + bytes(3_000))

        while not stop.is_set():
            with suppress(Throttled):  # a busy machine's disk does not keep up with such a load
                await store.transact(body)

    async def run() -> None:
        async with open_engine(process=True) as engine:
            store = engine.store_of(DOMAIN)
            writers = [asyncio.ensure_future(move(store, n)) for n in range(4)]
            try:
                moved: list[int] = []
                for turn in range(4):
                    cuts = await asyncio.gather(
                        *(engine.store_of(SYSTEM).checkpoint(f"{turn} {n}") for n in range(2))
                    )
                    for cut in sorted(cuts, key=lambda cut: cut.stamp):
                        rows = await cut.page(P, END, limit=100)
                        counts = [int(value.split(b" ")[0]) for _, value in rows]
                        assert sum(counts) == 0
                        moved.append(sum(count for count in counts if count > 0))
                        await cut.release()
                assert moved == sorted(moved)
                assert moved[-1] > moved[0]
            finally:
                stop.set()
                await asyncio.gather(*writers)

    asyncio.run(run())
    assert check(tmp_path / "store", SEALED) == []


@pytest.mark.slow
def test_a_cut_that_is_given_up_while_it_is_taken_leaves_nothing_behind(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            for n in range(10):
                taking = asyncio.ensure_future(store.checkpoint("given up"))
                await asyncio.sleep(0.02 * n)
                taking.cancel()
                with suppress(asyncio.CancelledError):
                    await (await taking).release()
                assert store.oldest_cut() is None
            for n in range(60):
                await store.transact(put(n, bytes(3_000)))
            await (await store.checkpoint("given up")).release()

    asyncio.run(run())


def test_the_rows_stand_still_until_they_are_let_go(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            core = engine._core
            await engine.store_of(DOMAIN).transact(put(0, b"v"))
            version = await core.stand_still()

            async def write() -> None:
                for n in range(60):
                    await engine.store_of(DOMAIN).transact(put(n, bytes(3_000)))

            writing = asyncio.ensure_future(write())
            while not core.turnover.has_sealed:  # noqa: ASYNC110 (a thread seals)
                await asyncio.sleep(0.001)  # a thread seals
            await asyncio.sleep(0.05)  # nothing happens, however long one looks
            assert not core.turnover.is_busy
            with engine._opened.env.begin() as txn:
                assert read_state(txn, engine._opened.seals).version == version
            core.turnover.let_go()
            await writing
            with engine._opened.env.begin() as txn:
                assert read_state(txn, engine._opened.seals).version > version

    asyncio.run(run())
