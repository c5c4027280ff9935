"""Control groups of version 2 by a real kernel, as far as a machine with version 1 has them.

Such a machine binds memory, cpu and pids to version 1: limits of version 2 are tested on a tree of
plain files (tests/unit/engines/sandbox/test_cgroups.py). Here are the kernel's rules for entering,
handing down, killing and removing, which are the same for every controller.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fogbank.engines.sandbox.daemon import cgroups

pytestmark = pytest.mark.slow


def hierarchy() -> Path | None:
    """Return where version 2 is mounted with a controller to hand down, if we may write there."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split(" ")
        path = Path(point)
        usable = kind == "cgroup2" and os.access(point, os.W_OK)
        if usable and (path / "cgroup.controllers").read_text().split():
            return path
    return None


POINT = hierarchy()
needs_version_2 = pytest.mark.skipif(
    POINT is None, reason="the full level needs root and a control group"
)


def eventually(what: str, done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of this test's own, as a service manager delegates one."""
    assert POINT is not None
    made = POINT / f"test-unified-{os.getpid()}"
    made.mkdir()
    yield made
    cgroups._kill_tree(made)

    def gone() -> bool:
        cgroups._remove_tree(made)
        return not made.exists()

    eventually("the group is removed", gone)


@pytest.fixture
def sleeper(group: Path) -> Iterator[int]:
    """A process in the group: the server, for the kernel."""
    with subprocess.Popen(["/bin/sleep", "300"]) as process:
        (group / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
        process.kill()


def group_of(pid: int) -> str:
    """Return the name of a process's group of version 2."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        if line.startswith("0::")
    )
    return line.removeprefix("0::")


@pytest.fixture
def controller(group: Path) -> Iterator[str]:
    """A controller that the group has been given for the time of a test."""
    (offered, *_) = (group.parent / "cgroup.controllers").read_text().split()
    above = group.parent / "cgroup.subtree_control"
    given = offered in above.read_text().split()
    above.write_text(f"+{offered}")
    yield offered
    if not given:
        below = group / "cgroup.subtree_control"
        below.write_text(f"-{offered}")
        above.write_text(f"-{offered}")


@needs_version_2
def test_processes_move_into_a_leaf_so_that_the_kernel_hands_controllers_down(
    group: Path, sleeper: int, controller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="busy"):  # the rule: who hands down holds no process
        (group / "cgroup.subtree_control").write_text(f"+{controller}")
    monkeypatch.setattr(cgroups, "CONTROLLERS", (controller,))
    cgroups._delegate(group)
    assert cgroups._controllers_below(group) == [controller]
    assert group_of(sleeper).endswith(f"/{group.name}/fogbank")
    assert (group / "cgroup.procs").read_text() == ""
    cgroups._delegate(group)  # what stands is left as it is


@needs_version_2
def test_a_process_enters_by_a_descriptor_that_another_opened(group: Path) -> None:
    (group / "7").mkdir()
    made = cgroups.Group(dict.fromkeys(cgroups.CONTROLLERS, group / "7"), unified=True)
    (entry,) = made.entries()
    pid = os.fork()
    if pid == 0:
        os.write(entry, b"0")
        signal.pause()
    os.close(entry)
    eventually("it is in", lambda: group_of(pid).endswith("/7"))
    assert not made.remove(), "an occupied group was removed"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    eventually("it is removed", made.remove)


@needs_version_2
def test_what_a_dead_daemon_left_is_killed_and_removed(group: Path) -> None:
    dead = group / f"{cgroups.PREFIX}99999999-1"
    (dead / "3").mkdir(parents=True)
    with subprocess.Popen(["/bin/sleep", "300"]) as process:
        (dead / "3" / "cgroup.procs").write_text(str(process.pid))

        def swept() -> bool:
            cgroups.sweep(group)
            process.poll()
            return not dead.exists()

        eventually("it is swept", swept)
        assert process.wait() == -signal.SIGKILL
