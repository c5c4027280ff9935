"""What a function's cold start and warm invocation cost on this machine, through the port.

    python benchmarks/sandbox.py [--runs 50] [--level 1|2|4]

Prints medians and 99th percentiles in milliseconds, and the ratio of each to the floor of its
kind (a fork that exits; a byte to another process and back), so that a busy machine is seen.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import importlib.util
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from fogbank.base.clock import SystemClock
from fogbank.base.ids import Ids
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import Credentials, Level, Outcome, SandboxSpec

PAUSE_S = 0.05
ACCOUNT = "123456789012"
HANDLERS = {
    "plain": "def handler(event, context):\n    return {'ok': True}\n",
    "printing": "def handler(event, context):\n    print('hello', event)\n    return {'ok': True}\n",
    "clients": (
        "import boto3\ns3 = boto3.client('s3')\ndynamodb = boto3.client('dynamodb')\n"
        "def handler(event, context):\n    return {'ok': True}\n"
    ),
    "thumbnail": (
        "import io\nimport boto3\nfrom PIL import Image\n"
        "s3 = boto3.client('s3')\ntable = boto3.resource('dynamodb').Table('t')\n"
        "def handler(event, context):\n"
        "    out = io.BytesIO()\n    Image.new('RGB', (64, 64)).save(out, 'PNG')\n"
        "    return {'bytes': len(out.getvalue())}\n"
    ),
}


def write_code(folder: Path) -> None:
    """Unpack and compile the functions, as a deployment does."""
    for name, text in HANDLERS.items():
        code = folder / name
        code.mkdir()
        (code / "app.py").write_text(text)
        if name == "thumbnail":
            spec = importlib.util.find_spec("PIL")
            assert spec is not None
            assert spec.origin is not None
            pillow = Path(spec.origin).parent
            shutil.copytree(pillow, code / "PIL")
            shutil.copytree(pillow.parent / "pillow.libs", code / "pillow.libs")
        compileall.compile_dir(code, quiet=1)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | 0o555 if path.is_dir() else 0o755)


def report(name: str, seconds: list[float], floor: float) -> None:
    """Print one row."""
    ms = sorted(value * 1000 for value in seconds)
    median, high = statistics.median(ms), ms[int(len(ms) * 0.99) - 1]
    print(f"{name:34} {median:8.3f} {high:8.3f} {median / floor:8.1f}")


def fork_floor(runs: int) -> float:
    """Return the median milliseconds of a fork of this process that exits at once."""
    seconds: list[float] = []
    for _ in range(runs):
        begin = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        seconds.append(time.perf_counter() - begin)
    report("floor: fork, exit, wait", seconds, statistics.median(seconds) * 1000)
    return statistics.median(seconds) * 1000


def echo_floor(runs: int) -> float:
    """Return the median milliseconds of a byte to another process and back."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while byte := theirs.recv(1):
            theirs.send(byte)
        os._exit(0)
    theirs.close()
    seconds: list[float] = []
    for _ in range(runs):
        begin = time.perf_counter()
        ours.send(b"x")
        ours.recv(1)
        seconds.append(time.perf_counter() - begin)
    ours.close()
    os.waitpid(pid, 0)
    report("floor: a byte there and back", seconds, statistics.median(seconds) * 1000)
    return statistics.median(seconds) * 1000


async def timed(runs: int, work: Callable[[], Awaitable[object]]) -> list[float]:
    """Return how long each run took."""
    seconds: list[float] = []
    for _ in range(runs):
        begin = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - begin)
    return seconds


class Bench:
    """The workloads over one runtime."""

    def __init__(self, runtime: SandboxRuntime, folder: Path, clock: SystemClock) -> None:
        self._runtime = runtime
        self._folder = folder
        self._clock = clock
        self._credentials = Credentials(
            access_key_id="AKIA",
            secret_access_key="secret",
            session_token="token",
            expires_ms=clock.now_ms() + 3_600_000,
        )

    def _spec(self, name: str) -> SandboxSpec:
        return SandboxSpec(
            account=ACCOUNT,
            function_arn=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
            function_name=name,
            version="$LATEST",
            revision="1",
            runtime=next(iter(self._runtime.runtimes())),
            handler="app.handler",
            code_dir=str(self._folder / name),
            environment={},
            memory_mb=512,
            timeout_ms=3000,
        )

    async def cold(self, name: str, runs: int, floor: float, pause_s: float = 0.0) -> None:
        """Measure request to first answer in a fresh environment, and what ending it takes.

        With a pause before each start, the zygote has had time to fork one ahead.
        """
        ends: list[float] = []
        seconds: list[float] = []
        for _ in range(runs):
            await asyncio.sleep(pause_s)
            begin = time.perf_counter()
            sandbox = await self._runtime.start(
                self._spec(name), self._credentials, lambda _, __: None
            )
            assert sandbox.init.error is None, sandbox.init.error
            outcome = await self._invoke(sandbox)
            seconds.append(time.perf_counter() - begin)
            assert outcome.ending.value == "returned", outcome
            begin = time.perf_counter()
            await sandbox.close()
            ends.append(time.perf_counter() - begin)
        report(f"cold: {name}{', forked ahead' if pause_s else ''}", seconds, floor)
        report(f"  and its end: {name}", ends, floor)

    async def _invoke(self, sandbox: object) -> Outcome:
        now = self._clock.now_ms()
        return await sandbox.invoke("r", b'{"x": 1}', now + 3000, {})  # type: ignore[attr-defined]

    async def warm(self, name: str, runs: int, floor: float) -> None:
        """Measure invocations of a living environment."""
        sandbox = await self._runtime.start(self._spec(name), self._credentials, lambda _, __: None)
        report(f"warm: {name}", await timed(runs, lambda: self._invoke(sandbox)), floor)
        await sandbox.close()

    async def rate(self, seconds: float) -> None:
        """Measure cold starts a second, two at a time."""
        count = 0
        until = time.perf_counter() + seconds

        async def one() -> None:
            nonlocal count
            while time.perf_counter() < until:
                sandbox = await self._runtime.start(
                    self._spec("plain"), self._credentials, lambda _, __: None
                )
                await self._invoke(sandbox)
                await sandbox.close()
                count += 1

        await asyncio.gather(one(), one())
        print(f"{'whole lives a second, two at once':34} {count / seconds:8.0f}")


async def run(runs: int, level: int, folder: Path) -> None:
    """Measure everything."""
    clock = SystemClock()
    write_code(folder)
    settings = SandboxSettings(level_forced=Level(level) if level else None)
    runtime = await SandboxRuntime.open(
        folder / "work", clock=clock, ids=Ids(), endpoint_port=4566, settings=settings
    )
    print(f"level {runtime.level.name}; load {os.getloadavg()[0]:.1f}")
    print(f"{'milliseconds':34} {'p50':>8} {'p99':>8} {'x floor':>8}")
    fork, echo = fork_floor(runs), echo_floor(20 * runs)
    bench = Bench(runtime, folder, clock)
    try:
        begin = time.perf_counter()
        await bench.cold("plain", 1, fork)
        print(f"{'(of it, waiting for a warm zygote)':34} {time.perf_counter() - begin:8.2f} s")
        await asyncio.sleep(3)  # let the next spare zygote warm up
        for workload in HANDLERS:
            await bench.cold(workload, runs, fork, PAUSE_S)
            await bench.cold(workload, runs, fork)
        await bench.warm("plain", 20 * runs, echo)
        await bench.warm("printing", 20 * runs, echo)
        await bench.rate(3.0)
    finally:
        await runtime.close()


def main() -> None:
    """Measure on uvloop, as the server runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--level", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        uvloop.run(run(options.runs, options.level, Path(name)))


if __name__ == "__main__":
    main()
