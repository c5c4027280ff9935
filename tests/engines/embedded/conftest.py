"""Helpers for tests of the embedded engine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.embedded.checkpoint import Answer, Order, Target, answer_to
from fogbank.engines.embedded.keyfile import Encryption
from fogbank.engines.embedded.seal import RowSeals
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.engines.embedded.turnover import Settings
from fogbank.platform.crypto.secret import Secret

Opener = Callable[..., AbstractAsyncContextManager[EmbeddedEngine]]


class CheckpointerInThread:
    """Does a checkpointer's work without a process, so that small tests are quick."""

    pid = None

    def __init__(self, engine: EmbeddedEngine) -> None:
        opened = engine._opened
        self._root = opened.root
        # As a process of its own would, it has a row key of its own.
        self._target = Target(opened.env, opened.keys, RowSeals(opened.keys))

    def settle(self, order: Order) -> Answer:
        return answer_to(self._root, self._target, order)

    def close(self) -> None:
        pass


SEALED = Encryption(Secret("file", bytes(range(32))), Ids().random_bytes)


@asynccontextmanager
async def opened(
    path: Path, *, process: bool = False, encryption: Encryption = SEALED, **settings: Any
) -> AsyncIterator[EmbeddedEngine]:
    values = {"segment_bytes": 1 << 16, **settings}
    engine = await EmbeddedEngine.open(
        path, clock=SystemClock(), settings=Settings(**values), encryption=encryption
    )
    if not process:
        engine._core.turnover._checkpointer = CheckpointerInThread(engine)  # type: ignore[assignment]
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture(autouse=True)
def _patient_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers wait: a busy machine's disk does not keep up with tests that fill segments."""
    monkeypatch.setattr("fogbank.engines.embedded.gate.WAIT_S", 60.0)


@pytest.fixture
def open_engine(tmp_path: Path) -> Opener:
    """Open an embedded engine with small segments in the test's own directory."""
    return lambda **settings: opened(tmp_path / "store", **settings)
