"""Nothing leaves before it is durable, and a log that cannot be written ends the process."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.errors import Full, ServiceError, Throttled, TransactionTooLarge, Unavailable
from fogbank.engines.embedded import blobs, turnover
from fogbank.engines.embedded.blobs import FolderSyncs
from fogbank.engines.embedded.gate import Gate
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.store.engine import Body, Domain, Transaction
from fogbank.platform.store.keyspace import OUTBOX, system_prefix

DOMAIN = Domain("account", "region")
P = DOMAIN.prefix
BOX = system_prefix(OUTBOX, 3)


class NoSuchThing(ServiceError):
    pass


class HeldSync:
    """Holds every sync of the log back until it is let go."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._gate = threading.Event()
        self._sync = engine._core._log.sync
        engine._core._log.sync = self.sync

    def sync(self, fd: int) -> None:
        self._gate.wait()
        self._sync(fd)

    def let_go(self) -> None:
        self._gate.set()


def put(key: bytes, value: bytes | None = b"v") -> Body[None]:
    async def body(tr: Transaction) -> None:
        if value is None:
            tr.delete(P + key)
        else:
            tr.put(P + key, value)

    return body


def get(key: bytes) -> Body[bytes | None]:
    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(P + key)

    return body


async def is_held(call: asyncio.Future[Any]) -> bool:
    for _ in range(20):
        await asyncio.sleep(0)
    return not call.done()


def in_held_engine(open_engine: Any, check: Callable[..., Any]) -> None:
    """Run a check while a write to key ``a`` and an appended entry wait for their sync."""

    async def run() -> None:
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            await store.transact(put(b"old"))
            held = HeldSync(engine)

            async def write(tr: Transaction) -> None:
                tr.put(P + b"a", b"new")
                tr.append(BOX, b"entry")
                tr.delete(P + b"old")

            writing = asyncio.ensure_future(store.transact(write))
            try:
                assert await is_held(writing)
                await check(store, held)
            finally:
                held.let_go()
                await writing

    asyncio.run(run())


def test_a_reader_of_what_is_not_durable_waits_for_it(open_engine: Any) -> None:
    async def check(store: Any, held: HeldSync) -> None:
        async def rows(tr: Transaction) -> Any:
            return await tr.range(P, P + b"\xff" * 9, limit=5)

        calls = [
            asyncio.ensure_future(call)
            for call in (
                store.read(get(b"a")),
                store.transact(get(b"a")),
                store.read(get(b"old")),
                store.read(rows),
                store.tail(BOX, None, 5),
                store.claim(BOX, BOX + b"\xff" * 13, 5, lambda key, value: (key, value)),
            )
        ]
        for call in calls:
            assert await is_held(call)
        held.let_go()
        answers = await asyncio.gather(*calls)
        assert answers[:4] == [b"new", b"new", None, [(P + b"a", b"new")]]
        assert answers[4][0][1] == answers[5][0][1] == b"entry"

    in_held_engine(open_engine, check)


def test_readers_of_domains_do_not_wait_for_rows_of_system_subspaces(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            store, system = engine.store_of(DOMAIN), engine.system_stores()[0]
            await store.transact(put(b"a"))
            held = HeldSync(engine)

            async def append(tr: Transaction) -> None:
                tr.append(BOX, b"entry")

            writing = asyncio.ensure_future(system.transact(append))
            try:
                assert await is_held(writing)
                assert await store.read(get(b"a")) == b"v"
                looking = [
                    asyncio.ensure_future(call)
                    for call in (store.tail(BOX, None, 5), system.tail(BOX, None, 5))
                ]
                for call in looking:
                    assert await is_held(call)
                changing = asyncio.ensure_future(store.transact(put(b"a", b"w")))
                assert await is_held(asyncio.ensure_future(store.read(get(b"a"))))
            finally:
                held.let_go()
            await asyncio.gather(writing, changing, *looking)

    asyncio.run(run())


def test_a_reader_of_what_is_durable_does_not_wait(open_engine: Any) -> None:
    async def check(store: Any, _: HeldSync) -> None:
        assert await store.read(get(b"never written")) is None

    in_held_engine(open_engine, check)


def test_a_modelled_error_waits_for_what_the_body_saw(open_engine: Any) -> None:
    async def refuse(tr: Transaction) -> None:
        if await tr.get(P + b"a"):
            raise NoSuchThing("it is there already")

    async def check(store: Any, held: HeldSync) -> None:
        calls = [asyncio.ensure_future(call(refuse)) for call in (store.read, store.transact)]
        for call in calls:
            assert await is_held(call)
        held.let_go()
        for call in calls:
            with pytest.raises(NoSuchThing):
                await call

    in_held_engine(open_engine, check)


def test_a_row_that_came_and_went_without_trace_is_waited_for(open_engine: Any) -> None:
    async def check(store: Any, held: HeldSync) -> None:
        brief = [asyncio.ensure_future(store.transact(put(b"b", v))) for v in (b"1", None)]
        await is_held(brief[1])
        reading = asyncio.ensure_future(store.read(get(b"b")))
        assert await is_held(reading)
        held.let_go()
        assert await reading is None
        await asyncio.gather(*brief)

    in_held_engine(open_engine, check)


def test_a_watcher_is_woken_only_when_the_commit_is_durable(open_engine: Any) -> None:
    async def check(store: Any, held: HeldSync) -> None:
        watching = asyncio.ensure_future(anext(store.watch(BOX)))
        assert await is_held(watching)
        held.let_go()
        await watching

    in_held_engine(open_engine, check)


def test_an_error_of_the_log_ends_the_process_and_acknowledges_nothing(open_engine: Any) -> None:
    told: list[str] = []

    def failing(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def run() -> None:
        async with open_engine(on_fatal=told.append) as engine:
            store = engine.store_of(DOMAIN)
            await store.transact(put(b"a"))
            engine._core._log.sync = failing
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await store.transact(put(b"b"))
            with pytest.raises(Unavailable):
                await store.read(get(b"a"))

    asyncio.run(run())
    assert told == ["the log cannot be written: [Errno 5] Input/output error"]


def test_after_an_error_of_the_log_the_acknowledged_rows_are_there(open_engine: Any) -> None:
    def failing(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def run() -> None:
        async with open_engine(on_fatal=lambda _: None) as engine:
            store = engine.store_of(DOMAIN)
            await store.transact(put(b"a"))
            engine._core._log.write = failing
            with suppress(Unavailable):
                await store.transact(put(b"b"))
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            assert await store.read(get(b"a")) == b"v"
            assert await store.read(get(b"b")) is None

    asyncio.run(run())


def test_a_closed_store_takes_nothing_and_has_answered_everybody(open_engine: Any) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            calls = [asyncio.ensure_future(store.transact(put(b"%d" % n))) for n in range(100)]
            await asyncio.sleep(0)
        await asyncio.gather(*calls)
        with pytest.raises(Unavailable):
            await store.transact(put(b"late"))
        with pytest.raises(Unavailable):
            await store.read(get(b"0"))
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            assert [await store.read(get(b"%d" % n)) for n in range(100)] == [b"v"] * 100

    asyncio.run(run())


@pytest.mark.slow
def test_groups_hold_a_megabyte_or_one_transaction(open_engine: Any) -> None:
    sizes: list[int] = []

    async def run() -> None:
        async with open_engine(segment_bytes=16 << 20) as engine:
            store = engine.store_of(DOMAIN)
            log = engine._core._log
            write = log.write
            log.write = lambda fd, data, at: (sizes.append(len(data)), write(fd, data, at))[1]
            await asyncio.gather(
                *(store.transact(put(b"%d" % n, b"v" * 400_000)) for n in range(9))
            )

            async def large(tr: Transaction) -> None:
                for n in range(19):
                    tr.put(P + b"large%d" % n, b"v" * 520_000)

            await asyncio.gather(*(store.transact(large) for _ in range(3)))

    asyncio.run(run())
    assert max(size for size in sizes if size < 2_000_000) < (1 << 20) + 4096
    assert sum(size > 9_000_000 for size in sizes) == 3


@pytest.mark.slow
def test_writers_wait_for_a_checkpoint_and_are_refused_when_it_takes_too_long(
    open_engine: Any,
) -> None:
    async def run() -> None:
        hold = threading.Event()
        async with open_engine() as engine:
            turnover = engine._core.turnover
            settle = turnover._checkpointer.settle
            turnover._checkpointer.settle = lambda order: (hold.wait(), settle(order))[1]
            store = engine.store_of(DOMAIN)
            written = 0
            try:
                with suppress(Throttled):
                    while written < 1_000:
                        await store.transact(put(b"%d" % written, b"v" * 3_000))
                        written += 1
                # One segment is sealed, another is full or close to it.
                assert 20 < written < 40
                waiting = asyncio.ensure_future(store.transact(put(b"waits")))
                await asyncio.sleep(0.05)
                assert not waiting.done()
            finally:
                hold.set()
            await waiting
            for n in range(100):
                await store.transact(put(b"%d" % n, b"w" * 3_000))

    asyncio.run(run())


@pytest.mark.slow
def test_each_checkpoint_that_was_applied_is_counted_with_how_long_it_took(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with open_engine() as engine:
            turnover = engine._core.turnover
            settle = turnover._checkpointer.settle
            orders: list[int] = []
            turnover._checkpointer.settle = lambda order: (
                orders.append(getattr(order, "number", 0)),
                settle(order),
            )[1]
            ended = Gate.checkpoint_ended
            monkeypatch.setattr(Gate, "checkpoint_ended", lambda gate: (ended(gate), 1.5)[1])
            assert engine.figures().checkpoints.count == 0
            for n in range(60):
                await engine.store_of(DOMAIN).transact(put(b"%d" % n, b"v" * 3_000))
            while turnover.is_busy:  # noqa: ASYNC110 (its end is told to nobody)
                await asyncio.sleep(0)
            found = engine.figures().checkpoints
            assert found.count == len(orders) >= 2
            assert found.sum_us == found.count * 1_500_000

    asyncio.run(run())


def test_a_transaction_larger_than_a_segment_is_refused(open_engine: Any) -> None:
    async def large(tr: Transaction) -> None:
        tr.put(P, b"v" * 70_000)

    async def run() -> None:
        async with open_engine() as engine:
            with pytest.raises(TransactionTooLarge):
                await engine.store_of(DOMAIN).transact(large)

    asyncio.run(run())


def test_an_error_of_a_blobs_folder_ends_the_process_before_another_sync_says_that_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    syncs = FolderSyncs(tmp_path, told.append)

    def failing(_: Path) -> None:
        # Another writer waits for the same folder; it is woken when this one is over.
        waiting.start()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def waiter() -> None:
        syncs.sync(tmp_path)
        seen.extend(told)

    seen: list[str] = []
    waiting = threading.Thread(target=waiter)
    with monkeypatch.context() as patch:
        patch.setattr(blobs, "sync_folder", failing)
        with pytest.raises(OSError, match="Input/output"):
            syncs.sync(tmp_path)
        patch.setattr(blobs, "sync_folder", lambda _: None)
    waiting.join()
    assert seen == ["the blobs cannot be written: [Errno 5] Input/output error"]


@pytest.mark.slow
def test_rows_that_may_not_grow_refuse_writes_and_serve_reads_until_they_may(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel holds the checkpointer's file to its size, as a full disk or a quota does."""
    monkeypatch.setattr(turnover, "_RETRY_S", 0.01)

    async def until(refused: bool, store: Any, number: int) -> int:
        for count in range(number, number + 3_000):
            try:
                await store.transact(put(b"row%d" % count, b"v" * 3_000))
            except Full:
                if refused:
                    return count
                await asyncio.sleep(0.01)
            except Throttled:
                await asyncio.sleep(0.01)
            else:
                written.append(count)
                if not refused:
                    return count
        raise AssertionError("the store did not change its mind")

    written: list[int] = []

    async def run() -> None:
        async with open_engine(process=True) as engine:
            store = engine.store_of(DOMAIN)
            number = 0
            while (pid := engine._core.turnover.checkpointer_pid) is None:
                number = await until(False, store, number) + 1
            size = 64 << 10
            limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, limits[1]))
            number = await until(True, store, number)
            assert await store.read(get(b"row0")) == b"v" * 3_000
            await store.transact(put(b"row0", None))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
            await until(False, store, number + 1)
            assert engine._core.turnover.checkpointer_pid == pid
        async with open_engine() as engine:
            store = engine.store_of(DOMAIN)
            for count in written:
                expected = None if count == 0 else b"v" * 3_000
                assert await store.read(get(b"row%d" % count)) == expected

    asyncio.run(run())
