"""A start from the pool is a sandbox like any other; whatever becomes of a stem, a start works."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import LEVELS, Lab, descendants, lab_at

from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow
HOSTILE = {"index.js": "exports.handler = async (event, context) => eval(event.code)"}
LOOK = """
(() => {
  const fs = require("fs"), here = (path) => { try { return fs.readdirSync(path) } catch { return null } };
  const told = {cwd: process.cwd(), code: here("."), task: here("/var/task"), opt: here("/opt"), tmp: here("/tmp")};
  told.environ = fs.readFileSync("/proc/self/environ", "latin1");
  told.memory = fs.readFileSync("/proc/self/maps", "latin1").length > 0;
  told.processes = here("/proc").filter((name) => /^[0-9]+$/.test(name));
  told.argv = process.argv.slice(1).map((p) => require("path").basename(p));
  told.files = fs.readlinkSync("/proc/self/fd/3").startsWith("socket:");
  told.uid = fs.readFileSync("/proc/self/status", "latin1").match(/CapEff:\\s*(\\S+)[^]*NoNewPrivs:\\s*(\\d)\\nSeccomp:\\s*(\\d)/).slice(1);
  try { fs.writeFileSync("/var/task/x", "x"); told.wrote = true } catch (error) { told.wrote = error.code }
  told.own = Object.getOwnPropertyNames(globalThis).filter((name) => /rehears|muted|wait/.test(name));
  told.cached = Object.keys(require.cache).map((p) => require("path").basename(p));
  told.secret = JSON.stringify(process.env).includes("of-a");
  return told;
})()
"""


@pytest.fixture(scope="module", params=LEVELS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param, {"stems_max": 2, "processes_max": 64}, slim=True)
    yield made
    made.close()


def until(lab: Lab, condition: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last
        lab.run(asyncio.sleep(0.01))


def start(lab: Lab, files: dict[str, str] | None = None, **values: Any) -> Sandbox:
    values = {"memory_mb": 160, **values}
    runtime = next(name for name in lab.runtime.runtimes() if name.startswith("nodejs"))
    return lab.start(files or HOSTILE, handler="index.handler", runtime=runtime, **values)


def waiting(lab: Lab) -> list[int]:
    """Return the processes of this machine that wait for a function."""
    found: list[int] = []
    for pid in descendants(lab.daemon_pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"node.cjs\0stem\0"):
                found.append(pid)
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process has not ended, collected or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def fill(lab: Lab) -> None:
    """Have a stem wait for a function."""
    if lab.runtime.status()["stems"] == 0:
        lab.end(start(lab))
        until(lab, lambda: lab.runtime.status()["stems"] != 0)


def test_what_waits_has_seen_nothing_of_any_function_and_becomes_one_sandbox_once(
    lab: Lab,
) -> None:
    before = start(lab, environment={"SECRET": "of-a"}, function_name="before", key="KEY-of-a")
    lab.invoke(before, {"code": "require('fs').writeFileSync('/tmp/left', 'of-a')"})
    until(lab, lambda: lab.runtime.status()["stems"] == 1)
    [pid] = set(waiting(lab)) - {getattr(before, "pid", 0)}
    inside = Path(f"/proc/{pid}/root")
    assert b"of-a" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"KEY" not in Path(f"/proc/{pid}/environ").read_bytes()
    if os.getuid() == 0:
        assert os.listdir(inside / "var/task") == ["code"]  # a place, and nothing in it
        assert os.listdir(inside / "var/task/code") == os.listdir(inside / "tmp") == []
    layers = lab.code({"lib/layer.txt": "of-b"})
    sandbox = start(
        lab, {**HOSTILE, "only.txt": "of-b"}, environment={"COLOUR": "blue"}, layers_dir=layers
    )
    outcome = lab.invoke(sandbox, {"code": LOOK})
    assert outcome.ending is Ending.RETURNED, outcome
    told = json.loads(outcome.payload)
    assert "of-a" not in told.pop("environ")
    assert told == {
        "cwd": "/var/task",
        "code": ["index.js", "only.txt"],
        "task": ["index.js", "only.txt"],
        "opt": ["lib"],
        "tmp": [],
        "memory": True,
        "processes": ["1"],
        "argv": ["node.cjs"],
        "files": True,
        "uid": ["0000000000000000", "1", "2"],
        "wrote": "EROFS",
        "own": [],
        "cached": ["node.cjs", "index.js"],
        "secret": False,
    }
    assert Path(f"/proc/{pid}").exists()  # it was that one, and no other
    lab.end(before)
    lab.end(sandbox)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("code", "ending", "words"),
    [
        (
            "Array.from({length: 400}, () => Buffer.alloc(1 << 20, 1)).length",
            "out of memory",
            "killed",
        ),
        ("require('fs').writeFileSync('/tmp/big', Buffer.alloc(12 << 20)), 1", "raised", "EFBIG"),
        ("new Promise((done) => setTimeout(done, 60000))", "timed out", "timed out after"),
    ],
)
def test_the_limits_are_those_of_the_function(lab: Lab, code: str, ending: str, words: str) -> None:
    fill(lab)
    stems = set(waiting(lab))
    sandbox = start(lab, tmp_mb=10)
    assert stems & set(waiting(lab))  # it is one that waited
    outcome = lab.invoke(sandbox, {"code": code}, ms=1500 if ending == "timed out" else 10_000)
    assert outcome.ending.value == ending, outcome
    assert words in outcome.payload.decode()
    lab.end(sandbox)


def test_a_stem_that_dies_is_replaced_and_one_that_dies_as_it_is_taken_is_not_missed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers() -> set[int]:
        pools = lab.runtime._stock.stems._pools.values()
        return {stem.number for pool in pools for stem in pool.waiting}

    fill(lab)
    old = numbers()
    for pid in waiting(lab):
        os.kill(pid, signal.SIGKILL)
    until(lab, lambda: numbers() and not old & numbers())  # a dead one counts until it is told of
    take = lab.runtime._stock.stems.take

    def take_dead(kind: Any) -> Any:
        stem = take(kind)
        assert stem is not None
        for pid in waiting(lab):
            os.kill(pid, signal.SIGKILL)
            while is_alive(pid):
                pass
        return stem

    monkeypatch.setattr(lab.runtime._stock.stems, "take", take_dead)
    sandbox = start(lab)
    assert lab.invoke(sandbox, {"code": "1 + 1"}).payload == b"2"
    lab.end(sandbox)


def test_what_waits_ends_with_the_daemon_and_the_next_start_works(lab: Lab) -> None:
    fill(lab)
    left = waiting(lab)
    assert left
    os.kill(lab.daemon_pid, signal.SIGKILL)
    until(lab, lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    assert lab.work_again() == "works"
    fill(lab)
    sandbox = start(lab)
    assert lab.invoke(sandbox, {"code": "1 + 1"}).payload == b"2"
    lab.end(sandbox)


def test_what_nobody_asks_for_is_given_back() -> None:
    lab = lab_at(LEVELS[0], {"stems_max": 1, "stem_idle_ms": 300}, slim=True)
    lab.end(start(lab))
    until(lab, lambda: lab.runtime.status()["stems"] == 1)
    until(lab, lambda: lab.runtime.status()["stems"] == 0 and not waiting(lab))
    sandbox = start(lab)
    assert lab.invoke(sandbox, {"code": "1"}).payload == b"1"
    lab.end(sandbox)
    lab.close()
