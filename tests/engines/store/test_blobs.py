"""What every engine keeps of the blob store's port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import FRAME_BYTES, BlobRef
from fogbank.platform.blobs.sweep import Sweeper, referenced_among, sweep
from fogbank.platform.store.engine import Body, Domain, Transaction

DOMAIN = Domain("bucket")
SIZES = [0, 1, 1_000, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 17]


def body_of(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


async def chunks(body: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]
        await asyncio.sleep(0)


async def written(engine: Any, body: bytes, size: int = 100_000) -> BlobRef:
    ref = await engine.blobs.name()
    assert await engine.blobs.write(ref, chunks(body, size)) == len(body)
    return ref


async def read(engine: Any, ref: BlobRef, begin: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in engine.blobs.read(ref, begin, end)])


async def test_what_was_written_is_read_whole_and_in_ranges(engine: Any) -> None:
    draw = random.Random(1)
    for size in SIZES:
        body = body_of(size, size)
        ref = await written(engine, body, draw.choice([1_000_000, 65_536, 3 << 20]))
        assert await read(engine, ref) == body
        assert await engine.blobs.verify(ref) == size
        for _ in range(8):
            begin, end = sorted(draw.choices(range(size + 2), k=2))
            assert await read(engine, ref, begin, end) == body[begin:end]
        assert await read(engine, ref, size + 5) == b""


async def test_chunks_of_a_reading_are_at_most_a_frame(engine: Any) -> None:
    ref = await written(engine, body_of(3 * FRAME_BYTES + 5))
    sizes = [len(chunk) async for chunk in engine.blobs.read(ref, 10, 2 * FRAME_BYTES + 3)]
    assert sizes == [FRAME_BYTES - 10, FRAME_BYTES, 3]


@pytest.mark.parametrize(
    "sizes",
    [(FRAME_BYTES, 2 * FRAME_BYTES, 7), (5, FRAME_BYTES, 0, 99), (3 * FRAME_BYTES + 1,), ()],
)
async def test_a_concatenation_is_the_parts_in_order(engine: Any, sizes: tuple[int, ...]) -> None:
    bodies = [body_of(size, seed) for seed, size in enumerate(sizes)]
    parts = [await written(engine, body) for body in bodies]
    ref = await engine.blobs.name()
    assert await engine.blobs.concat(ref, parts) == sum(sizes)
    assert await engine.blobs.verify(ref) == sum(sizes)
    for part in parts:
        await engine.blobs.delete(part)
    assert await read(engine, ref) == b"".join(bodies)


async def test_names_are_never_given_twice_and_order_by_age(engine: Any) -> None:
    names = [await engine.blobs.name() for _ in range(50)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.blobs.name()) for _ in range(50)]
    names += sorted(task.result() for task in tasks)
    assert names == sorted(set(names))


async def test_a_name_is_written_once(engine: Any) -> None:
    ref = await written(engine, b"first")
    with pytest.raises((AssertionError, FileExistsError)):
        await engine.blobs.write(ref, chunks(b"second"))
    assert await read(engine, ref) == b"first"


async def test_a_blob_that_is_gone_is_corrupt_to_read_and_no_error_to_delete(engine: Any) -> None:
    ref = await written(engine, b"body")
    await engine.blobs.delete(ref)
    await engine.blobs.delete(ref)
    with pytest.raises(Corrupt, match="missing"):
        await read(engine, ref)
    with pytest.raises(Corrupt, match="missing"):
        await engine.blobs.verify(ref)
    assert await engine.blobs.list(None, 10) == []


async def test_a_sender_that_fails_leaves_nothing(engine: Any) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield body_of(2 * FRAME_BYTES)
        raise ConnectionResetError("the client went away")

    ref = await engine.blobs.name()
    with pytest.raises(ConnectionResetError):
        await engine.blobs.write(ref, failing())
    assert await engine.blobs.list(None, 10) == []


async def test_a_cancelled_write_leaves_nothing(engine: Any) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield body_of(2 * FRAME_BYTES)
        started.set()
        await asyncio.get_running_loop().create_future()

    writing = asyncio.ensure_future(engine.blobs.write(await engine.blobs.name(), endless()))
    await started.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await engine.blobs.list(None, 10) == []


async def test_a_reading_that_is_given_up_leaves_nothing_open(engine: Any) -> None:
    ref = await written(engine, body_of(5 * FRAME_BYTES))
    reading = engine.blobs.read(ref)
    assert len(await anext(reading)) == FRAME_BYTES
    await reading.aclose()
    # A blob that is removed while it is read is read to its end.
    reading = engine.blobs.read(ref)
    head = await anext(reading)
    await engine.blobs.delete(ref)
    rest = b"".join([chunk async for chunk in reading])
    assert head + rest == body_of(5 * FRAME_BYTES)


async def test_lists_come_in_pages_in_order_of_name(engine: Any) -> None:
    refs = [await written(engine, b"x" * n) for n in range(7)]
    pages: list[tuple[BlobRef, int]] = []
    while page := await engine.blobs.list(pages[-1][0] if pages else None, 3):
        pages += page
    assert pages == [(ref, n) for n, ref in enumerate(refs)]


def doing(*calls: Any) -> Body[None]:
    async def body(tr: Transaction) -> None:
        for function, *arguments in calls:
            outcome = function(tr, *arguments)
            if asyncio.iscoroutine(outcome):
                await outcome

    return body


async def test_a_blob_goes_with_its_last_reference(engine: Any) -> None:
    store, (system,) = engine.store_of(DOMAIN), engine.system_stores()
    ref = await written(engine, b"body")
    await store.transact(doing((rows.attach, ref, 4, {"crc32": "x"}), (rows.retain, ref)))
    assert await store.read(lambda tr: rows.find(tr, ref)) == rows.BlobRow(4, 2, {"crc32": "x"})
    await store.transact(doing((rows.release, ref)))
    assert await rows.drain_deletions(system, engine.blobs, 10) == 0
    assert await read(engine, ref) == b"body"
    await store.transact(doing((rows.release, ref)))
    assert await store.read(lambda tr: rows.find(tr, ref)) is None
    assert await referenced_among(system, [ref]) == {ref}
    assert await rows.drain_deletions(system, engine.blobs, 10) == 1
    assert await engine.blobs.list(None, 10) == []
    assert await referenced_among(system, [ref]) == set()
    assert await rows.drain_deletions(system, engine.blobs, 10) == 0
    for change in (rows.retain, rows.release):
        with pytest.raises(Corrupt):
            await store.transact(doing((change, ref)))


async def test_the_deleter_stops_at_its_limit_and_below_a_live_cut(engine: Any) -> None:
    store, (system,) = engine.store_of(DOMAIN), engine.system_stores()
    refs = [await written(engine, b"body") for _ in range(50)]
    for ref in refs:
        await store.transact(doing((rows.attach, ref, 4)))
    for ref in refs:
        await store.transact(doing((rows.release, ref)))
    prefix = rows.system_prefix(rows.BLOB_DELETIONS, rows.partition_of(DOMAIN))
    stamps = [stamp for stamp, _ in await system.tail(prefix, None, 100)]
    assert await rows.drain_deletions(system, engine.blobs, 100, before=stamps[7]) == 7
    assert await rows.drain_deletions(system, engine.blobs, 36) == 36
    assert [ref for ref, _ in await engine.blobs.list(None, 100)] == refs[43:]
    assert await rows.drain_deletions(system, engine.blobs, 100) == 7


async def test_a_sweep_removes_what_nothing_refers_to_and_raises_the_low_water_mark(
    engine: Any,
) -> None:
    store, (system,) = engine.store_of(DOMAIN), engine.system_stores()
    refs = [await written(engine, b"body") for _ in range(9)]
    for ref in refs[::2]:
        await store.transact(doing((rows.attach, ref, 4)))
    await store.transact(doing((rows.release, refs[4])))
    mark = refs[6]
    assert await sweep(system, engine.blobs, mark) == 3
    left = [ref for ref, _ in await engine.blobs.list(None, 100)]
    assert left == [refs[0], refs[2], refs[4], refs[6], refs[7], refs[8]]
    assert engine.blobs.low_water() == mark
    assert await sweep(system, engine.blobs, mark) == 0
    assert await sweep(system, engine.blobs, engine.blobs.newest()) == 1


async def test_a_sweep_looks_at_nothing_below_the_low_water_mark(engine: Any) -> None:
    (system,) = engine.system_stores()
    settled, orphan = [await written(engine, b"body") for _ in range(2)]
    await engine.blobs.raise_low_water(settled)
    assert await sweep(system, engine.blobs, orphan) == 1
    assert [ref for ref, _ in await engine.blobs.list(None, 9)] == [settled]


async def test_a_blob_whose_request_was_cancelled_is_swept_a_period_later(engine: Any) -> None:
    store, (system,) = engine.store_of(DOMAIN), engine.system_stores()
    sweeper = Sweeper(system, engine.blobs)
    kept, orphan = [await written(engine, b"body") for _ in range(2)]
    await store.transact(doing((rows.attach, kept, 4)))
    assert await sweeper.step() is False
    late = await written(engine, b"just written")
    assert [ref for ref, _ in await engine.blobs.list(None, 9)] == [kept, orphan, late]
    assert await sweeper.step() is False
    assert [ref for ref, _ in await engine.blobs.list(None, 9)] == [kept, late]
    assert engine.blobs.low_water() == orphan
    await store.transact(doing((rows.attach, late, 12)))
    for _ in range(2):
        assert await sweeper.step() is False
    assert [ref for ref, _ in await engine.blobs.list(None, 9)] == [kept, late]
    assert engine.blobs.low_water() == late


async def test_a_blob_that_is_being_written_is_never_swept_however_long_that_takes(
    engine: Any,
) -> None:
    store, (system,) = engine.store_of(DOMAIN), engine.system_stores()
    sweeper = Sweeper(system, engine.blobs)
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"slow"
        await go_on.wait()

    before, ref = await written(engine, b"body"), await engine.blobs.name()
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.blobs.write(ref, slow()))
        await asyncio.sleep(0)
        behind = await written(engine, b"body")
        for _ in range(4):
            assert await sweeper.step() is False
        # Names are settled in order, so what lies behind it waits too.
        assert engine.blobs.low_water() == before
        go_on.set()
    assert await sweeper.step() is False
    await store.transact(doing((rows.attach, ref, 4)))
    assert await sweeper.step() is False
    assert [name for name, _ in await engine.blobs.list(None, 9)] == [ref]
    assert engine.blobs.low_water() == behind
    assert await read(engine, ref) == b"slow"


async def test_a_write_that_failed_holds_no_sweep_back(engine: Any) -> None:
    (system,) = engine.system_stores()
    sweeper = Sweeper(system, engine.blobs)

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    ref = await engine.blobs.name()
    with pytest.raises(ConnectionError):
        await engine.blobs.write(ref, broken())
    for _ in range(2):
        assert await sweeper.step() is False
    assert engine.blobs.low_water() == ref


async def test_a_step_of_the_sweep_is_bounded_and_the_next_one_goes_on(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fogbank.platform.blobs.sweep.PAGE", 2)
    monkeypatch.setattr("fogbank.platform.blobs.sweep.PAGES_MAX", 2)
    sweeper = Sweeper(engine.system_stores()[0], engine.blobs)
    assert await sweeper.step() is False
    refs = [await written(engine, b"body") for _ in range(9)]
    assert await sweeper.step() is False
    left = [len(refs)]
    while await sweeper.step():
        left.append(len(await engine.blobs.list(None, 99)))
    assert left == [9, 5, 1]
    assert await engine.blobs.list(None, 9) == []
