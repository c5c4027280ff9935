"""Bodies that first run in a thread, over a snapshot of their own, for what they read alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from tests.engines.embedded.conftest import Opener

from fogbank.base.errors import Unavailable
from fogbank.engines.bodies import BodySuspendedError
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.warming import READS_MAX, Warming
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Domain, Transaction

DOMAIN = Domain("dynamodb", "111122223333", "us-east-1")


def key(name: str) -> bytes:
    return DOMAIN.prefix + tuples.pack(name)


async def put(engine: EmbeddedEngine, name: str, value: bytes) -> None:
    async def body(tr: Transaction) -> None:
        tr.put(key(name), value)

    await engine.store_of(DOMAIN).transact(body)


async def settled(engine: EmbeddedEngine) -> None:
    """Have all that is committed moved to the settled rows."""
    core = engine._core
    await core.stand_still()
    core.turnover.let_go()


class Threads:
    """Which thread each run of a body was in, and what it saw."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, bytes | None]] = []

    async def body(self, tr: Transaction) -> str:
        value = await tr.get(key("a"))
        name = threading.current_thread().name
        self.runs.append(("loop" if name == "MainThread" else name.split("_")[0], value))
        tr.put(key("b"), name.encode())
        return name


def test_a_body_runs_in_a_thread_and_then_on_the_loop_whose_answer_counts(
    open_engine: Opener,
) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            await put(engine, "a", b"old")
            await settled(engine)
            await put(engine, "a", b"new")  # in memory alone
            threads = Threads()
            version = engine.figures().version
            assert await engine.store_of(DOMAIN).transact(threads.body) == "MainThread"
            assert threads.runs == [("fogbank-warm", b"old"), ("loop", b"new")]
            assert engine.figures().version == version + 1

            async def look(tr: Transaction) -> bytes | None:
                return await tr.get(key("b"))

            assert await engine.store_of(DOMAIN).read(look) == b"MainThread"

    asyncio.run(scene())


def test_a_reading_runs_in_a_thread_first_too(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            before = engine.figures().first_runs
            names = []

            async def look(tr: Transaction) -> None:
                names.append(threading.current_thread().name.split("_")[0])
                assert await tr.range(key(""), key("z"), limit=10) == []
                with pytest.raises(AssertionError, match="only reads"):
                    tr.put(key("a"), b"x")

            await engine.store_of(DOMAIN).read(look)
            assert names == ["fogbank-warm", "MainThread"]
            assert engine.figures().first_runs == before + 1

    asyncio.run(scene())


def test_a_store_whose_file_fits_into_memory_runs_bodies_once(open_engine: Opener) -> None:
    async def scene() -> None:
        for settings in ({}, {"warm_above_bytes": 1 << 40}):
            async with open_engine(**settings) as engine:
                threads = Threads()
                await engine.store_of(DOMAIN).transact(threads.body)
                assert [run[0] for run in threads.runs] == ["loop"]
                assert engine.figures().first_runs == 0

    asyncio.run(scene())


def test_a_file_that_grows_beyond_memory_is_noticed_with_the_checkpoint_that_made_it(
    open_engine: Opener,
) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=1 << 40) as engine:
            warming = engine._core.warming
            warming._above_bytes = engine.figures().file_bytes
            for number in range(10):
                await put(engine, f"row {number}", bytes(4_000))
            assert not warming.is_on
            await settled(engine)
            assert warming.is_on
            threads = Threads()
            await engine.store_of(DOMAIN).transact(threads.body)
            assert [run[0] for run in threads.runs] == ["fogbank-warm", "loop"]

    asyncio.run(scene())


class Fault(Exception):
    """A body's own."""


async def in_the_thread_only(tr: Transaction) -> int:
    """Fail in a thread."""
    tr.put(key("a"), b"1")
    if threading.current_thread() is not threading.main_thread():
        raise Fault
    return 7


def test_a_first_run_that_fails_does_no_harm(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            assert await engine.store_of(DOMAIN).transact(in_the_thread_only) == 7

    asyncio.run(scene())


def test_what_a_body_raises_on_the_loop_is_what_its_caller_hears(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:

            async def fails(tr: Transaction) -> None:
                del tr
                raise Fault(threading.current_thread().name)

            async def suspends(tr: Transaction) -> None:
                del tr
                await asyncio.sleep(0)

            store = engine.store_of(DOMAIN)
            with pytest.raises(Fault, match="MainThread"):
                await store.transact(fails)
            with pytest.raises(BodySuspendedError):
                await store.read(suspends)

    asyncio.run(scene())


def test_a_first_run_that_never_ends_is_ended(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            reads = 0

            async def insists(tr: Transaction) -> None:
                nonlocal reads
                while threading.current_thread() is not threading.main_thread():
                    reads += 1
                    if reads % 2:
                        await tr.get(key("a"))
                    else:
                        await tr.range(key("a"), key("b"), limit=1)

            await engine.store_of(DOMAIN).transact(insists)
            assert reads == READS_MAX + 1

    asyncio.run(scene())


class Later(Executor):
    """Runs what it is given when it is told to, in this thread."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []
        self.has_both = asyncio.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        self.jobs.append(lambda: done.set_result(fn(*args, **kwargs)))
        if len(self.jobs) == 2:
            self.has_both.set()
        return done


def test_other_bodies_run_while_one_waits_for_the_disk(open_engine: Opener) -> None:
    """The first runs of two bodies are under way at once, and neither is on the loop."""

    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            warming, later = engine._core.warming, Later()
            real, warming._executor = warming._executor, later
            order: list[str] = []

            def noting(name: str) -> Callable[[Transaction], Any]:
                async def body(tr: Transaction) -> None:
                    del tr
                    order.append(name)

                return body

            async with asyncio.TaskGroup() as group:
                store = engine.store_of(DOMAIN)
                group.create_task(store.transact(noting("cold")))
                is_hot = group.create_task(store.transact(noting("hot")))
                await later.has_both.wait()
                assert order == []
                cold, hot = later.jobs
                hot()
                await is_hot
                assert order == ["hot", "hot"]
                cold()
            assert order == ["hot", "hot", "cold", "cold"]
            warming._executor = real

    asyncio.run(scene())


def test_a_closed_store_takes_nothing_and_its_threads_are_gone(open_engine: Opener) -> None:
    async def scene() -> None:
        async with open_engine(warm_above_bytes=0) as engine:
            await put(engine, "a", b"x")
        with pytest.raises(Unavailable):
            await put(engine, "a", b"y")
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if name.startswith("fogbank-warm")]

    asyncio.run(scene())


def test_only_a_file_above_its_bound_asks_for_first_runs() -> None:
    size = 100

    def warming(above: int | None) -> Warming:
        env: Any = None
        return Warming(env, env, lambda: 0, lambda: size, above)

    assert [warming(above).is_on for above in (None, 99, 100, 101)] == [False, True, False, False]
    growing = warming(100)
    size = 101
    assert not growing.is_on
    growing.measure()
    assert growing.is_on
