"""Kill -9 under load: what was acknowledged is there, and nothing is there in part."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.engines.embedded.check import check
from fogbank.engines.embedded.store import EmbeddedEngine
from fogbank.platform.store.engine import SYSTEM, Stamp, Transaction

STORING = Path(__file__).with_name("storing.py")


def load_storing() -> Any:
    spec = importlib.util.spec_from_file_location("storing", STORING)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


storing = load_storing()


@contextmanager
def load(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the load; it is dead when this ends."""
    with subprocess.Popen(
        [sys.executable, str(STORING), str(folder)], stdout=subprocess.PIPE, bufsize=1 << 20
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: subprocess.Popen[bytes], seconds: float) -> dict[int, int]:
    """Read acknowledgements, kill the process after so many seconds, read the rest."""
    last: dict[int, int] = {}
    assert process.stdout is not None
    stop = 0.0
    for line in process.stdout:
        if not line.endswith(b"\n"):
            break
        writer, count = map(int, line.split())
        last[writer] = count
        if stop == 0.0:
            # The time runs from the first answer: a start may be slow on a busy machine.
            stop = time.monotonic() + seconds
        elif time.monotonic() > stop:
            process.send_signal(signal.SIGKILL)
    return last


async def contents(folder: Path) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Return the rows and the appended entries of a store, after a start."""
    engine = await EmbeddedEngine.open(
        folder, clock=SystemClock(), settings=storing.SETTINGS, encryption=storing.SEALED
    )
    try:

        async def rows(tr: Transaction) -> list[tuple[bytes, bytes]]:
            return await tr.range(storing.P, storing.P + b"\xff", limit=10_000)

        found = dict(await engine.store_of(storing.DOMAIN).read(rows))
        entries: list[tuple[Stamp, bytes]] = []
        while page := await engine.store_of(SYSTEM).tail(
            storing.BOX, entries[-1][0] if entries else None, 1_000
        ):
            entries += page
        return found, [value for _, value in entries]
    finally:
        await engine.close()


def verify(folder: Path, last: dict[int, int]) -> None:
    """Compare a store with what it acknowledged."""
    rows, entries = asyncio.run(contents(folder))
    told: dict[int, list[int]] = {}
    for raw in entries:
        writer, count = map(int, raw.split())
        told.setdefault(writer, []).append(count)
    for writer in range(storing.WRITERS):
        count = int(rows.get(storing.P + b"a%d" % writer, b"0"))
        # The one transaction that was under way may have been made durable and not answered.
        assert count - last.get(writer, count) in (0, 1), (writer, count, last)
        assert int(rows.get(storing.P + b"z%d" % writer, b"0")) == count
        assert told.get(writer, []) == list(range(1, count + 1))
        expected = {
            storing.P + b"m%d-%d" % (writer, n): b"%d" % n + b"v" * (n * 37 % 900)
            for n in range(max(1, count - 19), count + 1)
        }
        assert {k: v for k, v in rows.items() if k.startswith(storing.P + b"m%d-" % writer)} == (
            expected
        )


@pytest.mark.slow
@pytest.mark.crash
def test_what_a_killed_store_acknowledged_is_there(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    seed = int.from_bytes(os.urandom(4)) if soak else 7
    sys.stdout.write(f"seed {seed}\n")
    draw = random.Random(seed)
    folder = tmp_path / "store"
    for _ in range(100 if soak else 3):
        with load(folder) as process:
            last = acknowledged(process, draw.uniform(0.05, 0.8))
        assert len(last) == storing.WRITERS
        assert check(folder, storing.SEALED) == []
        verify(folder, last)
    assert check(folder, storing.SEALED) == []


@pytest.mark.slow
@pytest.mark.crash
def test_a_store_whose_start_is_killed_starts_again(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    draw = random.Random(11)
    folder = tmp_path / "store"
    with load(folder) as process:
        last = acknowledged(process, 0.4)
    for _ in range(60 if soak else 4):
        with load(folder) as process:
            time.sleep(draw.uniform(0.05, 0.3))
        assert check(folder, storing.SEALED) == []
    verify(folder, {})
    rows, _ = asyncio.run(contents(folder))
    for writer, count in last.items():
        assert int(rows[storing.P + b"a%d" % writer]) >= count


def checkpointer_of(process: subprocess.Popen[bytes]) -> int | None:
    """The thread that started it is its parent, so look at all of them."""
    found: list[int] = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found[0] if found else None


def is_running(pid: int) -> bool:
    """A dead process whose new parent has not collected it yet does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.crash
def test_a_checkpointer_dies_with_its_store(tmp_path: Path) -> None:
    with load(tmp_path / "store") as process:
        assert process.stdout is not None
        child = None
        while child is None:
            process.stdout.readline()
            child = checkpointer_of(process)
    for _ in range(200):
        if not is_running(child):
            break
        time.sleep(0.01)
    assert not is_running(child)
    verify(tmp_path / "store", {})
