"""kill -9 of sandboxd before and after each step: nothing is left, the next call works.

The daemon dies at the step that its configuration names (no setting does). Where that is a step of
a zygote or a sandbox, the kernel kills the daemon there, and who reached it goes on when it is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.engines.sandbox.conftest import (
    LEVELS,
    PORT,
    WALLED,
    Lab,
    descendants,
    groups_left,
    lab_at,
)

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.daemon import cgroups
from fogbank.engines.sandbox.daemon.steps import INSIDE, STEPS
from fogbank.engines.sandbox.launch import config_of
from fogbank.engines.sandbox.settings import SandboxSettings

ZYGOTE = ("sandbox.inside.zygote", f'"port": {PORT}')
ONLY_WITH_NAMESPACES = {
    *("map zygote", "open zygote's gate"),
    *("build root", "enter namespaces", "mount", "open endpoint"),
    *("bind", "hear of function", "attach"),
}
OF_STEMS = {"bind", "hear of function", "attach"}
ONLY_WITH_WALLS = {"raise walls"}
NEVER_OVER = {"execute zygote:after"}
CASES = [
    (level, f"{step}:{side}")
    for level in (LEVELS[0], WALLED[-1])
    for step in STEPS + INSIDE
    for side in ("before", "after")
    if level in LEVELS or step not in ONLY_WITH_NAMESPACES
    if level in WALLED or step not in ONLY_WITH_WALLS
    if f"{step}:{side}" not in NEVER_OVER
]
DAEMONISE = """
import os, tempfile
tempfile.mkstemp()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(8):
            try: os.close(fd)
            except OSError: pass
        os.execv('/bin/sleep', ['/bin/sleep', event['mark']])
    os._exit(0)
answer = 1
"""


def eventually(nothing: Callable[[], list[str]]) -> list[str]:
    """Return what is still there after a time."""
    until = time.monotonic() + 60
    while (found := nothing()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def processes(*marks: str) -> list[str]:
    """Return the living processes whose command line has all marks."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_text(errors="replace") if entry.name.isdigit() else ""
            if not all(mark in line for mark in marks):
                continue
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(f"process {entry.name}")
    return found


def strays(daemon: int) -> list[str]:
    """Return zygotes and sandboxes of this run that are not the living daemon's."""
    mine = descendants(daemon)
    return [p for p in processes(*ZYGOTE) if int(p.removeprefix("process ")) not in mine]


def left_of(folder: Path, daemon: int) -> list[str]:
    """Return the groups, directories and mounts that carry a dead daemon's tag."""
    tag = f"{cgroups.PREFIX}{daemon}-"
    found = groups_left(tag)
    found += [str(path) for path in (folder / "work").glob(f"{tag}*")]
    mounted = str(folder) in Path("/proc/self/mountinfo").read_text()
    return [*found, *(["a mount"] if mounted else [])]


def live(lab: Lab, mark: str) -> None:
    """Start, invoke, freeze, thaw and end one sandbox that leaves a daemon of its own behind."""
    sandbox = lab.start()
    lab.invoke(sandbox, {"code": DAEMONISE, "mark": mark})
    sandbox.rest.freeze()
    lab.run(sandbox.meter.measure())
    lab.invoke(sandbox, {"code": "answer = 1"})
    lab.end(sandbox)


def live_from_the_pool(lab: Lab) -> None:
    """Start a runtime until one is bound to its function that had waited."""
    runtime = next(name for name in lab.runtime.runtimes() if name.startswith("nodejs"))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        code = {"index.js": "exports.handler = async () => 1"}
        lab.end(lab.start(code, handler="index.handler", runtime=runtime))
        while lab.runtime.status()["stems"] == 0 and time.monotonic() < until:
            lab.run(asyncio.sleep(0.01))


def open_and_die(level: str, point: str, folder: Path, mark: str) -> tuple[Lab | None, int]:
    """Live until the daemon has died at its step; return the lab, if it came so far."""
    lab: Lab | None = None
    daemons: list[int] = []
    with contextlib.suppress(Unavailable):
        stems = point.partition(":")[0] in OF_STEMS
        given = {"stems_max": int(stems)}
        lab = Lab(level, given, deadly_step=point, folder=folder, daemons=daemons, slim=True)
        live_from_the_pool(lab) if stems else live(lab, mark)
    if lab is not None and point.startswith("close"):
        lab.close(keep=True)
        lab = None
    return lab, daemons[0]


@cache
def have(level: str) -> None:
    """Skip the test where this machine cannot have a level."""
    lab_at(level, slim=True).close()


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize(("level", "point"), CASES)
def test_a_daemon_killed_at_a_step_leaves_nothing_and_the_next_call_works(
    level: str, point: str
) -> None:
    have(level)
    before = set(groups_left(cgroups.PREFIX))  # process ids come again
    descriptors = len(os.listdir("/proc/self/fd"))
    folder = Path(tempfile.mkdtemp(prefix="fogbank-lab-", dir="/tmp"))
    mark = f"9{os.getpid()}{CASES.index((level, point)):03}"
    lab, daemon = open_and_die(level, point, folder, mark)
    lab = lab or Lab(level, folder=folder, slim=True)
    assert lab.work_again() == "works"
    if lab.endings:
        assert lab.endings[0] == -signal.SIGKILL, "the step was never passed"
    assert eventually(lambda: sorted(set(left_of(folder, daemon)) - before)) == []
    assert eventually(lambda: processes(f"/bin/sleep\0{mark}")) == []
    assert eventually(lambda: strays(lab.daemon_pid)) == []
    lab.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    shutil.rmtree(folder, ignore_errors=True)


def test_no_setting_makes_a_step_deadly(tmp_path: Path) -> None:
    assert config_of(tmp_path, 1, SandboxSettings()).deadly_step == ""
    assert "deadly_step" not in SandboxSettings.__struct_fields__
