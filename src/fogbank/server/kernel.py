"""What the kernel says of the server's processes: memory, descriptors, who is whose child."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import msgspec

from fogbank.platform.runtime.pace import ProcessorTimes

_SANDBOXD: Final = b"fogbank.engines.sandbox.daemon"
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class ProcessFigures(msgspec.Struct, frozen=True):
    """What the kernel says of a process."""

    role: str
    pid: int
    memory_bytes: int
    descriptors: int
    """-1 where it does not say: another user's."""


def figures_of(role: str, pid: int) -> ProcessFigures | None:
    """Return what the kernel says of a process, or None if it is gone."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return None
    try:
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        descriptors = -1
    return ProcessFigures(role, pid, resident, descriptors)


def memory_bytes() -> int:
    """Return how much memory the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def processor_times() -> ProcessorTimes:
    """Return what all processors of the machine have done since it started.

    Source: proc(5), ``/proc/stat``: user, nice, system, idle, iowait, irq, softirq, steal; what
    guests used is in user and nice already.
    """
    with open("/proc/stat", "rb") as file:  # noqa: PTH123 (ten times a second while functions wait)
        spent = [int(each) for each in file.readline().split()[1:9]]
    return ProcessorTimes(idle=spent[3] + spent[4], total=sum(spent))


def own_memory_bytes() -> int:
    """Return this process's own memory: what is resident but for pages of files, shared or mapped.

    Source: proc(5), ``/proc/pid/statm``: its third number is the resident pages of files.
    """
    _size, resident, of_files, *_rest = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(of_files)) * _PAGE


def sandboxd_of(work_dir: Path, *parents: int) -> int | None:
    """Return the sandbox daemon of a directory among the children of some processes, if any."""
    name = json.dumps(str(work_dir.absolute())).encode()  # as its settings name it
    for pid in [child for parent in parents for child in _children(parent)]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if _SANDBOXD in command and name in command:
            return pid
    return None


def _children(pid: int) -> list[int]:
    """Return the children of a process, as far as the kernel tells."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
