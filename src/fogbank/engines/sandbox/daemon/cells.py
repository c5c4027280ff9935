"""What one sandbox holds on the host: control group, /tmp, descriptor of its first process.

Rule: whatever ``Cells.create`` makes, ``Cells.remove`` takes away, also when the half of it failed;
what a killed daemon leaves lies below names with our prefix and is swept by the next.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fogbank.engines.sandbox.daemon import cgroups, syscalls, watch
from fogbank.engines.sandbox.daemon.messages import Message, close_all
from fogbank.engines.sandbox.daemon.steps import Steps

_RM = 'rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwx -- "$1"; rm -rf -- "$1"; }'
"""Also what a sandbox with our own uid has closed, and however deep it is (``shutil`` recurses)."""
_REMOVERS_MAX = 4
_LOOK_SHARE = 10
_STOPS_MAX = 50
_PLAIN = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


@dataclass(slots=True)
class Cell:
    """One sandbox, from the request to its end."""

    number: int
    name: str
    memory_mb: int
    """0: a stem, which has no function and no limits yet."""
    tmp_mb: int
    tmp: Path
    group: cgroups.Group | None
    pidfd: int = -1
    pid: int = -1
    cause: str = ""
    """Why we killed it: ``memory``, ``tmp``, ``killed``; empty while it lives or ends itself."""
    peak_mb: int = 0
    bare: bool = False
    _stops: int = 0
    """How often it was told to stand still; 0 when it may run, negative when it is known to."""
    _look: Generator[watch.Usage | None] | None = None
    _memory_look_at: float = 0.0

    def kill(self, cause: str) -> None:
        """End every process of the sandbox; the zygote will report that it has ended."""
        self.cause = self.cause or cause
        if self.pidfd < 0:
            return  # not forked yet: killed as soon as it is
        if self.bare and self.pid > 0 and watch.pid_behind(self.pidfd) == self.pid:
            watch.kill_tree(self.pid)  # once it is waited for, its number may be another's
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def resident_peak_mb(self) -> int:
        """Return the most memory that its processes of now ever held, each at its own time."""
        if self.pid < 0 or watch.pid_behind(self.pidfd) != self.pid:
            return self.peak_mb
        return watch.peak_mb(self.pid)

    def freeze(self) -> None:
        """Have every process stand still until ``thaw``; ``check`` sees to it."""
        # By signals: what control groups of version 1 froze survives kill -9 of all around it.
        if self.pid > 0 and not self.cause and watch.pid_behind(self.pidfd) == self.pid:
            self._stops += 1
            watch.stop_tree(self.pid)

    def thaw(self) -> None:
        """Let the processes run again."""
        if self._stops and watch.pid_behind(self.pidfd) == self.pid:
            watch.resume_tree(self.pid)
        self._stops = 0

    def _check_stillness(self) -> None:
        """End a sandbox whose processes wake each other up again and again."""
        if self._stops > 0 and watch.is_stopped(self.pid):
            self._stops = -1
        elif self._stops > _STOPS_MAX:
            self.kill("killed")
        elif self._stops > 0:
            self.freeze()

    def check(self) -> None:
        """Kill the sandbox if it is over a limit that nothing else enforces."""
        if self.pid < 0 or self.cause or not self.memory_mb:
            return
        if self._stops:
            self._check_stillness()
            return
        if self.group is not None:
            if self.group.oom_kills():
                self.kill("memory")
                return
        else:
            self._check_memory()
        self._look = self._look or watch.disk_usage(str(self.tmp))
        usage = next(self._look)
        if usage is not None:
            self._look = None
            if usage.over(self.tmp_mb):
                self.kill("tmp")

    def _check_memory(self) -> None:
        """Look at the memory of the processes, at most a tenth of the time."""
        begin = time.monotonic()
        if begin < self._memory_look_at:
            return
        used = watch.memory_mb(self.pid, self.memory_mb)
        now = time.monotonic()
        self._memory_look_at = now + _LOOK_SHARE * (now - begin)
        self.peak_mb = max(self.peak_mb, used)
        if used > self.memory_mb:
            self.kill("memory")


@dataclass(slots=True)
class Cells:
    """Makes and removes what sandboxes hold on the host."""

    directory: Path
    groups: cgroups.Cgroups | None
    bare: bool
    processes_max: int
    steps: Steps
    living: dict[int, Cell] = field(default_factory=dict[int, Cell])
    _made: int = 0
    _trash: list[Path] = field(default_factory=list[Path])
    emptied: list[cgroups.Group] = field(default_factory=list[cgroups.Group])
    removers: list[int] = field(default_factory=list[int])

    def group(self) -> cgroups.Group | None:
        """Make the control group of a sandbox, where there are any; raises ``OSError``."""
        if self.groups is None:
            return None
        self._made += 1
        return self.groups.create(self._made, self.processes_max)

    def create(self, message: Message, owner: int, group: cgroups.Group | None) -> Cell:
        """Make what a sandbox holds; ``group`` is its own from now on, also where this fails.

        Raises:
            OSError: There is no room, or no right.
        """
        number, memory_mb = message.number("id"), message.number("memory_mb")
        tmp = self.directory / str(number)
        try:
            with self.steps("make cell"):
                tmp.mkdir(mode=0o700)
            os.chown(tmp, owner, owner)  # -1 keeps it ours
            with self.steps("limit cell"):
                group = group or self.group()
                if group is not None and memory_mb:
                    group.limit(memory_mb)
        except OSError:
            with contextlib.suppress(OSError):
                tmp.rmdir()
            self.release(group)
            raise
        cell = Cell(number, message.text("name"), memory_mb, message.number("tmp_mb"), tmp, group)
        cell.bare = self.bare
        self.living[number] = cell
        return cell

    def release(self, group: cgroups.Group | None) -> None:
        """Remove a control group, now or when its last process has left."""
        if group is not None and not group.remove():
            self.emptied.append(group)

    def tmp_tree(self, cell: Cell) -> int:
        """Return a detached mount of a sandbox's /tmp; the caller closes it."""
        tree = syscalls.open_tree(str(cell.tmp))
        syscalls.restrict_tree(tree, _PLAIN)
        return tree

    def remove(self, cell: Cell) -> None:
        """Take away what a sandbox held, now that its processes are gone."""
        if self.living.pop(cell.number, None) is None:
            return
        if cell.pidfd >= 0:
            os.close(cell.pidfd)
            cell.pidfd = -1
        if cell.group is not None:
            cell.peak_mb = max(cell.peak_mb, cell.group.peak_mb())
            self.release(cell.group)
        try:
            cell.tmp.rmdir()
        except OSError:
            self._trash.append(cell.tmp)
            self.tidy()

    def tidy(self) -> None:
        """Go on with removals: full directories by ``rm`` in a process of its own."""
        self.emptied = [group for group in self.emptied if not group.remove()]
        self.removers = [pid for pid in self.removers if os.waitpid(pid, os.WNOHANG)[0] == 0]
        while self._trash and len(self.removers) < _REMOVERS_MAX:
            self.removers.append(_start_removal(self._trash.pop()))

    def sweep(self) -> None:
        """Remove what dead daemons left beside ours, and what their dying sandboxes made since."""
        if not (self._trash or self.removers):
            self._trash += left_over(self.directory.parent)
            self.tidy()
        if self.groups is not None:
            self.groups.sweep()

    def close(self) -> None:
        """Remove everything, for good; the processes are gone."""
        for cell in list(self.living.values()):
            self.remove(cell)
        self.tidy()
        for pid in self.removers:
            os.waitpid(pid, 0)
        os.waitpid(_start_removal(self.directory), 0)
        if self.groups is not None:
            self.groups.remove()


def read_only_trees(paths: Sequence[str], fds: Sequence[int]) -> list[int]:
    """Return detached mounts of code and layers, read-only; the caller closes them.

    The client proves with its descriptors that it may open those; a path is only how our own
    mount namespace finds the same directory.
    """
    trees: list[int] = []
    try:
        for path, fd in zip(paths, fds, strict=True):
            trees.append(syscalls.open_tree(path))
            if not os.path.samestat(os.fstat(trees[-1]), os.fstat(fd)):
                raise OSError(f"{path} is another directory here")  # noqa: TRY301 (closes all)
            syscalls.restrict_tree(trees[-1], _PLAIN | syscalls.MOUNT_ATTR_RDONLY)
    except OSError:
        close_all(trees)
        raise
    return trees


def left_over(parent: Path) -> list[Path]:
    """Return the directories of daemons that are gone."""
    return [path for path in parent.iterdir() if cgroups.is_left_over(path.name)]


def _start_removal(path: Path) -> int:
    """Have a child remove a tree of a sandbox's making; return its process id."""
    return os.posix_spawn("/bin/sh", ["sh", "-c", _RM, "sh", str(path)], {})


def open_directory(work_dir: str) -> Path:
    """Return a fresh directory for this daemon's sandboxes."""
    own = Path(work_dir) / cgroups.own_tag()
    own.mkdir(mode=0o711)
    return own
