"""Watching what no control group limits: memory of process trees, and the size of /tmp.

Theory: a pid namespace's orphans are adopted by its first process, so that the tree below that
process is the whole sandbox. Resident anonymous memory is cheap to read and never less than what
a sandbox really holds; only where it passes the limit are the shares (PSS) of pages counted,
because a fork shares its zygote's pages. A look costs 0.1 ms for a sandbox of one process.
Rule: everything is bounded; directories are looked at in slices, one that is too large counts as
over its limit, and the caller spaces looks by what they cost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Collection, Generator, Iterable
from pathlib import Path
from typing import NamedTuple

PROCESSES_MAX = 2048
PEAKS_MAX = 16
"""Processes whose peaks are told after an invocation; who forks more is measured in part."""
FILES_MAX = 50_000
FILES_PER_SLICE = 500
DEPTH_MAX = 64
_KB_PER_MB = 1024
_BYTES_PER_MB = 1024 * 1024
_PASSES_MAX = 20
_HIDDEN = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}
"""A directory that we may not look into counts as full: anything could be hidden in it."""


def pid_behind(pidfd: int) -> int:
    """Return the process behind a descriptor as this process numbers it, -1 if it has ended."""
    text = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii")
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == "Pid":
            return int(value)
    return -1


def tree_of(pid: int, most: int = PROCESSES_MAX) -> list[int]:
    """Return a process and its descendants, at most ``PROCESSES_MAX`` of them, or a few more."""
    found, at = [pid], 0
    while at < len(found) < most:
        found.extend(_children(found[at]))
        at += 1
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            text = (task / "children").read_text(encoding="ascii")
            children.extend(map(int, text.split()))
    except OSError:
        pass  # it ended while we looked
    return children


def _kilobytes(path: str, wanted: tuple[str, ...]) -> int:
    """Return the sum of some lines of a /proc file that counts in kB."""
    total = 0
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, rest = line.partition(":")
                if key in wanted:
                    total += int(rest.split()[0])
    except OSError:
        return 0  # it ended while we looked
    return total


def resident_kb(pid: int) -> int:
    """Return the memory of a process that is not files, with what it shares with others."""
    return _kilobytes(f"/proc/{pid}/status", ("RssAnon", "RssShmem"))


def memory_mb(pid: int, limit_mb: int) -> int:
    """Return the memory that a tree of processes holds; exact only where it is near the limit."""
    tree = tree_of(pid)
    coarse = sum(map(resident_kb, tree))
    if coarse <= limit_mb * _KB_PER_MB:
        return coarse // _KB_PER_MB
    names = ("Pss_Anon", "Pss_Shmem")
    exact = sum(_kilobytes(f"/proc/{p}/smaps_rollup", names) for p in tree)
    return (exact or coarse) // _KB_PER_MB


def peak_mb(pid: int) -> int:
    """Return the resident peaks of a process and its nearest descendants, added up."""
    tree = tree_of(pid, PEAKS_MAX)[:PEAKS_MAX]
    return sum(_kilobytes(f"/proc/{p}/status", ("VmHWM",)) for p in tree) // _KB_PER_MB


class Usage(NamedTuple):
    """What lies in a directory tree."""

    mb: int
    files: int

    def over(self, limit_mb: int) -> bool:
        """Return whether the tree is larger than allowed."""
        return self.mb > limit_mb or self.files > FILES_MAX


def disk_usage(path: str) -> Generator[Usage | None]:
    """Look at the blocks and names in a tree that is written to meanwhile; follows no links.

    Yields None after every ``FILES_PER_SLICE`` names, so that the caller keeps its time, and at
    last the usage.
    """
    blocks = files = 0
    folders = [(path, 0)]
    while folders and files <= FILES_MAX:
        folder, depth = folders.pop()
        if depth > DEPTH_MAX:
            yield Usage(0, FILES_MAX + 1)
            return
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    files += 1
                    blocks += entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, depth + 1))
                    if files % FILES_PER_SLICE == 0:
                        yield None
                    if files > FILES_MAX:
                        break
        except OSError as error:
            if error.errno in _HIDDEN:
                yield Usage(0, FILES_MAX + 1)
                return
            # else it was removed while we looked
    yield Usage(blocks * 512 // _BYTES_PER_MB, files)


def stop_tree(pid: int) -> set[int]:
    """Stop a process and its descendants, pass by pass until no new one is found."""
    stopped: set[int] = set()
    for _ in range(_PASSES_MAX):
        fresh = [member for member in tree_of(pid) if member not in stopped]
        if not fresh:
            break
        _signal(fresh, signal.SIGSTOP)
        stopped.update(fresh)
    return stopped


def resume_tree(pid: int) -> None:
    """Let a stopped process and its descendants go on; the first of them last."""
    _signal(reversed(tree_of(pid)), signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Return whether a process and its descendants stand still."""
    return all(_state(member) in "TtZX" for member in tree_of(pid))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"  # it ended while we looked


def kill_tree(pid: int) -> None:
    """Kill a process and its descendants where no pid namespace does it for us.

    They are stopped first, so that none can fork away.
    """
    stopped = stop_tree(pid)
    for _ in range(_PASSES_MAX):
        tree = tree_of(pid)
        _signal([*reversed(tree), *stopped], signal.SIGKILL)
        stopped.clear()  # once dead their numbers may be given to others
        if len(tree) == 1:
            return


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_orphans(ours: Collection[int]) -> bool:
    """Kill and collect what ended sandboxes left to this process, which adopts orphans.

    Args:
        ours: Children that are none.

    Returns:
        Whether none is left; call again otherwise.
    """
    for _ in range(_PASSES_MAX):
        orphans = [pid for pid in _children(os.getpid()) if pid not in ours]
        if not orphans:
            return True
        for pid in orphans:
            kill_tree(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
    return False
