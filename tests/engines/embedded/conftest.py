"""Helpers for tests of the embedded engine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.engines.embedded.checkpoint import Answer, Order, answer_to
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings

Opener = Callable[..., AbstractAsyncContextManager[EmbeddedEngine]]


class CheckpointerInThread:
    """Does a checkpointer's work without a process, so that small tests are quick."""

    pid = None

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._root = engine._opened.root
        self._env = engine._opened.env

    def settle(self, order: Order) -> Answer:
        return answer_to(self._root, self._env, order)

    def close(self) -> None:
        pass


@asynccontextmanager
async def opened(
    path: Path, *, process: bool = False, **settings: Any
) -> AsyncIterator[EmbeddedEngine]:
    values = {"segment_bytes": 1 << 16, **settings}
    engine = await EmbeddedEngine.open(path, clock=SystemClock(), settings=Settings(**values))
    if not process:
        engine._core.turnover._checkpointer = CheckpointerInThread(engine)  # type: ignore[assignment]
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture
def open_engine(tmp_path: Path) -> Opener:
    """Open an embedded engine with small segments in the test's own directory."""
    return lambda **settings: opened(tmp_path / "store", **settings)
