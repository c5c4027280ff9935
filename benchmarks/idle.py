"""A server that does nothing, and how soon one is there: memory, processor time, starts.

``make bench-idle``. Also how long it takes from a kill of the supervisor alone until nothing of the
server is left, and from there until the next one serves.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import record
from load import Target, memory_mb, pss_kb, unwind_on_sigterm
from verdict import not_kept, verdicts

from fogbank.testing.server import Server

STARTS = 5
HELPS = 7
QUIET_S = 3.0
GONE_S_MAX = 30.0
PROMISES = {
    "idle_memory_mb": "<= 150",
    "idle_cpu_ms_per_second": "<= 1",
    "warm_ready_s": "<= 1",
    "help_ms": "<= 150",
    "gone_s_after_supervisor": "<= 1",
}
ROLES = {
    "fogbank.server.process": "store process",
    "fogbank.server.front": "front",
    "fogbank.engines.sandbox.daemon": "sandboxd",
    "fogbank.engines.sandbox.inside": "zygotes and spares",
    "fogbank.engines.embedded": "checkpointer",
}


def as_installed(folder: Path) -> dict[str, str]:
    """Return variables under which modules are compiled once, as an installation has them."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def measured(server: Server, variables: Mapping[str, str], seconds: float) -> dict[str, float]:
    """Measure a server that was started once and stopped; it runs afterwards.

    Args:
        server: It does not run.
        variables: Its own.
        seconds: How long it is watched doing nothing.
    """
    starts, used = zip(*(_start(server) for _ in range(STARTS)), strict=True)
    gone, again = zip(*(_killed(server) for _ in range(STARTS)), strict=True)
    server.start()
    time.sleep(QUIET_S)
    before = ran_ms(server)
    time.sleep(seconds)
    return {
        "warm_ready_s": statistics.median(starts),
        "warm_ready_cpu_ms": statistics.median(used),
        "gone_s_after_supervisor": statistics.median(gone),
        "ready_s_after_supervisor": statistics.median(again),
        "idle_cpu_ms_per_second": (ran_ms(server) - before) / seconds,
        "idle_memory_mb": memory_mb(server),
        "help_ms": statistics.median(_help_ms(variables) for _ in range(HELPS)),
    }


def _start(server: Server) -> tuple[float, float]:
    """Start and stop a server; return seconds until it was ready, and milliseconds it ran."""
    began = time.perf_counter()
    server.start()
    took = time.perf_counter() - began
    used = ran_ms(server)
    server.stop()
    return took, used


def _killed(server: Server) -> tuple[float, float]:
    """Kill the supervisor of a new server; return when all was gone, and when the next served."""
    server.start()
    left = list(server.processes())
    began = time.perf_counter()
    os.kill(server.pid, signal.SIGKILL)
    server.kill()  # it is dead; this buries it
    while any(_lives(pid) for pid in left):
        if time.perf_counter() - began > GONE_S_MAX:
            raise TimeoutError("processes outlive their supervisor")
        time.sleep(0.002)
    gone = time.perf_counter() - began
    began = time.perf_counter()
    server.start()
    took = time.perf_counter() - began
    server.stop()
    return gone, took


def _lives(pid: int) -> bool:
    """Return whether a process runs, or waits to be buried with its memory still there."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def ran_ms(target: Target) -> float:
    """Return the milliseconds that all threads of a server have run, finer than a tick."""
    return sum(_ran_ms_of(pid) for pid in target.processes())


def _ran_ms_of(pid: int) -> float:
    """Return the milliseconds that the threads of a process have run."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except OSError:
            continue
    return total / 1e6


def _help_ms(variables: Mapping[str, str]) -> float:
    """Return the milliseconds of ``fogbank --help``."""
    began = time.perf_counter()
    command = Path(sys.executable).with_name("fogbank")
    environment = {**os.environ, **variables}
    subprocess.run([command, "--help"], check=True, capture_output=True, env=environment)
    return (time.perf_counter() - began) * 1e3


def by_process(server: Server, seconds: float) -> record.Table:
    """Return the memory of each kind of process of a server, and what it runs while idle."""
    before = {pid: _ran_ms_of(pid) for pid in server.processes()}
    time.sleep(seconds)
    found: dict[str, list[tuple[int, float]]] = {}
    for pid, command in server.processes().items():
        role = next((role for part, role in ROLES.items() if part in command), command)
        ran = (_ran_ms_of(pid) - before.get(pid, 0.0)) / seconds
        found.setdefault(role, []).append((pss_kb(pid), ran))
    rows = [
        [
            role,
            str(len(each)),
            f"{sum(kb for kb, _ in each) / 1024:.1f}",
            f"{sum(ran for _, ran in each):.2f}",
        ]
        for role, each in found.items()
    ]
    return record.Table("Processes", ["process", "number", "PSS, MB", "ms a second"], rows)


def main() -> int:
    """Measure, print the table, write the figures."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, help="instead of 10, and then nothing is written")
    given = parser.parse_args()
    seconds = given.seconds or 10.0
    with tempfile.TemporaryDirectory(prefix="bench-idle-", dir=Path.cwd()) as folder:
        Path(folder).chmod(0o755)
        variables = as_installed(Path(folder, "bytecode"))
        with Server(Path(folder) / "data", variables=variables) as server:
            server.stop()
            found = measured(server, variables, seconds)
            table = by_process(server, seconds)
    figures = {name: float(f"{value:.4g}") for name, value in found.items()}
    judged = verdicts(figures, PROMISES)
    print("\n".join(each.text() for each in judged))
    print("\n".join("  ".join(row) for row in (table.columns, *table.rows)))
    missed = not_kept(judged, PROMISES)
    if given.seconds is None:
        path = record.write(
            "idle", "make bench-idle", figures, failures=missed, promises=PROMISES, tables=[table]
        )
        print(f"written to {path.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
