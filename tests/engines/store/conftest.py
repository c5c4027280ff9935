"""Every test here runs on every engine: add one line to ``ENGINES`` for another."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fogbank.base.ids import Ids
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.engines.memory import MemoryEngine
from fogbank.engines.remote.owner import StoreOwner
from fogbank.engines.remote.store import Remote
from fogbank.engines.simulated import Faults, SimulatedEngine
from fogbank.platform.crypto.secret import Secret
from fogbank.platform.link.answerer import Answerer
from fogbank.platform.link.caller import Line, dialling
from fogbank.platform.store.engine import SYSTEM, Store
from fogbank.testing.clock import VirtualClock

Opener = Callable[[], AbstractAsyncContextManager[Any]]
# Small segments, so that tests with many writes go through rotations and checkpoints too.
SMALL = Settings(segment_bytes=1 << 20, generation_keys_max=2_000, chunk_keys=50)

SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)


@asynccontextmanager
async def open_memory(_: Path, clock: VirtualClock) -> AsyncIterator[MemoryEngine]:
    yield MemoryEngine(clock=clock)


@asynccontextmanager
async def open_replaying(_: Path, clock: VirtualClock) -> AsyncIterator[MemoryEngine]:
    yield MemoryEngine(replay=True, clock=clock)


@asynccontextmanager
async def open_simulated(_: Path, clock: VirtualClock) -> AsyncIterator[SimulatedEngine]:
    engine = SimulatedEngine(clock=clock, chance=random.Random(1).random)
    engine.faults = Faults(turns_max=4)  # syncs of different lengths, and no failures
    yield engine


@asynccontextmanager
async def open_embedded(path: Path, clock: VirtualClock) -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.open(path, clock=clock, settings=SMALL)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def open_encrypted(path: Path, clock: VirtualClock) -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.open(path, clock=clock, settings=SMALL, encryption=SEALED)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def open_warming(path: Path, clock: VirtualClock) -> AsyncIterator[EmbeddedEngine]:
    settings = msgspec.structs.replace(SMALL, warm_above_bytes=0)
    engine = await EmbeddedEngine.open(path, clock=clock, settings=settings, encryption=SEALED)
    try:
        yield engine
    finally:
        await engine.close()


class Elsewhere:
    """An engine whose stores are reached over a link; its blobs are its own."""

    def __init__(self, engine: Any, remote: Remote) -> None:
        self.blobs = engine.blobs
        self.store_of = remote.store_of

    def system_stores(self) -> tuple[Store, ...]:
        """Return the owner's store, seen through its system subspaces."""
        return (self.store_of(SYSTEM),)


@asynccontextmanager
async def elsewhere(engine: Any, path: Path, clock: VirtualClock) -> AsyncIterator[Elsewhere]:
    """Put a socket between an engine and its callers."""
    listening = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    listening.bind(f"/proc/self/fd/{folder}/link")
    line = Line(dialling("link", folder), clock)
    async with asyncio.TaskGroup() as group:
        handlers = StoreOwner(engine, lambda _: True).handlers()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Answerer(handlers, group), sock=listening
        )
        remote = Remote(line, clock, group)
        try:
            yield Elsewhere(engine, remote)
        finally:
            remote.close()
            line.close()
            server.close()
            await asyncio.sleep(0)
            os.close(folder)


@asynccontextmanager
async def open_remote(path: Path, clock: VirtualClock) -> AsyncIterator[Elsewhere]:
    async with open_embedded(path, clock) as engine, elsewhere(engine, path, clock) as remote:
        yield remote


@asynccontextmanager
async def open_remote_replaying(path: Path, clock: VirtualClock) -> AsyncIterator[Elsewhere]:
    async with elsewhere(MemoryEngine(replay=True, clock=clock), path, clock) as remote:
        yield remote


ENGINES = {
    "memory": open_memory,
    "memory-replaying": open_replaying,
    "simulated": open_simulated,
    "embedded": open_embedded,
    "remote": open_remote,
    "remote-replaying": open_remote_replaying,
    "embedded-encrypted": open_encrypted,
    "embedded-warming": open_warming,
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
