"""Control groups, version 1 and version 2: memory, processor share and number of processes.

Rule: every directory we make lies in one directory ``fogbank-<pid>-<start time>`` per hierarchy,
so that the next start can tell the left-overs of a dead daemon from a living one and sweep them.
Theory: memory is a hard limit; the processor is a weight of memory / 1769 of one vCPU (AWS: 1,769
MB are one vCPU) and, in strict mode, a quota as well. Version 1 here has one hierarchy per
controller. A sandbox enters by writing "0" into descriptors of ``cgroup.procs`` opened by us.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CONTROLLERS = ("memory", "cpu", "pids")
VCPU_MB = 1769
PREFIX = "fogbank-"
_MB = 1024 * 1024
_SHARES_VCPU = 1024
_WEIGHT_VCPU = 100
_PERIOD_US = 100_000
_PASSES_MAX = 20


def weight_of(memory_mb: int, vcpu: int) -> int:
    """Return the processor weight of a function, where ``vcpu`` is the weight of one vCPU."""
    return max(2, memory_mb * vcpu // VCPU_MB)


def quota_us_of(memory_mb: int) -> int:
    """Return the microseconds of processor time per period of a function in strict mode."""
    return max(1000, memory_mb * _PERIOD_US // VCPU_MB)


def start_time_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, or nothing if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        return ""  # dead, and only not yet waited for: what it held is nobody's
    return fields[19]


def own_tag() -> str:
    """Return the name of this daemon's directories."""
    return f"{PREFIX}{os.getpid()}-{start_time_of(os.getpid())}"


def is_left_over(name: str) -> bool:
    """Return whether a directory is one of ours whose daemon is gone."""
    if not name.startswith(PREFIX):
        return False
    pid, _, started = name.removeprefix(PREFIX).partition("-")
    return not (pid.isdigit() and started and start_time_of(int(pid)) == started)


class Group(NamedTuple):
    """The control group of one sandbox: its directory in each hierarchy, by controller."""

    paths: dict[str, Path]
    unified: bool

    def entries(self) -> list[int]:
        """Open what a process writes "0" into to enter; close them after use."""
        flags = os.O_WRONLY | os.O_CLOEXEC
        return [
            os.open(path / "cgroup.procs", flags) for path in dict.fromkeys(self.paths.values())
        ]

    def limit(self, memory_mb: int) -> None:
        """Set how much memory the group may hold, once; until it settles it has a full vCPU."""
        limit, memory = memory_mb * _MB, self.paths["memory"]
        if self.unified:
            _write(memory / "memory.max", limit)
            _write(memory / "memory.oom.group", 1)
            _write_if_there(memory / "memory.swap.max", 0)
        else:
            _write(memory / "memory.limit_in_bytes", limit)
            _write_if_there(memory / "memory.memsw.limit_in_bytes", limit)

    def settle(self, memory_mb: int, *, strict: bool) -> None:
        """Go from the full vCPU of initialisation to the share that the memory buys."""
        cpu = self.paths["cpu"]
        if self.unified:
            _write(cpu / "cpu.weight", min(weight_of(memory_mb, _WEIGHT_VCPU), 10_000))
            if strict:
                _write(cpu / "cpu.max", f"{quota_us_of(memory_mb)} {_PERIOD_US}")
            return
        _write(cpu / "cpu.shares", weight_of(memory_mb, _SHARES_VCPU))
        if strict:
            _write(cpu / "cpu.cfs_period_us", _PERIOD_US)
            _write(cpu / "cpu.cfs_quota_us", quota_us_of(memory_mb))

    def oom_kills(self) -> int:
        """Return how many processes of the group the kernel killed for want of memory."""
        name = "memory.events" if self.unified else "memory.oom_control"
        with contextlib.suppress(OSError):
            for line in (self.paths["memory"] / name).read_text(encoding="ascii").splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
        return 0

    def peak_mb(self) -> int:
        """Return the largest amount of memory the group ever held."""
        name = "memory.peak" if self.unified else "memory.max_usage_in_bytes"
        with contextlib.suppress(OSError, ValueError):
            text = (self.paths["memory"] / name).read_text(encoding="ascii")
            return -(-int(text) // _MB)
        return 0

    def remove(self) -> bool:
        """Remove the emptied group; False if a process has not quite left it yet."""
        gone = True
        for path in dict.fromkeys(self.paths.values()):
            try:
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                gone = False
        return gone


class Cgroups(NamedTuple):
    """The directories below which groups are made, by controller."""

    bases: dict[str, Path]
    unified: bool

    def create(self, number: int, processes: int) -> Group:
        """Make the group of one sandbox; its memory is limited when that is known."""
        paths = {name: base / str(number) for name, base in self.bases.items()}
        group = Group(paths, self.unified)
        try:
            for path in dict.fromkeys(paths.values()):
                path.mkdir()
            _write(paths["pids"] / "pids.max", processes)
        except OSError:
            group.remove()
            raise
        return group

    def sweep(self) -> None:
        """Kill and remove what dead daemons left beside ours, as far as that is possible now."""
        for parent in dict.fromkeys(base.parent for base in self.bases.values()):
            sweep(parent)

    def remove(self) -> None:
        """Remove our directories; what is still occupied is left to the next start's sweep."""
        for base in dict.fromkeys(self.bases.values()):
            _remove_tree(base)


def _write(path: Path, value: int | str) -> None:
    path.write_text(str(value), encoding="ascii")


def _write_if_there(path: Path, value: int | str) -> None:
    """Write a limit that not every kernel has."""
    with contextlib.suppress(OSError):
        _write(path, value)


def _mounts(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield (kind, options, mount point) of every control group hierarchy of this machine."""
    for line in (root / "proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, kind, options, *_ = line.split(" ")
        if kind in {"cgroup", "cgroup2"}:
            yield kind, options, root / point.lstrip("/")


def _own_paths(root: Path) -> dict[str, str]:
    """Return this process's group in each hierarchy; the unified one under the empty name."""
    own: dict[str, str] = {}
    for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            own[name] = path.lstrip("/")
    return own


def _own_or_top(point: Path, own: str) -> Path:
    """Return this process's own group, or the top where a container shows another tree."""
    return point / own if own and (point / own).is_dir() else point


def _delegate(group: Path) -> None:
    """Make a version 2 group hand its controllers down: its processes move into a leaf."""
    if all(name in _controllers_below(group) for name in CONTROLLERS):
        return
    occupied = (group / "cgroup.procs").read_text(encoding="ascii").split()
    if occupied and (group / "cgroup.type").exists():  # the top may hold processes
        leaf = group / "fogbank"
        leaf.mkdir(exist_ok=True)
        for pid in occupied:
            with contextlib.suppress(ProcessLookupError):
                _write(leaf / "cgroup.procs", pid)
    _write(group / "cgroup.subtree_control", " ".join(f"+{name}" for name in CONTROLLERS))


def _controllers_below(group: Path) -> list[str]:
    return (group / "cgroup.subtree_control").read_text(encoding="ascii").split()


def _find_unified(root: Path) -> Cgroups:
    own = _own_paths(root)
    for kind, _, point in _mounts(root):
        if kind != "cgroup2":
            continue
        offered = (point / "cgroup.controllers").read_text(encoding="ascii").split()
        lacking = [name for name in CONTROLLERS if name not in offered]
        if lacking:
            raise OSError(f"cgroup v2 at {point} offers no {', '.join(lacking)}")
        group = _own_or_top(point, own.get("", ""))
        _delegate(group)
        base = group / own_tag()
        sweep(group)
        base.mkdir()
        _write(base / "cgroup.subtree_control", " ".join(f"+{name}" for name in CONTROLLERS))
        return Cgroups(dict.fromkeys(CONTROLLERS, base), unified=True)
    raise OSError("cgroup v2 is not mounted")


def _find_split(root: Path) -> Cgroups:
    own = _own_paths(root)
    bases: dict[str, Path] = {}
    for kind, options, point in _mounts(root):
        for name in CONTROLLERS if kind == "cgroup" else ():
            if name in options.split(","):
                bases[name] = _own_or_top(point, own.get(name, "")) / own_tag()
    lacking = [name for name in CONTROLLERS if name not in bases]
    if lacking:
        raise OSError(f"cgroup v1 has no {', '.join(lacking)}")
    for base in dict.fromkeys(bases.values()):
        sweep(base.parent)
        base.mkdir()
    return Cgroups(bases, unified=False)


def find(root: Path = Path("/")) -> tuple[Cgroups | None, str]:
    """Return the hierarchies we may use, or None, and a sentence that says which or why not.

    Left-overs of dead daemons beside ours are swept on the way.
    """
    reasons: list[str] = []
    for look in (_find_unified, _find_split):
        try:
            found = look(root)
        except OSError as error:
            reasons.append(str(error))
        else:
            return found, f"cgroup v{2 if found.unified else 1} at {found.bases['memory']}"
    return None, "; ".join(reasons)


def sweep(directory: Path) -> list[str]:
    """Kill and remove what daemons that are gone left in a directory; return what it was."""
    # On a busy machine the killed are still ending, and their group occupied: then sweep again.
    swept: list[str] = []
    for path in directory.iterdir():
        if path.is_dir() and is_left_over(path.name):
            _kill_tree(path)
            _remove_tree(path)
            swept.append(str(path))
    return swept


def _kill_tree(top: Path) -> None:
    """Kill every process at and below a group."""
    for _ in range(_PASSES_MAX):
        pids: list[int] = []
        for folder, _, _ in os.walk(top):
            with contextlib.suppress(OSError):
                procs = Path(folder, "cgroup.procs").read_text(encoding="ascii")
                pids.extend(map(int, procs.split()))
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _remove_tree(top: Path) -> None:
    """Remove a group and all below it, from the leaves up; occupied ones stay."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
