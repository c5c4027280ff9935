"""A server that does nothing, and how soon one is there: memory, processor time, starts."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from load import Target, memory_mb

from fogbank.testing.server import Server

STARTS = 3
HELPS = 7
QUIET_S = 3.0


def measured(server: Server, seconds: float) -> dict[str, float]:
    """Measure a server that was started once and stopped; it runs afterwards.

    Args:
        server: It does not run.
        seconds: How long it is watched doing nothing.
    """
    starts = []
    for _ in range(STARTS):
        began = time.perf_counter()
        server.start()
        starts.append(time.perf_counter() - began)
        server.stop()
    server.start()
    time.sleep(QUIET_S)
    before = ran_ms(server)
    time.sleep(seconds)
    return {
        "warm_ready_s": statistics.median(starts),
        "idle_cpu_ms_per_second": (ran_ms(server) - before) / seconds,
        "idle_memory_mb": memory_mb(server),
        "help_ms": statistics.median(_help_ms() for _ in range(HELPS)),
    }


def ran_ms(target: Target) -> float:
    """Return the milliseconds that all threads of a server have run, finer than a tick."""
    total = 0
    for pid in target.processes():
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total / 1e6


def _help_ms() -> float:
    """Return the milliseconds of ``fogbank --help``."""
    began = time.perf_counter()
    command = Path(sys.executable).with_name("fogbank")
    subprocess.run([command, "--help"], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1e3
