"""Every test here runs on every engine: add one line to ``ENGINES`` for another."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.engines.memory import MemoryEngine
from fogbank.testing.clock import VirtualClock

Opener = Callable[[], AbstractAsyncContextManager[Any]]
# Small segments, so that tests with many writes go through rotations and checkpoints too.
SMALL = Settings(segment_bytes=1 << 20, generation_keys_max=2_000, chunk_keys=50)


@asynccontextmanager
async def open_memory(_: Path, clock: VirtualClock) -> AsyncIterator[MemoryEngine]:
    yield MemoryEngine(clock=clock)


@asynccontextmanager
async def open_replaying(_: Path, clock: VirtualClock) -> AsyncIterator[MemoryEngine]:
    yield MemoryEngine(replay=True, clock=clock)


@asynccontextmanager
async def open_embedded(path: Path, clock: VirtualClock) -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.open(path, clock=clock, settings=SMALL)
    try:
        yield engine
    finally:
        await engine.close()


ENGINES = {
    "memory": open_memory,
    "memory-replaying": open_replaying,
    "embedded": open_embedded,
}


@pytest.fixture
def clock() -> VirtualClock:
    """The engine's time."""
    return VirtualClock()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Opener:
    """What opens an engine; the test itself gets the open engine."""
    return lambda: ENGINES[request.param](tmp_path / "store", clock)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that are coroutines, inside the engine that they ask for."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    values = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> None:
        async with values["engine"]() as opened:
            await pyfuncitem.obj(**{**values, "engine": opened})

    asyncio.run(run())
    return True
