"""What the processes of a sandbox take of the machine, as the kernel tells everybody.

Rule: read when somebody asks and not otherwise; a bounded number of processes; nothing that needs
rights over them. Resident memory counts pages that are shared with the zygote, too.

Source: proc(5), ``/proc/pid/stat`` (utime, stime, cutime, cstime, starttime) and ``/proc/pid/status``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fogbank.engines.sandbox.birth import Birth
from fogbank.engines.sandbox.daemon import watch
from fogbank.engines.sandbox.rest import Rest
from fogbank.platform.runtime.port import Look

_TICK_MS: Final = 1_000 // os.sysconf("SC_CLK_TCK")
_OWN: Final = slice(11, 13)
_OF_CHILDREN: Final = slice(13, 15)
_STARTED: Final = 19
"""Places in ``/proc/pid/stat``, behind the name."""


class Vitals:
    """Looks at one sandbox.

    Args:
        birth: Knows its first process.
        rest: Knows whether it stands still.
    """

    def __init__(self, birth: Birth, rest: Rest) -> None:
        self._birth = birth
        self._rest = rest
        self._started = -1
        """When its first process started; what has its number and is another's started later."""

    def look(self) -> Look:
        """Return what its processes take now; reads files, so not for an event loop."""
        pid, frozen = self._birth.pid, not self._rest.awake.is_set()
        first = _stat_of(pid) if pid > 0 else []
        started = int(first[_STARTED]) if first else -1
        if self._started < 0:
            self._started = started
        if not first or started != self._started:
            return Look(-1, 0, 0, frozen)
        ticks = sum(map(int, first[_OF_CHILDREN]))
        resident_kb = 0
        for each in watch.tree_of(pid, watch.PEAKS_MAX)[: watch.PEAKS_MAX]:
            ticks += sum(map(int, _stat_of(each)[_OWN]))
            resident_kb += watch.resident_kb(each)
        return Look(pid, resident_kb << 10, ticks * _TICK_MS, frozen)


def _stat_of(pid: int) -> list[str]:
    """Return what the kernel says of a process, behind its name; nothing if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
